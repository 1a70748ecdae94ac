"""Treatment effects from a randomised trial: a doubly robust learner with linear effects, as one layer of a graph.

The outcome under each option is learnt in two stages (E. H. Kennedy, "Towards optimal doubly robust estimation of heterogeneous causal effects",
Electronic Journal of Statistics 17(2), 2023): nuisance regressions, cross-fitted, give every patient a pseudo-outcome under every option,

    psi_a = mu_a(x) + 1{A = a} / e_a · (Y - mu_a(x)),

and a ridge regression of psi_a on the features is the answer. In a trial e_a, the chance to be given option a, is known, so the pseudo-outcomes
are right on average whatever mu_a is. Patients are resampled for the interval, which is of the mean outcome, or effect, of patients with these
features: of where one of them will be it says nothing. The nuisance regressions and the penalties are those of all patients in each resample, so how
much these depend on the draw isn't in it: `training.evidence.simulated_trial` measures what that costs, and intervals are stretched by as much.
Penalties that are chosen anew in each resample, by the patients that it left out, brought intervals of effects from 0.875 to 0.908 in 16 simulated
trials of ACTG 175, and a fit took more than ten times as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

OUTPUTS = ("outcome", "outcome_lower", "outcome_upper", "effect", "effect_lower", "effect_upper")
"""What `as_layer` gives, by name."""

_FOLDS = 5
_PENALTIES = np.logspace(-1, 5, 13)


@dataclass(frozen=True, kw_only=True, slots=True)
class Learner:
    """What was learnt.

    Attributes:
        coefficients: [members, options, 1 + features], the intercept first; member 0 is fitted to all patients, the others to resamples.
        outcome_stretch, effect_stretch: how many times as far from member 0 an interval's ends are as the resamples' percentiles.
    """

    coefficients: NDArray[np.float64]
    outcome_stretch: float = 1.0
    effect_stretch: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError where a stretch isn't 1 or more."""
        for name, stretch in (("outcome_stretch", self.outcome_stretch), ("effect_stretch", self.effect_stretch)):
            if not 1 <= stretch < np.inf:
                message = f"{name}: 1 or more, not {stretch}"
                raise ValueError(message)

    def outcomes(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """The outcome of each member under each option: [members, items, options]."""
        with_one = np.column_stack([np.ones(len(features)), features])
        return np.einsum("mof,if->mio", self.coefficients, with_one, optimize=True)


def pseudo_outcomes(
    features: NDArray[Any], option: NDArray[np.int64], outcome: NDArray[Any], *, shares: NDArray[Any], seed: int
) -> NDArray[np.float64]:
    """[items, options]: of each patient under each option, from nuisance regressions that were fitted to the other folds.

    `features` is [items, features] without gaps, `option` [items] which was given, `outcome` [items], `shares` [options] the chance of each.
    Raises ValueError where an option was given to too few to be learnt.
    """
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415 - slow to import
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    options = len(shares)
    if np.bincount(option, minlength=options).min() < 2 * _FOLDS:
        message = f"each of the {options} options has to be given to {2 * _FOLDS} patients or more"
        raise ValueError(message)
    pseudo = np.empty((len(outcome), options))
    for others, fold in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(features, option):
        for number in range(options):
            given = others[option[others] == number]
            model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(features[given], outcome[given])
            expected = model.predict(features[fold])
            pseudo[fold, number] = expected + (option[fold] == number) / shares[number] * (outcome[fold] - expected)
    return pseudo


def fit(features: NDArray[Any], pseudo: NDArray[np.float64], *, members: int = 200, seed: int) -> Learner:
    """Learns the outcome under each option from `pseudo_outcomes`, [items, options]. `members` resamples of the patients make the interval.

    What all options have in common is one regression, and what each has beyond that another, with a penalty of its own: who does well under any
    treatment says nothing of who gains from one, and options mostly differ by less than patients do. Penalties are chosen by cross-validation on all
    patients, and kept for the resamples.
    """
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415 - slow to import
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    scaler = StandardScaler().fit(features)
    scaled = scaler.transform(features)
    in_common = pseudo.mean(axis=1, keepdims=True)
    # Behind what is in common stands each option's own.
    targets = np.column_stack([in_common, pseudo - in_common])
    penalties = [float(RidgeCV(_PENALTIES).fit(scaled, target).alpha_) for target in targets.T]
    random = np.random.default_rng(seed)
    items = len(pseudo)
    drawn = [np.bincount(random.integers(items, size=items), minlength=items) for _ in range(members)]
    intercepts, slopes = _ridges(scaled, targets, np.stack([np.ones(items), *drawn]), penalties)
    slopes = slopes / scaler.scale_
    fitted = np.concatenate([(intercepts - slopes @ scaler.mean_)[..., np.newaxis], slopes], axis=-1)
    return Learner(coefficients=fitted[:, :1] + fitted[:, 1:])


def _ridges(
    features: NDArray[np.float64], targets: NDArray[np.float64], times: NDArray[Any], penalties: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ridge regression of each target, by its own penalty, on each resample: intercepts [members, targets], slopes [members, targets, features].

    `times` is [members, items], how often each item was drawn. They are what scikit-learn's `Ridge` gives, all at once, for one by one takes seconds.
    """
    count = times.sum(axis=1)[:, np.newaxis]
    means, mean_targets = times @ features / count, times @ targets / count
    spread = np.einsum("mi,if,ig->mfg", times, features, features, optimize=True) - np.einsum("mf,mg->mfg", means, means) * count[..., np.newaxis]
    along = (
        np.einsum("mi,if,it->mtf", times, features, targets, optimize=True) - np.einsum("mt,mf->mtf", mean_targets, means) * count[..., np.newaxis]
    )
    identity = np.eye(features.shape[1])
    slopes = np.stack(
        [np.linalg.solve(spread + penalty * identity, along[:, number, :, np.newaxis])[..., 0] for number, penalty in enumerate(penalties)], axis=1
    )
    return mean_targets - np.einsum("mtf,mf->mt", slopes, means), slopes


def as_layer(learner: Learner, *, reference: int, confidence_level: float) -> "keras.Layer":
    """A layer from features [items, features] to the outputs in `OUTPUTS`, each float32 [items, options].

    `outcome` is that of the fit to all patients, and `effect` that less the reference's; the bounds are percentiles of the resamples' outcomes and
    effects, stretched by what the learner says: they are of the expected outcome, and not of one patient's.
    """
    import keras  # noqa: PLC0415 - it takes seconds
    from keras import ops  # noqa: PLC0415

    # A copy each: Keras keeps what it is given.
    coefficients = np.array(learner.coefficients, np.float32)
    tail = (1 - confidence_level) / 2

    def interval(members: Any, stretch: float) -> tuple[Any, Any, Any]:  # noqa: ANN401 - tensors
        middle, others = members[0], members[1:]
        ends = (ops.quantile(others, share, axis=0) - middle for share in (tail, 1 - tail))
        lower, upper = (middle + stretch * end for end in ends)
        return middle, ops.minimum(lower, middle), ops.maximum(upper, middle)

    class Outcomes(keras.Layer):  # type: ignore[misc]
        """What each member expects, and what most of them agree on."""

        def build(self, _: Any) -> None:  # noqa: ANN401 - a shape
            self.coefficients = self.add_weight(shape=coefficients.shape, trainable=False, initializer=lambda *_, **__: coefficients)

        def call(self, features: Any) -> dict[str, Any]:  # noqa: ANN401 - a tensor
            with_one = ops.concatenate([ops.ones_like(features[:, :1]), features], axis=-1)
            outcomes = ops.einsum("mof,if->mio", self.coefficients, with_one)
            effects = outcomes - outcomes[:, :, reference : reference + 1]
            found = (*interval(outcomes, learner.outcome_stretch), *interval(effects, learner.effect_stretch))
            return dict(zip(OUTPUTS, found, strict=True))

    return Outcomes(name="outcomes")
