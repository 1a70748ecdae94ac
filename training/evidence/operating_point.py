"""From which probability on a finding is called present: chosen on validation items, and judged on others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure, share
from training.evidence.checks import of_both_kinds, of_the_same_items


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """Where a score is cut.

    Attributes:
        threshold: a finding is present where the score is at least this.
        sensitivity, specificity: on the items that chose it, where they are flattered.
        chosen_by: how, for people.
    """

    threshold: float
    sensitivity: float
    specificity: float
    chosen_by: str

    def __post_init__(self) -> None:
        """Raises ValueError where the threshold is no number, or one of the others is no share."""
        if not np.isfinite(self.threshold):
            message = f"threshold: a finite number, not {self.threshold}"
            raise ValueError(message)
        for name, part in (("sensitivity", self.sensitivity), ("specificity", self.specificity)):
            if not 0 <= part <= 1:
                message = f"{name}: from 0 to 1, not {part}"
                raise ValueError(message)


def youden(is_case: NDArray[np.bool_], scores: NDArray[Any], *, weights: NDArray[Any] | None = None) -> OperatingPoint:
    """The point of the greatest sensitivity + specificity - 1 (W. J. Youden, 1950); the highest of several.

    `is_case` and `scores` are [items], of validation data, and `weights` [items], above 0, for how many each stands; None: for itself. Raises
    ValueError where not both kinds are there.
    """
    points = _points(is_case, scores, weights)
    return points.at(int(np.argmax(points.sensitivity + points.specificity)), "Youden's index on validation items")


def for_sensitivity(is_case: NDArray[np.bool_], scores: NDArray[Any], *, wanted: float, weights: NDArray[Any] | None = None) -> OperatingPoint:
    """The highest point whose sensitivity is at least `wanted`, a share above 0: of those, the most specific. Arguments and errors as `youden`."""
    if not 0 < wanted <= 1:
        message = f"wanted: above 0 and at most 1, not {wanted}"
        raise ValueError(message)
    points = _points(is_case, scores, weights)
    # A sum of weights may miss the whole by the last bit.
    return points.at(int(np.argmax(points.sensitivity >= wanted * (1 - 1e-12))), f"sensitivity {wanted:g} on validation items")


def at_point(is_case: NDArray[np.bool_], scores: NDArray[Any], threshold: float, *, confidence_level: float = 0.95) -> list[Figure]:
    """`sensitivity`, `specificity`, and `positive_predictive_value` and `negative_predictive_value` where there are any such; Wilson's intervals.

    `is_case` and `scores` are [items], of data that chose nothing; Wilson's interval takes them to be independent. The predictive values are those at
    these items' share of cases, and at no other. Raises ValueError where not both kinds are there.
    """
    of_the_same_items(is_case, scores)
    of_both_kinds(is_case)
    present = scores >= threshold
    counts = {
        "sensitivity": (int((present & is_case).sum()), int(is_case.sum())),
        "specificity": (int((~present & ~is_case).sum()), int((~is_case).sum())),
        "positive_predictive_value": (int((present & is_case).sum()), int(present.sum())),
        "negative_predictive_value": (int((~present & ~is_case).sum()), int((~present).sum())),
    }
    return [share(name, right, of, confidence_level=confidence_level) for name, (right, of) in counts.items() if of]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Points:
    """All points, from the highest threshold on, each one of the items' scores."""

    thresholds: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]

    def at(self, place: int, chosen_by: str) -> OperatingPoint:
        threshold = self.thresholds[place]
        if place + 1 < len(self.thresholds):
            # Half-way to the next lower score the same items are present, and none of them stands on the edge, where the last bit would decide.
            between = (threshold + self.thresholds[place + 1]) / 2
            threshold = between if between > self.thresholds[place + 1] else threshold
        return OperatingPoint(
            threshold=float(threshold), sensitivity=float(self.sensitivity[place]), specificity=float(self.specificity[place]), chosen_by=chosen_by
        )


def _points(is_case: NDArray[np.bool_], scores: NDArray[Any], weights: NDArray[Any] | None) -> _Points:
    from sklearn.metrics import roc_curve  # noqa: PLC0415 - slow to import

    of_the_same_items(is_case, scores)
    of_both_kinds(is_case)
    false_positive_rate, sensitivity, thresholds = roc_curve(is_case, np.asarray(scores, np.float64), sample_weight=weights, drop_intermediate=False)
    # Its first point is above all scores: there nothing is ever present.
    return _Points(thresholds=thresholds[1:], sensitivity=sensitivity[1:], specificity=1 - false_positive_rate[1:])
