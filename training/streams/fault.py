"""What was left out of a set: where, and why; never the value that stands there."""

import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a file, a record or a cell isn't taken. The words are stable: reports are compared by them."""

    NO_FILES = "folder without files"
    NO_SUCH_FILE = "no such file"
    EMPTY_FILE = "empty file"
    NO_RECORDS = "no records"
    DAMAGED = "cut short or damaged"
    WRONG_ENCODING = "wrong encoding"
    COLUMN_MISSING = "column missing"
    COLUMN_TWICE = "column twice"
    WRONG_TYPE = "wrong type"
    WRONG_SIZE = "wrong size"
    TOO_FEW_CELLS = "too few cells"
    TOO_MANY_CELLS = "too many cells"
    QUOTES = "quotes don't match"
    MISSING = "missing"
    NOT_A_NUMBER = "not a number"
    NOT_FINITE = "not finite"
    NOT_AN_INTEGER = "not an integer"
    UNKNOWN_CATEGORY = "unknown category"
    CONFLICTING_LABEL = "conflicting label"
    NO_PIXELS = "no pixels"
    NOT_SUPPORTED = "not supported"
    TOO_LARGE = "too large"
    TWO_SIZES = "two sizes in a series"
    NO_ORDER = "slices without an order"
    UNEVEN = "slices unevenly spaced"
    INCOMPLETE = "another file of its folder is damaged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong. The fields are those of `training.quality.fault.Fault`; here a whole file can be meant.

    Attributes:
        file: the file's name below the set's folder.
        row: the number of the record in the file, from 1, without the header; None where the whole file is meant.
        column: the column's name; None where the whole record is meant.
        reason: why it isn't taken.
    """

    file: str
    row: int | None = None
    column: str | None = None
    reason: Reason

    def __post_init__(self) -> None:
        """Raises ValueError where there is no file, or the record has no number from 1 on."""
        if not self.file:
            message = "file: the file's name"
            raise ValueError(message)
        if self.row is not None and self.row < 1:
            message = f"row: records are counted from 1; it is {self.row}"
            raise ValueError(message)

    def __str__(self) -> str:
        """For people."""
        record = None if self.row is None else f"record {self.row}"
        return f"{', '.join(part for part in (self.file, record, self.column) if part is not None)}: {self.reason}"


class Quarantine:
    """Collects faults, from several threads as well: each one once, the first `at_most` of them; the others are only counted.

    A fault beyond `at_most` that is told twice, as in a second epoch, is counted twice: what was told before isn't kept.
    """

    def __init__(self, at_most: int = 10_000) -> None:
        """Raises ValueError where `at_most` is below 1."""
        if at_most < 1:
            message = f"at_most: 1 or more faults are kept, not {at_most}"
            raise ValueError(message)
        self._at_most = at_most
        self._lock = threading.Lock()
        self._faults: dict[Fault, None] = {}
        self._reasons: Counter[Reason] = Counter()

    def add(self, fault: Fault) -> None:
        """Takes one in."""
        with self._lock:
            if fault in self._faults:
                return
            self._reasons[fault.reason] += 1
            if len(self._faults) < self._at_most:
                self._faults[fault] = None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Those that are kept, in the order in which they were found."""
        with self._lock:
            return tuple(self._faults)

    @property
    def reasons(self) -> dict[Reason, int]:
        """How many were found, by reason: the most frequent first."""
        with self._lock:
            return dict(self._reasons.most_common())

    @property
    def count(self) -> int:
        """How many were found."""
        return sum(self.reasons.values())
