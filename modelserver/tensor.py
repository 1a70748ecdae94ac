"""Tensors off and on to the wire: bounded and checked before TensorFlow sees them, and never element by element where memory can be copied."""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2, types_pb2

from modelserver import packed
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
_NUMPY_DTYPE: dict[int, np.dtype[Any]] = {dtype: np.dtype(tf.as_dtype(dtype).as_numpy_dtype) for dtype in _VALUES_FIELD}
_FIELD_NUMBER = {name: tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[name].number for name in {*_VALUES_FIELD.values(), "tensor_content"}}
# Those that protobuf writes as the bytes that they are in memory; a complex number as its two halves.
_FIXED = frozenset({types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_COMPLEX64, types_pb2.DT_COMPLEX128})
_COMPLEX = frozenset({types_pb2.DT_COMPLEX64, types_pb2.DT_COMPLEX128})
_SHORT_FLOATS = frozenset({types_pb2.DT_HALF, types_pb2.DT_BFLOAT16})
# TensorFlow's.
_MAX_RANK = 254
# oneDNN's: of more, kernels that it runs and those that decode images end the process.
_MAX_KERNEL_RANK = 12
# What TensorFlow's C++ calls its types (tensorflow/core/framework/types.cc).
_CPP_NAME = {"float32": "float", "float64": "double", "float16": "half"}
_DTYPE_FIELD, _SHAPE_FIELD, _DIM_FIELD, _SIZE_FIELD = 1, 2, 2, 1
_BYTES_KIND = 2
# TensorFlow has these for its own graphs; of a request they are refused by their type.
_QUANTISED = frozenset(
    {types_pb2.DT_QINT8, types_pb2.DT_QUINT8, types_pb2.DT_QINT16, types_pb2.DT_QUINT16, types_pb2.DT_QINT32},
)

Parts = list[bytes | memoryview]
Writer = Callable[[NDArray[Any]], Parts]


def type_name(dtype: int) -> str:
    """The type's name in TensorFlow Serving's messages."""
    name = tf.as_dtype(dtype).name
    return _CPP_NAME.get(name, name)


class Declared(NamedTuple):
    """What a request's tensor says of itself; `content` is its elements where they are given as bytes."""

    shape: tuple[int, ...]
    content: bytes


def declared(alias: str, proto: tensor_pb2.TensorProto) -> Declared:
    """Looks at a request's tensor; nothing of its size is allocated. Raises ServingError (INVALID_ARGUMENT) where it can't be a tensor."""
    given = proto.tensor_shape
    shape = tuple([dim.size for dim in given.dim])
    if given.unknown_rank or len(shape) > _MAX_RANK or min(shape, default=0) < 0:
        raise _parsing_error(alias)
    if len(shape) > _MAX_KERNEL_RANK:
        message = f"input {alias} has {len(shape)} dimensions: at most {_MAX_KERNEL_RANK} are taken"
        raise invalid_argument(message)
    if proto.dtype in _QUANTISED:
        return Declared(shape, b"")
    if proto.dtype not in _VALUES_FIELD:
        raise _parsing_error(alias)
    content = proto.tensor_content
    if content:
        # A string of the content is one byte at least, its length; the others are of one size.
        size = len(content)
        if size < prod(shape) if proto.dtype == types_pb2.DT_STRING else size != prod(shape) * _NUMPY_DTYPE[proto.dtype].itemsize:
            raise _parsing_error(alias)
    elif _count_values(proto) > prod(shape):
        raise _parsing_error(alias)
    return Declared(shape, content)


def read_tensor(alias: str, proto: tensor_pb2.TensorProto, given: Declared) -> NDArray[Any]:
    """The array of a request's tensor, of its declared shape. Raises ServingError (INVALID_ARGUMENT) where it holds none.

    Where fewer values came than the shape has elements, the last one fills the rest; none at all are zeros (tensorflow/core/framework/tensor.cc).
    """
    if proto.dtype in _QUANTISED:
        message = f"input {alias} is {type_name(proto.dtype)}: tensors of quantised types are not taken"
        raise invalid_argument(message)
    shape, content = given
    if content and proto.dtype == types_pb2.DT_STRING:
        return _read_string_content(alias, content, prod(shape)).reshape(shape)
    if content:
        return np.frombuffer(content, dtype=_NUMPY_DTYPE[proto.dtype]).reshape(shape)
    elements, count = prod(shape), _count_values(proto)
    if elements > count and elements > MAX_FILLED_ELEMENTS:
        message = f"tensor parsing error: {alias}: {elements} elements are declared and {count} came; at most {MAX_FILLED_ELEMENTS} are filled in"
        raise invalid_argument(message)
    values = _read_strings(proto) if proto.dtype == types_pb2.DT_STRING else _read_numbers(alias, proto)
    if elements > count:
        filled = np.full(elements, values[-1] if count else b"" if values.dtype == object else 0, values.dtype)
        filled[:count] = values
        values = filled
    try:
        return values.reshape(shape)
    except ValueError:
        # No elements, by a size that is more than NumPy counts to.
        raise _parsing_error(alias) from None


def _read_string_content(alias: str, content: bytes, count: int) -> NDArray[Any]:
    """The strings of a `tensor_content`: all their lengths as varints, then all their bytes (tensorflow/core/platform/tensor_coding.cc)."""
    texts, position = np.empty(count, object), 0
    try:
        lengths = []
        for _ in range(count):
            length, position = packed.read_varint(content, position)
            lengths.append(length)
    except IndexError:
        raise _parsing_error(alias) from None
    if position + sum(lengths) != len(content):
        raise _parsing_error(alias)
    for number, length in enumerate(lengths):
        texts[number] = content[position : position + length]
        position += length
    return texts


def _read_strings(proto: tensor_pb2.TensorProto) -> NDArray[Any]:
    return np.array(proto.string_val, object)


def _read_numbers(alias: str, proto: tensor_pb2.TensorProto) -> NDArray[Any]:
    dtype, number = _NUMPY_DTYPE[proto.dtype], _FIELD_NUMBER[_VALUES_FIELD[proto.dtype]]
    values = packed.field(proto.SerializeToString(), number)
    if proto.dtype in _FIXED:
        if len(values) % dtype.itemsize:
            raise _parsing_error(alias)
        return np.frombuffer(values, dtype)
    bits = packed.read_varints(values)
    # Halves are their sixteen bits. Of a number that is too large for its type, TensorFlow Serving takes the lowest bits: a different number.
    target = np.dtype(np.uint16) if proto.dtype in _SHORT_FLOATS else dtype
    numbers = bits.astype(target)
    if not np.array_equal(numbers.astype(np.int64).view(np.uint64), bits):
        raise _parsing_error(alias)
    return numbers.view(dtype)


def _count_values(proto: tensor_pb2.TensorProto) -> int:
    count = len(getattr(proto, _VALUES_FIELD[proto.dtype]))
    return (count + 1) // 2 if proto.dtype in _COMPLEX else count


def _parsing_error(alias: str) -> ServingError:
    return invalid_argument(f"tensor parsing error: {alias}")


def check_shape(alias: str, shape: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> None:
    """Refuses a rank or a size that isn't the signature's. `wanted` is None where not even the rank is known; None in it where a size isn't."""
    if wanted is None:
        return
    if len(shape) != len(wanted) or any(size not in {None, got} for got, size in zip(shape, wanted, strict=True)):
        expected = [-1 if size is None else size for size in wanted]
        message = f"input {alias} has the shape {list(shape)}, but the signature takes {expected}"
        raise invalid_argument(message)


def tensor_writer(dtype: int, *, as_content: bool) -> Writer:
    """What writes an output of this type as the bytes of a TensorProto, in parts that refer to the array's memory.

    It writes typed values, which is TensorFlow Serving's default, or the bytes that the array has in memory (`as_content`).
    """
    if dtype not in _VALUES_FIELD:
        return lambda array: [tf.make_tensor_proto(array).SerializeToString()]
    head = _tag(_DTYPE_FIELD, 0) + packed.varint(dtype)
    if dtype == types_pb2.DT_STRING:
        strings = _string_content if as_content else _strings
        return lambda array: [head, _shape(array.shape), *strings(array)]
    values = _as_bytes if as_content or dtype in _FIXED else _as_varints
    if dtype in _SHORT_FLOATS and not as_content:
        values = _as_halves
    tag = _tag(_FIELD_NUMBER["tensor_content" if as_content else _VALUES_FIELD[dtype]], _BYTES_KIND)

    def write(array: NDArray[Any]) -> Parts:
        encoded = values(array)
        return [head, _shape(array.shape), tag, packed.varint(len(encoded)), encoded] if len(encoded) else [head, _shape(array.shape)]

    return write


def delimited(number: int, parts: Parts) -> Parts:
    """The parts of a message as a field of another one."""
    return [_tag(number, _BYTES_KIND) + packed.varint(sum(map(len, parts))), *parts]


def _tag(number: int, kind: int) -> bytes:
    return packed.varint(number << 3 | kind)


@lru_cache(maxsize=1024)
def _shape(shape: tuple[int, ...]) -> bytes:
    """The shape's field; a scalar has a shape too. A dimension of no rows is written without its size, which is protobuf's zero."""
    dims = b""
    for size in shape:
        dim = _tag(_SIZE_FIELD, 0) + packed.varint(size) if size else b""
        dims += _tag(_DIM_FIELD, _BYTES_KIND) + packed.varint(len(dim)) + dim
    return _tag(_SHAPE_FIELD, _BYTES_KIND) + packed.varint(len(dims)) + dims


def _as_bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _as_varints(array: NDArray[Any]) -> bytes:
    return packed.varints(array)


def _as_halves(array: NDArray[Any]) -> bytes:
    return packed.varints(array.view(np.uint16))


def _strings(array: NDArray[Any]) -> Parts:
    tag = _tag(_FIELD_NUMBER["string_val"], _BYTES_KIND)
    return [part for text in array.ravel().tolist() for part in (tag + packed.varint(len(text)), text)]


def _string_content(array: NDArray[Any]) -> Parts:
    texts = array.ravel().tolist()
    return delimited(_FIELD_NUMBER["tensor_content"], [b"".join(packed.varint(len(text)) for text in texts), *texts]) if texts else []
