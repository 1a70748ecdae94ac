"""What validation patients say of an intercept, a slope, and coefficients of features, as a distribution.

Laplace's approximation for each of some spreads of the features' coefficients, and the spreads weighted by how well each explains what was seen
(D. J. C. MacKay, "The evidence framework applied to classification networks", Neural Computation 4, 1992). A spread itself is half-normal, weakly
informative (A. Gelman, "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1, 2006).
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# In log odds, of a typical patient: from next to nothing to what makes one in four of one in ten.
_SPREADS = np.geomspace(0.03, 1.0, 12)
# Of the half-normal prior of the spread: few patients can't say that a network is wholly wrong.
_USUAL_SPREAD = 0.5
# Of the intercept around 0 and of the slope around 1: wide, and there for the few patients of whom all or none had the event.
_PRIOR_MEAN, _PRIOR_DEVIATION = (0.0, 1.0), (1.0, 0.5)
# Each is drawn with its mirror image around the mode, so that draws have no bias.
_PAIRS = 100
# OpenBLAS takes one thread for fewer multiplications than 2^18.
_UNSHARED = 200_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Observed:
    """What is known of patients.

    Attributes:
        log_odds: [patients, intervals], the network's, of the event in each interval.
        components: [patients, components] of their features, of variance 1.
        reached: [patients, intervals], 1 where it is known whether the patient had the event in it, and otherwise 0.
        event: [patients, intervals], 1 where they had.
    """

    log_odds: Array
    components: Array
    reached: Array
    event: Array

    def of(self, rows: NDArray[np.bool_]) -> Self:
        """Some patients, by [patients] whether."""
        return replace(
            self, log_odds=self.log_odds[rows], components=self.components[rows], reached=self.reached[rows], event=self.event[rows]
        )  # fmt: skip

    def without_components(self) -> Self:
        """The same with nothing but the log odds."""
        return replace(self, components=self.components[:, :0])

    def odds(self, coefficients: Array) -> Array:
        """[patients, intervals]: the log odds by an intercept, a slope, and as many of the components as there are coefficients for."""
        moved = self.components[:, : len(coefficients) - 2] @ coefficients[2:]
        return coefficients[0] + coefficients[1] * self.log_odds + moved[:, None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Posterior:
    """A distribution of coefficients: `mean` [coefficients], `draws` [200, coefficients], and the mean `spread`, 0 where there are no components."""

    mean: Array
    draws: Array
    spread: float


def posterior(observed: Observed, *, seed: int) -> Posterior:
    """Of an intercept, a slope and each component's coefficient, given what was observed."""
    components = observed.components.shape[1]
    spreads = _SPREADS if components else _SPREADS[:1]
    modes, found = [], _prior_mean(components)
    for spread in spreads:
        deviation = _deviation(spread, components)
        # The next spread's mode is near.
        found = _mode(observed, deviation, found)
        modes.append((found, _curvature(found, observed, deviation)))
    evidence = [
        -_loss(mode, observed, _deviation(spread, components)) - components * np.log(spread) - np.linalg.slogdet(curvature)[1] / 2
        for spread, (mode, curvature) in zip(spreads, modes, strict=True)
    ]
    # Spreads stand in proportion, so each is counted for as much as lies around it.
    share = np.exp(np.array(evidence) - max(evidence) - (spreads / _USUAL_SPREAD) ** 2 / 2) * spreads
    share /= share.sum()
    random = np.random.default_rng(seed)
    # Which spread each pair is of: evenly over the distribution.
    which = np.minimum(np.searchsorted(np.cumsum(share), (np.arange(_PAIRS) + 0.5) / _PAIRS), len(spreads) - 1)
    roots = {place: np.linalg.cholesky(modes[place][1]) for place in np.unique(which)}
    away = np.array([np.linalg.solve(roots[place].T, random.normal(size=2 + components)) for place in which])
    middles = np.array([modes[place][0] for place in which])
    return Posterior(
        mean=middles.mean(axis=0),
        draws=np.concatenate([middles + away, middles - away]),
        spread=float(share @ spreads) if components else 0.0,
    )


def _prior_mean(components: int) -> Array:
    return np.concatenate([_PRIOR_MEAN, np.zeros(components)])


def _deviation(spread: float, components: int) -> Array:
    """Of the prior of each coefficient: together, the components move a typical patient by `spread`."""
    return np.concatenate([_PRIOR_DEVIATION, np.full(components, spread / np.sqrt(max(components, 1)))])


def _mode(observed: Observed, deviation: Array, start: Array) -> Array:
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to import

    found = minimize(_loss, start, args=(observed, deviation), jac=_slope, hess=_curvature, method="trust-exact", options={"gtol": 1e-6})
    return np.asarray(found.x, np.float64)


def _loss(coefficients: Array, observed: Observed, deviation: Array) -> float:
    """The negative logarithm of likelihood and prior."""
    odds = observed.odds(coefficients)
    likelihood = np.sum(observed.event * odds - observed.reached * np.logaddexp(0, odds))
    return float(np.sum(((coefficients - _prior_mean(len(coefficients) - 2)) / deviation) ** 2) / 2 - likelihood)


def _slope(coefficients: Array, observed: Observed, deviation: Array) -> Array:
    """Its first derivative, [coefficients]."""
    missed = observed.event - observed.reached * _sigmoid(observed.odds(coefficients))
    likelihood = np.concatenate([[missed.sum(), np.sum(missed * observed.log_odds)], observed.components.T @ missed.sum(axis=1)])
    return np.asarray((coefficients - _prior_mean(len(coefficients) - 2)) / deviation**2 - likelihood, np.float64)


def _curvature(coefficients: Array, observed: Observed, deviation: Array) -> Array:
    """Its second derivative, [coefficients, coefficients]."""
    chance = _sigmoid(observed.odds(coefficients))
    variance = observed.reached * chance * (1 - chance)
    # Intervals differ in their log odds only: over the others it is summed once.
    own = np.column_stack([np.ones(len(variance)), observed.components])
    by_slope = own.T @ np.sum(variance * observed.log_odds, axis=1)
    found = np.empty((len(coefficients), len(coefficients)))
    others = np.delete(np.arange(len(coefficients)), 1)
    found[np.ix_(others, others)] = _products(own, variance.sum(axis=1))
    found[1, others] = found[others, 1] = by_slope
    found[1, 1] = np.sum(variance * observed.log_odds**2)
    return found + np.diag(deviation**-2.0)


def _products(rows: Array, weights: Array) -> Array:
    """[columns, columns]: the sum of each row's products with itself, weighted.

    A few rows at a time, which BLAS doesn't share out among threads: on a busy machine these wait for each other ten times as long as they work.
    """
    few = max(_UNSHARED // rows.shape[1] ** 2, 1)
    parts = (slice(begin, begin + few) for begin in range(0, len(rows), few))
    return np.asarray(sum((rows[part] * weights[part, None]).T @ rows[part] for part in parts), np.float64)


def _sigmoid(odds: Array) -> Array:
    from scipy.special import expit  # noqa: PLC0415 - slow to import

    return np.asarray(expit(odds), np.float64)
