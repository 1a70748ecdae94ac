"""Whether acting on a model does more good than treating everybody, or nobody.

A. J. Vickers and E. B. Elkin, "Decision curve analysis", Medical Decision Making 26 (2006). Who treats from a probability t on holds one missed case
to be as bad as (1 - t) / t treated in vain. In cases found, the net benefit is

    TP / n - FP / n · t / (1 - t),

and that of treating nobody is 0. Where some were lost before it was known whether they are cases, the others stand in for them, each counted with a
weight (A. J. Vickers et al., "Extensions to decision curve analysis", BMC Medical Informatics and Decision Making 8:53, 2008, who estimate the same
shares by Kaplan and Meier's curve of those who would be treated; here the weights are `survival.Followed.weights`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.evidence import checks, resampling
from training.evidence.resampling import Bootstrap, Rows
from training.report.plots import Band

TREAT_ALL = "treat all"
THRESHOLDS = np.arange(1, 100) / 100


def curves(
    is_case: NDArray[np.bool_],
    probabilities: Mapping[str, NDArray[Any]],
    bootstrap: Bootstrap,
    *,
    thresholds: NDArray[Any] = THRESHOLDS,
    weights: NDArray[Any] | None = None,
) -> dict[str, Band]:
    """Net benefit at each threshold, of each model and of treating all, with pointwise bootstrap intervals by patient.

    They are what `report.plots.net_benefit` takes, which draws treating nobody, the line at 0, itself. `is_case` is [items], `probabilities` [items]
    by each model's name, calibrated, and `weights` [items], for how many each stands, with a mean of 1; None: for itself. Every curve is on the same
    resamples. Raises ValueError where a probability, a threshold or a weight is out of range, or a model is called as treating all is.
    """
    if TREAT_ALL in probabilities:
        message = f"probabilities: a model can't be called {TREAT_ALL}"
        raise ValueError(message)
    found = {}
    for name, of_model in {**probabilities, TREAT_ALL: np.ones(len(is_case))}.items():
        benefit = _Benefit(is_case, of_model, thresholds, name, weights)
        lower, upper = resampling.pointwise(benefit.of, bootstrap)
        found[name] = Band(x=thresholds, y=benefit.of(np.arange(len(is_case))), lower=lower, upper=upper)
    return found


def gain(is_case: NDArray[np.bool_], probabilities: NDArray[Any], threshold: float, bootstrap: Bootstrap) -> Figure:
    """The model's net benefit less that of treating all or nobody, whichever is better, as the figure `net_benefit_gain_<threshold>`.

    Arguments and errors as of `curves`. Above 0, acting on the model is worth it at that threshold.
    """
    at = np.array([threshold])
    model = _Benefit(is_case, probabilities, at, "model")
    everybody = _Benefit(is_case, np.ones(len(is_case)), at, TREAT_ALL)

    def more(rows: Rows) -> float:
        return float(model.of(rows)[0] - max(everybody.of(rows)[0], 0.0))

    return resampling.figure(f"net_benefit_gain_{threshold:g}", more, bootstrap)


class _Benefit:
    """A model's net benefit on some of the items."""

    def __init__(
        self, is_case: NDArray[np.bool_], probabilities: NDArray[Any], thresholds: NDArray[Any], name: str, weights: NDArray[Any] | None = None
    ) -> None:
        checks.of_the_same_items(is_case, probabilities)
        checks.probabilities(f"probabilities of {name}", probabilities)
        if thresholds.ndim != 1 or not len(thresholds) or not ((thresholds > 0) & (thresholds < 1)).all() or not (np.diff(thresholds) > 0).all():
            raise ValueError("thresholds: one or more, above 0 and below 1, and rising")
        if weights is not None and (weights.shape != is_case.shape or not (np.isfinite(weights) & (weights >= 0)).all()):
            message = f"weights: one for each of the {len(is_case)} items, 0 or more"
            raise ValueError(message)
        self._is_case = is_case
        self._weights = np.ones(len(is_case)) if weights is None else weights
        # How many thresholds treat an item: all below its probability or at it.
        self._treated_by = np.searchsorted(thresholds, probabilities, side="right")
        self._odds = thresholds / (1 - thresholds)

    def of(self, rows: Rows) -> NDArray[np.float64]:
        """[thresholds]."""
        treated_by, is_case, weights = self._treated_by[rows], self._is_case[rows], self._weights[rows]
        true, false = (
            np.bincount(treated_by[kind], weights[kind], minlength=len(self._odds) + 1)[::-1].cumsum()[::-1][1:] for kind in (is_case, ~is_case)
        )
        return np.asarray((true - false * self._odds) / len(rows), np.float64)
