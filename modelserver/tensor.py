"""Tensors off and on to the wire: bounded and checked before TensorFlow sees them, and never element by element where memory can be copied."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2, types_pb2

from modelserver.errors import ServingError, invalid_argument

# A tensor of one value may declare any shape, which is then filled with it: a few bytes could ask for all the memory there is.
MAX_FILLED_ELEMENTS = 1 << 26

_VALUES_FIELD = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
}
# Two values an element, and what the halves are.
_COMPLEX = {types_pb2.DT_COMPLEX64: np.float32, types_pb2.DT_COMPLEX128: np.float64}
# NumPy's.
_MAX_RANK = 64
# What TensorFlow's C++ calls its types (tensorflow/core/framework/types.cc).
_CPP_NAME = {"float32": "float", "float64": "double", "float16": "half"}


def type_name(dtype: int) -> str:
    """The type's name in TensorFlow Serving's messages."""
    name = tf.as_dtype(dtype).name
    return _CPP_NAME.get(name, name)


def declared_shape(alias: str, proto: tensor_pb2.TensorProto) -> tuple[int, ...]:
    """The shape that a request's tensor says it has; nothing is allocated. Raises ServingError (INVALID_ARGUMENT) where it can't be a tensor."""
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.dtype not in _VALUES_FIELD or proto.tensor_shape.unknown_rank or len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise _parsing_error(alias)
    if proto.tensor_content:
        if proto.dtype == types_pb2.DT_STRING or len(proto.tensor_content) != prod(shape) * _numpy_dtype(proto).itemsize:
            raise _parsing_error(alias)
    elif _count_values(proto) > prod(shape):
        raise _parsing_error(alias)
    return shape


def read_tensor(alias: str, proto: tensor_pb2.TensorProto, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of a request's tensor, of its declared shape. Raises ServingError (INVALID_ARGUMENT) where it holds none."""
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype=_numpy_dtype(proto)).reshape(shape)
    elements, values = prod(shape), _count_values(proto)
    if elements > values and elements > MAX_FILLED_ELEMENTS:
        message = f"tensor parsing error: {alias}: {elements} elements are declared and {values} came; at most {MAX_FILLED_ELEMENTS} are filled in"
        raise invalid_argument(message)
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, OverflowError):
        raise _parsing_error(alias) from None


def _numpy_dtype(proto: tensor_pb2.TensorProto) -> np.dtype[Any]:
    return np.dtype(tf.as_dtype(proto.dtype).as_numpy_dtype)


def _count_values(proto: tensor_pb2.TensorProto) -> int:
    count = len(getattr(proto, _VALUES_FIELD[proto.dtype]))
    return (count + 1) // 2 if proto.dtype in _COMPLEX else count


def _parsing_error(alias: str) -> ServingError:
    return invalid_argument(f"tensor parsing error: {alias}")


def check_shape(alias: str, shape: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> None:
    """Refuses a rank or a size that isn't the signature's. `wanted` is None where not even the rank is known; None in it where a size isn't.

    TensorFlow Serving leaves this to the kernels, and a convolution in oneDNN aborts the whole process when it is given a wrong rank.
    """
    if wanted is None:
        return
    if len(shape) != len(wanted) or any(size not in {None, got} for got, size in zip(shape, wanted, strict=True)):
        expected = [-1 if size is None else size for size in wanted]
        message = f"input {alias} has the shape {list(shape)}, but the signature takes {expected}"
        raise invalid_argument(message)


def array_writer(dtype: int) -> Callable[[NDArray[Any], tensor_pb2.TensorProto], None]:
    """What writes an output of this type into a reply: typed values, as TensorFlow Serving does by default."""
    field = _VALUES_FIELD.get(dtype)
    if field is None:
        return _write_any
    # A complex number is written as its two halves, a short float as its bits.
    part = np.uint16 if field == "half_val" else _COMPLEX.get(dtype)

    def write(array: NDArray[Any], proto: tensor_pb2.TensorProto) -> None:
        proto.dtype = dtype
        # A scalar has a shape too.
        proto.tensor_shape.SetInParent()
        for size in array.shape:
            proto.tensor_shape.dim.add(size=size)
        values = array.ravel()
        getattr(proto, field).extend((values if part is None else values.view(part)).tolist())

    return write


def _write_any(array: NDArray[Any], proto: tensor_pb2.TensorProto) -> None:
    proto.CopyFrom(tf.make_tensor_proto(array))
