"""A table from a CSV file that came with a package: what is wrong with the file is named by record and column, and never by what stands there."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.quality.fault import Fault, Reason, Refused

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Read:
    """What could be read.

    Attributes:
        frame: the records with as many cells as there are columns; its index counts the file's records from 0.
        unread: the others.
    """

    frame: "pd.DataFrame"
    unread: tuple[Fault, ...]


def read(file: Path, *, names: tuple[str, ...] = ()) -> Read:
    """The table in `file`, whose first line has the columns' names, or is about other things where `names` has them.

    Each line is a record, for no cell of these sets has a line's end. Raises Refused where the file isn't there, is empty or no text; OSError where
    it can't be read.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    lines = [line for line in text_of(file).splitlines() if line.strip()]
    if not lines:
        raise Refused((Fault(file=file.name, reason=Reason.EMPTY_FILE),))
    columns = names or tuple(_cells(lines[0]) or ())
    unread, good = [], {}
    for record, line in enumerate(lines[1:]):
        cells = _cells(line)
        if cells is not None and len(cells) == len(columns):
            good[record] = line
            continue
        reason = Reason.QUOTES if cells is None else Reason.TOO_FEW_CELLS if len(cells) < len(columns) else Reason.TOO_MANY_CELLS
        unread.append(Fault(file=file.name, row=record + 1, reason=reason))
    # By numbers, so that a name that is there twice isn't made another one.
    numbers = list(range(len(columns)))
    try:
        frame = pd.read_csv(io.StringIO("\n".join(good.values())), header=None, names=numbers) if good else pd.DataFrame(columns=numbers)
        frame.columns, frame.index = pd.Index(columns), pd.Index(list(good), dtype="int64")
    except ValueError:
        # Pandas' errors may quote the file.
        raise Refused((Fault(file=file.name, reason=Reason.DAMAGED),)) from None
    return Read(frame=frame, unread=tuple(unread))


def _cells(line: str) -> list[str] | None:
    """None where quotes don't match: the cells that follow would be taken for one."""
    if '"' not in line:
        return line.split(",")
    try:
        return None if line.count('"') % 2 else next(csv.reader([line]))
    except csv.Error:
        return None


def text_of(file: Path) -> str:
    """What is in a file of text in UTF-8. Raises Refused where it isn't there or is none; OSError where it can't be read."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise Refused((Fault(file=file.name, reason=Reason.NO_SUCH_FILE),)) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The first line has the names.
        record = content.count(b"\n", 0, error.start) or None
        raise Refused((Fault(file=file.name, row=record, reason=Reason.WRONG_ENCODING),)) from None
