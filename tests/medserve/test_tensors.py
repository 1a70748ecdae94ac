"""numpy arrays to tensors and back: nothing is lost, whatever the layout in memory."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from medserve import to_array, to_tensor
from medserve.v1 import tensor_pb2

NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@given(st.data(), st.sampled_from(NUMBERS), st.sampled_from("<>"), SHAPES)
def test_any_array_of_numbers_comes_back_bit_by_bit(data: st.DataObject, name: str, order: Any, shape: tuple[int, ...]) -> None:
    array: NDArray[Any] = data.draw(npst.arrays(np.dtype(name).newbyteorder(order), shape))

    back = to_array(tensor_pb2.Tensor.FromString(to_tensor(array).SerializeToString()))

    assert (back.shape, back.dtype) == (array.shape, np.dtype(name))
    assert back.tobytes() == array.astype(name).tobytes()


@given(npst.arrays("int16", npst.array_shapes(min_dims=2, max_dims=3)))
def test_the_layout_in_memory_does_not_matter(array: NDArray[Any]) -> None:
    for view in (array.T, array[::-1], array[..., ::2], np.asfortranarray(array)):
        assert np.array_equal(to_array(to_tensor(view)), view)


@given(npst.arrays(np.dtype(object), SHAPES, elements=st.binary(max_size=5)))
def test_any_array_of_bytes_comes_back(array: NDArray[Any]) -> None:
    back = to_array(to_tensor(array))

    assert (back.shape, back.ravel().tolist()) == (array.shape, array.ravel().tolist())


@pytest.mark.parametrize("dtype", [object, "U3", np.dtypes.StringDType()])
def test_text_travels_as_utf_8(dtype: Any) -> None:
    tensor = to_tensor(np.array([["µV", ""]], dtype=dtype))

    assert (list(tensor.shape), list(tensor.string_values)) == ([1, 2], ["µV".encode(), b""])
    assert tensor.data_type == tensor_pb2.DATA_TYPE_STRING


def test_content_is_row_major_and_little_endian() -> None:
    array = np.array([[1, 2], [3, 258]], dtype=">u2" if sys.byteorder == "little" else "<u2")

    tensor = to_tensor(array)

    assert tensor.SerializeToString() == bytes.fromhex("0809 1202 0202 1a08 0100 0200 0300 0201")


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.zeros(1, dtype="complex64"), "complex64"),
        (np.zeros(1, dtype="datetime64[s]"), "datetime64"),
        (np.zeros(1, dtype="f4,i4"), "void"),
        (np.array([1, "a"], dtype=object), "int"),
        (np.ma.masked_array([1.0, 2.0], mask=[True, False]), "masked"),
    ],
)
def test_what_does_not_travel_is_refused_by_name(array: NDArray[Any], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        to_tensor(array)


@pytest.mark.parametrize(
    "tensor",
    [
        tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[2], content=bytes(7)),
        tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_STRING, shape=[2], string_values=[b"a"]),
        tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_INT8, shape=[-1, -1], content=bytes(1)),
        tensor_pb2.Tensor(shape=[1], content=bytes(1)),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(tensor: tensor_pb2.Tensor) -> None:
    with pytest.raises(ValueError, match=r"came|below zero|isn't known"):
        to_array(tensor)


def test_the_array_shares_the_tensors_bytes_and_cannot_be_written() -> None:
    array = to_array(to_tensor(np.arange(3)))

    with pytest.raises(ValueError, match="read-only"):
        array[0] = 7
