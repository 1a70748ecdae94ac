"""numpy arrays to and from `medserve.v1.Tensor`."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import tensor_pb2

_NUMBERS = {
    tensor_pb2.DATA_TYPE_FLOAT16: "float16",
    tensor_pb2.DATA_TYPE_FLOAT32: "float32",
    tensor_pb2.DATA_TYPE_FLOAT64: "float64",
    tensor_pb2.DATA_TYPE_INT8: "int8",
    tensor_pb2.DATA_TYPE_INT16: "int16",
    tensor_pb2.DATA_TYPE_INT32: "int32",
    tensor_pb2.DATA_TYPE_INT64: "int64",
    tensor_pb2.DATA_TYPE_UINT8: "uint8",
    tensor_pb2.DATA_TYPE_UINT16: "uint16",
    tensor_pb2.DATA_TYPE_UINT32: "uint32",
    tensor_pb2.DATA_TYPE_UINT64: "uint64",
    tensor_pb2.DATA_TYPE_BOOL: "bool",
}
_DATA_TYPES = {name: data_type for data_type, name in _NUMBERS.items()}
# Fixed-size bytes and str, numpy's variable-size str, and object, whose elements may be either.
_STRING_KINDS = "SUTO"


def to_tensor(array: NDArray[Any]) -> tensor_pb2.Tensor:
    """The tensor with `array`'s elements, of any shape, in the type of `array`'s dtype.

    Arrays of `bytes`, of `str` (as UTF-8), and of objects that are all one of these become string tensors. numpy drops the trailing zero bytes
    of a fixed-size bytes array (`dtype="S3"`): where they matter, use `dtype=object`.

    Raises TypeError for any other dtype, and for a masked array.
    """
    if isinstance(array, np.ma.MaskedArray):
        message = "a masked array doesn't say what stands in the gaps: fill it in first (array.filled(value))"
        raise TypeError(message)
    if array.dtype.kind in _STRING_KINDS:
        return tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_STRING, shape=array.shape, string_values=_strings_of(array))
    data_type = _DATA_TYPES.get(array.dtype.name)
    if data_type is None:
        message = f"dtype {array.dtype.name} doesn't travel: convert it to one of {', '.join(_DATA_TYPES)}, or to strings"
        raise TypeError(message)
    content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return tensor_pb2.Tensor(data_type=data_type, shape=array.shape, content=content)


def to_array(tensor: tensor_pb2.Tensor) -> NDArray[Any]:
    """The tensor's elements in its shape: a read-only view of numbers, or an object array of `bytes` for a string tensor.

    Raises ValueError where the type isn't known or the elements aren't as many as the shape says.
    """
    shape = tuple(tensor.shape)
    if any(size < 0 for size in shape):
        message = f"a dimension of {list(shape)} is below zero"
        raise ValueError(message)
    if tensor.data_type == tensor_pb2.DATA_TYPE_STRING:
        _require(len(tensor.string_values), prod(shape), "strings", shape)
        strings = np.empty(len(tensor.string_values), dtype=object)
        strings[:] = tensor.string_values
        return strings.reshape(shape)
    if tensor.data_type not in _NUMBERS:
        message = f"data_type {tensor.data_type} isn't known to this release"
        raise ValueError(message)
    dtype = np.dtype(_NUMBERS[tensor.data_type]).newbyteorder("<")
    _require(len(tensor.content), prod(shape) * dtype.itemsize, "bytes", shape)
    return np.frombuffer(tensor.content, dtype=dtype).reshape(shape)


def _strings_of(array: NDArray[Any]) -> list[bytes]:
    strings = []
    for element in array.ravel().tolist():
        if isinstance(element, str):
            strings.append(element.encode())
        elif isinstance(element, bytes):
            strings.append(element)
        else:
            message = f"an element is of type {type(element).__name__}: an array of objects holds bytes or str"
            raise TypeError(message)
    return strings


def _require(came: int, expected: int, what: str, shape: tuple[int, ...]) -> None:
    if came != expected:
        message = f"{came} {what} came, the shape {list(shape)} needs {expected}"
        raise ValueError(message)
