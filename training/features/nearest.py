"""scikit-learn's KNNImputer, and the same in the graph.

A missing value becomes the mean of the nearest items' that have one in that column: each column has donors of its own. The distance is Euclidean over
the columns that both items have, scaled up for those that they haven't (J. K. Dixon, IEEE Trans. Syst. Man Cybern. 9:617, 1979). An item that has no
column in common with any donor gets the column's mean.

Two things are settled here that the library leaves open. Where more donors are equally far than there are places left, they share these places: which
of them the library takes is up to NumPy's partition and to the last bit of a matrix product, and so would differ from machine to machine. Squared
distances are equal within a billionth of themselves or within what rounding does to them, and that goes with the columns' variance and with how far
the item is from all. And columns are moved to mean 0 first, which changes no distance, and keeps digits where a column is far from 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.features.step import Part, Values

Weights = Literal["uniform", "distance"]

_EQUAL = 1e-9
_ROUNDING = 1e-14


def fit_nearest(block: Values, *, neighbours: int, weights: Weights) -> "Nearest":
    """An imputer whose donors are the items of `block`, [items, columns], with a value in each column."""
    from sklearn.impute import KNNImputer  # noqa: PLC0415 - slow to import

    middle = np.nanmean(block, axis=0)
    # A constant column is moved to 0 but for the last bit of its mean, whose square the second term is above.
    floor = _ROUNDING * float(np.nanvar(block, axis=0).sum()) + 1e-30 * float(np.square(middle).sum())
    rule = _Rule(neighbours=neighbours, weights=weights, floor=floor)
    # The library is asked for every donor with the weights of ours, so that there is nothing that it could choose.
    return Nearest(KNNImputer(n_neighbors=len(block), weights=rule, keep_empty_features=True).fit(block - middle), middle, rule)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    """What each donor counts for, by its distance; scikit-learn calls it."""

    neighbours: int
    weights: Weights
    floor: float

    def __call__(self, distances: Values) -> Values:
        """[receivers, donors] to as many weights; NaN is a donor without a column in common, and counts for nothing."""
        squares = np.square(distances)
        nothing = _ROUNDING * np.nanmean(squares, axis=1, keepdims=True) + self.floor
        places = np.minimum((~np.isnan(squares)).sum(axis=1, keepdims=True), self.neighbours)
        last = np.take_along_axis(np.sort(squares, axis=1), np.maximum(places - 1, 0), axis=1)
        tied = _EQUAL * last + nothing
        closer, equal = squares < last - tied, np.abs(squares - last) <= tied
        share = (places - closer.sum(axis=1, keepdims=True)) / np.maximum(equal.sum(axis=1, keepdims=True), 1)
        counted = closer + equal * share
        if self.weights == "uniform":
            return counted
        is_same = squares <= nothing
        by_distance = np.where(counted > 0, counted / np.sqrt(np.where(squares > nothing, squares, 1.0)), 0.0)
        return np.where(is_same.any(axis=1, keepdims=True), is_same * 1.0, by_distance)


@dataclass(frozen=True, slots=True, eq=False)
class Nearest(Part):
    """A fitted imputer: the library's, what columns were moved by [columns], and what a donor counts for."""

    imputer: Any
    middle: Values
    rule: _Rule

    def transform(self, block: Values) -> Values:
        """By the library; what was given comes back as it was, to the last bit."""
        return np.where(np.isnan(block), self.imputer.transform(block - self.middle) + self.middle, block)

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """The donors [donors, columns], moved, 0 for what they lack; which of it they have, 0 or 1; and what columns were moved by [columns]."""
        donors = np.asarray(self.imputer._fit_X, np.float64)  # noqa: SLF001 - it keeps them nowhere else
        return {"donors": np.nan_to_num(donors), "present": (~np.isnan(donors)).astype(np.float64), "middle": self.middle}

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """[items, columns], every value given or guessed."""
        donors, present = weights["donors"], weights["present"]
        is_missing = ops.isnan(block)
        given = ops.where(is_missing, 0.0, block - weights["middle"])
        is_given = ops.cast(ops.logical_not(is_missing), "float64")
        common = ops.matmul(is_given, ops.transpose(present))
        squares = ops.matmul(ops.square(given), ops.transpose(present)) + ops.matmul(is_given, ops.transpose(ops.square(donors)))
        squares = ops.maximum(squares - 2.0 * ops.matmul(given, ops.transpose(donors)), 0.0) / ops.maximum(common, 1.0) * block.shape[1]
        squares = ops.where(common > 0, squares, np.inf)
        columns = np.arange(block.shape[1])

        def guess(column: Any) -> Any:  # noqa: ANN401 - tensors
            counted = self._counted(ops, ops.where(ops.take(present, column, axis=1) > 0, squares, np.inf))
            total = ops.sum(counted, axis=1)
            return ops.matmul(counted, ops.expand_dims(ops.take(donors, column, axis=1), 1))[:, 0] / ops.where(total > 0, total, 1.0)

        def fill(column: Any, guessed: Any) -> Any:  # noqa: ANN401 - tensors
            # A column that nothing lacks costs nothing.
            made = ops.cond(ops.any(ops.take(is_missing, column, axis=1)), lambda: guess(column), lambda: ops.zeros_like(guessed[:, 0]))
            return ops.where(ops.equal(columns, column), ops.expand_dims(made, 1), guessed)

        guessed = ops.fori_loop(0, len(columns), fill, ops.zeros_like(given))
        return ops.where(is_missing, guessed + weights["middle"], block)

    def _counted(self, ops: Any, squares: Any) -> Any:  # noqa: ANN401 - tensors
        """What each donor counts for, as the rule says; infinitely far is one that counts for nothing."""
        nearest = -ops.top_k(-squares, min(self.rule.neighbours, squares.shape[1]))[0]
        is_place = nearest < np.inf
        is_donor = squares < np.inf
        donors = ops.maximum(ops.sum(ops.cast(is_donor, "float64"), axis=1, keepdims=True), 1.0)
        nothing = _ROUNDING * ops.sum(ops.where(is_donor, squares, 0.0), axis=1, keepdims=True) / donors + self.rule.floor
        last = ops.max(ops.where(is_place, nearest, 0.0), axis=1, keepdims=True, initial=0.0)
        tied = _EQUAL * last + nothing
        closer, equal = (ops.cast(which, "float64") for which in (squares < last - tied, ops.abs(squares - last) <= tied))
        left = ops.sum(ops.cast(is_place, "float64"), axis=1, keepdims=True) - ops.sum(closer, axis=1, keepdims=True)
        counted = closer + equal * left / ops.maximum(ops.sum(equal, axis=1, keepdims=True), 1.0)
        if self.rule.weights == "uniform":
            return counted
        is_same = squares <= nothing
        # Where is_same is true nothing of this is used, and where counted is 0 there may be infinity.
        by_distance = counted / ops.sqrt(ops.where(ops.logical_and(counted > 0, squares > nothing), squares, 1.0))
        return ops.where(ops.any(is_same, axis=1, keepdims=True), ops.cast(is_same, "float64"), by_distance)
