"""What is known to be wrong with a table, as declarations: each one mends cells, or says which rows are to be left out.

Cells that aren't what a declaration is about, such as texts in a column of numbers, are left for the check to name.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from training.quality import cells
from training.quality.fault import Reason

if TYPE_CHECKING:
    import pandas as pd

# B. Iglewicz and D. C. Hoaglin, How to Detect and Handle Outliers (ASQC, 1993): the normal distribution's deviation in terms of the median absolute
# one, and of the mean absolute one where more than half of the values are equal; and the robust z from which they call a value an outlier.
_DEVIATION_BY_MEDIAN = 1 / 0.6745
_DEVIATION_BY_MEAN = 1.253314
_OUTLYING = 3.5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Step:
    """A table after one declaration.

    Attributes:
        frame: all of its rows, with what was mended.
        column: the column that is meant; None for the whole row.
        changed: how many cells were mended.
        left_out: [rows], whether a row is to be left out, and `reason`, why; None where rows aren't what the declaration is about.
    """

    frame: "pd.DataFrame"
    column: str | None
    changed: int = 0
    left_out: NDArray[np.bool_] | None = None
    reason: Reason | None = None


class Declaration(Protocol):
    """One thing that is known to be wrong with a table."""

    @property
    def what(self) -> str:
        """What is done about it, for people."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that it reads."""

    def apply(self, frame: "pd.DataFrame") -> Step:
        """The frame after it; the one that was given stays as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """Numbers in `from_unit` become numbers in `to_unit`: times `factor`, plus `offset`.

    Attributes:
        column: the numbers.
        from_unit, to_unit: in UCUM.
        factor, offset: from 25 Cel to 298.15 K: 1 and 273.15.
        unit_column: the column that has each row's unit, where they differ: rows in `from_unit` are converted, and it then says `to_unit`. A field of
            the schema with that one category refuses all other units.
    """

    column: str
    from_unit: str
    to_unit: str
    factor: float
    offset: float = 0.0
    unit_column: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where numbers would be lost, or the units are the same."""
        if not math.isfinite(self.factor) or not self.factor or not math.isfinite(self.offset):
            message = f"{self.column}: factor is finite and not 0, and offset is finite; they are {self.factor} and {self.offset}"
            raise ValueError(message)
        if self.from_unit == self.to_unit:
            message = f"{self.column}: from_unit and to_unit differ; both are {self.from_unit}"
            raise ValueError(message)

    @property
    def what(self) -> str:
        """For people."""
        return f"{self.from_unit} made {self.to_unit}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The numbers, and their units."""
        return (self.column,) if self.unit_column is None else (self.column, self.unit_column)

    def apply(self, frame: "pd.DataFrame") -> Step:
        """Converts what is a number."""
        numbers = cells.numbers(frame[self.column])
        of_unit = np.ones(len(frame), bool) if self.unit_column is None else cells.texts(frame[self.unit_column]) == self.from_unit
        where = of_unit & ~np.isnan(numbers)
        changed = _replaced(frame, self.column, where, numbers * self.factor + self.offset)
        if self.unit_column is not None:
            changed = _replaced(changed, self.unit_column, of_unit, np.full(len(frame), self.to_unit, object))
        return Step(frame=changed, column=self.column, changed=int(where.sum()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Impossible:
    """Numbers that nobody alive has, below `minimum` or above `maximum`, become missing: the row has other cells to learn from."""

    column: str
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where there is no bound, or no number between them."""
        low, high = _bounds(self.minimum, self.maximum)
        if (self.minimum is None and self.maximum is None) or not low < high:
            message = f"{self.column}: minimum, maximum: one at least, and minimum below maximum; they are {self.minimum} and {self.maximum}"
            raise ValueError(message)

    what = "impossible, made missing"

    @property
    def needs(self) -> tuple[str, ...]:
        """The numbers."""
        return (self.column,)

    def apply(self, frame: "pd.DataFrame") -> Step:
        """Bounds are possible."""
        return _made_missing(frame, self.column, _outside(cells.numbers(frame[self.column]), *_bounds(self.minimum, self.maximum)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentinel:
    """Values that stand for "not measured", such as -999 or NK, become missing. A number is compared as a number, a text as a text."""

    column: str
    values: tuple[float | str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where there is none, or one is not a number."""
        if not self.values or any(isinstance(value, float) and math.isnan(value) for value in self.values):
            message = f"{self.column}: values: one at least, and what is NaN is missing already"
            raise ValueError(message)

    what = "sentinel, made missing"

    @property
    def needs(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def apply(self, frame: "pd.DataFrame") -> Step:
        """Whatever the reader made of them."""
        column = frame[self.column]
        where = np.isin(cells.numbers(column), [value for value in self.values if not isinstance(value, str)])
        texts = {value for value in self.values if isinstance(value, str)}
        if texts:
            where |= np.array([text in texts for text in cells.texts(column)], bool)
        return _made_missing(frame, self.column, where)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outliers:
    """Numbers whose robust z, |x - median| / (MAD / 0.6745), is above `most`: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).

    The median and the spread are those of the frame, so this is declared for what is learnt from and not for what is held out: `limits` of the
    former, declared as `Impossible`, hold the latter to the same. Where more than half of the numbers are equal, and the MAD is 0, the mean absolute
    deviation stands in for it, as there.

    Attributes:
        column: the numbers.
        most: the largest robust z that is no outlier.
        become: the cell missing, or its row quarantined.
    """

    column: str
    most: float = _OUTLYING
    become: Literal["missing", "quarantined"] = "missing"

    def __post_init__(self) -> None:
        """Raises ValueError where `most` isn't above 0."""
        if not self.most > 0:
            message = f"{self.column}: most is above 0; it is {self.most}"
            raise ValueError(message)

    @property
    def what(self) -> str:
        """For people."""
        return "outlier, made missing" if self.become == "missing" else "outlier, left out"

    @property
    def needs(self) -> tuple[str, ...]:
        """The numbers."""
        return (self.column,)

    def limits(self, frame: "pd.DataFrame") -> tuple[float, float]:
        """The least and the largest number that is no outlier; infinite where all numbers are equal, or there is none."""
        numbers = cells.numbers(frame[self.column])
        numbers = numbers[np.isfinite(numbers)]
        if not numbers.size:
            return -math.inf, math.inf
        median = float(np.median(numbers))
        away = np.abs(numbers - median)
        deviation = float(np.median(away)) * _DEVIATION_BY_MEDIAN or float(away.mean()) * _DEVIATION_BY_MEAN or math.inf
        return median - self.most * deviation, median + self.most * deviation

    def apply(self, frame: "pd.DataFrame") -> Step:
        """By the limits of this frame."""
        where = _outside(cells.numbers(frame[self.column]), *self.limits(frame))
        if self.become == "missing":
            return _made_missing(frame, self.column, where)
        return Step(frame=frame, column=self.column, left_out=where, reason=Reason.OUTLIER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicates:
    """Rows that equal an earlier one in `columns`, or in all of them where none is named, are left out.

    Labels belong to `columns`: without them one of two rows that contradict each other would be taken for a copy.
    """

    columns: tuple[str, ...] = ()

    what = "duplicate row, left out"

    @property
    def needs(self) -> tuple[str, ...]:
        """What is compared."""
        return self.columns

    def apply(self, frame: "pd.DataFrame") -> Step:
        """Missing equals missing."""
        first = np.unique(cells.row_numbers(frame[list(self.columns)] if self.columns else frame), return_index=True)[1]
        return Step(frame=frame, column=None, left_out=~np.isin(np.arange(len(frame)), first), reason=Reason.DUPLICATE_ROW)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConflictingLabels:
    """Rows that are equal in `columns`, such as patient and time, or all features, and differ in `label`: none is used.

    Nobody knows which is right. A row without a label contradicts no other, and rows with nothing in any of `columns` aren't taken to be equal.
    """

    columns: tuple[str, ...]
    label: str

    def __post_init__(self) -> None:
        """Raises ValueError where nothing is compared, or the label with itself."""
        if not self.columns or self.label in self.columns:
            message = f"columns: one at least, and {self.label} is none of them"
            raise ValueError(message)

    what = "conflicting label, left out"

    @property
    def needs(self) -> tuple[str, ...]:
        """What is compared, and the label."""
        return (*self.columns, self.label)

    def apply(self, frame: "pd.DataFrame") -> Step:
        """All rows of a group with more than one label."""
        groups, labels = cells.row_numbers(frame[list(self.columns)]), cells.row_numbers(frame[[self.label]])
        is_known = ~np.all([cells.are_missing(frame[column]) for column in self.columns], axis=0)
        is_labelled = is_known & ~cells.are_missing(frame[self.label])
        pairs = np.unique(np.column_stack([groups, labels])[is_labelled], axis=0)
        of_group, times = np.unique(pairs[:, 0], return_counts=True)
        left_out = np.isin(groups, of_group[times > 1])
        return Step(frame=frame, column=self.label, left_out=left_out, reason=Reason.CONFLICTING_LABEL)


def _bounds(minimum: float | None, maximum: float | None) -> tuple[float, float]:
    return -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum


def _outside(numbers: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    """NaN is neither below nor above."""
    return (numbers < low) | (numbers > high)


def _made_missing(frame: "pd.DataFrame", column: str, where: NDArray[np.bool_]) -> Step:
    return Step(column=column, frame=_replaced(frame, column, where, np.full(len(frame), math.nan)), changed=int(where.sum()))


def _replaced(frame: "pd.DataFrame", column: str, where: NDArray[np.bool_], values: NDArray[np.generic] | NDArray[np.object_]) -> "pd.DataFrame":
    """The frame with `values` in that column where `where` is true; what else stands there stays as it was written."""
    if not where.any():
        return frame
    old = frame[column]
    # Numbers stay a column of numbers; all else becomes one of objects, which holds anything.
    kept = cells.numbers(old) if old.dtype.kind in "biuf" and values.dtype.kind == "f" else old.astype(object).to_numpy()
    changed = frame.copy(deep=False)
    changed[column] = np.where(where, values, kept)
    return changed
