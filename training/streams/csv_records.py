"""Where a CSV file's records begin and end (RFC 4180), without a look at their cells.

So the file is cut into pieces that can be read one by one.

A record ends at a line's end (LF, CRLF or CR) outside of quotes. A quote opens a quoted cell only where the cell begins; elsewhere it is a letter, as
in `5" cuff`, and Arrow reads it so as well. Lines with nothing in them are no records.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

QUOTE, LF, CR = ord('"'), ord("\n"), ord("\r")
# A quoted cell that is longer was never meant to be one.
_LONGEST = 1 << 20
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Records that follow one another.

    Attributes:
        begin, end: their bytes in the file.
        records: how many.
        is_open: one record, of which a quoted cell never ends.
    """

    begin: int
    end: int
    records: int
    is_open: bool = False


def pieces(path: Path, *, delimiter: str, begin: int = 0, size: int = 1 << 20) -> Iterator[Piece]:
    """The file from byte `begin`, where a record begins, in pieces of about `size` bytes. Raises OSError.

    Where a quoted cell doesn't end for a mebibyte, or before the file does, its quote was never meant to be one: that line is a piece of its own, and
    what follows is read as if the quote weren't there.
    """
    with path.open("rb") as file:
        cut = begin
        file.seek(cut)
        at, inside, last = cut, False, LF
        while True:
            chunk = _chunk(file, size)
            is_end = not chunk
            bytes_ = np.frombuffer(chunk, np.uint8)
            ends, inside = _ends(bytes_, ord(delimiter), inside=inside, last=last)
            if len(ends):
                stop = at + int(ends[-1])
                yield Piece(begin=cut, end=stop, records=_count(bytes_, ends, before=at - cut))
                cut = stop
            at += len(chunk)
            last = chunk[-1] if chunk else last
            if inside and (is_end or at - cut > max(size, _LONGEST)):
                line = _line_end(path, cut, size)
                yield Piece(begin=cut, end=line, records=1, is_open=True)
                cut = at = line
                file.seek(cut)
                inside, last = False, LF
            elif is_end:
                if at > cut:
                    yield Piece(begin=cut, end=at, records=1)
                return


def first_record(head: bytes, *, delimiter: str) -> tuple[int, int]:
    """Where the first record of a file begins and ends, which begins with `head`; (0, 0) where there is none."""
    begin = len(BOM) if head.startswith(BOM) else 0
    while begin < len(head) and head[begin] in {LF, CR}:
        begin += 1
    ends, _ = _ends(np.frombuffer(head[begin:], np.uint8), ord(delimiter), inside=False, last=LF)
    if begin == len(head):
        return (0, 0)
    return begin, begin + int(ends[0]) if len(ends) else len(head)


def split(content: bytes, *, delimiter: str) -> list[bytes]:
    """The records of a piece, one by one."""
    ends, _ = _ends(np.frombuffer(content, np.uint8), ord(delimiter), inside=False, last=LF)
    borders = [0, *ends.tolist(), *([len(content)] if not len(ends) or ends[-1] < len(content) else [])]
    records = [content[begin:end] for begin, end in itertools.pairwise(borders)]
    return [record for record in records if record.strip(b"\r\n")]


def _chunk(file: BinaryIO, size: int) -> bytes:
    """So many bytes; a few more, where what the last one means depends on the next."""
    chunk = file.read(size)
    while chunk and chunk[-1] in {QUOTE, CR} and (more := file.read(1)):
        chunk += more
    return chunk


def _ends(chunk: NDArray[np.uint8], delimiter: int, *, inside: bool, last: int) -> tuple[NDArray[np.intp], bool]:
    """Just behind each record's end, and whether the chunk ends within quotes. `inside` and `last`: of the byte before the chunk."""
    lines = chunk == LF
    returns = np.flatnonzero(chunk == CR)
    if len(returns):
        alone = returns[(returns + 1 == len(chunk)) | (chunk[np.minimum(returns + 1, len(chunk) - 1)] != LF)]
        lines[alone] = True
    ends = np.flatnonzero(lines)
    toggles = np.flatnonzero(chunk == QUOTE)
    if len(toggles):
        toggles = _toggles(chunk, toggles, delimiter, inside=inside, last=last)
    outside = (np.searchsorted(toggles, ends) + inside) % 2 == 0
    return ends[outside] + 1, bool((len(toggles) + inside) % 2)


def _toggles(chunk: NDArray[np.uint8], quotes: NDArray[np.intp], delimiter: int, *, inside: bool, last: int) -> NDArray[np.intp]:
    """Those of the quotes that begin or end a quoted cell; a doubled quote ends it and begins it again."""
    borders = np.zeros(256, bool)
    borders[[delimiter, LF, CR, QUOTE]] = True
    before = borders[np.concatenate([[np.uint8(last)], chunk[:-1]])[quotes]]
    after = borders[np.concatenate([chunk[1:], [np.uint8(LF)]])[quotes]]
    opens = (np.arange(len(quotes)) + inside) % 2 == 0
    if np.where(opens, before, after).all():
        return quotes
    # Somewhere a quote is a letter: from here on one by one.
    found: list[int] = []
    done = -1
    for place in quotes.tolist():
        if place <= done:
            continue
        previous = int(chunk[place - 1]) if place else last
        if not inside:
            if previous in {delimiter, LF, CR}:
                inside = True
                found.append(place)
        elif place + 1 < len(chunk) and chunk[place + 1] == QUOTE:
            done = place + 1
        else:
            inside = False
            found.append(place)
    return np.array(found, np.intp)


def _count(chunk: NDArray[np.uint8], ends: NDArray[np.intp], *, before: int) -> int:
    """How many of the records aren't empty lines; the first began `before` bytes before the chunk."""
    lengths = np.diff(ends, prepend=-before)
    # No chunk ends between CR and LF.
    pairs = (lengths == 2) & (ends > 1) & (chunk[np.maximum(ends - 2, 0)] == CR)  # noqa: PLR2004 - CR and LF
    return int(np.count_nonzero((lengths > 1) & ~pairs))


def _line_end(path: Path, begin: int, size: int) -> int:
    """Behind the end of the line that begins there."""
    with path.open("rb") as file:
        file.seek(begin)
        at = begin
        while chunk := _chunk(file, size):
            breaks = [place for place in (chunk.find(b"\n"), chunk.find(b"\r")) if place >= 0]
            if breaks:
                place = min(breaks)
                return at + place + (2 if chunk[place : place + 2] == b"\r\n" else 1)
            at += len(chunk)
        return at
