"""Grey values to 8 bits, held against an independent copy of the clauses of PS3.3."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.preprocess import grey

CENTERS = st.floats(-5000, 5000, allow_nan=False)
VALUES = st.lists(st.floats(-40000, 70000, allow_nan=False), min_size=1, max_size=30)


def linear_clause(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.2.1, word for word, for an output range of 0 to 255."""
    ymin, ymax = 0, 255
    if x <= c - 0.5 - (w - 1) / 2:
        return ymin
    if x > c - 0.5 + (w - 1) / 2:
        return ymax
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * (ymax - ymin) + ymin


def linear_exact_clause(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    ymin, ymax = 0, 255
    if x <= c - w / 2:
        return ymin
    if x > c + w / 2:
        return ymax
    return ((x - c) / w + 0.5) * (ymax - ymin) + ymin


def sigmoid_clause(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    exponent = -4 * (x - c) / w
    return 0 if exponent > 700 else 255 / (1 + math.exp(exponent))


@given(VALUES, CENTERS, st.one_of(st.just(1.0), st.floats(1.001, 10000)))
def test_linear(values: list[float], center: float, width: float) -> None:
    expected = [linear_clause(x, center, width) for x in values]

    np.testing.assert_allclose(grey.linear(np.array(values), center, width), expected, atol=1e-6)


@given(VALUES, CENTERS, st.floats(0.01, 10000))
def test_linear_exact(values: list[float], center: float, width: float) -> None:
    expected = [linear_exact_clause(x, center, width) for x in values]

    np.testing.assert_allclose(grey.linear_exact(np.array(values), center, width), expected, atol=1e-6)


@given(VALUES, CENTERS, st.floats(0.01, 10000))
def test_sigmoid(values: list[float], center: float, width: float) -> None:
    expected = [sigmoid_clause(x, center, width) for x in values]

    np.testing.assert_allclose(grey.sigmoid(np.array(values), center, width), expected, atol=1e-6)


@given(
    entries=st.lists(st.integers(0, 4095), min_size=1, max_size=40),
    first=st.integers(-50, 50),
    values=st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=20),
    is_little_endian=st.booleans(),
)
def test_a_table_maps_by_position_and_clamps_at_its_ends(
    entries: list[int],
    first: int,
    values: list[float],
    is_little_endian: bool,
) -> None:
    data = np.array(entries, dtype="<u2" if is_little_endian else ">u2").tobytes()

    table = grey.LookupTable.of((len(entries), first, 12), data, is_little_endian=is_little_endian)

    expected = [entries[min(max(round(value) - first, 0), len(entries) - 1)] for value in values]
    assert table.look_up(np.array(values)).tolist() == expected
    assert table.maximum == 4095


@pytest.mark.parametrize(
    ("descriptor", "data", "entries"),
    [
        ((3, 0, 8), b"\1\2\3", [1, 2, 3]),
        ((3, 0, 8), b"\1\2\3\0", [1, 2, 3]),
        ((3, 0, 8), b"\1\0\2\0\3\0", [1, 2, 3]),
        ((4, 0, 8), [0x0201, 0x0403], [1, 2, 3, 4]),
        ((2, 0, 16), [7, 65535], [7, 65535]),
        ((1, 0, 16), 7, [7]),
    ],
)
def test_tables_come_packed_in_bytes_or_words(descriptor: tuple[int, int, int], data: Any, entries: list[int]) -> None:
    assert grey.LookupTable.of(descriptor, data, is_little_endian=True).entries.tolist() == entries


def test_a_count_of_zero_means_65536() -> None:
    assert len(grey.LookupTable.of((0, 0, 16), bytes(131072), is_little_endian=True).entries) == 65536


@pytest.mark.parametrize(("descriptor", "data"), [((3, 0, 16), b"\0" * 4), ((3, 0, 0), b"\0" * 6), ((3, 0, 17), b"\0" * 6), ((1, 0, 7), b"\xff\xff")])
def test_a_table_that_is_not_what_it_says_is_refused(descriptor: tuple[int, int, int], data: bytes) -> None:
    with pytest.raises(ValueError, match="descriptor"):
        grey.LookupTable.of(descriptor, data, is_little_endian=True)
