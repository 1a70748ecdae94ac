"""What a policy that chooses a treatment for each patient is worth, measured on held-out patients of a randomised trial.

Each patient was given one option only. What they would have had under each is a doubly robust score (`training.models.meta_learner.pseudo_outcomes`),
cross-fitted on the held-out patients themselves, and right on average because the chance of each option is known. A policy's value is the mean score
of what it chooses (S. Athey and S. Wager, "Policy learning with observational data", Econometrica 89(1), 2021). The policy must have been learnt from
other patients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.models.meta_learner import pseudo_outcomes
from training.report.plots import Band

_METHOD = "normal, of doubly robust scores"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scored:
    """Held-out patients of a trial.

    Attributes:
        scores: [items, options], float64, each patient's doubly robust score under each option, in the outcome's unit.
        options: what each is called.
        higher_is_better: whether a greater outcome is the better one.
        confidence_level: of all intervals.
    """

    scores: NDArray[np.float64]
    options: tuple[str, ...]
    higher_is_better: bool = True
    confidence_level: float = 0.95

    def __post_init__(self) -> None:
        """Raises ValueError where there isn't a finite score of two patients or more under each of two options or more."""
        if self.scores.ndim != 2 or self.scores.shape[1] != len(self.options) or min(self.scores.shape) < 2:  # noqa: PLR2004 - see the message
            message = f"scores: [items, {len(self.options)}], two or more of each, not {list(self.scores.shape)}"
            raise ValueError(message)
        if len(set(self.options)) != len(self.options):
            raise ValueError("options: two of them have one name")
        if not np.isfinite(self.scores).all():
            message = f"scores: item {int(np.argwhere(~np.isfinite(self.scores))[0][0])} has one that isn't a finite number"
            raise ValueError(message)
        if not 0 < self.confidence_level < 1:
            message = f"confidence_level: above 0 and below 1, not {self.confidence_level}"
            raise ValueError(message)

    def number(self, option: str) -> int:
        """The option's place. Raises ValueError where there is no such option."""
        if option not in self.options:
            message = f"option: one of {', '.join(self.options)}, not {option}"
            raise ValueError(message)
        return self.options.index(option)


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyValue:
    """A policy beside giving everybody the same option.

    Attributes:
        policy: its value, the figure `policy_value`.
        arms: the value of each single option given to all, by its name.
        gains: the policy's value less each option's, on the same patients, by the option's name.
        best_arm: the option of the best value. It was found on these patients, which flatters it a little, and not the policy.
        is_better: whether the policy's gain over it is one for certain: the whole interval is on the better side of 0.
    """

    policy: Figure
    arms: Mapping[str, Figure]
    gains: Mapping[str, Figure]
    best_arm: str
    is_better: bool

    def __str__(self) -> str:
        """The verdict, for people."""
        gain = self.gains[self.best_arm]
        ends = f"{gain.value:+.4g} ({gain.confidence_level:.0%} interval {gain.lower:+.4g} to {gain.upper:+.4g})"
        verdict = "the policy is better than" if self.is_better else "the policy isn't shown to be better than"
        return f"{verdict} {self.best_arm} for all: {ends}"


def scored(
    features: NDArray[Any], option: NDArray[np.int64], outcome: NDArray[Any], *,
    shares: NDArray[Any], options: tuple[str, ...], seed: int, higher_is_better: bool = True, confidence_level: float = 0.95,
) -> Scored:  # fmt: skip
    """Scores held-out patients; the first arguments as of `pseudo_outcomes`, `options` what each option is called. Raises ValueError as these do."""
    scores = pseudo_outcomes(features, option, outcome, shares=shares, seed=seed)
    return Scored(scores=scores, options=options, higher_is_better=higher_is_better, confidence_level=confidence_level)


def policy_value(trial: Scored, chosen: NDArray[np.int64]) -> PolicyValue:
    """The value of giving each patient what was chosen for them: `chosen` is [items], the options' places. Raises ValueError where one is none."""
    under_policy = _under(trial, chosen)
    arms = {name: _mean(f"value_{name}", trial.scores[:, place], trial) for place, name in enumerate(trial.options)}
    gains = {name: _mean(f"gain_over_{name}", under_policy - trial.scores[:, place], trial) for place, name in enumerate(trial.options)}
    sign = 1 if trial.higher_is_better else -1
    best = max(arms, key=lambda name: sign * arms[name].value)
    return PolicyValue(
        policy=_mean("policy_value", under_policy, trial),
        arms=arms,
        gains=gains,
        best_arm=best,
        is_better=min(sign * gains[best].lower, sign * gains[best].upper) > 0,
    )


def policy_difference(trial: Scored, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> Figure:
    """What one policy's choices are worth less another's on the same patients, the figure `policy_value_difference`; each as of `policy_value`."""
    first, second = (_under(trial, chosen) for chosen in (mine, theirs))
    return _mean("policy_value_difference", first - second, trial)


def average_effects(trial: Scored, *, reference: str) -> dict[str, Figure]:
    """What each other option has over the reference in the mean of all patients, by its name, as figures `effect_<option>`."""
    base = trial.scores[:, trial.number(reference)]
    return {name: _mean(f"effect_{name}", trial.scores[:, trial.number(name)] - base, trial) for name in trial.options if name != reference}


def average_effect_miss(found: Mapping[str, Figure], learnt: Mapping[str, Figure], predicted: Mapping[str, float]) -> float:
    """How far the mean predicted effect is from the average effect that was found, of the option furthest off: 1 is as far as chance explains.

    `found` are `average_effects` of held-out patients, `learnt` of those that were learnt from, and `predicted` the mean of what was predicted of the
    former, by the same names. What was learnt is uncertain as well, so the unit is the half-width of the interval of the difference of both, whose
    squared errors add. It is infinite where that has no width and the prediction is off.
    """

    def miss(name: str) -> float:
        off = abs(predicted[name] - found[name].value)
        halves = [(each.upper - each.lower) / 2 for each in (found[name], learnt[name])]
        half = float(np.hypot(halves[0], halves[1]))
        return off / half if half > 0 else 0.0 if off == 0 else np.inf

    return max(map(miss, found))


def effect_calibration(trial: Scored, predicted: NDArray[Any], *, option: str, reference: str, groups: int = 5) -> Band:
    """Groups of equally many patients by the effect that was predicted of them: its mean (x), and the mean effect that was found (y, with bounds).

    `predicted` is [items], the option's effect over the reference's, from a model that learnt from other patients. Raises ValueError where a group
    would have fewer than two.
    """
    found = _found(trial, predicted, option, reference)
    if groups < 1 or len(found) < 2 * groups:
        message = f"groups: of two patients or more, not {groups} of {len(found)}"
        raise ValueError(message)
    rows = np.array_split(np.argsort(predicted, kind="stable"), groups)
    figures = [_mean("effect", found[each], trial) for each in rows]
    return Band(
        x=np.array([predicted[each].mean() for each in rows]),
        y=np.array([figure.value for figure in figures]),
        lower=np.array([figure.lower for figure in figures]),
        upper=np.array([figure.upper for figure in figures]),
    )


def effect_slope(trial: Scored, predicted: NDArray[Any], *, option: str, reference: str) -> Figure:
    """How much of a predicted difference of effects is found: the slope of the found effects on the predicted ones.

    It is the figure `effect_slope_<option>`: 1 where they hold, 0 where who was said to gain more doesn't (the best linear predictor of
    V. Chernozhukov et al., "Generic machine learning inference on heterogeneous treatment effects", 2018), with H. White's interval (1980). Raises
    ValueError where all were predicted the same.
    """
    found = _found(trial, predicted, option, reference)
    from_mean = np.asarray(predicted, np.float64) - np.mean(predicted, dtype=np.float64)
    spread = np.sum(from_mean**2)
    if not spread > 0:
        raise ValueError("predicted: the same effect for all patients has no slope")
    slope = float(from_mean @ found / spread)
    left = found - found.mean() - slope * from_mean
    error = float(np.sqrt(np.sum((from_mean * left) ** 2) * len(found) / max(len(found) - 2, 1)) / spread)
    return _figure(f"effect_slope_{option}", slope, error, trial.confidence_level, f"{_METHOD}, White's error")


def _under(trial: Scored, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """[items]: each patient's score under what was chosen for them."""
    items, count = trial.scores.shape
    if chosen.shape != (items,) or not ((chosen >= 0) & (chosen < count)).all():
        message = f"chosen: one of {count} options for each of the {items} patients"
        raise ValueError(message)
    return trial.scores[np.arange(items), chosen]


def _found(trial: Scored, predicted: NDArray[Any], option: str, reference: str) -> NDArray[np.float64]:
    if predicted.shape != trial.scores.shape[:1] or not np.isfinite(predicted).all():
        message = f"predicted: a finite effect for each of the {len(trial.scores)} patients"
        raise ValueError(message)
    return trial.scores[:, trial.number(option)] - trial.scores[:, trial.number(reference)]


def _mean(name: str, scores: NDArray[np.float64], trial: Scored) -> Figure:
    return _figure(name, float(scores.mean()), float(scores.std(ddof=1) / np.sqrt(len(scores))), trial.confidence_level, _METHOD)


def _figure(name: str, value: float, error: float, confidence_level: float, method: str) -> Figure:
    from scipy.stats import norm  # noqa: PLC0415 - slow to import

    half = float(norm.ppf((1 + confidence_level) / 2)) * error
    return Figure(name=name, value=value, lower=value - half, upper=value + half, confidence_level=confidence_level, interval_method=method)
