"""Numbers from a file of text, a record a line: what is wrong is named by record and column, and never by what stands there."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason, Refused


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Matrix:
    """What could be read.

    Attributes:
        numbers: float64 [records, columns]; NaN in a record that isn't one.
        unread: what is wrong with those.
    """

    numbers: NDArray[np.float64]
    unread: tuple[Fault, ...]


def read(file: Path, *, delimiter: str, columns: int, records: int) -> Matrix:
    """The numbers in `file`, which may be compressed by gzip; blank lines don't count.

    Raises Refused where the file isn't there, is damaged or no text, or has fewer records than the set is known to have; OSError where it can't be
    read.
    """
    lines = [line for line in _text(file).splitlines() if line.strip()]
    if not lines:
        raise Refused((Fault(file=file.name, reason=Reason.EMPTY_FILE),))
    if len(lines) < records:
        raise Refused((Fault(file=file.name, reason=Reason.DAMAGED),), why=f"{len(lines)} of the set's {records} records are there")
    try:
        numbers = np.loadtxt(lines, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError:
        # NumPy's error quotes the cell.
        numbers = np.empty((0, 0))
    if numbers.shape == (len(lines), columns):
        return Matrix(numbers=numbers, unread=())
    numbers, unread = np.full((len(lines), columns), np.nan), []
    for record, line in enumerate(lines):
        found = _numbers(file.name, record + 1, line.split(delimiter), columns)
        if isinstance(found, Fault):
            unread.append(found)
        else:
            numbers[record] = found
    return Matrix(numbers=numbers, unread=tuple(unread))


def _numbers(file: str, row: int, cells: list[str], columns: int) -> list[float] | Fault:
    if len(cells) != columns:
        return Fault(file=file, row=row, reason=Reason.TOO_FEW_CELLS if len(cells) < columns else Reason.TOO_MANY_CELLS)
    found = []
    for column, cell in enumerate(cells, start=1):
        try:
            found.append(float(cell))
        except ValueError:
            return Fault(file=file, row=row, column=f"column {column}", reason=Reason.NOT_A_NUMBER)
    return found


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
    except FileNotFoundError:
        raise Refused((Fault(file=file.name, reason=Reason.NO_SUCH_FILE),)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Refused((Fault(file=file.name, reason=Reason.DAMAGED),)) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise Refused((Fault(file=file.name, row=row, reason=Reason.WRONG_ENCODING),)) from None
