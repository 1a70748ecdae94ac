"""Holds each row of a table against its schema: a row that isn't as declared is left out, and said where and why."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.quality import cells
from training.quality.fault import Fault, Reason, Refused
from training.quality.schema import Field, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Checked", "Fault", "Reason", "Refused", "check", "numbers_of", "records"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checked:
    """A table, in two parts.

    Attributes:
        clean: the rows that are as declared: `Schema.columns`, with numbers as float64 and NaN where one is missing, categories as a categorical of
            the field's codes, patients as text, and a calendar's times as datetime64[ns] in UTC without a zone.
        quarantined: the others, as they came, for somebody to mend.
        faults: what is wrong with them, by record and then by column: one for each cell.
    """

    clean: "pd.DataFrame"
    quarantined: "pd.DataFrame"
    faults: tuple[Fault, ...]

    @property
    def share_quarantined(self) -> float:
        """From 0 to 1; 0 for a table without rows."""
        rows = len(self.clean) + len(self.quarantined)
        return len(self.quarantined) / rows if rows else 0.0


def check(schema: Schema, frame: "pd.DataFrame", *, file: str) -> Checked:
    """The rows of `frame`, which was read from `file`, that are as the schema declares, and what is wrong with the others.

    The frame's index counts the file's records from 0, as pandas' readers make it (in chunks as well), and still does after rows were left out. Its
    cells may be numbers or texts. A missing cell is None, NaN, or blank text. The columns may stand in any order.
    Raises Refused where a column is missing, isn't in the schema or is there twice; ValueError where the index isn't as above.
    """
    records(frame)
    frame = frame.rename(columns=str)
    require_columns(schema, frame, file=file)
    typed, found = _typed(schema, frame)
    # What a cell is first found to be is why it isn't taken: no number, and so missing, is "not a number".
    for row, column, reason in _not_as_declared(schema, typed):
        found.setdefault((row, column), reason)
    order = {name: number for number, name in enumerate(schema.columns)}
    faults = tuple(
        Fault(file=file, row=row + 1, column=column, reason=reason)
        for (row, column), reason in sorted(found.items(), key=lambda each: (each[0][0], order[each[0][1]]))
    )
    is_bad = frame.index.isin([row for row, _ in found])
    return Checked(clean=_with_categories(schema, typed[~is_bad]), quarantined=frame[is_bad].copy(), faults=faults)


def records(frame: "pd.DataFrame") -> NDArray[np.int64]:
    """[rows], the number of each row's record in its file, from 1. Raises ValueError where the index doesn't count records from 0."""
    index = frame.index
    if index.nlevels != 1 or index.dtype.kind not in "iu" or not index.is_unique or (len(index) and index.min() < 0):
        message = "the frame's index counts the file's records from 0: each once, as pandas' readers make it"
        raise ValueError(message)
    return index.to_numpy(np.int64) + 1


def require_columns(schema: Schema, frame: "pd.DataFrame", *, file: str) -> None:
    """Raises Refused where the frame lacks a column of the schema, has one that isn't in it, or has one twice."""
    times = Counter(map(str, frame.columns))
    known = {*schema.columns, *schema.ignored}
    # In a file without a header the first record is taken for it: unknown names are repeated only beside one that is known.
    has_header = any(name in times for name in schema.columns)
    faults = [Fault(file=file, row=None, column=name, reason=Reason.COLUMN_MISSING) for name in schema.columns if name not in times]
    faults += [Fault(file=file, row=None, column=name, reason=Reason.COLUMN_TWICE) for name in times if name in known and times[name] > 1]
    faults += [
        Fault(file=file, row=None, column=name if has_header and name.strip() else f"number {number}", reason=Reason.COLUMN_UNKNOWN)
        for number, name in enumerate(times, start=1)
        if name not in known
    ]
    if faults:
        raise Refused(tuple(faults))


def _typed(schema: Schema, frame: "pd.DataFrame") -> tuple["pd.DataFrame", dict[tuple[int, str], Reason]]:
    """The schema's columns with their types, missing where a cell doesn't fit; and, by row and column, where one doesn't."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    fields = {field.name: field for field in schema.all_fields}
    columns: dict[str, Any] = {}
    found: dict[tuple[int, str], Reason] = {}
    for name in schema.columns:
        raw = frame[name]
        reason = Reason.NOT_A_NUMBER
        if name == schema.patient or (name in fields and fields[name].categories):
            # All that stands there is a text.
            columns[name] = cells.texts(raw)
            continue
        if name not in fields and schema.time_is_calendar:
            columns[name], reason = _times(raw), Reason.NOT_A_TIME
        else:
            columns[name] = cells.numbers(raw)
        does_not_fit = pd.isna(columns[name]) & ~cells.are_missing(raw)
        found.update({(int(row), name): reason for row in frame.index[does_not_fit]})
    return pd.DataFrame(columns, index=frame.index), found


def _times(raw: "pd.Series[Any]") -> NDArray[np.datetime64]:
    """[cells], datetime64[ns] in UTC, where a time without a zone is taken to be; NaT where none stands. A number is no time."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    if not pd.api.types.is_datetime64_any_dtype(raw.dtype):
        raw = pd.Series([None if isinstance(cell, int | float | np.number) else cell for cell in raw], dtype=object)
    return pd.to_datetime(raw, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None).to_numpy("datetime64[ns]")


def _not_as_declared(schema: Schema, typed: "pd.DataFrame") -> Iterator[tuple[int, str, Reason]]:
    """Row, column and reason of each cell that breaks a rule of the schema; in the order of a column's rules."""
    import pandera.pandas as pa  # noqa: PLC0415 - slow to import

    try:
        with warnings.catch_warnings():
            # Pandera joins its cases in a way that pandas will change.
            warnings.simplefilter("ignore", FutureWarning)
            schema.as_pandera().validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.sort_values("check_number", kind="stable")
    else:
        return
    for column, rule, row in zip(cases["column"], cases["check"], cases["index"], strict=True):
        yield int(row), str(column), Reason.MISSING if rule == "not_nullable" else Reason(rule)


def numbers_of(fields: Sequence[Field], clean: "pd.DataFrame") -> NDArray[np.float64]:
    """Of the clean rows, [rows, fields], a category as its place among the field's; NaN where nothing stands."""
    return np.column_stack([_numbers_in(field, clean[field.name]) for field in fields])


def _numbers_in(field: Field, column: Any) -> NDArray[np.float64]:  # noqa: ANN401 - pandas' columns differ by their types
    if not field.categories:
        return np.asarray(column, np.float64)
    codes = np.asarray(column.cat.codes, np.float64)
    return np.where(codes < 0, np.nan, codes)


def _with_categories(schema: Schema, typed: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - slow to import

    by_name: dict[str, Field] = {field.name: field for field in schema.all_fields if field.categories}
    clean = typed.copy()
    for name, field in by_name.items():
        clean[name] = pd.Categorical(typed[name], categories=list(field.codes))
    return clean
