"""How wide intervals of outcomes and effects have to be to hold the truth as often as they say: in simulated trials, where it is known.

A trial is simulated from what was learnt (B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 6): the same patients, the
outcomes that the model expects under each option, options drawn anew by the trial's shares, and what was left of each patient's outcome given to
another one. Whatever the learner does is done again, so what its intervals leave out, such as how much its first regressions depend
on the draw, shows. Some trials say by how much intervals are to be stretched (W.-Y. Loh, "Calibrating confidence coefficients", Journal of the
American Statistical Association 82, 1987), and others, which set nothing, whether they hold then. They say nothing of what would be if the truth
weren't linear, or if patients differed in their effects by more than was learnt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.models import meta_learner
from training.models.meta_learner import Learner

Stretches = NDArray[np.float64]
"""[trials, patients, options]: how many times as far from the middle an interval's end has to be, for the interval to hold that trial's truth."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Needed:
    """What simulated trials asked for: of outcomes, and of effects, where the reference has none."""

    outcome: Stretches
    effect: Stretches

    def stretched(self, learner: Learner, *, confidence_level: float) -> Learner:
        """The learner with intervals that would have held in this share of patients and options, and that are no narrower than they were."""
        outcome, effect = (max(1.0, float(np.quantile(each, confidence_level, method="higher"))) for each in (self.outcome, self.effect))
        return replace(learner, outcome_stretch=outcome, effect_stretch=effect)

    def coverage(self, learner: Learner) -> Mapping[str, Figure]:
        """`interval_coverage_outcome` and `interval_coverage_effect`: the share of patients and options whose interval holds what is true in a trial.

        Patients of one trial share its draw, so the intervals of both figures are Student's over the trials.
        """
        names = ("interval_coverage_outcome", "interval_coverage_effect")
        holds = (self.outcome <= learner.outcome_stretch, self.effect <= learner.effect_stretch)
        return {name: _over_trials(name, each.mean(axis=(1, 2))) for name, each in zip(names, holds, strict=True)}


def simulate(
    learner: Learner, features: NDArray[Any], option: NDArray[np.int64], outcome: NDArray[Any], others: NDArray[Any], *,
    shares: NDArray[Any], reference: int = 0, confidence_level: float = 0.95, trials: int = 20, seed: int,
) -> Needed:  # fmt: skip
    """What intervals of this level need to hold the truth, in so many trials.

    `learner`, `features`, `option`, `outcome` and `shares` as of `meta_learner`, of the patients that it was learnt from; `others` is
    [patients, features], those that are asked about. Effects are against the `reference`. Another seed simulates other trials. Raises ValueError for
    fewer than two trials.
    """
    if trials < 2:  # noqa: PLR2004 - one has no spread
        message = f"trials: two or more, not {trials}"
        raise ValueError(message)
    random, options = np.random.default_rng(seed), len(shares)
    expected, truth = learner.outcomes(features)[0], learner.outcomes(others)[0]
    left = np.asarray(outcome, np.float64) - expected[np.arange(len(option)), option]
    compared = np.arange(options) != reference
    needed: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for _ in range(trials):
        given = random.choice(options, size=len(option), p=np.asarray(shares) / np.sum(shares))
        had = expected[np.arange(len(given)), given] + random.permutation(left)
        of_learner = int(random.integers(2**31))
        pseudo = meta_learner.pseudo_outcomes(features, given, had, shares=shares, seed=of_learner)
        members = meta_learner.fit(features, pseudo, seed=of_learner).outcomes(others)
        effects, true_effects = (each - each[..., reference : reference + 1] for each in (members, truth))
        needed.append(
            (_stretches(members, truth, confidence_level), _stretches(effects[..., compared], true_effects[..., compared], confidence_level))
        )
    outcome_needs, effect_needs = (np.array(each) for each in zip(*needed, strict=True))
    return Needed(outcome=outcome_needs, effect=effect_needs)


def _stretches(members: NDArray[np.float64], truth: NDArray[np.float64], confidence_level: float) -> NDArray[np.float64]:
    """[patients, options], of `truth` of that shape and `members` [members, patients, options], the first of which is the middle."""
    tail = (1 - confidence_level) / 2
    lower, upper = np.quantile(members[1:], [tail, 1 - tail], axis=0)
    missed = truth - members[0]
    reach = np.where(missed > 0, np.maximum(upper - members[0], 0), np.minimum(lower - members[0], 0))
    # What is hit needs no interval, and from one without a width the truth is out of reach.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(missed == 0, 0.0, missed / reach)


def _over_trials(name: str, shares: NDArray[np.float64]) -> Figure:
    from scipy.stats import t  # noqa: PLC0415 - slow to import

    value, error = float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))
    half = float(t.ppf(0.975, len(shares) - 1)) * error
    return Figure(
        name=name, value=value, lower=max(value - half, 0.0), upper=min(value + half, 1.0), confidence_level=0.95,
        interval_method=f"Student's t over {len(shares)} simulated trials",
    )  # fmt: skip
