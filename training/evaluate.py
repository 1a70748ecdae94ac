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


def share(name: str, count: int, of: int, *, confidence_level: float = 0.95) -> Figure:
    """`count` of `of` independent items, as a figure with E. B. Wilson's interval (1927).

    Raises ValueError where there are none to be a share of, or more are counted than there are.
    """
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to import

    if of < 1 or not 0 <= count <= of:
        message = f"{name}: a share of 1 item or more, not {count} of {of}"
        raise ValueError(message)
    interval = binomtest(count, of).proportion_ci(confidence_level, method="wilson")
    # Rounding puts the end of a share of 0 or 1 a hair inside of it.
    lower, upper = min(float(interval.low), count / of), max(float(interval.high), count / of)
    return Figure(name=name, value=count / of, lower=lower, upper=upper, confidence_level=confidence_level, interval_method="wilson")


def evaluate(probabilities: NDArray[Any], labels: NDArray[np.int64], *, seed: int) -> list[Figure]:
    """Accuracy with Wilson's interval, and macro F1 with a bootstrap interval.

    `probabilities` is [items, classes], `labels` [items]. A class that isn't among the labels doesn't count in macro F1.
    """
    items, classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    confusion = np.bincount(labels * classes + predicted, minlength=classes * classes)
    # A resample of the items changes nothing but the counts in the confusion matrix, and those are multinomial.
    resampled = np.random.default_rng(seed).multinomial(items, confusion / items, size=_RESAMPLES)
    present = np.unique(labels)
    value = macro_f1(confusion.reshape(classes, classes), present)
    lower, upper = np.quantile(macro_f1(resampled.reshape(-1, classes, classes), present), [(1 - _CONFIDENCE_LEVEL) / 2, (1 + _CONFIDENCE_LEVEL) / 2])
    return [
        share("accuracy", int((predicted == labels).sum()), items, confidence_level=_CONFIDENCE_LEVEL),
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
