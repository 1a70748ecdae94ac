"""Hazards that hold, and how far each patient's curve may be off: learnt from validation patients, whom no weight was fitted to.

The network's log odds eta of the event in each interval are calibrated by an intercept and a slope (D. R. Cox, "Two further applications of a model
for binary regression", Biometrika 45, 1958; of survival: H. C. van Houwelingen, Statistics in Medicine 19, 2000), and for `bayesian` by what the
features z, which went into the network's last layer, say beyond that:

    logit h_k = a + b · eta_k + delta · z.

Each interval that a patient came to is one observation, so the likelihood is that of the curve, censoring included. delta is normal around 0, and its
spread is learnt from the same patients: where they show that the network holds, it is small, and otherwise it is not. Draws of a, b and delta make
the interval. It is one of the mean risk of patients with such features. What features leave out isn't in it: no method can bound that without
assumptions (R. F. Barber, "Is distribution-free inference possible for binary regression?", Electronic Journal of Statistics 14, 2020).
A patient's chances fall with time whatever a, b and delta are, so curves and their bounds never rise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.evidence.recalibration_posterior import Observed, Posterior, posterior

if TYPE_CHECKING:
    import keras

Method = Literal["as it is", "logistic", "bayesian"]
METHODS: tuple[Method, ...] = ("as it is", "logistic", "bayesian")
"""`logistic` is an intercept and a slope; `bayesian` also what the features say, and it alone gives an interval."""

SMALLEST = 1e-7
"""Hazards are kept so far from 0 and 1, where log odds end."""

_FOLDS = 5
# Directions in which training patients' features hardly vary are rounding.
_LEAST_VARIANCE, _ROUNDING = 1e-3, 1e-12

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Recalibration:
    """What was learnt.

    Attributes:
        method: by which.
        centre, axes: [features] and [features, components], what makes of features components without correlation, of mean 0 and variance 1 in
            training patients; no axes but for `bayesian`.
        coefficients: [2 + components], intercept, slope, and of each component: the posterior's mean.
        draws: [draws, 2 + components] of the posterior; none but for `bayesian`.
        spread: by how many log odds the features move a typical patient, by the posterior; 0 but for `bayesian`.
        log_losses: the mean negative log-likelihood of a validation patient, in nats, by each method that was learnt without the patient's fold;
            empty where there was one patient only.
        patients: how many it was learnt from.
    """

    method: Method
    centre: Array
    axes: Array
    coefficients: Array
    draws: Array
    spread: float
    log_losses: Mapping[str, float]
    patients: int

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays don't belong together."""
        numbers = 2 + self.axes.shape[1]
        if self.centre.shape != self.axes.shape[:1] or self.coefficients.shape != (numbers,) or self.draws.shape[1:] != (numbers,):
            message = f"coefficients: an intercept, a slope and {self.axes.shape[1]} more, and such draws; they are {self.coefficients.shape}"
            raise ValueError(message)

    def __str__(self) -> str:
        """For people."""
        if self.method == "as it is":
            return self.method
        intercept, slope = self.coefficients[:2]
        also = f", features that move a typical patient by {self.spread:.2f} log odds" if self.method == "bayesian" else ""
        return f"{self.method}: intercept {intercept:+.3f}, slope {slope:.3f}{also}"

    def survival(self, hazards: NDArray[Any], features: NDArray[Any]) -> Array:
        """[patients, intervals]: the chance to be without the event at each interval's end, from hazards of that shape, features [patients, …]."""
        return self._survival(self.coefficients[None], hazards, features)[0]

    def interval(self, hazards: NDArray[Any], features: NDArray[Any], confidence_level: float) -> tuple[Array, Array]:
        """The ends of the pointwise interval, each [patients, intervals]: percentiles of the draws' curves, around `survival`. Of `bayesian` only."""
        curves, middle = self._survival(self.draws, hazards, features), self.survival(hazards, features)
        tail = (1 - confidence_level) / 2
        lower, upper = np.quantile(curves, [tail, 1 - tail], axis=0)
        return np.minimum(lower, middle), np.maximum(upper, middle)

    def as_layer(self, *, confidence_level: float, name: str = "recalibration") -> "keras.Layer":
        """A layer from hazards, and for `bayesian` features, to the curve and its ends by name, float32, within 1e-6 of the above."""
        from training.evidence.recalibration_layer import Recalibrated  # noqa: PLC0415 - it takes seconds

        return Recalibrated(self, confidence_level=confidence_level, name=name)

    def _survival(self, coefficients: Array, hazards: NDArray[Any], features: NDArray[Any]) -> Array:
        """[coefficients, patients, intervals]."""
        moved = (np.asarray(features, np.float64) - self.centre) @ self.axes @ coefficients[:, 2:].T if self.axes.shape[1] else 0.0
        shift = coefficients[:, 0, None] + np.transpose(np.zeros((len(hazards), 1)) + moved)
        return curves_of(shift[:, :, None] + coefficients[:, 1, None, None] * log_odds(hazards))


def curves_of(odds: Array) -> Array:
    """[…, intervals]: the product of 1 - hazard up to each, from the hazards' log odds."""
    # -log(1 - hazard) is a softplus of them, which no rounding spoils.
    return np.asarray(np.exp(-np.cumsum(np.logaddexp(0, odds), axis=-1)))


def log_odds(hazards: NDArray[Any]) -> Array:
    """Those of hazards, at least 1e-7 away from 0 and from 1."""
    kept = np.clip(np.asarray(hazards, np.float64), SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def log_losses(survival: NDArray[Any], wanted: NDArray[Any]) -> Array:
    """[patients]: the negative log-likelihood of what was seen, in nats, where curves are [patients, intervals]; `wanted` as `hazard.targets`."""
    through = np.concatenate([np.ones((len(survival), 1)), survival], axis=1)
    stays = np.clip(through[:, 1:] / np.maximum(through[:, :-1], 1e-300), SMALLEST, 1 - SMALLEST)
    return np.asarray(-np.sum(wanted[:, 0] * np.log(stays) + wanted[:, 1] * np.log1p(-stays), axis=1))


def learn(
    method: Method,
    hazards: NDArray[Any],
    features: NDArray[Any],
    wanted: NDArray[Any],
    *,
    reference: NDArray[Any],
    groups: NDArray[Any] | None = None,
    seed: int,
) -> Recalibration:
    """Learns from validation patients.

    Args:
        method: one of `METHODS`.
        hazards: [patients, intervals], the network's.
        features: [patients, features], which went into its last layer.
        wanted: [patients, 2, intervals], as `hazard.targets` gives it.
        reference: [training patients, features], whose correlations are taken out; no outcome of theirs is looked at.
        groups: [patients], whose each item is, for the folds; None: all differ.
        seed: of the folds and the draws.

    Raises:
        ValueError: where the method is none, or the arrays aren't of the same patients.
    """
    if method not in METHODS:
        message = f"method: one of {', '.join(METHODS)}, not {method}"
        raise ValueError(message)
    if wanted.shape != (len(hazards), 2, hazards.shape[1]) or len(features) != len(hazards):
        message = f"hazards, features and wanted: of the same patients; they are {hazards.shape}, {features.shape} and {wanted.shape}"
        raise ValueError(message)
    basis = _components(reference)
    observed = Observed(
        log_odds=log_odds(hazards),
        components=(np.asarray(features, np.float64) - basis.centre) @ basis.axes,
        reached=wanted.sum(axis=1, dtype=np.float64),
        event=np.asarray(wanted[:, 1], np.float64),
    )
    number = np.arange(len(hazards)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return replace(_learnt(method, observed, basis, seed), log_losses=_cross_validated(observed, wanted, basis, number, seed))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Basis:
    """[features] and [features, components]."""

    centre: Array
    axes: Array


def _components(reference: NDArray[Any]) -> _Basis:
    from sklearn.decomposition import PCA  # noqa: PLC0415 - slow to import
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    scaler = StandardScaler().fit(np.asarray(reference, np.float64))
    found = PCA(svd_solver="full").fit(scaler.transform(np.asarray(reference, np.float64)))
    variance = found.explained_variance_
    kept = variance > max(_LEAST_VARIANCE * variance.max(), _ROUNDING)
    axes = found.components_[kept].T / np.sqrt(variance[kept]) / scaler.scale_[:, None]
    return _Basis(centre=np.asarray(scaler.mean_, np.float64), axes=np.asarray(axes, np.float64))


def _learnt(method: Method, observed: Observed, basis: _Basis, seed: int) -> Recalibration:
    nothing = np.empty((0, 2))
    if method == "bayesian":
        found, axes = posterior(observed, seed=seed), basis.axes
    else:
        found = Posterior(mean=np.array([0.0, 1.0]), draws=nothing, spread=0.0)
        if method == "logistic":
            # An intercept and a slope have a spread too, but it is the least of what isn't known: no interval is made of it alone.
            found = replace(posterior(observed.without_components(), seed=seed), draws=nothing)
        axes = basis.axes[:, :0]
    return Recalibration(
        method=method,
        centre=basis.centre,
        axes=axes,
        coefficients=found.mean,
        draws=found.draws,
        spread=found.spread,
        log_losses={},
        patients=len(observed.event),
    )


def _cross_validated(observed: Observed, wanted: NDArray[Any], basis: _Basis, number: NDArray[np.int64], seed: int) -> dict[str, float]:
    """Mean log losses by method, each patient's by what was learnt without its fold; folds are of whole groups, `number` [patients]."""
    from sklearn.model_selection import KFold  # noqa: PLC0415 - slow to import

    groups = number.max() + 1
    if groups < 2:  # noqa: PLR2004 - two folds
        return {}
    found = {method: np.empty(len(wanted)) for method in METHODS}
    for learnt_from, _ in KFold(min(_FOLDS, groups), shuffle=True, random_state=seed).split(np.arange(groups)):
        here = np.isin(number, learnt_from)
        for method, losses in found.items():
            odds = observed.of(~here).odds(_learnt(method, observed.of(here), basis, seed).coefficients)
            losses[~here] = log_losses(curves_of(odds), wanted[~here])
    return {method: float(losses.mean()) for method, losses in found.items()}
