"""Whether intervals of outcomes and effects hold the truth as often as they say: in simulated trials, for of a real one nobody knows it.

A trial is simulated from what was learnt (B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 6): the same patients, the
outcomes that the model expects under each option, options drawn anew by the trial's shares, and what was left of each patient's outcome given to
another one. Whatever the learner does is done again, so what its intervals leave out, such as how much its first regressions depend
on the draw, shows. It says nothing of what would be if the truth weren't linear, or if patients differed in their effects by more than was learnt.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.models import meta_learner
from training.models.meta_learner import Learner


def interval_coverage(
    learner: Learner, features: NDArray[Any], option: NDArray[np.int64], outcome: NDArray[Any], others: NDArray[Any], *,
    shares: NDArray[Any], reference: int = 0, confidence_level: float = 0.95, trials: int = 20, seed: int,
) -> Mapping[str, Figure]:  # fmt: skip
    """`interval_coverage_outcome` and `interval_coverage_effect`: the share of patients and options whose interval holds what is true in that trial.

    `learner`, `features`, `option`, `outcome` and `shares` as of `meta_learner`, of the patients that it was learnt from; `others` is
    [patients, features], those that are asked about. Effects are against the `reference`. Patients of one trial share its draw, so the intervals of
    both figures are Student's over the trials. Raises ValueError for fewer than two trials.
    """
    if trials < 2:  # noqa: PLR2004 - one has no spread
        message = f"trials: two or more, not {trials}"
        raise ValueError(message)
    random, options = np.random.default_rng(seed), len(shares)
    expected, truth = learner.outcomes(features)[0], learner.outcomes(others)[0]
    left = np.asarray(outcome, np.float64) - expected[np.arange(len(option)), option]
    held: list[tuple[float, float]] = []
    for trial in range(trials):
        given = random.choice(options, size=len(option), p=np.asarray(shares) / np.sum(shares))
        had = expected[np.arange(len(given)), given] + random.permutation(left)
        again = meta_learner.fit(features, meta_learner.pseudo_outcomes(features, given, had, shares=shares, seed=seed + trial), seed=seed + trial)
        members = again.outcomes(others)[1:]
        effects, true_effects = (each - each[..., reference : reference + 1] for each in (members, truth))
        compared = np.arange(options) != reference
        held.append((_share(members, truth, confidence_level), _share(effects[..., compared], true_effects[..., compared], confidence_level)))
    names = ("interval_coverage_outcome", "interval_coverage_effect")
    return {name: _over_trials(name, np.array(each)) for name, each in zip(names, zip(*held, strict=True), strict=True)}


def _share(members: NDArray[np.float64], truth: NDArray[np.float64], confidence_level: float) -> float:
    """The share of `truth`, [patients, options], that is between the percentiles of `members`, [members, patients, options]."""
    tail = (1 - confidence_level) / 2
    lower, upper = np.quantile(members, [tail, 1 - tail], axis=0)
    return float(((lower <= truth) & (truth <= upper)).mean())


def _over_trials(name: str, shares: NDArray[np.float64]) -> Figure:
    from scipy.stats import t  # noqa: PLC0415 - slow to import

    value, error = float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))
    half = float(t.ppf(0.975, len(shares) - 1)) * error
    return Figure(
        name=name, value=value, lower=max(value - half, 0.0), upper=min(value + half, 1.0), confidence_level=0.95,
        interval_method=f"Student's t over {len(shares)} simulated trials",
    )  # fmt: skip
