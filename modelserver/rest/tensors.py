"""The inputs of `predict` from JSON, in row form (`instances`) or in column form (`inputs`), as TensorFlow Serving's util/json_tensor.cc has them.

Lists of numbers of one type and of equal lengths are converted as a whole. What isn't such a list is walked through in TensorFlow Serving's order:
it finds what is wrong with it, in its words.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2, types_pb2

from modelserver.errors import ServingError, invalid_argument
from modelserver.rest.json_numbers import Numbers
from modelserver.rest.json_text import Members, Value, check_numbers
from modelserver.rest.json_writer import pairs_of, quoted, type_name
from modelserver.tensor import type_name as dtype_name

Inputs = dict[str, tensor_pb2.TensorProto]
Types = Mapping[str, int]
"""The types of a signature's inputs, by alias."""

_B64 = "b64"
_B64_TEXT = re.compile(r"[A-Za-z0-9+/\s]*([=.]*)\s*", re.ASCII)
_B64_SPACE = re.compile(r"\s", re.ASCII)
_ROW_KEY, _COLUMN_KEY = "instances", "inputs"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Type:
    """What JSON values a tensor's type takes, and what they become."""

    takes: frozenset[type]
    numpy: Any
    least: int = 0
    most: int = 0


_NUMBERS = frozenset({int, float})
_INT32_BYTES = 4
_MIN_INT32, _MAX_INT32 = -(1 << 31), (1 << 31) - 1


def _integer(numpy: Any, least: int, most: int) -> _Type:  # noqa: ANN401 - a type of NumPy's
    return _Type(takes=frozenset({int}), numpy=numpy, least=least, most=most)


# The short ones travel in a field of int32 values: whether they fit is a matter of the tensor, not of the JSON.
_TYPES = {
    types_pb2.DT_FLOAT: _Type(takes=_NUMBERS, numpy=np.float32),
    types_pb2.DT_DOUBLE: _Type(takes=_NUMBERS, numpy=np.float64),
    types_pb2.DT_INT8: _integer(np.int8, _MIN_INT32, _MAX_INT32),
    types_pb2.DT_UINT8: _integer(np.uint8, _MIN_INT32, _MAX_INT32),
    types_pb2.DT_INT16: _integer(np.int16, _MIN_INT32, _MAX_INT32),
    types_pb2.DT_INT32: _integer(np.int32, _MIN_INT32, _MAX_INT32),
    types_pb2.DT_INT64: _integer(np.int64, -(1 << 63), (1 << 63) - 1),
    types_pb2.DT_UINT32: _integer(np.uint32, 0, (1 << 32) - 1),
    types_pb2.DT_UINT64: _integer(np.uint64, 0, (1 << 64) - 1),
    types_pb2.DT_BOOL: _Type(takes=frozenset({bool}), numpy=np.bool_),
    types_pb2.DT_STRING: _Type(takes=frozenset({str}), numpy=object),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Dense:
    """The values of a tensor in C order, each of them checked; those of strings are bytes."""

    shape: tuple[int, ...]
    values: list[Any] | NDArray[Any]


def read_inputs(document: dict[str, Value], text: bytes, types: Types) -> tuple[Inputs, bool]:
    """The tensors of a request, and whether it was in row form. Raises ServingError in TensorFlow Serving's words.

    `text` is what the document was read from. Where it has `Numbers`, the words of an error say less of them than they should.
    """
    if _ROW_KEY in document and _COLUMN_KEY in document:
        raise _malformed(document, f"Not formatted correctly expecting only one of '{_COLUMN_KEY}' or '{_ROW_KEY}' keys to exist ")
    if _ROW_KEY in document:
        rows = document[_ROW_KEY]
        if not isinstance(rows, list | Numbers):
            raise _malformed(document, f"Expecting '{_ROW_KEY}' to be an list/array")
        if isinstance(rows, list) and not rows:
            raise _malformed(document, f"No values in '{_ROW_KEY}' array")
        found = _read_rows(rows, types)
    elif _COLUMN_KEY in document:
        found = _read_columns(document[_COLUMN_KEY], types)
    else:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    return {alias: _tensor(dense, types[alias], text) for alias, dense in found.items()}, _ROW_KEY in document


def _malformed(value: Value, why: str) -> ServingError:
    return invalid_argument(f"JSON Value: {quoted(value)} {why}")


def _read_columns(columns: Value, types: Types) -> dict[str, _Dense]:
    if isinstance(columns, dict) and not is_b64(columns):
        found = {}
        for alias, dtype in types.items():
            if alias not in columns:
                message = f"Missing named input: {alias} in 'inputs' object."
                raise invalid_argument(message)
            found[alias] = _read(columns[alias], dtype)
        return found
    if len(types) > 1:
        raise invalid_argument("inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map")
    return {alias: _read(columns, dtype) for alias, dtype in types.items()}


def _read(value: Value, dtype: int) -> _Dense:
    return _as_a_whole(value, dtype) or _walk(value, dtype)


def _read_rows(rows: list[Value] | Numbers, types: Types) -> dict[str, _Dense]:
    if isinstance(rows, Numbers):
        return _read_columns(rows, types)
    if not isinstance(rows[0], dict) and len(types) > 1:
        raise invalid_argument("instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map")
    if _is_object(rows[0]):
        return _named_rows_as_a_whole(rows, types) or _walk_named_rows(rows, types)
    alias, dtype = next(iter(types.items()))
    return {alias: _as_a_whole(rows, dtype) or _walk_rows(rows, dtype)}


def _named_rows_as_a_whole(rows: list[Value], types: Types) -> dict[str, _Dense] | None:
    aliases = types.keys()
    if set(map(type, rows)) != {dict} or any(row.keys() != aliases for row in rows) or (aliases == {_B64} and any(map(is_b64, rows))):
        return None
    found = {alias: _as_a_whole([row[alias] for row in rows], dtype) for alias, dtype in types.items()}
    return None if None in found.values() else found  # type: ignore[return-value]


def _walk_rows(rows: list[Value], dtype: int) -> _Dense:
    items: list[_Dense] = []
    for number, row in enumerate(rows):
        if _is_object(row):
            message = f"Expecting value/list but got object at item {number} of input list"
            raise invalid_argument(message)
        try:
            items.append(_walk_item(row, dtype, items))
        except ServingError as error:
            raise _in_rows(number, "", error) from None
    return _stacked(items)


def _walk_named_rows(rows: list[Value], types: Types) -> dict[str, _Dense]:
    items: dict[str, list[_Dense]] = {alias: [] for alias in types}
    for number, row in enumerate(rows):
        if not _is_object(row):
            message = f"Expecting object but got list at item {number} of input list"
            raise invalid_argument(message)
        for name, value in pairs_of(row):
            try:
                if name not in types:
                    message = f"JSON object: does not have named input: {name}"
                    raise invalid_argument(message)
                items[name].append(_walk_item(value, types[name], items[name]))
            except ServingError as error:
                raise _in_rows(number, f" key: {name}", error) from None
        if row.keys() != types.keys():
            names = ",".join(sorted(types))
            message = f"Failed to process element: {number} of 'instances' list. JSON object: {quoted(row)} keys must be equal to: {names}"
            raise invalid_argument(message)
        if isinstance(row, Members):
            # A name that comes twice is two values for one row.
            message = f"tensor parsing error: {next(name for name in items if len(items[name]) > number + 1)}"
            raise invalid_argument(message)
    return {alias: _stacked(found) for alias, found in items.items()}


def _walk_item(value: Value, dtype: int, before: list[_Dense]) -> _Dense:
    """One row's value, which is of the shape of the rows before it."""
    item = _walk(value, dtype)
    if before and len(item.values) != len(before[0].values):
        message = f"Expecting tensor size: {len(before[0].values)} but got: {len(item.values)}"
        raise invalid_argument(message)
    if before and item.shape != before[0].shape:
        message = f"Expecting shape {_shape_text(before[0].shape)} but got: {_shape_text(item.shape)}"
        raise invalid_argument(message)
    return item


def _stacked(items: list[_Dense]) -> _Dense:
    return _Dense(shape=(len(items), *items[0].shape), values=list(chain.from_iterable(item.values for item in items)))


def _in_rows(number: int, where: str, error: ServingError) -> ServingError:
    return invalid_argument(f"Failed to process element: {number}{where} of 'instances' list. Error: {error.code.name}: {error.message}")


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _as_a_whole(value: Value, dtype: int) -> _Dense | None:
    """A dense tensor whose values are all of types that it takes; None where it isn't that, or may not be."""
    taken = _TYPES.get(dtype)
    if taken is None:
        return None
    shape: list[int] = []
    level = [value]
    while level and type(level[0]) is list:
        sizes = set(map(len, level)) if set(map(type, level)) == {list} else set()
        if len(sizes) != 1:
            return None
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    if level and type(level[0]) is Numbers:
        return _stacked_numbers(shape, level, taken)
    if not taken.takes.issuperset(map(type, level)) or not _is_in_range(level, taken):
        return None
    return _Dense(shape=tuple(shape), values=[text.encode(errors="surrogateescape") for text in level] if dtype == types_pb2.DT_STRING else level)


def _stacked_numbers(shape: list[int], level: list[Value], taken: _Type) -> _Dense | None:
    """Arrays of numbers, which are all of one shape, as one."""
    if set(map(type, level)) != {Numbers} or len({numbers.shape for numbers in level}) != 1:
        return None
    values = level[0].values if len(level) == 1 else np.concatenate([numbers.values for numbers in level])
    kind = {"i": int, "f": float}[values.dtype.kind]
    if kind not in taken.takes or (taken.most and not taken.least <= int(values.min()) <= int(values.max()) <= taken.most):
        return None
    return _Dense(shape=(*shape, *level[0].shape), values=values)


def _is_in_range(values: list[Any], taken: _Type) -> bool:
    return not taken.most or not values or (taken.least <= min(values) and max(values) <= taken.most)


def _walk(value: Value, dtype: int) -> _Dense:
    """The same, in TensorFlow Serving's order and with its errors; the first value of each level says how long the others are."""
    shape, values = _shape_of(value), []
    open_lists = [iter([value])]
    while open_lists:
        level = len(open_lists) - 1
        item = next(open_lists[-1], _END)
        if item is _END:
            open_lists.pop()
        elif not isinstance(item, list):
            if level != len(shape):
                message = f"JSON Value: {quoted(item)} found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}"
                raise invalid_argument(message)
            values.append(_read_value(item, dtype))
        elif level >= len(shape):
            message = f"Encountered list at unexpected level: {level} expected < {len(shape)}"
            raise invalid_argument(message)
        elif len(item) != shape[level]:
            message = f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {shape[level]}"
            raise invalid_argument(message)
        else:
            open_lists.append(iter(item))
    return _Dense(shape=shape, values=values)


_END = object()


def _shape_of(value: Value) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _read_value(value: Value, dtype: int) -> Any:  # noqa: ANN401 - of the tensor's type
    if isinstance(value, dict):
        return read_b64(value) if dtype == types_pb2.DT_STRING else _refuse(value, dtype)
    taken = _TYPES.get(dtype)
    if taken is None:
        message = f"Conversion of JSON Value: {quoted(value)} to type: {dtype_name(dtype)}"
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, message)
    if type(value) not in taken.takes or not _is_in_range([value], taken):
        return _refuse(value, dtype)
    return value.encode(errors="surrogateescape") if isinstance(value, str) else value


def _refuse(value: Value, dtype: int) -> Any:  # noqa: ANN401 - it doesn't return
    message = f"JSON Value: {quoted(value)} Type: {type_name(value)} is not of expected type: {dtype_name(dtype)}"
    raise invalid_argument(message)


def _is_object(value: Value) -> bool:
    return isinstance(value, dict) and not is_b64(value)


def is_b64(value: Value) -> bool:
    """Whether a value is bytes: `{"b64": "…"}`, and nothing else in it."""
    return type(value) is dict and value.keys() == {_B64} and isinstance(value[_B64], str)


def read_b64(value: Value) -> bytes:
    """The bytes of such a value; padding may be missing, as for absl. Raises ServingError."""
    if not is_b64(value):
        raise _malformed(value, "not formatted correctly for base64 data")
    found = _B64_TEXT.fullmatch(value[_B64])
    digits = _B64_SPACE.sub("", value[_B64]).rstrip("=.")
    missing = -len(digits) % 4
    try:
        if found is None or len(found[1]) not in {0, missing}:
            raise binascii.Error  # noqa: TRY301 - it is told of like the others
        return base64.b64decode(digits + "=" * missing, validate=True)
    except binascii.Error:
        raise invalid_argument("Unable to base64 decode") from None


def _tensor(dense: _Dense, dtype: int, text: bytes) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in dense.shape:
        proto.tensor_shape.dim.add(size=size)
    if dtype == types_pb2.DT_STRING:
        proto.string_val.extend(dense.values)
    elif prod(dense.shape):
        _fill(proto, dense.values, _TYPES[dtype].numpy, text)
    return proto


def _fill(proto: tensor_pb2.TensorProto, values: list[Any] | NDArray[Any], numpy: Any, text: bytes) -> None:  # noqa: ANN401 - a type of NumPy's
    try:
        if isinstance(values, np.ndarray) and np.dtype(numpy).itemsize < _INT32_BYTES:
            # NumPy looks whether numbers fit where they come one by one.
            values = values.tolist()
        array: NDArray[Any] = np.array(values, np.float64 if numpy is np.float32 else numpy)
    except OverflowError:
        if np.dtype(numpy).kind == "f":
            check_numbers(text)
        # A number that its short type doesn't hold: the tensor is refused, as one that came by gRPC is.
        proto.int_val.extend(values)
        return
    if array.dtype.kind == "f" and np.isinf(array).any():
        check_numbers(text)
    with np.errstate(over="ignore"):
        proto.tensor_content = array.astype(numpy, copy=False).tobytes()
