"""Tensors off and on to the wire, against TensorFlow's own reading and writing of them."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2, types_pb2

from modelserver.errors import ServingError
from modelserver.tensor import check_shape, declared, read_tensor, tensor_writer, type_name

DTYPES = (
    tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64,
    tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.bool, tf.complex64, tf.complex128,
)  # fmt: skip
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[Any, NDArray[Any]]:
    """A type, and an array of it with any bits."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(SHAPES)
    as_numpy = np.dtype(dtype.as_numpy_dtype)
    size = int(np.prod(shape)) * as_numpy.itemsize
    bits = draw(st.binary(min_size=size, max_size=size))
    if dtype == tf.bool:
        bits = bytes(byte & 1 for byte in bits)
    return dtype, np.frombuffer(bits, dtype=as_numpy).reshape(shape)


@st.composite
def strings(draw: st.DrawFn) -> NDArray[Any]:
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    return np.array(draw(st.lists(st.binary(max_size=5), min_size=count, max_size=count)), dtype=object).reshape(shape)


def read(proto: tensor_pb2.TensorProto) -> NDArray[Any]:
    return read_tensor("x", proto, declared("x", proto))


def write(dtype: int, array: NDArray[Any]) -> tensor_pb2.TensorProto:
    return tensor_pb2.TensorProto.FromString(b"".join(tensor_writer(dtype, as_content=False)(array)))


def same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Equal in type, shape and every bit: NaN too."""
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@given(numbers())
def test_contents_are_read_as_tensorflow_reads_them(given_numbers: tuple[Any, NDArray[Any]]) -> None:
    dtype, array = given_numbers
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_content=array.tobytes())
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)

    result = read(proto)

    assert same(result, tf.make_ndarray(proto))


@given(numbers())
def test_what_is_written_is_read_back_by_tensorflow(given_numbers: tuple[Any, NDArray[Any]]) -> None:
    dtype, array = given_numbers

    proto = write(dtype.as_datatype_enum, array)

    result = tf.make_ndarray(proto)
    assert (result.dtype, result.shape) == (array.dtype, array.shape)
    # A signalling NaN becomes a quiet one on its way through a Python number; a NaN it stays.
    assert np.array_equal(result, array, equal_nan=array.dtype.kind in "fc") or same(np.nan_to_num(result), np.nan_to_num(array))
    assert not proto.tensor_content


@given(numbers())
def test_what_is_written_is_read_back_by_ourselves(given_numbers: tuple[Any, NDArray[Any]]) -> None:
    dtype, array = given_numbers
    proto = write(dtype.as_datatype_enum, array)

    result = read(proto)

    assert same(result, array)


@given(strings())
def test_strings_go_through_unchanged(array: NDArray[Any]) -> None:
    proto = write(types_pb2.DT_STRING, array)

    result = read(proto)

    assert result.shape == array.shape
    assert result.tolist() == array.tolist()
    assert proto == tf.make_tensor_proto(array, tf.string, array.shape)


@given(st.sampled_from(DTYPES), st.integers(1, 20))
def test_the_last_value_fills_the_shape_as_tensorflow_does(dtype: Any, size: int) -> None:
    proto = write(dtype.as_datatype_enum, np.ones(1, dtype.as_numpy_dtype))
    proto.tensor_shape.dim[0].size = size

    result = read(proto)

    assert same(result, np.ones(size, dtype.as_numpy_dtype))


def proto_of(dtype: int, *shape: int, **fields: Any) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


FLOAT = types_pb2.DT_FLOAT
BROKEN = {
    "no type": proto_of(types_pb2.DT_INVALID),
    "a type without values": proto_of(types_pb2.DT_RESOURCE, 1),
    "a type that doesn't exist": proto_of(999, 1),
    "truncated content": proto_of(FLOAT, 2, tensor_content=b"1234567"),
    "too much content": proto_of(FLOAT, 2, tensor_content=b"123456789"),
    "content of 10^9 elements, truncated": proto_of(FLOAT, 10**9, tensor_content=b"1234"),
    "content for strings": proto_of(types_pb2.DT_STRING, 1, tensor_content=b"1234"),
    "content for no elements": proto_of(FLOAT, 0, tensor_content=b"1234"),
    "more values than elements": proto_of(FLOAT, 1, float_val=[1, 2]),
    "half a complex number": proto_of(types_pb2.DT_COMPLEX64, 1, scomplex_val=[1, 2, 3]),
    "a negative size": proto_of(FLOAT, -1),
    "two negative sizes": proto_of(FLOAT, -1, -1, float_val=[1]),
    "more dimensions than TensorFlow knows": proto_of(FLOAT, *[1] * 255, tensor_content=b"1234"),
    "a size beyond all memory, and none of them": proto_of(FLOAT, 2**62, 2**62, 0),
    "a number that is too large for its type": proto_of(types_pb2.DT_INT8, 1, int_val=[300]),
    "a half of too many bits": proto_of(types_pb2.DT_HALF, 1, half_val=[1 << 17]),
}
BROKEN["an unknown rank"] = tensor_pb2.TensorProto(dtype=FLOAT, float_val=[1])
BROKEN["an unknown rank"].tensor_shape.unknown_rank = True


@pytest.mark.parametrize("proto", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_tensor_is_refused(proto: tensor_pb2.TensorProto) -> None:
    with pytest.raises(ServingError) as caught:
        read(proto)

    assert (caught.value.code.name, caught.value.message) == ("INVALID_ARGUMENT", "tensor parsing error: x")


def test_more_dimensions_than_kernels_stand_are_refused() -> None:
    read(proto_of(FLOAT, *[1] * 12, float_val=[1]))
    with pytest.raises(ServingError) as caught:
        read(proto_of(FLOAT, *[1] * 13, float_val=[1]))

    assert (caught.value.code.name, caught.value.message) == ("INVALID_ARGUMENT", "input x has 13 dimensions: at most 12 are taken")


@pytest.mark.parametrize("dtype", [types_pb2.DT_FLOAT, types_pb2.DT_STRING, types_pb2.DT_COMPLEX128, types_pb2.DT_INT8])
@pytest.mark.parametrize("shape", [(10**9,), (10**6, 10**6, 10**6)])
def test_a_billion_declared_elements_are_refused_before_they_are_made(dtype: int, shape: tuple[int, ...]) -> None:
    proto = proto_of(dtype, *shape)

    with pytest.raises(ServingError, match="at most 67108864 are filled in"):
        read(proto)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((2, 3), (None, 3)), ((0, 3), (None, 3)), ((), ()), ((5,), (5,)), ((1, 2, 3), None), ((), None)],
)
def test_a_shape_that_fits_the_signature_passes(shape: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> None:
    check_shape("x", shape, wanted)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((3,), (None, 3)), ((2, 4), (None, 3)), ((), (None,)), ((1,), ()), ((2, 3, 1), (None, 3))],
)
def test_a_shape_that_doesnt_fit_is_refused_with_both(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> None:
    with pytest.raises(ServingError) as caught:
        check_shape("x", shape, wanted)

    expected = [-1 if size is None else size for size in wanted]
    assert caught.value.message == f"input x has the shape {list(shape)}, but the signature takes {expected}"


@pytest.mark.parametrize(("dtype", "name"), [(tf.float32, "float"), (tf.float64, "double"), (tf.float16, "half"), (tf.int32, "int32")])
def test_a_type_has_the_name_that_tensorflow_serving_gives_it(dtype: Any, name: str) -> None:
    assert type_name(dtype.as_datatype_enum) == name
