"""The tensor between the stages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gateway.tensor import DType, Tensor

NUMERIC = [dtype for dtype in DType if dtype is not DType.STRING]


@given(st.sampled_from(NUMERIC).flatmap(lambda dtype: npst.arrays(dtype.numpy, npst.array_shapes(min_dims=0, min_side=0, max_side=4))))
def test_holds_any_array_and_gives_it_back(array: np.ndarray) -> None:
    tensor = Tensor.of(array)

    assert tensor.array.tobytes() == np.ascontiguousarray(array).tobytes()
    assert tensor.shape == array.shape
    assert tensor.array.dtype == array.dtype


def test_bytes_are_row_major_and_little_endian_whatever_the_array_was() -> None:
    array = np.array([[1, 2], [3, 4]], dtype=">u2").T

    assert Tensor.of(array).content == bytes([1, 0, 3, 0, 2, 0, 4, 0])


def test_the_view_is_no_copy_and_read_only() -> None:
    tensor = Tensor(dtype=DType.UINT8, shape=(2,), content=memoryview(b"\1\2"))

    with pytest.raises(ValueError, match="read-only"):
        tensor.array[0] = 3
    assert np.shares_memory(tensor.array, np.frombuffer(tensor.content, dtype=np.uint8))


@pytest.mark.parametrize(
    "arguments",
    [
        {"dtype": DType.FLOAT32, "shape": (2,), "content": b"\0" * 4},
        {"dtype": DType.FLOAT32, "shape": (), "content": b""},
        {"dtype": DType.FLOAT32, "shape": (-1, -1), "content": b"\0" * 4},
        {"dtype": DType.STRING, "shape": (2,), "strings": (b"a",)},
    ],
)
def test_is_valid_once_constructed(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Tensor(**arguments)  # type: ignore[arg-type]


def test_changes_shape_without_a_copy() -> None:
    tensor = Tensor.of(np.arange(6, dtype=np.int32))

    assert tensor.with_shape((2, 3)).content is tensor.content
    with pytest.raises(ValueError, match="expected"):
        tensor.with_shape((2, 4))


def test_strings_have_no_numbers() -> None:
    tensor = Tensor(dtype=DType.STRING, shape=(1,), strings=(b"a",))

    with pytest.raises(TypeError):
        tensor.array  # noqa: B018 - it raises
