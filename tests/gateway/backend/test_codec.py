"""Tensors on TensorFlow Serving's wire, against TensorFlow's own reading and writing of it."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2 as their_tensor_pb2
from tensorflow.python.framework import tensor_util

from gateway.backend.codec import read_batch_of_one, write_batch_of_one
from gateway.errors import BackendAnswerInvalid
from gateway.tensor import DType, Tensor
from tfserving.v1 import tensor_pb2

NUMERIC = [dtype for dtype in DType if dtype is not DType.STRING]
arrays = st.sampled_from(NUMERIC).flatmap(lambda dtype: hnp.arrays(dtype.numpy, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))


@given(arrays)
def test_tensorflow_reads_what_is_written(array: np.ndarray) -> None:
    proto = tensor_pb2.TensorProto()
    write_batch_of_one(Tensor.of(array), proto)

    theirs = _their_reading(proto)

    np.testing.assert_array_equal(theirs, array[np.newaxis])
    assert theirs.dtype == array.dtype


def _their_reading(proto: tensor_pb2.TensorProto) -> np.ndarray:
    return tf.make_ndarray(their_tensor_pb2.TensorProto.FromString(proto.SerializeToString()))


@given(arrays)
def test_what_tensorflow_writes_is_read_either_way(array: np.ndarray) -> None:
    for written in (tf.make_tensor_proto(array[np.newaxis]), _typed(array[np.newaxis])):
        read = read_batch_of_one("y", tensor_pb2.TensorProto.FromString(written.SerializeToString()), max_elements=1000)

        np.testing.assert_array_equal(read.array, array)
        assert read.dtype == array.dtype.name


def _typed(array: np.ndarray) -> their_tensor_pb2.TensorProto:
    """As TensorFlow Serving answers by default: typed values, none of them in `tensor_content`."""
    proto = their_tensor_pb2.TensorProto(dtype=tf.as_dtype(array.dtype).as_datatype_enum)
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    tensor_util.GetNumpyAppendFn(array.dtype)(proto, array.ravel())
    return proto


def test_strings_go_both_ways() -> None:
    proto = tensor_pb2.TensorProto()
    write_batch_of_one(Tensor(dtype=DType.STRING, shape=(2,), strings=(b"a", b"\xff\x00")), proto)

    assert _their_reading(proto).tolist() == [[b"a", b"\xff\x00"]]
    assert read_batch_of_one("y", proto, max_elements=2).strings == (b"a", b"\xff\x00")


def test_the_last_value_fills_the_shape() -> None:
    proto = tensor_pb2.TensorProto(dtype=tensor_pb2.DATA_TYPE_FLOAT, float_val=[1, 2])
    for size in (1, 4):
        proto.tensor_shape.dim.add(size=size)

    assert read_batch_of_one("y", proto, max_elements=4).array.tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("dtype", "shape", "content"),
    [
        pytest.param(tensor_pb2.DATA_TYPE_FLOAT, (1, 2), b"\0" * 4, id="too few bytes"),
        pytest.param(tensor_pb2.DATA_TYPE_FLOAT, (2, 1), b"\0" * 8, id="two items"),
        pytest.param(tensor_pb2.DATA_TYPE_FLOAT, (), b"\0" * 4, id="no batch dimension"),
        pytest.param(tensor_pb2.DATA_TYPE_FLOAT, (1, -1), b"", id="a negative size"),
        pytest.param(tensor_pb2.DATA_TYPE_FLOAT, (1, 10**9), b"", id="more than the limit"),
        pytest.param(tensor_pb2.DATA_TYPE_UNSPECIFIED, (1,), b"", id="no type"),
        pytest.param(8, (1,), b"\0" * 8, id="a type that isn't served"),
    ],
)
def test_an_answer_that_is_not_one_item_is_refused(dtype: int, shape: tuple[int, ...], content: bytes) -> None:
    proto = tensor_pb2.TensorProto(dtype=dtype, tensor_content=content)  # type: ignore[arg-type]
    for size in shape:
        proto.tensor_shape.dim.add(size=size)

    with pytest.raises(BackendAnswerInvalid):
        read_batch_of_one("y", proto, max_elements=100)
