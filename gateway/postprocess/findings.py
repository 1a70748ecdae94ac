"""Probabilities become findings."""

import numpy as np

from gateway.call import Decision, Finding
from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Classification, Label
from gateway.tensor import Tensor

# What the sum of float32 or float16 probabilities may be off by.
_TOLERANCE = 1e-3


def read_classification(output: str, classification: Classification, tensor: Tensor) -> list[Finding]:
    """A finding for each label, in the labels' order. `tensor` is a floating vector with one element a label.

    Raises:
        BackendAnswerInvalid: a number isn't a probability, or exclusive ones don't sum to one.
    """
    probabilities = tensor.array.astype(np.float64)
    inside = np.isfinite(probabilities) & (probabilities >= -_TOLERANCE) & (probabilities <= 1 + _TOLERANCE)
    if not inside.all() or (classification.exclusive and abs(probabilities.sum() - 1) > _TOLERANCE):
        message = "the model's answer holds no probabilities, though its manifest says so: tell whoever published this version"
        raise BackendAnswerInvalid(message, field=f'outputs["{output}"]')
    most_probable = int(probabilities.argmax())
    return [
        Finding(
            output=output,
            code=label.code,
            probability=float(np.clip(probability, 0, 1)),
            decision=_decide(label, probability, classification.exclusive, number == most_probable),
            operating_point=label.operating_point,
        )
        for number, (label, probability) in enumerate(zip(classification.labels, probabilities, strict=True))
    ]


def _decide(label: Label, probability: float, exclusive: bool, is_most_probable: bool) -> Decision:  # noqa: FBT001
    if label.operating_point is not None:
        return Decision.PRESENT if probability >= label.operating_point else Decision.ABSENT
    if exclusive:
        return Decision.PRESENT if is_most_probable else Decision.ABSENT
    return Decision.UNSPECIFIED
