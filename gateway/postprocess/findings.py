"""The probabilities of a classification as findings."""

from collections.abc import Mapping

import numpy as np

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Classification, Label
from gateway.postprocess.numbers import probabilities_of
from gateway.reading import ConformalMembership, Decision, Finding
from gateway.tensor import Tensor

# A softmax in float16 strays from one by some 5e-4.
_SUM_TOLERANCE = 1e-3


def findings_of(name: str, classification: Classification, outputs: Mapping[str, Tensor]) -> list[Finding]:
    """One finding for each label of the output `name`, in their order; it is a floating vector of as many.

    Raises BackendAnswerInvalid where a number is no probability, or exclusive labels don't sum to one.
    """
    probabilities = probabilities_of(name, outputs)
    # As they came: what is clipped would no longer sum to one.
    if classification.exclusive and abs(outputs[name].array.astype(np.float64).sum() - 1) > _SUM_TOLERANCE:
        message = f'the probabilities of output "{name}" don\'t sum to one: the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    most_probable = int(probabilities.argmax()) if probabilities.size else -1
    return [
        Finding(
            output=name,
            code=label.code,
            probability=probability,
            decision=_decide(classification, label, probability, is_most_probable=index == most_probable),
            operating_point=label.operating_point,
            conformal=_membership(classification, label, probability),
        )
        for index, (label, probability) in enumerate(zip(classification.labels, probabilities.tolist(), strict=True))
    ]


def _decide(classification: Classification, label: Label, probability: float, *, is_most_probable: bool) -> Decision:
    if label.operating_point is not None:
        return Decision.PRESENT if probability >= label.operating_point else Decision.ABSENT
    if classification.exclusive:
        return Decision.PRESENT if is_most_probable else Decision.ABSENT
    return Decision.UNSPECIFIED


def _membership(classification: Classification, label: Label, probability: float) -> ConformalMembership | None:
    if label.conformal_threshold is None:
        return None
    return ConformalMembership(in_set=1 - probability <= label.conformal_threshold, confidence_level=classification.conformal_confidence_level)
