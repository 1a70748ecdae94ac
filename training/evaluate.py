"""Figures on held-out data, each with an interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CONFIDENCE_LEVEL = 0.95
_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A metric's value and its interval at `confidence_level`."""

    name: str
    value: float
    lower: float
    upper: float
    confidence_level: float
    interval_method: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.name} {self.value:.4f} ({self.confidence_level:.0%} interval {self.lower:.4f} to {self.upper:.4f}, {self.interval_method})"


def evaluate(probabilities: NDArray[Any], labels: NDArray[np.int64], *, seed: int) -> list[Figure]:
    """Accuracy with Wilson's interval, and macro F1 with a bootstrap interval.

    `probabilities` is [items, classes], `labels` [items]. A class that isn't among the labels doesn't count in macro F1.
    """
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to import

    items, classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    confusion = np.bincount(labels * classes + predicted, minlength=classes * classes)
    # A resample of the items changes nothing but the counts in the confusion matrix, and those are multinomial.
    resampled = np.random.default_rng(seed).multinomial(items, confusion / items, size=_RESAMPLES)
    present = np.unique(labels)
    value = macro_f1(confusion.reshape(classes, classes), present)
    lower, upper = np.quantile(macro_f1(resampled.reshape(-1, classes, classes), present), [(1 - _CONFIDENCE_LEVEL) / 2, (1 + _CONFIDENCE_LEVEL) / 2])
    correct = int((predicted == labels).sum())
    wilson = binomtest(correct, items).proportion_ci(_CONFIDENCE_LEVEL, method="wilson")
    return [
        Figure(
            name="accuracy", value=correct / items, lower=float(wilson.low), upper=float(wilson.high),
            confidence_level=_CONFIDENCE_LEVEL, interval_method="wilson",
        ),
        Figure(
            name="macro_f1", value=float(value), lower=float(lower), upper=float(upper),
            confidence_level=_CONFIDENCE_LEVEL, interval_method=f"bootstrap percentile, {_RESAMPLES} resamples",
        ),
    ]  # fmt: skip


def macro_f1(confusion: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """[...] from [..., labels, predictions]: the mean of `classes`' F1 = 2 TP / (2 TP + FP + FN), 0 for one that is nowhere."""
    true = np.diagonal(confusion, axis1=-2, axis2=-1)
    labelled_and_predicted = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1 = np.divide(2.0 * true, labelled_and_predicted, out=np.zeros(true.shape), where=labelled_and_predicted > 0)
    return f1[..., classes].mean(axis=-1)
