"""What is wrong with a table: where, and why; never the value that stands there."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from training.report.page import Table, table

_FIRST_ROWS = 5


class Reason(StrEnum):
    """Why a file, a row or a cell isn't taken. The words are stable: reports are compared by them."""

    COLUMN_MISSING = "column missing"
    COLUMN_UNKNOWN = "column unknown"
    COLUMN_TWICE = "column twice"
    MISSING = "missing"
    NOT_A_NUMBER = "not a number"
    NOT_FINITE = "not finite"
    NOT_A_TIME = "not a time"
    BELOW_MINIMUM = "below minimum"
    ABOVE_MAXIMUM = "above maximum"
    NOT_AN_INTEGER = "not an integer"
    UNKNOWN_CATEGORY = "unknown category"
    OUTLIER = "outlier"
    DUPLICATE_ROW = "duplicate row"
    CONFLICTING_LABEL = "conflicting label"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        file: the file's name.
        row: the number of the record in the file, from 1, without the header; None where the whole file is meant.
        column: the column's name; None where the whole row is meant.
        reason: why it isn't taken.
    """

    file: str
    row: int | None
    column: str | None
    reason: Reason

    def __post_init__(self) -> None:
        """Raises ValueError where there is no file, the record has no number from 1 on, or neither a record nor a column is named."""
        if not self.file:
            message = "file: the file's name"
            raise ValueError(message)
        if self.row is None and self.column is None:
            message = "row, column: at least one of them"
            raise ValueError(message)
        if self.row is not None and self.row < 1:
            message = f"row: records are counted from 1; it is {self.row}"
            raise ValueError(message)

    def __str__(self) -> str:
        """For people."""
        record = None if self.row is None else f"record {self.row}"
        return f"{', '.join(part for part in (self.file, record, self.column) if part is not None)}: {self.reason}"


class Refused(ValueError):
    """The whole file isn't taken; `faults` says why."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        """For people."""
        return "refused: " + "; ".join(map(str, self.faults))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How often one thing is wrong in one column of one file, and the first records that it is wrong in."""

    file: str
    column: str | None
    reason: Reason
    count: int
    first_rows: tuple[int, ...]

    @property
    def places(self) -> str:
        """For people: the first records."""
        more = ", …" if self.count > len(self.first_rows) else ""
        return ", ".join(map(str, self.first_rows)) + more if self.first_rows else "the whole file"


def tally(faults: Iterable[Fault]) -> tuple[Tally, ...]:
    """The faults counted by file, reason and column: the most frequent first, then in the order of these words."""
    places: dict[tuple[str, Reason, str | None], list[int | None]] = {}
    for fault in faults:
        places.setdefault((fault.file, fault.reason, fault.column), []).append(fault.row)
    tallies = [
        Tally(file=file, column=column, reason=reason, count=len(rows), first_rows=_first(rows)) for (file, reason, column), rows in places.items()
    ]
    return tuple(sorted(tallies, key=lambda each: (-each.count, each.file, each.reason, each.column or "")))


def as_text(faults: Iterable[Fault]) -> str:
    """A line for each reason and column: how many, and where the first are. Empty where nothing is wrong."""
    return "\n".join(f"{each.count} × {each.reason}{_in(each.column)}: {each.file}, {_records(each)}" for each in tally(faults))


def as_table(faults: Iterable[Fault]) -> Table:
    """The same for a report."""
    rows = [(each.reason, each.column or "the row", each.file, str(each.count), each.places) for each in tally(faults)]
    return table(("reason", "column", "file", "how many", "first records"), rows)


def _first(rows: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(sorted(row for row in rows if row is not None)[:_FIRST_ROWS])


def _in(column: str | None) -> str:
    return f" in {column}" if column is not None else ""


def _records(each: Tally) -> str:
    return f"record{'s' if each.count > 1 else ''} {each.places}" if each.first_rows else each.places
