"""How unlike the training data an item is."""

import math
from collections.abc import Mapping

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import NoveltyReading
from gateway.reading import Novelty
from gateway.tensor import Tensor


def novelty_of(name: str, reading: NoveltyReading, outputs: Mapping[str, Tensor]) -> list[Novelty]:
    """The novelty in the output `name`, [1]; infinite for what is beyond all measure. Raises BackendAnswerInvalid where it is no number."""
    score = float(outputs[name].array[0])
    if math.isnan(score):
        message = f'output "{name}" is no number: the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    return [Novelty(output=name, score=score, threshold=reading.threshold)]
