"""How unlike the training data an item is."""

from collections.abc import Mapping

from gateway.manifest import NoveltyReading
from gateway.postprocess.numbers import finite_of
from gateway.reading import Novelty
from gateway.tensor import Tensor


def novelty_of(name: str, reading: NoveltyReading, outputs: Mapping[str, Tensor]) -> list[Novelty]:
    """The novelty in the output `name`, [1]. Raises BackendAnswerInvalid where it isn't finite."""
    return [Novelty(output=name, score=float(finite_of(name, outputs)[0]), threshold=reading.threshold)]
