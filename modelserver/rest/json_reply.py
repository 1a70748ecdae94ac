"""Answers as JSON, laid out as TensorFlow Serving lays them out (util/json_tensor.cc).

Rows of `predictions` are on one line, but for the named outputs of a row, which have a line each; `outputs` have a line for each number.
"""

import math
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, regression_pb2

from modelserver.errors import invalid_argument
from modelserver.rest.json_writer import INDENT, b64, string
from modelserver.tensor import type_name

Outputs = Mapping[str, NDArray[Any]]
Types = Mapping[str, int]
"""The types of a signature's outputs, by alias."""

_BYTES_SUFFIX = "_bytes"
_FLOATS = {types_pb2.DT_FLOAT: ".9g", types_pb2.DT_DOUBLE: ".17g"}
_INTEGERS = frozenset(
    {
        types_pb2.DT_INT8,
        types_pb2.DT_UINT8,
        types_pb2.DT_INT16,
        types_pb2.DT_INT32,
        types_pb2.DT_INT64,
        types_pb2.DT_UINT32,
        types_pb2.DT_UINT64,
    }
)
# So many values are formatted without a pause: other threads get their turn between.
_AT_ONCE = 4096


def rows(outputs: Outputs, types: Types) -> bytes:
    """`predictions`: one for each row, an object where there are several outputs. Raises ServingError where outputs have no rows, or not as many."""
    count = _row_count(outputs)
    is_object = len(outputs) > 1
    level = 3 if is_object else 2
    columns = {name: _rows_of(name, array, types[name], level) for name, array in outputs.items()}
    if not count:
        body = "[]"
    elif is_object:
        items = [
            f"{INDENT * 2}{{\n" + ",\n".join(f"{INDENT * 3}{string(name)}: {column[row]}" for name, column in columns.items()) + f"\n{INDENT * 2}}}"
            for row in range(count)
        ]
        body = "[\n" + ",\n".join(items) + f"\n{INDENT}]"
    else:
        body = "[" + ", ".join(next(iter(columns.values()))) + f"\n{INDENT}]"
    return _document("predictions", body)


def _row_count(outputs: Outputs) -> int:
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    count = None
    for name, array in outputs.items():
        if not array.ndim:
            message = f"Tensor name: {name} has no shape information "
            raise invalid_argument(message)
        if count not in {None, array.shape[0]}:
            message = f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {count}"
            raise invalid_argument(message)
        count = array.shape[0]
    return count or 0


def _rows_of(name: str, array: NDArray[Any], dtype: int, level: int) -> list[str]:
    """Each row on one line; `level` is how deep the rows are."""
    if array.ndim == 1:
        return _texts(name, array, dtype, level)
    texts = _lists(name, array, dtype, level + array.ndim - 1, ("[", ", ", "]"))
    for depth in range(array.ndim - 2, 0, -1):
        texts = [f"[{', '.join(group)}]" for group in _groups(texts, array.shape, depth)]
    return texts


def _lists(name: str, array: NDArray[Any], dtype: int, level: int, marks: tuple[str, str, str]) -> list[str]:
    """The innermost lists of an array, a part after the other; the marks are the one before, between and after the values."""
    before, between, after = marks
    size = array.shape[-1]
    flat, count = array.reshape(-1), prod(array.shape[:-1])
    if size > _AT_ONCE:
        return [
            before + between.join(between.join(_texts(name, part, dtype, level)) for part in _parts(flat[row * size : (row + 1) * size])) + after
            for row in range(count)
        ]
    lists: list[str] = []
    rows = max(_AT_ONCE // size, 1) if size else 1
    for start in range(0, count, rows):
        texts = _texts(name, flat[start * size : (start + rows) * size], dtype, level)
        some = min(rows, count - start)
        lists += [f"{before}{between.join(texts[row * size : (row + 1) * size])}{after}" if size else "[]" for row in range(some)]
    return lists


def _parts(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def columns(outputs: Outputs, types: Types) -> bytes:
    """`outputs`: an object where there are several of them. Raises ServingError."""
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return _document("outputs", _column(name, array, types[name], 1))
    members = [f"{INDENT * 2}{string(name)}: {_column(name, array, types[name], 2)}" for name, array in outputs.items()]
    return _document("outputs", "{\n" + ",\n".join(members) + f"\n{INDENT}}}")


def _column(name: str, array: NDArray[Any], dtype: int, level: int) -> str:
    if not array.ndim:
        return _texts(name, array, dtype, level)[0]
    texts = _lists(name, array, dtype, level + array.ndim, _column_marks(level + array.ndim - 1))
    for depth in range(array.ndim - 2, -1, -1):
        before, between, after = _column_marks(level + depth)
        texts = [f"{before}{between.join(group)}{after}" if group else "[]" for group in _groups(texts, array.shape, depth)]
    return texts[0]


def _column_marks(level: int) -> tuple[str, str, str]:
    line = f"\n{INDENT * (level + 1)}"
    return f"[{line}", f",{line}", f"\n{INDENT * level}]"


def _groups(texts: list[str], shape: tuple[int, ...], depth: int) -> Iterator[list[str]]:
    """The lists of that depth, by the texts that are in them."""
    size = shape[depth]
    return (texts[number * size : (number + 1) * size] for number in range(prod(shape[:depth])))


def classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """`results`: for each example its labels with their scores. Raises ServingError where there are no examples."""
    if not result.classifications:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    lines = []
    for example in result.classifications:
        scores = _floats(np.array([each.score for each in example.classes], np.float32), types_pb2.DT_FLOAT)
        lines.append(f"[{', '.join(f'[{string(each.label)}, {score}]' for each, score in zip(example.classes, scores, strict=True))}]")
    return _document("results", f"[{', '.join(lines)}\n{INDENT}]")


def regressions(result: regression_pb2.RegressionResult) -> bytes:
    """`results`: for each example its value. Raises ServingError where there are no examples."""
    if not result.regressions:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    values = _floats(np.array([each.value for each in result.regressions], np.float32), types_pb2.DT_FLOAT)
    return _document("results", f"[{', '.join(values)}]")


def _document(key: str, body: str) -> bytes:
    return f'{{\n{INDENT}"{key}": {body}\n}}'.encode(errors="surrogateescape")


def _texts(name: str, array: NDArray[Any], dtype: int, level: int) -> list[str]:
    """The values in C order; `level` is how deep they are. Raises ServingError for a type that JSON has no form for."""
    if not array.size:
        return []
    if dtype in _FLOATS:
        return _floats(array.ravel(), dtype)
    if dtype in _INTEGERS:
        return list(map(str, array.ravel().tolist()))
    if dtype == types_pb2.DT_BOOL:
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if dtype != types_pb2.DT_STRING:
        message = f"Failed to write JSON value for tensor type: {type_name(dtype)}"
        raise invalid_argument(message)
    texts = [text.encode(errors="surrogateescape") if isinstance(text, str) else text for text in array.ravel().tolist()]
    if name.endswith(_BYTES_SUFFIX):
        return [b64(text, level) for text in texts]
    return [string(text.decode(errors="surrogateescape")) for text in texts]


def _floats(values: NDArray[Any], dtype: int) -> list[str]:
    return [text for part in _parts(values) for text in _some_floats(part, _FLOATS[dtype])]


def _some_floats(values: NDArray[Any], exact: str) -> list[str]:
    """Six digits where they say the number exactly, and otherwise as many as always do; never without a point or an exponent."""
    numbers = values.tolist()
    is_short = _six_digits_say(values).tolist()
    texts = [f"{number:g}" if short else format(number, exact) for number, short in zip(numbers, is_short, strict=True)]
    texts = [text if "." in text or "e" in text else f"{text}.0" for text in texts]
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        texts[index] = "NaN" if math.isnan(numbers[index]) else "Infinity" if numbers[index] > 0 else "-Infinity"
    return texts


def _six_digits_say(values: NDArray[Any]) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        if values.dtype != np.float32:
            said = np.array([f"{number:g}" for number in values.tolist()], np.float64)
        else:
            # A double has digits enough for this: formatting a number takes longer than the rest.
            doubles = values.astype(np.float64)
            scale = 10.0 ** (5 - np.floor(np.log10(np.abs(doubles))))
            said = np.where(doubles == 0, doubles, np.rint(doubles * scale) / scale)
        same: NDArray[np.bool_] = said.astype(values.dtype) == values
    return same
