"""Features made of others: ratios, trends, times since, logarithms. Nothing is learnt here, so NumPy is the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features import single
from training.features.step import FittedStep, Part, Step, Table, Values, appended, check_columns, in_place


def _check_pair(first: str, second: str, fields: str) -> None:
    if not first or not second or first == second:
        message = f"{fields}: two different columns"
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio(Step):
    """Makes `numerator / denominator`, such as shock index from heart rate and systolic pressure.

    It has no value where either has none, where the denominator is 0, and where the quotient is beyond what a float32 holds: impute it later.

    Attributes:
        numerator, denominator: columns.
        name: of the column made; None for `numerator_per_denominator`.
    """

    numerator: str
    denominator: str
    name: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the two are one."""
        _check_pair(self.numerator, self.denominator, "numerator, denominator")

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns nothing."""
        taken = table.positions((self.numerator, self.denominator))
        return appended(table, taken, _Quotient(), [self.name or f"{self.numerator}_per_{self.denominator}"])


class _Quotient(Part):
    def transform(self, block: Values) -> Values:
        numerator, denominator = block[:, :1], block[:, 1:]
        quotient = np.full_like(numerator, np.nan)
        np.divide(numerator, denominator, out=quotient, where=denominator != 0)
        return np.where(np.abs(quotient) <= single.GREATEST, quotient, np.nan)

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        numerator, denominator = block[:, :1], block[:, 1:]
        is_zero = ops.equal(denominator, 0.0)
        quotient = ops.where(is_zero, np.nan, numerator / ops.where(is_zero, 1.0, denominator))
        return ops.where(ops.abs(quotient) <= single.GREATEST, quotient, np.nan)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference(Step):
    """Makes `later - earlier`: the trend of a value that was taken twice. It has no value where either has none.

    Attributes:
        later, earlier: columns, in one unit.
        name: of the column made; None for `later_minus_earlier`.
    """

    later: str
    earlier: str
    name: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the two are one."""
        _check_pair(self.later, self.earlier, "later, earlier")

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns nothing."""
        return appended(table, table.positions((self.later, self.earlier)), _Less(), [self.name or f"{self.later}_minus_{self.earlier}"])


class _Less(Part):
    def transform(self, block: Values) -> Values:
        return block[:, :1] - block[:, 1:]

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        return block[:, :1] - block[:, 1:]


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSince(Step):
    """Makes the time that has gone by since something happened.

    It has no value where it never happened, and none where the event is later than `now`: what is still to come can't be known when the model is
    asked. Times travel as float32, with seven digits: count them from an admission or a birth, not from 1970.

    Attributes:
        event: the column with the event's time.
        now: the column with the time of the question, in the same unit and from the same zero.
        most: what is longer ago counts as this long ago; None for no limit. In the same unit.
        name: of the column made; None for `time_since_event`.
    """

    event: str
    now: str
    most: float | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the columns are one, or the limit is none."""
        _check_pair(self.event, self.now, "event, now")
        if self.most is not None and not 0 < self.most < np.inf:
            message = "most: a finite time above 0, or None"
            raise ValueError(message)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns nothing."""
        return appended(table, table.positions((self.event, self.now)), _Since(self.most), [self.name or f"time_since_{self.event}"])


@dataclass(frozen=True, slots=True, eq=False)
class _Since(Part):
    most: float | None

    def transform(self, block: Values) -> Values:
        since = block[:, 1:] - block[:, :1]
        since = np.where(since >= 0, since, np.nan)
        return since if self.most is None else np.minimum(since, self.most)

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        since = block[:, 1:] - block[:, :1]
        since = ops.where(since >= 0, since, np.nan)
        # Not a minimum: TensorFlow's leaves open what it makes of NaN.
        return since if self.most is None else ops.where(since > self.most, self.most, since)


@dataclass(frozen=True, kw_only=True, slots=True)
class Log1p(Step):
    """Takes log(1 + x) of columns, for what is skewed to the right, as most laboratory values are.

    Among the items that the recipe is fitted to, -1 and less is refused; when served it is a missing value.

    Attributes:
        columns: which.
    """

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where no column is named."""
        check_columns(self.columns, each_named=True)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns nothing. Raises ValueError for a column that has no logarithm."""
        taken = table.positions(self.columns)
        for column, position in zip(self.columns, taken, strict=True):
            if wrong := np.flatnonzero(table.values[:, position] <= -1).tolist():
                raise table.fault(column, f"greater than -1 is expected; item {wrong[0]} isn't")
        return in_place(table, taken, _Logarithm())


class _Logarithm(Part):
    def transform(self, block: Values) -> Values:
        logarithm = np.full_like(block, np.nan)
        np.log1p(block, out=logarithm, where=block > -1)
        return logarithm

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401, ARG002
        has_one = block > -1
        return ops.where(has_one, ops.log1p(ops.where(has_one, block, 0.0)), np.nan)
