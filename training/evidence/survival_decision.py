"""Acting on a predicted curve: the risk of the event by a day against a threshold, among patients of whom some were lost before.

Who was lost by that day counts for nothing, and the others with `Followed.weights`: H. Uno et al., JASA 102 (2007); P. Blanche, J.-F. Dartigues and
H. Jacqmin-Gadda, Statistics in Medicine 32 (2013), for sensitivity and specificity.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.evidence import decision_curve, operating_point, resampling
from training.evidence.operating_point import OperatingPoint
from training.evidence.resampling import Bootstrap, Rows
from training.evidence.survival import Curves, Followed
from training.report.plots import Band


def point(followed: Followed, curves: Curves, days: float, *, wanted_sensitivity: float | None = None) -> OperatingPoint | None:
    """From which risk of the event by that day on it is called, chosen on validation patients: `youden`'s, or `for_sensitivity`'s.

    None where nobody of them is known to have had the event by then, or nobody to be without it.
    """
    if not (followed.time_days > days).any():
        return None
    weights = followed.weights(days)
    known = weights > 0
    is_case, risk = _cases(followed, days)[known], 1 - curves.at(days)[known]
    if is_case.all() or not is_case.any():
        return None
    if wanted_sensitivity is None:
        return operating_point.youden(is_case, risk, weights=weights[known])
    return operating_point.for_sensitivity(is_case, risk, wanted=wanted_sensitivity, weights=weights[known])


def at_point(followed: Followed, curves: Curves, days: float, threshold: float, bootstrap: Bootstrap) -> list[Figure]:
    """`sensitivity`, `specificity` and the predictive values of calling the event by that day where its risk is at least `threshold`.

    On patients that chose nothing, with bootstrap intervals. A predictive value that is undefined for half of the resamples is left out: nearly
    everybody is called, or nobody. Raises ValueError where nobody was followed as far, or not both kinds are there.
    """
    weights, is_case, called = followed.weights(days), _cases(followed, days), 1 - curves.at(days) >= threshold

    def share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> Callable[[Rows], float]:
        def statistic(rows: Rows) -> float:
            total = weights[rows][among[rows]].sum()
            return float(weights[rows][(of & among)[rows]].sum() / total) if total > 0 else np.nan

        return statistic

    figures = [
        resampling.figure(f"sensitivity_{days:g}d", share(called, is_case), bootstrap),
        resampling.figure(f"specificity_{days:g}d", share(~called, ~is_case), bootstrap),
    ]
    for name, of, among in (("positive", is_case, called), ("negative", ~is_case, ~called)):
        try:
            figures.append(resampling.figure(f"{name}_predictive_value_{days:g}d", share(of, among), bootstrap))
        except ValueError:
            continue
    return figures


def benefit(followed: Followed, curves: Mapping[str, Curves], days: float, bootstrap: Bootstrap) -> dict[str, Band]:
    """Decision curves of acting on the risk of the event by that day, by the name of each model, and of treating all; see `decision_curve`."""
    risks = {name: 1 - each.at(days) for name, each in curves.items()}
    return decision_curve.curves(_cases(followed, days), risks, bootstrap, weights=followed.weights(days))


def _cases(followed: Followed, days: float) -> NDArray[np.bool_]:
    """[patients]: who had the event by that day. Of who was lost before, that isn't known; they have no weight."""
    return np.asarray(followed.event & (followed.time_days <= days), np.bool_)
