"""Large arrays of numbers: what is read of them at once is what is read of them a token at a time."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import types_pb2

from modelserver.errors import ServingError
from modelserver.rest import json_numbers
from modelserver.rest.json_numbers import ArrayReader
from modelserver.rest.json_text import parse_exactly
from modelserver.rest.tensors import read_inputs

NUMBER = st.integers(-(1 << 63), (1 << 63) - 1) | st.floats()


@pytest.fixture(params=[json_numbers._WINDOW_BYTES, 7])
def window(request: pytest.FixtureRequest) -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(json_numbers, "_MIN_BYTES", 1)
    patch.setattr(json_numbers, "_WINDOW_BYTES", request.param)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _small(window: Any) -> None:
    """Small texts stand for large ones."""


SHAPED = arrays.array_shapes(min_dims=1, max_dims=4, max_side=4).flatmap(
    lambda shape: st.lists(NUMBER, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))).map(lambda values: (shape, values))
)


@given(shaped=SHAPED, indent=st.none() | st.integers(0, 2), after=st.sampled_from([b"", b"]", b"}", b", [1]", b' "a"']))
def test_an_array_is_read_as_it_is(shaped: tuple[tuple[int, ...], list[Any]], indent: int | None, after: bytes) -> None:
    shape, values = shaped
    text = json.dumps(np.array(values, object).reshape(shape).tolist(), indent=indent).encode()

    found = ArrayReader(b'{"a": ' + text + after).read(6)

    assert found is not None
    numbers, end = found
    assert (numbers.shape, end) == (shape, 6 + len(text))
    whole = all(isinstance(value, int) for value in values)
    np.testing.assert_array_equal(numbers.values, np.array(values, np.int64 if whole else np.float64))


@given(text=st.text(alphabet="[],1 2.-eN", max_size=20).map(lambda text: f"[{text}]".encode()))
def test_what_is_no_array_of_numbers_isnt_read(text: bytes) -> None:
    found = ArrayReader(text).read(0)

    if found is not None:
        numbers, end = found
        assert np.array(json.loads(text[:end]), object).shape == numbers.shape
        np.testing.assert_array_equal(np.array(json.loads(text[:end]), numbers.values.dtype).ravel(), numbers.values)


@pytest.mark.parametrize(
    "text",
    [b"[]", b"[[],[]]", b"[[1],[2,3]]", b"[1,[2]]", b"[[1]2]", b"[[1,2]3,[4,5]]", b"[1 2]", b"[1,]", b"[,1]", b"[01]", b"[1e400]", b"[1", b"[Inf]",
     b"[null]", b'["1"]', b"[18446744073709551615]", b"[true]", b"[[1][2]]", b"[[1],,[2]]"],
)  # fmt: skip
def test_what_is_left_to_be_read_a_token_at_a_time(text: bytes) -> None:
    assert ArrayReader(text).read(0) is None


def test_integers_beside_floats_are_floats() -> None:
    found = ArrayReader(b"[1, 2, 3, 4, 5, 6, 0.5]").read(0)

    assert found is not None
    assert found[0].values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5]


DTYPES = [types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_INT32, types_pb2.DT_UINT8, types_pb2.DT_INT64, types_pb2.DT_BOOL, types_pb2.DT_STRING]
BODIES = [
    '{"instances": [[1, 2], [3, 4]]}',
    '{"instances": [0.5, 2]}',
    '{"instances": [1, 300]}',
    '{"inputs": [[1, 2], [3, -4]]}',
    '{"inputs": [2147483648]}',
    '{"inputs": {"x": [[0.5]]}}',
    '{"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}',
    '{"instances": [{"x": [1, 2]}, {"x": [3, 4.5]}]}',
    '{"instances": [{"x": [1, 2]}, {"x": [3]}]}',
    '{"instances": [{"x": [1, 2]}, {"x": 3}]}',
    '{"instances": [{"x": [[1, 2], "a"]}]}',
    '{"instances": [[1, 2], [3]]}',
    '{"instances": [[1, 2], ["a", 2]]}',
    '{"instances": [[[1, 2]], [[1, 2], [3, 4]]]}',
    '{"inputs": {"y": [1]}}',
    '{"instances": 1, "more": [1]}',
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("body", BODIES)
def test_a_tensor_is_the_same_either_way(body: str, dtype: int) -> None:
    def outcome(*arguments: Any) -> Any:
        try:
            (tensor,) = read_inputs(parse_exactly(body.encode(), *arguments), body.encode(), {"x": dtype})[0].values()
        except ServingError as error:
            return error.code
        return tensor

    assert outcome(ArrayReader(body.encode()).read) == outcome()


def test_what_is_no_array_isnt_looked_at_without_end() -> None:
    """Each of the brackets could begin one: to look at all of them to the end would take hours."""
    text = b'{"a": ' + b"[" * 300_000 + b"]" * 300_000 + b"}"
    ticks: list[None] = []

    value = parse_exactly(text, ArrayReader(text).read, lambda: ticks.append(None))

    assert ticks
    while value:
        value = value["a"] if isinstance(value, dict) else value[0]
