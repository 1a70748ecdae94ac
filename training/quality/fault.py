"""What is wrong with a set, and what was left out of it: where, and why; never the value that stands there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.report.page import Table

_FIRST_ROWS = 5
# As many columns as somebody reads who looks for what is wrong with a file; a folder may have thousands of files.
_MOST_SAID = 20


class Reason(StrEnum):
    """Why a file, a record or a cell isn't taken. The words are stable: reports are compared by them."""

    NO_FILES = "folder without files"
    NO_SUCH_FILE = "no such file"
    EMPTY_FILE = "empty file"
    NO_RECORDS = "no records"
    DAMAGED = "cut short or damaged"
    INCOMPLETE = "another file of its folder is damaged"
    WRONG_ENCODING = "wrong encoding"
    COLUMN_MISSING = "column missing"
    COLUMN_UNKNOWN = "column unknown"
    COLUMN_TWICE = "column twice"
    WRONG_TYPE = "wrong type"
    WRONG_SIZE = "wrong size"
    TOO_FEW_CELLS = "too few cells"
    TOO_MANY_CELLS = "too many cells"
    QUOTES = "quotes don't match"
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
    ALSO_HELD_OUT = "held out as well"
    CONSTANT = "all values the same"
    NOT_NORMALISED = "not normalised"
    NO_PIXELS = "no pixels"
    NOT_SUPPORTED = "not supported"
    TOO_LARGE = "too large"
    TWO_SIZES = "two sizes in a series"
    NO_ORDER = "slices without an order"
    UNEVEN = "slices unevenly spaced"
    SAME_PLACE = "two slices at one place"
    MIXED_SERIES = "slices that don't belong together"
    OTHER_MODALITY = "another modality"


# What a table's cell or record has, and a file doesn't. The others may be of a file: an image that is one item has a size and a class too.
_OF_A_TABLE = frozenset(
    {
        Reason.COLUMN_MISSING, Reason.COLUMN_UNKNOWN, Reason.COLUMN_TWICE, Reason.TOO_FEW_CELLS, Reason.TOO_MANY_CELLS, Reason.QUOTES, Reason.MISSING,
        Reason.NOT_A_NUMBER, Reason.NOT_FINITE, Reason.NOT_A_TIME, Reason.BELOW_MINIMUM, Reason.ABOVE_MAXIMUM, Reason.NOT_AN_INTEGER, Reason.OUTLIER,
        Reason.DUPLICATE_ROW,
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        file: the file's name, or its name below the set's folder.
        row: the number of the record in the file, from 1, without the header; None where all of them are meant.
        column: the column's name; None where the whole record is meant, or, where there is no record either, the whole file.
        reason: why it isn't taken.
    """

    file: str
    row: int | None = None
    column: str | None = None
    reason: Reason

    def __post_init__(self) -> None:
        """Raises ValueError where there is no file, the record has no number from 1 on, or a table's fault names neither a record nor a column."""
        if not self.file:
            message = "file: the file's name"
            raise ValueError(message)
        if self.row is None and self.column is None and self.reason in _OF_A_TABLE:
            message = f"row, column: at least one of them, where it is `{self.reason}`"
            raise ValueError(message)
        if self.row is not None and self.row < 1:
            message = f"row: records are counted from 1; it is {self.row}"
            raise ValueError(message)

    def __str__(self) -> str:
        """For people."""
        record = None if self.row is None else f"record {self.row}"
        return f"{', '.join(part for part in (self.file, record, self.column) if part is not None)}: {self.reason}"


class Refused(ValueError):
    """The data isn't taken. Whatever a set's reader raises because of what its files hold is one of these.

    Attributes:
        faults: what is wrong, and where.
        why: what they come to, for people; empty where they say it themselves. Neither has what stands in a cell.
    """

    def __init__(self, faults: tuple[Fault, ...] = (), why: str = "") -> None:
        super().__init__(faults, why)
        self.faults = faults
        self.why = why

    def __str__(self) -> str:
        """For people, in one line."""
        is_short = len(self.faults) <= _FIRST_ROWS or all(each.row is None for each in self.faults)
        said = [str(each) for each in self.faults] if is_short else as_text(self.faults).splitlines()
        others = [f"and {len(said) - _MOST_SAID} more like these"] if len(said) > _MOST_SAID else []
        return "refused: " + "; ".join([*([self.why] if self.why else []), *said[:_MOST_SAID], *others])


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
    """The faults counted by file, reason and column, those of records apart from those of the whole: the most frequent first, then by these words."""
    places: dict[tuple[str, Reason, str | None, bool], list[int | None]] = {}
    for fault in faults:
        places.setdefault((fault.file, fault.reason, fault.column, fault.row is None), []).append(fault.row)
    tallies = [
        Tally(file=file, column=column, reason=reason, count=len(rows), first_rows=_first(rows)) for (file, reason, column, _), rows in places.items()
    ]
    return tuple(sorted(tallies, key=lambda each: (-each.count, each.file, each.reason, each.column or "", each.first_rows)))


def require_few(wrong: int, among: int, faults: tuple[Fault, ...], *, most: float, look_at: Callable[[Tally], str], what: str = "rows") -> None:
    """Raises Refused where more than the share `most` of a file's records, `wrong` of them, isn't as declared, or none is left.

    `look_at` says what may be behind the most frequent fault; it may say nothing.
    """
    if wrong <= most * among and wrong < among:
        return
    if not among:
        raise Refused(faults, why=f"there are no {what}")
    question = look_at(tally(faults)[0]) if faults else ""
    told = f"{wrong} of {among} {what} ({wrong / among:.1%}) aren't as declared, and up to {most:.0%} may be"
    raise Refused(faults, why=f"{told}: {question}" if question else told)


def as_text(faults: Iterable[Fault]) -> str:
    """A line for each reason and column: how many records, and which are the first; or which file as a whole. Empty where nothing is wrong."""
    return "\n".join(map(_line, tally(faults)))


def as_table(faults: Iterable[Fault]) -> "Table":
    """The same for a report."""
    from training.report.page import table  # noqa: PLC0415 - who reads a stream writes no report

    rows = [
        (each.reason, each.column or ("the row" if each.first_rows else "the file"), each.file, str(each.count), each.places)
        for each in tally(faults)
    ]
    return table(("reason", "column", "file", "how many", "first records"), rows)


def _first(rows: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(sorted(row for row in rows if row is not None)[:_FIRST_ROWS])


def _line(each: Tally) -> str:
    if not each.first_rows:
        return f"{each.reason}: {each.file}" if each.column is None else f"{each.reason}: {each.column} of {each.file}"
    of_column = f" in {each.column}" if each.column is not None else ""
    return f"{each.count} × {each.reason}{of_column}: {each.file}, record{'s' if each.count > 1 else ''} {each.places}"
