"""What every measure of a series has in common."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
"""[items, samples, channels]; NaN is a gap."""


class Measure(ABC):
    """A declaration of features of a channel, computed twice: by a library, and in the graph. Nothing is learnt."""

    @abstractmethod
    def names(self, samples: int) -> tuple[str, ...]:
        """What it makes of a channel of so many samples. Raises ValueError where it can make nothing of so many."""

    @abstractmethod
    def transform(self, series: Series) -> NDArray[np.float64]:
        """[items, samples, channels] to [items, channels, names], by the library; NaN is a feature that the gaps leave nothing of."""

    @abstractmethod
    def apply(self, ops: Any, series: Any) -> Any:  # noqa: ANN401 - Keras's operations, and tensors
        """The same in the graph, in float64; the number of samples is known when it is traced."""


def check_rate(sampling_hz: float) -> None:
    """Raises ValueError where it is no rate."""
    if not 0 < sampling_hz < np.inf:
        message = "sampling_hz: finite, and above 0"
        raise ValueError(message)
