"""Columns brought to one scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.features.step import FittedStep, Part, Step, Table, Values, check_choice, check_columns, in_place

By = Literal["standard", "robust", "min-max"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalise(Step):
    """Moves and scales columns; missing values stay missing, and a constant column is only moved.

    Attributes:
        columns: which; None for all.
        by: `standard`: mean 0 and variance 1; `robust`: median 0 and interquartile range 1; `min-max`: from 0 to 1, and beyond for what wasn't seen.
    """

    columns: tuple[str, ...] | None = None
    by: By = "standard"

    def __post_init__(self) -> None:
        """Raises ValueError where it declares nothing that can be done."""
        check_columns(self.columns)
        check_choice("by", self.by, ("standard", "robust", "min-max"))

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns from each column its place and its scale."""
        from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler  # noqa: PLC0415 - slow to import

        taken = table.positions(self.columns)
        scaler = {"standard": StandardScaler, "robust": RobustScaler, "min-max": MinMaxScaler}[self.by]().fit(table.values[:, taken])
        return in_place(table, taken, _MinMax(scaler) if self.by == "min-max" else _Scaled(scaler))


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled(Part):
    """(x - centre) / scale, with what the scaler holds: it has its own rule for which columns count as constant."""

    scaler: Any

    def transform(self, block: Values) -> Values:
        return self.scaler.transform(block)

    def weights(self) -> Mapping[str, NDArray[Any]]:
        centre = self.scaler.mean_ if hasattr(self.scaler, "mean_") else self.scaler.center_
        return {"centre": np.asarray(centre, np.float64), "scale": np.asarray(self.scaler.scale_, np.float64)}

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        return (block - weights["centre"]) / weights["scale"]


@dataclass(frozen=True, slots=True, eq=False)
class _MinMax(Part):
    """x × scale + minimum, as the scaler computes it."""

    scaler: Any

    def transform(self, block: Values) -> Values:
        return self.scaler.transform(block)

    def weights(self) -> Mapping[str, NDArray[Any]]:
        return {"scale": np.asarray(self.scaler.scale_, np.float64), "minimum": np.asarray(self.scaler.min_, np.float64)}

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        return block * weights["scale"] + weights["minimum"]
