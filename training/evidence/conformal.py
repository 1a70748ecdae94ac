"""Sets of labels, and intervals, that hold what is true as often as they say: split conformal prediction, on items that nothing was fitted to.

V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random world", 2005. It promises that share of items like those that set it, and of no
group among them; of each class where each has a threshold of its own (M. Sadinle, J. Lei and L. Wasserman, JASA 114, 2019). crepes does the counting;
what comes of it is a number that a gateway can hold a probability against.

The promise is in the mean of all draws of items that are independent. Six of each of 8 pigs, drawn 400 times from 21, held 0.910 of the other pigs'
items in sets of 0.9, where the promise is 0.918 (44 of 48 + 1); and from one draw to another that varied by 0.062 instead of 0.051.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure, share
from training.evidence import checks, resampling
from training.evidence.resampling import Bootstrap


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSets:
    """From which probability on a label is in the set.

    Attributes:
        thresholds: one for each class: it is in the set where 1 - probability is at most this, in double precision. 1: it always is.
        confidence_level: the share of items whose set holds what is true.
        is_class_conditional: whether that is promised of each class.
    """

    thresholds: tuple[float, ...]
    confidence_level: float
    is_class_conditional: bool

    def __post_init__(self) -> None:
        """Raises ValueError where a threshold or the level is out of range."""
        _level(self.confidence_level)
        if not self.thresholds or not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError("thresholds: one or more, each from 0 to 1")

    def of(self, probabilities: NDArray[Any]) -> NDArray[np.bool_]:
        """[items, classes]: whether the class is in the item's set. `probabilities` is of the same shape."""
        return np.asarray(1 - np.asarray(probabilities, np.float64) <= np.array(self.thresholds))


def fit_label_sets(
    probabilities: NDArray[Any], labels: NDArray[np.int64], *, confidence_level: float = 0.95, class_conditional: bool = False
) -> LabelSets:
    """The thresholds from items that neither weights nor calibration were fitted to.

    `probabilities` is [items, classes], calibrated as they will be served; `labels` [items]. Where there are too few items to exclude anything at
    that level (of a class: fewer than 1/(1 - level) - 1), the threshold is 1. Raises ValueError where the arrays aren't of the same items.
    """
    _level(confidence_level)
    _checked(probabilities, labels)
    own = 1 - np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels]
    classes = probabilities.shape[1]
    if class_conditional:
        thresholds = tuple(_threshold(own[labels == number], confidence_level) for number in range(classes))
    else:
        thresholds = (_threshold(own, confidence_level),) * classes
    return LabelSets(thresholds=thresholds, confidence_level=confidence_level, is_class_conditional=class_conditional)


def coverage(sets: LabelSets, probabilities: NDArray[Any], labels: NDArray[np.int64], bootstrap: Bootstrap) -> list[Figure]:
    """On items that set nothing: `conformal_coverage`, the share whose set holds the label, and `conformal_single` and `conformal_empty`.

    These are the shares with one label in the set, and with none. Their intervals are as of `resampling.share_of`; the bootstrap's level isn't the
    sets' own.
    """
    _checked(probabilities, labels)
    held = sets.of(probabilities)
    sizes = held.sum(axis=1)
    found = {"conformal_coverage": held[np.arange(len(labels)), labels], "conformal_single": sizes == 1, "conformal_empty": sizes == 0}
    return [resampling.share_of(name, is_so, bootstrap) for name, is_so in found.items()]


def promised(level: float, items: int) -> tuple[float, float]:
    """Between what the share of items whose set holds the label lies in 19 of 20 draws of so many independent items that set the threshold.

    With k the smallest whole number of (items + 1) · level or more it is distributed as Beta(k, items + 1 - k), and so is k / (items + 1) in the mean
    (V. Vovk, "Conditional validity of inductive conformal predictors", ACML 2012). From 0 to 1, both 1 where there are too few to rule anything out.
    """
    from scipy.stats import beta  # noqa: PLC0415 - slow to import

    _level(level)
    # Rounding may put a product of whole numbers a hair above the whole number that it is.
    rank = int(np.ceil(np.round((items + 1) * level, 9)))
    if rank > items:
        return 1.0, 1.0
    lower, upper = beta.ppf([0.025, 0.975], rank, items + 1 - rank)
    return float(lower), float(upper)


def coverage_by_class(
    sets: LabelSets, probabilities: NDArray[Any], labels: NDArray[np.int64], *, confidence_level: float = 0.95
) -> dict[int, Figure]:
    """`conformal_coverage` among the items of each class that there are any of, by its number; with Wilson's intervals, for independent items."""
    _checked(probabilities, labels)
    right = sets.of(probabilities)[np.arange(len(labels)), labels]
    return {
        int(number): share("conformal_coverage", int(right[labels == number].sum()), int((labels == number).sum()), confidence_level=confidence_level)
        for number in np.unique(labels)
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """How far an outcome is from what was predicted.

    Attributes:
        half_width: in the outcome's unit; or in units of each item's difficulty, where `fit_interval` was given that.
        confidence_level: the share of items whose interval holds the outcome.
    """

    half_width: float
    confidence_level: float

    def __post_init__(self) -> None:
        """Raises ValueError where the level is out of range or the width no finite number from 0 on."""
        _level(self.confidence_level)
        if not 0 <= self.half_width < np.inf:
            message = f"half_width: finite, and 0 or more, not {self.half_width}"
            raise ValueError(message)

    def of(self, predicted: NDArray[Any], difficulty: NDArray[Any] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lower and the upper ends, each [items]."""
        half = self.half_width * (np.ones(len(predicted)) if difficulty is None else np.asarray(difficulty, np.float64))
        return predicted - half, predicted + half


def fit_interval(
    outcome: NDArray[Any], predicted: NDArray[Any], *, confidence_level: float = 0.95, difficulty: NDArray[Any] | None = None
) -> Interval:
    """The interval from items that nothing was fitted to: `outcome` and `predicted` are [items].

    `difficulty`, [items] and above 0, is how far off a prediction is expected to be; the interval is as many times that. Raises ValueError where
    there are too few items for an interval with ends, 1/(1 - level) - 1 or more.
    """
    from crepes import ConformalRegressor  # noqa: PLC0415 - slow to import

    _level(confidence_level)
    if outcome.shape != predicted.shape or outcome.ndim != 1 or not np.isfinite(outcome).all() or not np.isfinite(predicted).all():
        message = f"outcome and predicted: finite, both [items]; they are {outcome.shape} and {predicted.shape}"
        raise ValueError(message)
    if difficulty is not None and (difficulty.shape != outcome.shape or not (difficulty > 0).all()):
        raise ValueError("difficulty: above 0, one for each item")
    fitted = ConformalRegressor().fit(np.asarray(outcome, np.float64) - predicted, sigmas=difficulty)
    with warnings.catch_warnings():
        # Of an interval without ends it warns; here that is an error.
        warnings.simplefilter("ignore")
        ends = fitted.predict_int(np.zeros(1), sigmas=None if difficulty is None else np.ones(1), confidence=confidence_level)
    if not np.isfinite(ends).all():
        message = f"outcome: {len(outcome)} items are too few for an interval at {confidence_level:g}"
        raise ValueError(message)
    return Interval(half_width=float(ends[0, 1]), confidence_level=confidence_level)


def interval_coverage(
    interval: Interval, outcome: NDArray[Any], predicted: NDArray[Any], *, difficulty: NDArray[Any] | None = None, confidence_level: float = 0.95
) -> Figure:
    """`conformal_coverage`, the share of items that set nothing whose interval holds the outcome.

    With Wilson's interval at `confidence_level`, for independent items.
    """
    lower, upper = interval.of(predicted, difficulty)
    held = int(((lower <= outcome) & (outcome <= upper)).sum())
    return share("conformal_coverage", held, len(outcome), confidence_level=confidence_level)


def _threshold(scores: NDArray[np.float64], confidence_level: float) -> float:
    """The greatest score that crepes has in the set: whatever is in it stays in with a smaller one."""
    from crepes import ConformalClassifier  # noqa: PLC0415 - slow to import

    if not len(scores):
        return 1.0
    candidates = np.append(np.unique(scores), np.inf)
    held = ConformalClassifier().fit(scores).predict_set(candidates, confidence=confidence_level, smoothing=False)
    # No score is above 1: then nothing can be excluded.
    return float(min(candidates[held.astype(bool)].max(), 1.0))


def _level(confidence_level: float) -> None:
    if not 0 < confidence_level < 1:
        message = f"confidence_level: above 0 and below 1, not {confidence_level}"
        raise ValueError(message)


def _checked(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):  # noqa: PLR2004 - items and classes
        message = f"probabilities: [items, classes], and labels [items]; they are {probabilities.shape} and {labels.shape}"
        raise ValueError(message)
    if not ((labels >= 0) & (labels < probabilities.shape[1])).all():
        message = f"labels: from 0 to {probabilities.shape[1] - 1}"
        raise ValueError(message)
    checks.probabilities("probabilities", probabilities)
