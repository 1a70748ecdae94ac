"""Categories as columns of noughts and ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.step import FittedStep, Part, Step, Table, Values, appended, are_names, check_columns


@dataclass(frozen=True, kw_only=True, slots=True)
class OneHot(Step):
    """Makes of each column of category indices one column for each category, `sex=female`, behind the others; the indices go.

    A record's category travels as its index. What is missing, and an index that there is no category for, is 0 in all of them when served; among the
    items that the recipe is fitted to, an index without a category is a mistake, and refused.

    Attributes:
        columns: which.
        categories: of each column, its categories' names in the order of their indices, from 0.
    """

    columns: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Raises ValueError where columns and categories don't belong together."""
        check_columns(self.columns, each_named=True)
        if len(self.categories) != len(self.columns):
            message = f"categories: one tuple for each of {len(self.columns)} columns; there are {len(self.categories)}"
            raise ValueError(message)
        for column, names in zip(self.columns, self.categories, strict=True):
            if not are_names(names):
                message = f"categories: column {column} has one name or more in a tuple, each once"
                raise ValueError(message)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns nothing: the categories are declared. Raises ValueError for a column that holds what is no index of one."""
        from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415 - slow to import

        taken = table.positions(self.columns)
        for column, position, names in zip(self.columns, taken, self.categories, strict=True):
            given = table.values[:, position]
            if wrong := np.flatnonzero(~np.isnan(given) & ~np.isin(given, np.arange(len(names)))).tolist():
                raise table.fault(column, f"a whole number from 0 to {len(names) - 1} is expected, or nothing; item {wrong[0]} has something else")
        indices = [np.arange(len(names), dtype=np.float64) for names in self.categories]
        encoder = OneHotEncoder(categories=indices, handle_unknown="ignore", sparse_output=False).fit(np.zeros((1, len(taken))))
        made = [f"{column}={name}" for column, names in zip(self.columns, self.categories, strict=True) for name in names]
        return appended(table, taken, _Indices(encoder, tuple(len(names) for names in self.categories)), made, keep=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Indices(Part):
    encoder: Any
    counts: tuple[int, ...]

    def transform(self, block: Values) -> Values:
        return self.encoder.transform(block)

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        # Each made column reads the column that it is of, and compares it with its own index. Nothing is equal to NaN.
        sources = np.repeat(np.arange(len(self.counts)), self.counts).astype(np.int32)
        indices = np.concatenate([np.arange(count, dtype=np.float64) for count in self.counts])
        return ops.cast(ops.equal(ops.take(block, sources, axis=1), indices), "float64")
