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
    from sklearn.metrics import f1_score  # noqa: PLC0415

    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == labels).sum())
    wilson = binomtest(correct, len(labels)).proportion_ci(_CONFIDENCE_LEVEL, method="wilson")
    classes = np.unique(labels)
    random = np.random.default_rng(seed)

    def macro_f1(rows: NDArray[np.int64]) -> float:
        return float(f1_score(labels[rows], predicted[rows], labels=classes, average="macro", zero_division=0.0))

    resampled = [macro_f1(random.integers(0, len(labels), len(labels))) for _ in range(_RESAMPLES)]
    lower, upper = np.quantile(resampled, [(1 - _CONFIDENCE_LEVEL) / 2, (1 + _CONFIDENCE_LEVEL) / 2])
    return [
        Figure(
            name="accuracy", value=correct / len(labels), lower=float(wilson.low), upper=float(wilson.high),
            confidence_level=_CONFIDENCE_LEVEL, interval_method="wilson",
        ),
        Figure(
            name="macro_f1", value=macro_f1(np.arange(len(labels))), lower=float(lower), upper=float(upper),
            confidence_level=_CONFIDENCE_LEVEL, interval_method=f"bootstrap percentile, {_RESAMPLES} resamples",
        ),
    ]  # fmt: skip
