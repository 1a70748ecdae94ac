"""Columns of a table as arrays of items, and the cells that don't fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from training.quality.check import check, numbers_of
from training.quality.fault import Fault, Reason
from training.quality.schema import Field, Schema
from training.streams.source import STRING, Spec

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_WORDS = r"(?i)^[+-]?(nan|inf|infinity)$"
# From here on several whole numbers are one float64, which is no matter for a measurement, and is for a number that names something.
_EXACT = 2**53


class Kind(StrEnum):
    """What a column's cells are read as."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT64 = "int64"
    STRING = STRING


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One array of an item, made of columns of one kind.

    Attributes:
        name: the array's name.
        columns: their names, for an array [items, columns]; or one name, for an array [items].
        kind: what the cells are read as. Categories are read as int64.
        categories: the texts that may stand there, in the order of their numbers from 0; empty where there are no categories.
        may_be_missing: whether an item without it is still taken: NaN stands for a number, an empty text for a text.
        fields: what each of the columns may hold, by a schema; empty where nothing but the kind is known. See `of`.
        minimum, maximum: the least and the largest integer that may stand there, each included: 0 and one less than there are classes, where it is a
            class. None: no bound.
    """

    name: str
    columns: tuple[str, ...] | str
    kind: Kind = Kind.FLOAT32
    categories: tuple[str, ...] = ()
    may_be_missing: bool = False
    fields: tuple[Field, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @classmethod
    def of(cls, name: str, fields: tuple[Field, ...], kind: Kind = Kind.FLOAT32) -> Self:
        """An array [items, fields] of numbers, each cell held to what its field declares, as `quality.check` holds it.

        A category is its number among the field's, from 0, and NaN what is missing where it may be.
        """
        return cls(name=name, columns=tuple(field.name for field in fields), kind=kind, fields=fields)

    def __post_init__(self) -> None:
        """Raises ValueError where a name is missing or stands twice, an integer may be missing, fields aren't the columns', or bounds are of none."""
        if not self.name or not self.columns or not all(self.names) or len(set(self.names)) != len(self.names):
            message = f"{self.name or 'name'}: columns: each one once, and with a name"
            raise ValueError(message)
        if len(set(self.categories)) != len(self.categories) or (self.categories and self.kind is not Kind.INT64):
            message = f"{self.name}: categories: each one once, of the kind int64"
            raise ValueError(message)
        if self.may_be_missing and self.kind is Kind.INT64:
            message = f"{self.name}: may_be_missing: an integer can't say that it is missing; read it as a float"
            raise ValueError(message)
        require_bounds(self.name, self.minimum, self.maximum, of_integers=self.kind is Kind.INT64 and not self.categories)
        if self.fields:
            self._require_fields()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return (self.columns,) if isinstance(self.columns, str) else self.columns

    @property
    def texts(self) -> frozenset[str]:
        """The columns in which texts are looked for, and not numbers."""
        if self.fields:
            return frozenset(field.name for field in self.fields if field.categories)
        return frozenset(self.names if self.kind is Kind.STRING or self.categories else ())

    def spec(self) -> Spec:
        """Of the array."""
        return Spec(dtype=self.kind, shape=() if isinstance(self.columns, str) else (len(self.columns),))

    def _require_fields(self) -> None:
        if tuple(field.name for field in self.fields) != self.names:
            message = f"{self.name}: fields: one for each of the columns, in their order"
            raise ValueError(message)
        if self.kind not in {Kind.FLOAT32, Kind.FLOAT64} or self.categories or self.may_be_missing:
            message = f"{self.name}: fields: of floats; they say by themselves what is a category and what may be missing"
            raise ValueError(message)


def require_bounds(name: str, minimum: int | None, maximum: int | None, *, of_integers: bool) -> None:
    """Raises ValueError where there are bounds and no integers, or nothing lies between them."""
    given = [bound for bound in (minimum, maximum) if bound is not None]
    if given and not (of_integers and given[0] <= given[-1]):
        message = f"{name}: minimum, maximum: of integers without categories, minimum not above maximum"
        raise ValueError(message)


def out_of_bounds(values: NDArray[np.int64], minimum: int | None, maximum: int | None) -> dict[Reason, NDArray[np.bool_]]:
    """For each bound that there is, and of the values' shape, where it is broken."""
    below = {} if minimum is None else {Reason.BELOW_MINIMUM: values < minimum}
    return below if maximum is None else below | {Reason.ABOVE_MAXIMUM: values > maximum}


def require_parts(parts: Sequence[Part]) -> None:
    """Raises ValueError where there are none, or two have one name."""
    if not parts or len({part.name for part in parts}) != len(parts):
        message = "parts: one or more, each with a name of its own"
        raise ValueError(message)


def columns_of(parts: Sequence[Part]) -> tuple[str, ...]:
    """The names of all columns that are read, each once."""
    return tuple(dict.fromkeys(name for part in parts for name in part.names))


def items_of(table: "pa.Table", parts: Sequence[Part], *, file: str, rows: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], list[Fault]]:
    """The rows of the table that fit, as arrays by the parts' names; and what is wrong with the others: one fault a cell, by row and then by column.

    `rows` [rows] are the numbers of the rows' records in `file`, from 1. Columns may be of any of Arrow's types; bytes are read as UTF-8.
    """
    arrays: dict[str, NDArray[Any]] = {}
    wrong: dict[tuple[int, int], Fault] = {}
    is_good = np.ones(len(table), bool)
    order = {name: place for place, name in enumerate(columns_of(parts))}
    for part in parts:
        shape = (len(table), *part.spec().shape)
        array = part.spec().room(len(table))
        if part.fields:
            arrays[part.name] = array
            for fault in _check(table, part, array, file=file, rows=rows):
                row = int(np.searchsorted(rows, fault.row or 0))
                is_good[row] = False
                wrong.setdefault((row, order[str(fault.column)]), fault)
            continue
        for place, name in enumerate(part.names):
            values, reasons = _cells(table.column(name).combine_chunks(), part)
            array[(slice(None), place) if len(shape) > 1 else slice(None)] = values
            for reason, mask in reasons.items():
                is_good &= ~mask
                for row in np.flatnonzero(mask).tolist():
                    # What a cell is first found to be is why it isn't taken.
                    wrong.setdefault((row, order[name]), Fault(file=file, row=int(rows[row]), column=name, reason=reason))
        arrays[part.name] = array
    if not is_good.all():
        arrays = {name: array[is_good] for name, array in arrays.items()}
    return arrays, [fault for _, fault in sorted(wrong.items(), key=lambda each: each[0])]


def _check(table: "pa.Table", part: Part, array: NDArray[Any], *, file: str, rows: NDArray[np.int64]) -> Sequence[Fault]:
    """Fills `array` [rows, fields] where rows are as declared, and says what is wrong with the others."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    columns, faults = {}, []
    for name in part.names:
        column, reasons = _plain(table.column(name).combine_chunks())
        columns[name] = column.to_pandas()
        faults += [
            Fault(file=file, row=int(rows[row]), column=name, reason=reason) for reason, mask in reasons.items() for row in np.flatnonzero(mask)
        ]  # fmt: skip
    frame = pd.DataFrame(columns)
    frame.index = pd.Index(rows - 1, dtype="int64")
    checked = check(Schema(name=part.name, fields=part.fields), frame, file=file)
    array[np.isin(rows, checked.clean.index + 1)] = numbers_of(part.fields, checked.clean)
    return [*faults, *checked.faults]


def _cells(column: "pa.Array", part: Part) -> tuple[NDArray[Any], dict[Reason, NDArray[np.bool_]]]:
    """A column's cells, and by reason where one doesn't fit, the first reason first."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    absent = _mask(column.is_null())
    column, reasons = _plain(column)
    if not part.may_be_missing:
        reasons[Reason.MISSING] = absent
    if part.texts:
        values, more = _texts(column, part)
    elif part.kind is Kind.INT64 and pa.types.is_integer(column.type) and column.type != pa.uint64():
        values, more = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64, copy=False), {}
    else:
        values, more = _numbers(column, part)
    # What is no integer was said to be so, and stands as 0.
    more |= out_of_bounds(values, part.minimum, part.maximum)
    for reason, mask in more.items():
        reasons[reason] = mask & ~absent | reasons.get(reason, np.zeros(len(column), bool))
    return values, reasons


def _texts(column: "pa.Array", part: Part) -> tuple[NDArray[Any], dict[Reason, NDArray[np.bool_]]]:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.string())
    if not part.categories:
        # UTF-16 has a byte of 0 in each letter, and so has what was cut short and filled up; no text has one.
        has_nul = _mask(pc.match_substring(column, "\0"))
        return column.fill_null("").to_numpy(zero_copy_only=False).astype(object, copy=False), {Reason.WRONG_ENCODING: has_nul}
    place = pc.index_in(pc.utf8_trim_whitespace(column), pa.array(part.categories, column.type))
    return place.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64), {Reason.UNKNOWN_CATEGORY: _mask(place.is_null())}


def _numbers(column: "pa.Array", part: Part) -> tuple[NDArray[Any], dict[Reason, NDArray[np.bool_]]]:
    import pyarrow as pa  # noqa: PLC0415

    reasons: dict[Reason, NDArray[np.bool_]] = {}
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column, reasons[Reason.NOT_A_NUMBER] = _parsed(column)
    # NaN where there is none: said above, or allowed.
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        typed = values.astype(np.float32) if part.kind is Kind.FLOAT32 else values
    # NaN says that a number is missing, where one may be.
    present = _mask(column.is_valid()) & ~(np.isnan(values) & part.may_be_missing)
    reasons[Reason.NOT_FINITE] = present & ~np.isfinite(typed)
    if part.kind is not Kind.INT64:
        return typed, reasons
    whole = np.nan_to_num(values, posinf=0, neginf=0)
    reasons[Reason.NOT_AN_INTEGER] = present & (whole != np.floor(whole))
    is_large = np.abs(whole) >= _EXACT
    reasons[Reason.TOO_LARGE] = present & is_large
    return np.where(is_large, 0, whole).astype(np.int64), reasons


def _parsed(texts: "pa.Array") -> tuple["pa.Array", NDArray[np.bool_]]:
    """Float64, null where there is no number, and where a text stands that isn't one."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    trimmed = pc.utf8_trim_whitespace(texts)
    fits = pc.or_(pc.match_substring_regex(trimmed, _NUMBER), pc.match_substring_regex(trimmed, _WORDS))
    plain = pc.replace_substring_regex(pc.if_else(fits, trimmed, None), r"^\+", "")
    return plain.cast(pa.float64()), _mask(pc.invert(fits))


def _plain(column: "pa.Array") -> tuple["pa.Array", dict[Reason, NDArray[np.bool_]]]:
    """Without a dictionary, and with texts for bytes: null where they aren't UTF-8, which is the one thing that can be wrong."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return column, {}
    texts, wrong = _decoded(column)
    return texts, {Reason.WRONG_ENCODING: wrong}


def _decoded(cells: "pa.Array") -> tuple["pa.Array", NDArray[np.bool_]]:
    """Texts, null where the bytes aren't UTF-8, and where that is."""
    import pyarrow as pa  # noqa: PLC0415

    texts: list[str | None] = []
    wrong = np.zeros(len(cells), bool)
    for place, cell in enumerate(cells.to_pylist()):
        try:
            texts.append(None if cell is None else cell.decode("utf-8"))
        except UnicodeDecodeError:
            texts.append(None)
            wrong[place] = True
    return pa.array(texts, pa.string()), wrong


def _mask(booleans: "pa.Array") -> NDArray[np.bool_]:
    """[cells]; a null is no."""
    return booleans.fill_null(False).to_numpy(zero_copy_only=False)  # noqa: FBT003 - Arrow takes no name
