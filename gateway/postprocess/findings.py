"""The probabilities of a classification as findings."""

import numpy as np

from gateway.call import Decision, Finding
from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Classification, Label, OutputSpec
from gateway.tensor import Tensor

# A softmax or sigmoid in float32 strays from [0, 1] by rounding, some 1e-7; in float16 by some 5e-4.
_PROBABILITY_TOLERANCE = 1e-3
_SUM_TOLERANCE = 1e-3


def findings_of(spec: OutputSpec, tensor: Tensor) -> list[Finding]:
    """One finding for each label of `spec`'s classification, in its order; `tensor` is a floating vector of as many.

    Raises BackendAnswerInvalid where a number is no probability, or exclusive labels don't sum to one.
    """
    classification = spec.classification
    if classification is None:
        return []
    probabilities = tensor.array.astype(np.float64)
    # NaN compares false, so it fails as well.
    if not ((probabilities >= -_PROBABILITY_TOLERANCE) & (probabilities <= 1 + _PROBABILITY_TOLERANCE)).all():
        message = f'output "{spec.name}" holds numbers that are no probabilities: the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    if classification.exclusive and abs(probabilities.sum() - 1) > _SUM_TOLERANCE:
        message = f'the probabilities of output "{spec.name}" don\'t sum to one: the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    probabilities = probabilities.clip(0, 1)
    most_probable = int(probabilities.argmax()) if probabilities.size else -1
    return [
        Finding(
            output=spec.name,
            code=label.code,
            probability=probability,
            decision=_decide(classification, label, probability, is_most_probable=index == most_probable),
            operating_point=label.operating_point,
        )
        for index, (label, probability) in enumerate(zip(classification.labels, probabilities.tolist(), strict=True))
    ]


def _decide(classification: Classification, label: Label, probability: float, *, is_most_probable: bool) -> Decision:
    if label.operating_point is not None:
        return Decision.PRESENT if probability >= label.operating_point else Decision.ABSENT
    if classification.exclusive:
        return Decision.PRESENT if is_most_probable else Decision.ABSENT
    return Decision.UNSPECIFIED
