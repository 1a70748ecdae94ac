"""Columns made of all others at once: principal components."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.step import FittedStep, Part, Step, Table, Values, appended, check_columns


@dataclass(frozen=True, kw_only=True, slots=True)
class PrincipalComponents(Step):
    """Makes the directions in which items differ most, `component_1` and so on. Columns of one scale belong in it, so `Normalise` before it.

    An item that lacks one of the columns has none of the components: impute before it.

    Attributes:
        count: how many components; or
        variance: the share of variance, above 0 and below 1, that as many as it takes explain.
        columns: what they are made of; None for all.
        keep: whether those columns go on as well.
        name: what the components' names begin with.
    """

    count: int | None = None
    variance: float | None = None
    columns: tuple[str, ...] | None = None
    keep: bool = False
    name: str = "component"

    def __post_init__(self) -> None:
        """Raises ValueError where it declares nothing that can be done."""
        check_columns(self.columns)
        if (self.count is None) == (self.variance is None):
            message = "count, variance: one of the two"
            raise ValueError(message)
        if self.count is not None and self.count < 1:
            message = "count: 1 or more"
            raise ValueError(message)
        if self.variance is not None and not 0 < self.variance < 1:
            message = "variance: a share above 0 and below 1"
            raise ValueError(message)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns the directions. Raises ValueError for missing values, constant columns only, and more components than there can be."""
        from sklearn.decomposition import PCA  # noqa: PLC0415 - slow to import

        taken = table.positions(self.columns)
        table.refuse_missing(taken)
        block = table.values[:, taken]
        if self.count is not None and self.count > min(block.shape):
            message = f"{table.where}: count: of {block.shape[0]} items and {block.shape[1]} columns at most {min(block.shape)} can be made"
            raise ValueError(message)
        if not np.ptp(block, axis=0).any():
            raise table.fault(table.columns[taken[0]], "it and the others are the same in every item: there is no direction in which they differ")
        analysis = PCA(n_components=self.count if self.variance is None else self.variance, svd_solver="full").fit(block)
        names = [f"{self.name}_{number}" for number in range(1, analysis.n_components_ + 1)]
        shares = dict(zip(names, map(float, analysis.explained_variance_ratio_), strict=True))
        return appended(table, taken, _Directions(analysis), names, keep=self.keep, scores=shares)


@dataclass(frozen=True, slots=True, eq=False)
class _Directions(Part):
    analysis: Any

    def transform(self, block: Values) -> Values:
        made = np.full((len(block), self.analysis.n_components_), np.nan)
        # scikit-learn refuses missing values; those items have no components.
        if (complete := ~np.isnan(block).any(axis=1)).any():
            made[complete] = self.analysis.transform(block[complete])
        return made

    def weights(self) -> Mapping[str, NDArray[Any]]:
        return {"mean": np.asarray(self.analysis.mean_, np.float64), "directions": np.asarray(self.analysis.components_.T, np.float64)}

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401
        return ops.matmul(block - weights["mean"], weights["directions"])
