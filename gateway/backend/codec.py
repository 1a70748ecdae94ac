"""Tensors to and from TensorFlow Serving's wire format."""

from collections.abc import Mapping
from math import prod

import numpy as np

from gateway.errors import BackendAnswerInvalid
from gateway.tensor import DType, Tensor
from tfserving.v1 import tensor_pb2

_WIRE_TYPE: Mapping[DType, "tensor_pb2.DataType.ValueType"] = {
    DType.FLOAT16: tensor_pb2.DATA_TYPE_HALF,
    DType.FLOAT32: tensor_pb2.DATA_TYPE_FLOAT,
    DType.FLOAT64: tensor_pb2.DATA_TYPE_DOUBLE,
    DType.INT8: tensor_pb2.DATA_TYPE_INT8,
    DType.INT16: tensor_pb2.DATA_TYPE_INT16,
    DType.INT32: tensor_pb2.DATA_TYPE_INT32,
    DType.INT64: tensor_pb2.DATA_TYPE_INT64,
    DType.UINT8: tensor_pb2.DATA_TYPE_UINT8,
    DType.UINT16: tensor_pb2.DATA_TYPE_UINT16,
    DType.UINT32: tensor_pb2.DATA_TYPE_UINT32,
    DType.UINT64: tensor_pb2.DATA_TYPE_UINT64,
    DType.BOOL: tensor_pb2.DATA_TYPE_BOOL,
    DType.STRING: tensor_pb2.DATA_TYPE_STRING,
}
_DTYPE = {number: dtype for dtype, number in _WIRE_TYPE.items()}

# The field that holds the elements where `tensor_content` doesn't (tensorflow/core/framework/tensor.proto).
_VALUES_FIELD: Mapping[DType, str] = {
    DType.FLOAT16: "half_val",
    DType.FLOAT32: "float_val",
    DType.FLOAT64: "double_val",
    DType.INT8: "int_val",
    DType.INT16: "int_val",
    DType.INT32: "int_val",
    DType.INT64: "int64_val",
    DType.UINT8: "int_val",
    DType.UINT16: "int_val",
    DType.UINT32: "uint32_val",
    DType.UINT64: "uint64_val",
    DType.BOOL: "bool_val",
    DType.STRING: "string_val",
}


def write_batch_of_one(tensor: Tensor, into: tensor_pb2.TensorProto) -> None:
    """Writes one item's tensor with a batch dimension of 1 before its own."""
    into.dtype = _WIRE_TYPE[tensor.dtype]
    for size in (1, *tensor.shape):
        into.tensor_shape.dim.add(size=size)
    if tensor.dtype is DType.STRING:
        into.string_val.extend(tensor.strings)
    else:
        into.tensor_content = bytes(tensor.content)


def read_batch_of_one(name: str, proto: tensor_pb2.TensorProto, *, max_elements: int) -> Tensor:
    """Reads an output of one item, without its batch dimension of 1.

    Raises:
        BackendAnswerInvalid: the output isn't a batch of one, has a type that isn't served, too many elements, or the wrong number of them.
    """
    field = f'outputs["{name}"]'
    dtype = _DTYPE.get(proto.dtype)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if dtype is None:
        message = "the model server's answer has an element type that isn't served"
        raise BackendAnswerInvalid(message, field=field)
    if not shape or shape[0] != 1 or any(size < 0 for size in shape) or prod(shape) > max_elements:
        message = f"the model server's answer to one item has the shape {list(shape)}"
        raise BackendAnswerInvalid(message, field=field)
    try:
        return _read(dtype, shape, proto)
    except ValueError:
        message = "the model server's answer has more or fewer elements than its shape says"
        raise BackendAnswerInvalid(message, field=field) from None


def _read(dtype: DType, shape: tuple[int, ...], proto: tensor_pb2.TensorProto) -> Tensor:
    """Raises ValueError where the elements don't fill the shape."""
    if dtype is not DType.STRING and proto.tensor_content:
        return Tensor(dtype=dtype, shape=shape[1:], content=proto.tensor_content)
    values = getattr(proto, _VALUES_FIELD[dtype])
    missing = prod(shape) - len(values)
    if dtype is DType.STRING:
        return Tensor(dtype=dtype, shape=shape[1:], strings=(*values, *([values[-1] if values else b""] * missing)))
    # Half precision travels as bit patterns.
    array = np.array(values, dtype=np.uint16).view(np.float16) if dtype is DType.FLOAT16 else np.array(values, dtype=dtype.numpy)
    if missing > 0:
        # The last value is repeated; no value at all means zeros.
        array = np.concatenate([array, np.full(missing, array[-1] if len(array) else 0, dtype=array.dtype)])
    return Tensor(dtype=dtype, shape=shape[1:], content=array.astype(dtype.numpy).tobytes())
