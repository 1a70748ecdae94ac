"""Which values were missing, as features of their own: that a laboratory value was never asked for says something of the patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.step import FittedStep, Part, Step, Table, Values, appended, check_columns


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingIndicators(Step):
    """Makes of column `x` a column `x_missing`: 1 where it has no value, 0 where it has one. Belongs before whatever imputes.

    Attributes:
        columns: which; None for those that lack a value in some of the items that the recipe is fitted to, which may be none.
    """

    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where it declares nothing that can be done."""
        check_columns(self.columns)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns nothing but which columns there are to be."""
        from sklearn.impute import MissingIndicator  # noqa: PLC0415 - slow to import

        if self.columns is None:
            taken = tuple(int(position) for position in np.flatnonzero(np.isnan(table.values).any(axis=0)))
        else:
            taken = table.positions(self.columns)
        names = [f"{table.columns[position]}_missing" for position in taken]
        if not taken:
            return FittedStep(columns=table.columns, taken=(), part=None, order=tuple(range(len(table.columns))))
        indicator = MissingIndicator(features="all").fit(table.values[:, taken])
        return appended(table, taken, _Missing(indicator), names)


@dataclass(frozen=True, slots=True, eq=False)
class _Missing(Part):
    indicator: Any

    def transform(self, block: Values) -> Values:
        return self.indicator.transform(block).astype(np.float64)

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        return ops.cast(ops.isnan(block), "float64")
