"""How well predicted survival holds on held-out patients, some of whom were not followed to the end.

Who was censored before a time is neither known to have had the event by then nor not to. The others stand in for them, each weighted by the inverse
of the chance to have been followed that far (inverse probability of censoring weighting). That is right where whoever leaves is like whoever stays.
The weights come from all held-out patients once, and are kept for the resamples; so the intervals are a little too wide rather than too narrow.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.evidence import checks, resampling
from training.evidence.resampling import Bootstrap, Rows, Statistic


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Followed:
    """What became of patients.

    Attributes:
        time_days: [items], when the event was seen or the watching ended; 0 or more.
        event: [items], bool, which of the two.
    """

    time_days: NDArray[Any]
    event: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays aren't of the same items, or a time is before 0 or unknown."""
        if self.time_days.shape != self.event.shape or self.event.ndim != 1 or self.event.dtype != np.bool_ or not self.event.size:
            message = f"time_days and event: both [items], the second bool; they are {self.time_days.shape} and {self.event.shape} {self.event.dtype}"
            raise ValueError(message)
        wrong = ~(np.isfinite(self.time_days) & (self.time_days >= 0))
        if wrong.any():
            message = f"time_days: item {int(np.flatnonzero(wrong)[0])} has none that is 0 or more"
            raise ValueError(message)

    def weights(self, days: float) -> NDArray[np.float64]:
        """[items]: 1/G(T-) for whoever had the event by that day, 1/G(days) for whoever was followed beyond it, 0 for whoever was censored by then.

        G is the chance not to be censored, by Kaplan and Meier, and T- is just before the patient's own time (H. Uno et al., JASA 102, 2007; E. Graf
        et al., Statistics in Medicine 18, 1999). The weighted share of those with an event by a day is then one less Kaplan-Meier's of survival.
        Raises ValueError where nobody is followed as far.
        """
        from lifelines import KaplanMeierFitter  # noqa: PLC0415 - slow to import

        times, place = np.unique(self.time_days, return_inverse=True)
        # On one day, events come before censoring: whoever has the event that day is no longer there to be censored. So each day is two steps.
        steps = 2 * place + ~self.event
        censoring = KaplanMeierFitter().fit(steps, ~self.event)
        until = max(2 * int(np.searchsorted(times, days, side="right")) - 1, 0)
        at_end, own = (censoring.survival_function_at_times(at).to_numpy() for at in (until, steps))
        if not at_end[0] > 0:
            message = f"days: nobody was followed for {days:g} days, the last left before"
            raise ValueError(message)
        has_event_by = self.event & (self.time_days <= days)
        by_own_time = np.divide(1.0, own, out=np.zeros(len(own)), where=has_event_by)
        return np.where(self.time_days > days, 1 / at_end[0], by_own_time)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curves:
    """What was predicted.

    Attributes:
        edges_days: [k], above 0 and rising.
        survival: [items, k], the chance to be without the event until each of them.
    """

    edges_days: NDArray[Any]
    survival: NDArray[Any]

    def __post_init__(self) -> None:
        """Raises ValueError where the edges don't rise from above 0, or a chance isn't from 0 to 1."""
        if self.edges_days.ndim != 1 or not len(self.edges_days) or self.edges_days[0] <= 0 or not (np.diff(self.edges_days) > 0).all():
            raise ValueError("edges_days: one or more, above 0 and rising")
        if self.survival.ndim != 2 or self.survival.shape[1] != len(self.edges_days):  # noqa: PLR2004 - items and edges
            message = f"survival: [items, {len(self.edges_days)}], not {list(self.survival.shape)}"
            raise ValueError(message)
        checks.probabilities("survival", self.survival)

    def at(self, days: float) -> NDArray[np.float64]:
        """[items]: the chance to be without the event until that day, on a line between two edges; 1 on day 0.

        Raises ValueError where the day is after the last edge.
        """
        if not 0 <= days <= self.edges_days[-1]:
            message = f"days: from 0 to the last edge at {self.edges_days[-1]:g}, not {days:g}"
            raise ValueError(message)
        edges = np.concatenate([[0.0], self.edges_days])
        curves = np.concatenate([np.ones((len(self.survival), 1)), self.survival], axis=1)
        after = min(int(np.searchsorted(edges, days, side="right")), len(edges) - 1)
        part = (days - edges[after - 1]) / (edges[after] - edges[after - 1])
        return (1 - part) * curves[:, after - 1] + part * curves[:, after]


def area_at(followed: Followed, curves: Curves, days: float, *, weights: NDArray[Any] | None = None) -> Statistic:
    """The area under the receiver operating characteristic at a time, as a statistic of rows, which is what resampling takes.

    The chance that whoever has the event by that day was given a lower survival than whoever is without it then, ties counting half: cumulative
    cases, dynamic controls (P. J. Heagerty and Y. Zheng, 2005), weighted as Uno's. Not-a-number where there are no cases or no controls.
    `weights` are `followed.weights(days)` for who asks often; None: they are worked out.
    """
    _same_items(followed, curves)
    weights = followed.weights(days) if weights is None else weights
    survival, is_control = curves.at(days), followed.time_days > days

    def area(rows: Rows) -> float:
        is_case = ~is_control[rows] & (weights[rows] > 0)
        controls = np.sort(survival[rows][is_control[rows]])
        if not is_case.any() or not len(controls):
            return np.nan
        of_cases = survival[rows][is_case]
        below = len(controls) - (np.searchsorted(controls, of_cases, side="left") + np.searchsorted(controls, of_cases, side="right")) / 2
        return float(np.average(below, weights=weights[rows][is_case]) / len(controls))

    return area


def auroc_at(followed: Followed, curves: Curves, days: float, bootstrap: Bootstrap) -> Figure:
    """`area_at` as the figure `auroc_<days>d`. Raises ValueError where it is undefined, or nobody was followed as far."""
    return resampling.figure(f"auroc_{days:g}d", area_at(followed, curves, days), bootstrap)


def brier_scores(followed: Followed, curves: Curves, days: float) -> NDArray[np.float64]:
    """[items]: each patient's weighted (survival - outcome)² at a time, whose mean is the Brier score; for the gate `NotWorse` as `Scores`."""
    _same_items(followed, curves)
    return followed.weights(days) * (curves.at(days) - (followed.time_days > days)) ** 2


def integrated_brier_scores(followed: Followed, curves: Curves) -> NDArray[np.float64]:
    """[items]: the Brier scores at the curves' edges, integrated by trapezoids from day 0, where it is 0, to the last edge, over that span.

    As Graf et al. do, for the gate `NotWorse` as `Scores`.
    """
    at_edges = [np.zeros(len(followed.event)), *(brier_scores(followed, curves, float(days)) for days in curves.edges_days)]
    edges = np.concatenate([[0.0], curves.edges_days])
    return np.trapezoid(at_edges, edges, axis=0) / edges[-1]


def brier_at(followed: Followed, curves: Curves, days: float, bootstrap: Bootstrap) -> Figure:
    """The Brier score at a time, as the figure `brier_<days>d`."""
    return resampling.figure(f"brier_{days:g}d", _mean(brier_scores(followed, curves, days)), bootstrap)


def integrated_brier(followed: Followed, curves: Curves, bootstrap: Bootstrap) -> Figure:
    """The integrated Brier score, as the figure `integrated_brier`."""
    return resampling.figure("integrated_brier", _mean(integrated_brier_scores(followed, curves)), bootstrap)


def differences(followed: Followed, mine: Curves, theirs: Curves, days: float, bootstrap: Bootstrap) -> list[Figure]:
    """What one model's `auroc_at`, `brier_at` and `integrated_brier` have over another's on the same resamples, in this order.

    Each as `<name>_difference`; a Brier score that is lower is the better one. Raises as these do.
    """
    area, others_area = (area_at(followed, curves, days) for curves in (mine, theirs))
    brier = brier_scores(followed, mine, days) - brier_scores(followed, theirs, days)
    integrated = integrated_brier_scores(followed, mine) - integrated_brier_scores(followed, theirs)
    return [
        resampling.difference(f"auroc_{days:g}d_difference", area, others_area, bootstrap),
        resampling.figure(f"brier_{days:g}d_difference", _mean(brier), bootstrap),
        resampling.figure("integrated_brier_difference", _mean(integrated), bootstrap),
    ]


def _mean(scores: NDArray[np.float64]) -> Statistic:
    return lambda rows: float(scores[rows].mean())


def _same_items(followed: Followed, curves: Curves) -> None:
    if len(followed.event) != len(curves.survival):
        message = f"survival: a curve for each of the {len(followed.event)} patients, not {len(curves.survival)}"
        raise ValueError(message)
