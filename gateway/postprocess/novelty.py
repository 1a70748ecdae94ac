"""How unlike the training data an item is."""

import math
from collections.abc import Mapping

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import NoveltyReading
from gateway.reading import Novelty
from gateway.tensor import Tensor


def novelty_of(name: str, reading: NoveltyReading, outputs: Mapping[str, Tensor]) -> list[Novelty]:
    """The novelty in the output `name`, [1]; infinite for what is beyond all measure.

    Raises BackendAnswerInvalid where it is no number, or minus infinity. Nothing is infinitely like the data: that comes of a sign the wrong way
    round, or of a logarithm of 0, and would count as in distribution whatever the threshold.
    """
    score = float(outputs[name].array[0])
    if not score > -math.inf:
        message = f'output "{name}" is no number, or minus infinity: the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    return [Novelty(output=name, score=score, threshold=reading.threshold)]
