"""Large arrays of numbers out of JSON text: a part after the other, so that no other thread waits, and no object is made of a number for long.

An array is taken where it is of one length at every level. The brackets and commas alone, without the numbers, are then a text that the shape says;
and what is between the commas is a list of numbers for Python's parsers, of which each part is as good as the whole.
"""

import json
import re
from dataclasses import dataclass
from math import prod
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

_OPEN, _CLOSE, _COMMA = b"[],"
# NaN and Infinity are numbers too.
_ARRAY = re.compile(rb"[][0-9eE+\-., \t\r\nNaInfity]*")
_NO_MARKS = bytes(set(range(256)) - set(b"[],"))
_TO_SPACES = bytes.maketrans(b"[]", b"  ")
# What is read, and looked at, at once: a millisecond or so.
_WINDOW_BYTES = 1 << 16
# Smaller ones are read a token at a time.
_MIN_BYTES = 256
_IN_VAIN = 4
# NumPy's.
_MAX_RANK = 64
_DECODER = msgspec.json.Decoder(list[int | float])


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """An array: `values` are all of its numbers in C order, as int64 where all of them are whole in the text, and as float64 otherwise."""

    shape: tuple[int, ...]
    values: NDArray[Any]


class ArrayReader:
    """Reads the arrays of one text. What turned out to be none was looked at in vain: that is done so often, and then no more."""

    def __init__(self, text: bytes) -> None:
        """Takes the text."""
        self._text = text
        self._left_bytes = _IN_VAIN * len(text)

    def read(self, start: int) -> tuple[Numbers, int] | None:
        """The array that begins there, and the place after it. None where it isn't one of numbers, isn't regular, or is small."""
        if self._left_bytes < 0:
            return None
        end = self._end_of(start)
        array = self._text[start:end]
        values = None
        shape = _shape_of(array.translate(None, _NO_MARKS)) if len(array) >= _MIN_BYTES else None
        if shape is not None and _are_innermost(np.frombuffer(array.translate(None, b" \t\r\n"), np.uint8)):
            values = _values_of(array.translate(_TO_SPACES))
        if shape is None or values is None or len(values) != prod(shape):
            self._left_bytes -= len(array)
            return None
        return Numbers(shape=shape, values=values), end

    def _end_of(self, start: int) -> int:
        """The place after the bracket that closes the one at the start; the start itself, where something comes before it that is no number."""
        text, depth, position = self._text, 0, start
        while True:
            found = _ARRAY.match(text, position, position + _WINDOW_BYTES)
            if found is None or found.end() == position:
                self._left_bytes -= position - start
                return start
            window = np.frombuffer(text, np.uint8, found.end() - position, position)
            depths = depth + np.cumsum((window == _OPEN).astype(np.int32) - (window == _CLOSE), dtype=np.int64)
            closed = np.flatnonzero(depths == 0)
            if closed.size:
                return position + int(closed[0]) + 1
            depth, position = int(depths[-1]), found.end()


def _shape_of(marks: bytes) -> tuple[int, ...] | None:
    """The shape whose brackets and commas these are; None where they are no shape's. An empty list looks like one of one number."""
    rank = len(marks) - len(marks.lstrip(b"["))
    if rank > _MAX_RANK:
        return None
    sizes: list[int] = []
    inner = 0
    for closed in range(1, rank + 1):
        # The first list at this level ends where so many brackets come together first.
        length = marks.find(b"]" * closed) + closed - (rank - closed)
        size, rest = divmod(length - 1, inner + 1)
        if size < 1 or rest:
            return None
        sizes.append(size)
        inner = length
    expected = b""
    for size in sizes:
        expected = b"[" + b",".join([expected] * size) + b"]"
        if len(expected) > len(marks):
            return None
    return tuple(reversed(sizes)) if expected == marks else None


def _are_innermost(tight: NDArray[np.uint8]) -> bool:
    """Whether no number stands beside a list: before a bracket that opens one, or after one that closes one."""
    before = tight[:-1][tight[1:] == _OPEN]
    after = tight[1:][tight[:-1] == _CLOSE]
    return bool(((before == _OPEN) | (before == _COMMA)).all() and ((after == _CLOSE) | (after == _COMMA)).all())


def _values_of(listed: bytes) -> NDArray[Any] | None:
    """The numbers of a text with commas between them; None where there is anything else."""
    parts: list[NDArray[Any]] = []
    position = 0
    while position <= len(listed):
        end = listed.find(b",", position + _WINDOW_BYTES)
        end = len(listed) if end < 0 else end
        numbers = _decoded(b"[" + listed[position:end] + b"]")
        kinds = set(map(type, numbers))
        if not kinds or not kinds <= {int, float}:
            return None
        try:
            parts.append(np.array(numbers, np.int64 if kinds == {int} else np.float64))
        except OverflowError:
            return None
        position = end + 1
    # Together they are float64 where one of them is: as RapidJSON's integers become doubles.
    values = np.concatenate(parts)
    # A number that no double holds is an error, and Infinity isn't.
    return None if np.isinf(values).any() and b"Inf" not in listed else values


def _decoded(listed: bytes) -> list[Any]:
    try:
        return _DECODER.decode(listed)
    except msgspec.DecodeError:
        pass
    try:
        numbers: list[Any] = json.loads(listed)
    except ValueError:
        return []
    return numbers
