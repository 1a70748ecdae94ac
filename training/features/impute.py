"""Missing values filled in."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.features.chained import Chained
from training.features.nearest import Nearest, Weights, fit_nearest
from training.features.step import FittedStep, Part, Step, Table, Values, check_choice, check_columns, in_place

# From here on the library's distances, which it takes as differences of squares, lose the digits of the narrower column.
_SCALES = 1e3
_LAST_DIGIT = 1e-7

By = Literal["median", "nearest", "iterative"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Impute(Step):
    """Gives every missing value one. What is there stays as it is.

    Attributes:
        columns: which; None for all. They are also what `nearest` and `iterative` guess from.
        by: `median`: the column's; `nearest`: the mean of the most similar items that have a value (O. Troyanskaya et al., Bioinformatics 17:520,
            2001), which wants columns of one scale, so `Normalise` before it; `iterative`: a Bayesian ridge regression on the other columns, each
            column in turn and that several times (S. van Buuren and K. Groothuis-Oudshoorn, J. Stat. Softw. 45(3), 2011), its mean and not a draw.
        neighbours: `nearest`: how many items.
        weights: `nearest`: `uniform`, or `distance` for the closer ones to count for more, by one over their distance.
        donors: `nearest`: at most so many items to be similar to, drawn from the seed; None for all. They are inside of the model: every one of
            them is compared with at each request.
        rounds: `iterative`: how many times at most.
        within_seen: `iterative`: whether a guess stays between the least and the greatest value seen in its column.
    """

    columns: tuple[str, ...] | None = None
    by: By = "median"
    neighbours: int = 5
    weights: Weights = "uniform"
    donors: int | None = None
    rounds: int = 10
    within_seen: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError where it declares nothing that can be done."""
        check_columns(self.columns)
        check_choice("by", self.by, ("median", "nearest", "iterative"))
        check_choice("weights", self.weights, ("uniform", "distance"))
        for name, least, value in (("neighbours", 1, self.neighbours), ("donors", self.neighbours, self.donors), ("rounds", 1, self.rounds)):
            if value is not None and value < least:
                message = f"{name}: {least} or more"
                raise ValueError(message)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns from the items what to fill in. Raises ValueError where `nearest` is given a column far wider than another."""
        taken = table.positions(self.columns)
        block = table.values[:, taken]
        if self.by == "median":
            return in_place(table, taken, _fit_median(block))
        if self.by == "nearest":
            return in_place(table, taken, self._fit_nearest(table, taken, seed))
        return in_place(table, taken, self._fit_iterative(block, seed))

    def _fit_nearest(self, table: Table, taken: tuple[int, ...], seed: int) -> Nearest:
        block = table.values[:, taken]
        spread = np.nanstd(block, axis=0)
        # What differs in a float32's last digit only is as good as constant.
        varied = np.where(spread > _LAST_DIGIT * np.abs(np.nanmean(block, axis=0)), spread, np.inf)
        least, greatest = np.argmin(varied), np.argmax(spread)
        if spread[greatest] > _SCALES * varied[least]:
            narrow = table.columns[taken[least]]
            raise table.fault(
                table.columns[taken[greatest]], f"it alone would say what is near, so much wider is it than {narrow}: Normalise before it"
            )
        if self.donors is not None and self.donors < len(block):
            drawn = np.sort(np.random.default_rng(seed).choice(len(block), self.donors, replace=False))
            # A column that no drawn item has a value in takes one from an item that has.
            lacking = np.isnan(block[drawn]).all(axis=0)
            drawn = np.union1d(drawn, [int(np.argmin(np.isnan(block[:, column]))) for column in np.flatnonzero(lacking)]).astype(np.int64)
            block = block[drawn]
        return fit_nearest(block, neighbours=self.neighbours, weights=self.weights)

    def _fit_iterative(self, block: Values, seed: int) -> Chained:
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - slow to import
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401, PLC0415
        from sklearn.impute import IterativeImputer  # noqa: PLC0415

        least, greatest = np.nanmin(block, axis=0), np.nanmax(block, axis=0)
        bounds = {"min_value": least, "max_value": np.where(greatest > least, greatest, np.nextafter(greatest, np.inf))} if self.within_seen else {}
        imputer = IterativeImputer(max_iter=self.rounds, random_state=seed, keep_empty_features=True, **bounds)
        with warnings.catch_warnings():
            # So many rounds were declared, and so many are replayed, whether or not the last one still moved something.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return Chained(imputer.fit(block))


def _fit_median(block: Values) -> "_Median":
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 - slow to import

    return _Median(SimpleImputer(strategy="median", keep_empty_features=True).fit(block))


@dataclass(frozen=True, slots=True, eq=False)
class _Median(Part):
    imputer: Any

    def transform(self, block: Values) -> Values:
        return self.imputer.transform(block)

    def weights(self) -> Mapping[str, NDArray[Any]]:
        return {"median": np.asarray(self.imputer.statistics_, np.float64)}

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401
        return ops.where(ops.isnan(block), weights["median"], block)
