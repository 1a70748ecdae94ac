"""Protobuf's packed numbers to arrays and back, as a whole: Python's protobuf would make an object of every number.

The format is https://protobuf.dev/programming-guides/encoding/: a fixed-width number is its little-endian bytes. A varint has seven bits in each
byte, the lowest first, and the highest bit of a byte says that another one follows; a negative number is written as its 64-bit two's complement.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE, _BITS = 0x80, 7


def varint(number: int) -> bytes:
    """One number, from 0 on."""
    encoded = bytearray()
    while number > _MORE - 1:
        encoded.append(number & (_MORE - 1) | _MORE)
        number >>= _BITS
    encoded.append(number)
    return bytes(encoded)


def varints(values: NDArray[Any]) -> bytes:
    """Whole numbers or booleans of any shape, in C order, as packed varints."""
    numbers = values.ravel()
    if numbers.dtype.kind == "i":
        numbers = numbers.astype(np.int64).view(np.uint64)
    if not numbers.size:
        return b""
    most = int(numbers.max())
    if most < _MORE:
        return numbers.astype(np.uint8).tobytes()
    # Column by column, in the smallest type that holds them all: memory is what this costs.
    numbers = numbers.astype(np.min_scalar_type(most))
    width = -(-most.bit_length() // _BITS)
    encoded = np.empty((numbers.size, width), np.uint8)
    is_written = np.ones((numbers.size, width), bool)
    for position in range(width):
        group = numbers >> numbers.dtype.type(_BITS * position)
        encoded[:, position] = group & numbers.dtype.type(_MORE - 1)
        if position:
            np.not_equal(group, 0, out=is_written[:, position])
            encoded[:, position - 1] |= is_written[:, position].view(np.uint8) << np.uint8(_BITS)
    return encoded[is_written].tobytes()


def read_varints(data: memoryview) -> NDArray[np.uint64]:
    """The numbers of packed varints that protobuf has written: each of at most ten bytes, the last one whole."""
    encoded = np.frombuffer(data, np.uint8)
    is_last = encoded < _MORE
    if is_last.all():
        return encoded.astype(np.uint64)
    starts = np.flatnonzero(np.concatenate(([True], is_last[:-1])))
    widths = np.diff(starts, append=len(encoded))
    numbers = (encoded[starts] & np.uint8(_MORE - 1)).astype(np.uint64)
    for position in range(1, int(widths.max())):
        has = np.flatnonzero(widths > position)
        numbers[has] |= (encoded[starts[has] + position] & np.uint8(_MORE - 1)).astype(np.uint64) << np.uint64(_BITS * position)
    return numbers


def field(message: bytes, number: int) -> memoryview:
    """The payload of the only length-delimited field of that number in a message that protobuf has written; empty where there is none."""
    view, position = memoryview(message), 0
    while position < len(message):
        tag, position = read_varint(message, position)
        kind = tag & 7
        if kind == _BYTES:
            length, position = read_varint(message, position)
            if tag >> 3 == number:
                return view[position : position + length]
            position += length
        elif kind == _VARINT:
            _, position = read_varint(message, position)
        else:
            position += {_FIXED64: 8, _FIXED32: 4}[kind]
    return view[:0]


def read_varint(message: bytes, position: int) -> tuple[int, int]:
    """The number at that place, and the place after it. Raises IndexError where the message ends within it."""
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & (_MORE - 1)) << shift
        if byte < _MORE:
            return number, position
        shift += _BITS
