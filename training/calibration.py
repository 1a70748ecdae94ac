"""Temperature scaling: one number that makes a network's probabilities hold, learnt from items that no weight was fitted to.

C. Guo et al., "On calibration of modern neural networks", ICML 2017: the logits are divided by a temperature, which changes how sure a network is and
never what it says. The network ends in a softmax, whose logarithm is its logits but for a constant that the next softmax takes out again.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

_BOUNDS = (0.05, 20.0)
_SMALLEST = 1e-30
_BINS = 10


def fit_temperature(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The temperature of the least negative log-likelihood, from 0.05 to 20; 1 where there are no items.

    `probabilities` is [items, classes], `labels` [items].
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import

    if not len(labels):
        return 1.0
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, labels]))

    found = minimize_scalar(loss, bounds=tuple(np.log(_BOUNDS)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def calibrated(model: "keras.Model", temperature: float) -> "keras.Model":
    """The model with its probabilities at that temperature; the layer is a part of it, and goes into the SavedModel with it."""
    import keras  # noqa: PLC0415 - it takes seconds
    from keras import ops  # noqa: PLC0415

    def scale(probabilities: Any) -> Any:  # noqa: ANN401 - a tensor
        return ops.softmax(ops.log(ops.maximum(probabilities, _SMALLEST)) / temperature)

    return keras.Model(model.inputs[0], keras.layers.Lambda(scale, name="temperature")(model.outputs[0]), name=model.name)


def bins_of(said: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The items in ten bins of equally many, from the least sure to the surest; `said` is [items], the probability of what was said."""
    return [rows for rows in np.array_split(np.argsort(said, kind="stable"), _BINS) if rows.size]


def expected_calibration_error(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """How far the probability of what is said is from the share that is right, in the mean over `bins_of`'s bins.

    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015, with bins of equally
    many items, as A. Nguyen and B. O'Connor take them (EMNLP 2015).
    """
    said, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    return float(sum(len(rows) * abs(said[rows].mean() - is_right[rows].mean()) for rows in bins_of(said)) / len(labels))
