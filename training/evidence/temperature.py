"""Temperature scaling: one number that makes a network's probabilities hold, learnt from items that no weight was fitted to.

C. Guo et al., "On calibration of modern neural networks", ICML 2017: the logits are divided by a temperature, which changes how sure a network is and
never what it says. The network ends in a softmax, whose logarithm is its logits but for a constant that the next softmax takes out again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

_BOUNDS = (0.05, 20.0)
_SMALLEST = 1e-30


@dataclass(frozen=True, kw_only=True, slots=True)
class Temperature:
    """What logits are divided by: below 1 a network becomes surer, above 1 less sure."""

    temperature: float

    def __post_init__(self) -> None:
        """Raises ValueError where it is no finite number above 0."""
        if not 0 < self.temperature < np.inf:
            message = f"temperature: finite, and above 0, not {self.temperature}"
            raise ValueError(message)

    def __str__(self) -> str:
        """For people."""
        return f"temperature {self.temperature:.3f}"

    @property
    def name(self) -> str:
        """For the manifest."""
        return "temperature"

    def apply(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """[items, classes] from the same."""
        scaled = _logits(probabilities) / self.temperature
        raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)

    def as_layer(self, name: str = "temperature") -> "keras.Layer":
        """The same as a layer, within 1e-6 of `apply`."""
        import keras  # noqa: PLC0415 - it takes seconds
        from keras import ops  # noqa: PLC0415

        def scale(probabilities: Any) -> Any:  # noqa: ANN401 - a tensor
            return ops.softmax(ops.log(ops.maximum(probabilities, _SMALLEST)) / self.temperature)

        return keras.layers.Lambda(scale, name=name)


def fit_temperature(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> Temperature:
    """The temperature of the least negative log-likelihood, from 0.05 to 20; 1 where there are no items.

    Where every item is right, the likelihood grows with whatever makes the network surer and has no greatest value: these items don't say how sure
    it may be, and the temperature is 1. `probabilities` is [items, classes], `labels` [items].
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import

    if (probabilities.argmax(axis=1) == labels).all():
        return Temperature(temperature=1.0)
    logits = _logits(probabilities)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]))

    found = minimize_scalar(loss, bounds=tuple(np.log(_BOUNDS)), method="bounded", options={"xatol": 1e-6})
    return Temperature(temperature=float(np.exp(found.x)))


def _logits(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _SMALLEST))
