"""How well a score tells those who have it from those who haven't, on held-out items.

Of several classes, each is told from all others: `is_case` is `labels == number`, `scores` that class's probability.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.evidence import checks, resampling
from training.evidence.checks import of_both_kinds, of_the_same_items
from training.evidence.operating_point import OperatingPoint, at_point
from training.evidence.resampling import Bootstrap, Rows
from training.report.plots import Band

IsCase = NDArray[np.bool_]
Scores = NDArray[Any]

Statistic = Callable[[IsCase, Scores], float]

_GRID = 101
# What rounding leaves of none; a single pair out of order among 10,000 of either kind has 1e-12.
_NO_VARIANCE = 1e-18


def area(is_case: IsCase, scores: Scores) -> float:
    """The area under the receiver operating characteristic: the chance that a case's score is above another's, ties counting half.

    `is_case` and `scores` are [items]. Not-a-number where there are no cases, or nothing else (Mann and Whitney's statistic, by midranks).
    """
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    cases = int(is_case.sum())
    others = len(is_case) - cases
    if not cases or not others:
        return np.nan
    return float((rankdata(scores)[is_case].sum() - cases * (cases + 1) / 2) / (cases * others))


def average_precision(is_case: IsCase, scores: Scores) -> float:
    """The mean precision over the cases, each at its own score (scikit-learn's definition). Not-a-number where there are no cases.

    Not by scikit-learn, whose function is a millisecond of checks, and a bootstrap asks a thousand times.
    """
    order = np.argsort(scores)[::-1]
    found = np.cumsum(is_case[order])
    if not len(found) or not found[-1]:
        return np.nan
    # Equal scores are called at once: it counts what stands at the last of them.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(found) - 1)
    precision = found[last] / (last + 1)
    return float((np.diff(found[last], prepend=0) * precision).sum() / found[-1])


def brier(is_case: IsCase, probabilities: Scores) -> float:
    """The mean of (probability - outcome)² (G. W. Brier, 1950, for two outcomes). `is_case` and `probabilities` are [items]."""
    return float(np.mean((np.asarray(probabilities, np.float64) - is_case) ** 2))


def delong(is_case: IsCase, scores: Scores, *, confidence_level: float = 0.95) -> Figure:
    """The area, with DeLong's interval: E. R. DeLong et al., Biometrics 44 (1988), in X. Sun and W. Xu's fast form (IEEE SPL 21, 2014).

    For independent items: where a patient has several, ask `by_bootstrap`. Cut at 0 and 1. Where cases and others don't overlap at all, or all have
    one score, DeLong's variance is 0 and would say too much: then it is R. G. Newcombe's interval (method 5; Statistics in Medicine 25, 2006).
    Raises ValueError where there are fewer than two of either kind.
    """
    areas, covariance = _areas(is_case, scores[np.newaxis])
    if covariance[0, 0] < _NO_VARIANCE:
        return _newcombe(float(areas[0]), int(is_case.sum()), int((~is_case).sum()), confidence_level)
    return _normal("auroc", areas[0], covariance[0, 0], (0, 1), confidence_level)


def delong_difference(is_case: IsCase, first: Scores, second: Scores, *, confidence_level: float = 0.95) -> Figure:
    """The first score's area less the second's on the same items, with DeLong's interval; as `delong`.

    Where the variance of both areas is 0 it is made of both of Newcombe's intervals, as if the items were others: G. Y. Zou and A. Donner, Statistics
    in Medicine 27 (2008), equation 3.
    """
    areas, covariance = _areas(is_case, np.stack([first, second]))
    if covariance.diagonal().max() < _NO_VARIANCE:
        mine, theirs = (delong(is_case, each, confidence_level=confidence_level) for each in (first, second))
        value = mine.value - theirs.value
        below, above = np.hypot(mine.value - mine.lower, theirs.upper - theirs.value), np.hypot(mine.upper - mine.value, theirs.value - theirs.lower)
        return replace(mine, name="auroc_difference", value=value, lower=float(max(value - below, -1)), upper=float(min(value + above, 1)))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return _normal("auroc_difference", areas[0] - areas[1], max(variance, 0.0), (-1, 1), confidence_level)


def by_bootstrap(name: str, statistic: Statistic, is_case: IsCase, scores: Scores, bootstrap: Bootstrap, *, bca: bool = False) -> Figure:
    """A figure of `is_case` and `scores`, such as `area`, with a bootstrap interval by patient; raises ValueError as `resampling.figure` does."""
    of_the_same_items(is_case, scores)
    return resampling.figure(name, on(statistic, is_case, scores), bootstrap, method="bca" if bca else "percentile")


def on(statistic: Statistic, is_case: IsCase, scores: Scores) -> Callable[[Rows], float]:
    """The statistic of these items as one of their numbers, which is what resampling takes."""
    return lambda rows: statistic(is_case[rows], scores[rows])


def sensitivity_at(threshold: float) -> Statistic:
    """The share of the cases whose score is at least the threshold; not-a-number where there are none."""
    return lambda is_case, scores: float(np.mean(scores[is_case] >= threshold)) if is_case.any() else np.nan


def specificity_at(threshold: float) -> Statistic:
    """The share of the others whose score is below the threshold; not-a-number where there are none."""
    return lambda is_case, scores: float(np.mean(scores[~is_case] < threshold)) if not is_case.all() else np.nan


def figures(is_case: IsCase, probabilities: Scores, point: OperatingPoint, bootstrap: Bootstrap) -> list[Figure]:
    """`auroc`, `average_precision`, `brier`, and `sensitivity` and `specificity` at the operating point, in this order.

    Where all items are independent, the area's interval is DeLong's, and those of the last two Wilson's; where they are in groups, all are the
    bootstrap's. The point was chosen on other items.
    Raises ValueError where not both kinds are there, or a probability is out of range.
    """
    checks.probabilities("probabilities", probabilities)
    level = bootstrap.confidence_level
    resampled: dict[str, Statistic] = {"average_precision": average_precision, "brier": brier}
    if bootstrap.groups is None:
        exact = [
            delong(is_case, probabilities, confidence_level=level),
            *at_point(is_case, probabilities, point.threshold, confidence_level=level)[:2],
        ]
    else:
        exact = []
        resampled |= {"auroc": area, "sensitivity": sensitivity_at(point.threshold), "specificity": specificity_at(point.threshold)}
    by_name = {each.name: each for each in exact}
    by_name |= {name: by_bootstrap(name, statistic, is_case, probabilities, bootstrap) for name, statistic in resampled.items()}
    if bootstrap.groups is not None:
        present = probabilities >= point.threshold
        for name, is_right, kind in (("sensitivity", present, is_case), ("specificity", ~present, ~is_case)):
            if is_right[kind].all() or not is_right[kind].any():
                # No resample differs from another.
                within = replace(bootstrap, items=int(kind.sum()), groups=bootstrap.groups[kind])
                by_name[name] = resampling.share_of(name, is_right[kind], within)
    return [by_name[name] for name in ("auroc", "average_precision", "brier", "sensitivity", "specificity")]


def differences(is_case: IsCase, mine: Scores, theirs: Scores, points: tuple[OperatingPoint, OperatingPoint], bootstrap: Bootstrap) -> list[Figure]:
    """What one model's `figures` have over another's on the same items, in the same order: each as `<name>_difference`, with a paired interval.

    `points` are the operating points of both. Where all items are independent, the area's interval is DeLong's and those of the last two are
    `share_difference`'s; where they are in groups, all are the bootstrap's. Raises as `figures` does.
    """

    def drawn(name: str, statistic: Statistic) -> Figure:
        return resampling.difference(f"{name}_difference", on(statistic, is_case, mine), on(statistic, is_case, theirs), bootstrap)

    present = mine >= points[0].threshold, theirs >= points[1].threshold
    return [
        delong_difference(is_case, mine, theirs, confidence_level=bootstrap.confidence_level) if bootstrap.groups is None else drawn("auroc", area),
        drawn("average_precision", average_precision),
        drawn("brier", brier),
        share_difference("sensitivity", present[0], present[1], bootstrap, among=is_case),
        share_difference("specificity", ~present[0], ~present[1], bootstrap, among=~is_case),
    ]


def share_difference(name: str, first: IsCase, second: IsCase, bootstrap: Bootstrap, *, among: IsCase | None = None) -> Figure:
    """The share of the items of which `first` is so less that of which `second` is, both [items]: the figure `<name>_difference`.

    `among` are the items that count, [items]; all where None. The interval is D. G. Bonett and R. M. Price's of paired shares, which holds also where
    few items differ (Journal of Educational and Behavioral Statistics 37, 2012; one of those that M. W. Fagerland et al. recommend, Statistics in
    Medicine 33, 2014), and the bootstrap's where items are in groups. Where of each item the same is so, no resample differs from another: then it is
    Bonett and Price's of as many items as there are groups. Raises ValueError where no item counts.
    """
    name, counts = f"{name}_difference", np.ones(len(first), np.bool_) if among is None else among
    less = first.astype(np.float64) - second
    found = less[counts]
    if not len(found):
        message = f"{name}: no item counts"
        raise ValueError(message)
    groups = bootstrap.groups
    if groups is None:
        return _bonett_price(name, found, len(found), bootstrap.confidence_level, "paired, Bonett and Price")
    if np.ptp(found) == 0:
        of = len(np.unique(groups[counts]))
        return _bonett_price(name, found, of, bootstrap.confidence_level, f"paired, Bonett and Price, of {of} groups")

    def statistic(rows: Rows) -> float:
        kept = less[rows[counts[rows]]]
        return float(kept.mean()) if len(kept) else np.nan

    return resampling.figure(name, statistic, bootstrap)


def roc(is_case: IsCase, scores: Scores, bootstrap: Bootstrap) -> Band:
    """The receiver operating characteristic for `report.plots.roc`: sensitivity at 101 values of 1 - specificity, with its pointwise interval.

    Between two corners it is a line, as the area takes it. A resample without cases, or without others, has no part in it.
    """
    from sklearn.metrics import roc_curve  # noqa: PLC0415 - slow to import

    of_the_same_items(is_case, scores)
    grid = np.linspace(0, 1, _GRID)

    def sensitivity(rows: Rows) -> NDArray[Any]:
        false_positive_rate, true_positive_rate, _ = roc_curve(is_case[rows], scores[rows])
        return np.interp(grid, false_positive_rate, true_positive_rate)

    both = [rows for rows in bootstrap.rows() if 0 < is_case[rows].sum() < len(rows)]
    if not both:
        raise ValueError("is_case: cases and others are needed, and no resample had both")
    lower, upper = np.quantile([sensitivity(rows) for rows in both], resampling.tails(bootstrap), axis=0)
    return Band(x=grid, y=sensitivity(np.arange(len(is_case))), lower=lower, upper=upper)


def _areas(is_case: IsCase, scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The areas of [scores, items], and their covariance."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    for each in scores:
        of_the_same_items(is_case, each)
    cases, others = int(is_case.sum()), int((~is_case).sum())
    of_both_kinds(is_case, least=2)  # one has no variance
    # The share of the others that a case is above is its midrank among all less that among cases, and the other way round (Sun and Xu, equation 5).
    among_all = rankdata(scores, axis=1)
    above = (among_all[:, is_case] - rankdata(scores[:, is_case], axis=1)) / others
    below = 1 - (among_all[:, ~is_case] - rankdata(scores[:, ~is_case], axis=1)) / cases
    covariance = np.atleast_2d(np.cov(above)) / cases + np.atleast_2d(np.cov(below)) / others
    return above.mean(axis=1), covariance


def _newcombe(value: float, cases: int, others: int, confidence_level: float) -> Figure:
    """As Wilson's of a share: the areas that aren't further from the value than they themselves would let it stray.

    How far is J. A. Hanley and B. J. McNeil's variance (Radiology 143, 1982), with the mean of both kinds' numbers for each.
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - slow to import
    from scipy.stats import norm  # noqa: PLC0415

    times, more = norm.ppf((1 + confidence_level) / 2) ** 2, (cases + others) / 2 - 1

    def beyond(area: float) -> float:
        spread = area * (1 - area) * (1 + more * (1 - area) / (2 - area) + more * area / (1 + area)) / (cases * others)
        return float((area - value) ** 2 - times * spread)

    # At the value itself this is below 0, unless the value is an end of the scale, where it is 0 there and below 0 beside it.
    inside = min(max(value, 1e-9), 1 - 1e-9)
    lower, upper = (value if end == value else float(brentq(beyond, end, inside)) for end in (0.0, 1.0))
    return Figure(name="auroc", value=value, lower=lower, upper=upper, confidence_level=confidence_level, interval_method="newcombe")


def _bonett_price(name: str, less: NDArray[np.float64], items: int, confidence_level: float, method: str) -> Figure:
    """Of `items` items, of which as large a share is 1, and is -1, as of `less`: Wald's interval as if there were one more of either."""
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    value = float(less.mean())
    first, second = (((less == sign).mean() * items + 1) / (items + 2) for sign in (1, -1))
    half = norm.ppf((1 + confidence_level) / 2) * np.sqrt((first + second - (first - second) ** 2) / (items + 2))
    # Its middle is nearer to 0, and of few items at a low level it would leave out the value itself.
    lower, upper = min(max(first - second - half, -1), value), max(min(first - second + half, 1), value)
    return Figure(name=name, value=value, lower=float(lower), upper=float(upper), confidence_level=confidence_level, interval_method=method)


def _normal(name: str, value: float, variance: float, limits: tuple[float, float], confidence_level: float) -> Figure:
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    half = norm.ppf((1 + confidence_level) / 2) * np.sqrt(variance)
    return Figure(
        name=name, value=float(value), lower=float(max(value - half, limits[0])), upper=float(min(value + half, limits[1])),
        confidence_level=confidence_level, interval_method="delong",
    )  # fmt: skip
