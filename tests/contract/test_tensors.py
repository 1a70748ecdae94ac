"""Tensors on the wire: each way to send one (`Tensor::FromProto` in tensorflow/core/framework/tensor.cc) and how each comes back (`AsProtoField`)."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.contract.wire import Case, predict

INVALID = "INVALID_ARGUMENT"
HALF = 'name: "half_plus_two"'
STRINGS, ECHO_UINT8 = 'name: "echo" signature_name: "string"', 'name: "echo" signature_name: "uint8"'
DOUBLE = 'name: "several" signature_name: "double"'


def echoed(row: str, dtype: str, sent: str, received: str) -> Case:
    """A tensor of one dimension to the signature that gives it back."""
    name = dtype.removeprefix("DT_").lower()
    return Case(
        row=f"tensor.cc: {row}",
        request=predict(f'name: "echo" signature_name: "{name}"', {"x": f"dtype: {dtype} {sent}"}),
        reply=f'outputs {{ key: "y" value {{ dtype: {dtype} {received} }} }} '
        f'model_spec {{ name: "echo" version {{ value: 1 }} signature_name: "{name}" }}',
    )


def dims(*sizes: int) -> str:
    return "tensor_shape { " + " ".join(f"dim {{ size: {size} }}" for size in sizes) + " }"


def content(value: Any, dtype: Any) -> str:
    return 'tensor_content: "' + "".join(f"\\x{byte:02x}" for byte in np.array(value, dtype).tobytes()) + '"'


# By the type: its field, and two values in it that are this type's own.
FIELDS = {
    "DT_FLOAT": "float_val: 1.5 float_val: -inf",
    "DT_DOUBLE": "double_val: 1e-300 double_val: 2",
    "DT_HALF": "half_val: 15872 half_val: 64512",
    "DT_BFLOAT16": "half_val: 16320 half_val: 65408",
    "DT_INT8": "int_val: -128 int_val: 127",
    "DT_INT16": "int_val: -32768 int_val: 32767",
    "DT_INT32": "int_val: -2147483648 int_val: 2147483647",
    "DT_INT64": "int64_val: -9223372036854775808 int64_val: 1",
    "DT_UINT8": "int_val: 255 int_val: 0",
    "DT_UINT16": "int_val: 65535 int_val: 1",
    "DT_UINT32": "uint32_val: 4294967295 uint32_val: 1",
    "DT_UINT64": "uint64_val: 18446744073709551615 uint64_val: 1",
    "DT_BOOL": "bool_val: true bool_val: false",
    "DT_COMPLEX64": "scomplex_val: 1 scomplex_val: 2 scomplex_val: 3 scomplex_val: -4",
    "DT_COMPLEX128": "dcomplex_val: 1 dcomplex_val: 2 dcomplex_val: 3 dcomplex_val: -4",
    "DT_STRING": 'string_val: "\\x00\\xff" string_val: ""',
}
# By the type: its own bytes, and the values that they are.
CONTENTS = {
    "DT_FLOAT": (content([1.5, 2], "<f4"), "float_val: 1.5 float_val: 2"),
    "DT_DOUBLE": (content([1.5, 2], "<f8"), "double_val: 1.5 double_val: 2"),
    "DT_HALF": (content([1.5, 2], "<f2"), "half_val: 15872 half_val: 16384"),
    "DT_BFLOAT16": (content([16320, 16384], "<u2"), "half_val: 16320 half_val: 16384"),
    "DT_INT8": (content([-1, 2], "i1"), "int_val: -1 int_val: 2"),
    "DT_UINT16": (content([65535, 2], "<u2"), "int_val: 65535 int_val: 2"),
    "DT_INT64": (content([-1, 2], "<i8"), "int64_val: -1 int64_val: 2"),
    "DT_BOOL": (content([1, 0], "?"), "bool_val: true bool_val: false"),
    "DT_COMPLEX64": (content([1 + 2j, 3], "<c8"), "scomplex_val: 1 scomplex_val: 2 scomplex_val: 3 scomplex_val: 0"),
    "DT_STRING": ('tensor_content: "\\x02\\x00abc"', 'string_val: "ab" string_val: ""'),
}
CONTENTS["DT_STRING"] = ('tensor_content: "\\x02\\x01abc"', 'string_val: "ab" string_val: "c"')

ENCODINGS = [
    *(echoed(f"{dtype} in its field", dtype, f"{dims(2)} {values}", f"{dims(2)} {values}") for dtype, values in FIELDS.items()),
    *(echoed(f"{dtype} in tensor_content", dtype, f"{dims(2)} {sent}", f"{dims(2)} {received}") for dtype, (sent, received) in CONTENTS.items()),
    echoed("the last value fills the rest", "DT_FLOAT", f"{dims(4)} float_val: 1 float_val: 2", f"{dims(4)} " + "float_val: 1" + 3 * " float_val: 2"),
    echoed("a single string fills the shape", "DT_STRING", f'{dims(2)} string_val: "a"', f'{dims(2)} string_val: "a" string_val: "a"'),
    echoed(
        "a single complex number fills the shape", "DT_COMPLEX64", f"{dims(2)} scomplex_val: 1 scomplex_val: 2",
        f"{dims(2)} scomplex_val: 1 scomplex_val: 2 scomplex_val: 1 scomplex_val: 2",
    ),
    echoed("a single half fills the shape", "DT_HALF", f"{dims(2)} half_val: 15872", f"{dims(2)} half_val: 15872 half_val: 15872"),
    echoed("no value is zeros", "DT_INT64", dims(2), f"{dims(2)} int64_val: 0 int64_val: 0"),
    echoed("no value is empty strings", "DT_STRING", dims(2), f'{dims(2)} string_val: "" string_val: ""'),
    echoed("no value is false", "DT_BOOL", dims(1), f"{dims(1)} bool_val: false"),
    echoed("values in another type's field are none", "DT_FLOAT", f"{dims(1)} double_val: 7", f"{dims(1)} float_val: 0"),
    echoed("tensor_content goes before values", "DT_FLOAT", f"{dims(1)} {content([2], '<f4')} float_val: 1", f"{dims(1)} float_val: 2"),
    echoed("a dimension's name is no matter", "DT_INT32", 'tensor_shape { dim { size: 1 name: "rows" } } int_val: 5', f"{dims(1)} int_val: 5"),
    echoed("version_number is no matter", "DT_INT32", f"{dims(1)} version_number: 9 int_val: 5", f"{dims(1)} int_val: 5"),
    echoed("NaN stays NaN's bits", "DT_HALF", f"{dims(1)} half_val: 32257", f"{dims(1)} half_val: 32257"),
    Case(
        row="tensor.cc: no shape is a scalar's", request=predict('name: "several" signature_name: "double"', {"x": "dtype: DT_FLOAT float_val: 2"}),
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { } float_val: 4 } } '
        'model_spec { name: "several" version { value: 1 } signature_name: "double" }',
    ),
]  # fmt: skip


def unparsed(row: str, sent: str, spec: str = HALF) -> Case:
    return Case(row=row, request=predict(spec, {"x": sent}), code=INVALID, message="tensor parsing error: x")


UNPARSED = [
    unparsed("2: tensor_content of wrong length", f'dtype: DT_FLOAT {dims(2)} tensor_content: "abcde"'),
    unparsed("2: negative dim", f"dtype: DT_FLOAT {dims(-1)} float_val: 1"),
    unparsed("2: empty TensorProto (DT_INVALID)", ""),
    unparsed("tensor.cc: DT_INVALID with values", f"{dims(1)} float_val: 1"),
    unparsed("tensor.cc: a type that there isn't", f"dtype: 999 {dims(1)} float_val: 1"),
    unparsed("tensor.cc: a reference type", f"dtype: DT_FLOAT_REF {dims(1)} float_val: 1"),
    unparsed("tensor.cc: a type that there isn't, of no rows", f"dtype: 999 {dims(0)}"),
    unparsed("tensor_shape.cc: 255 dimensions", f"dtype: DT_FLOAT {dims(*[1] * 255)} float_val: 1"),
    unparsed("tensor.cc: string content that is cut off", f'dtype: DT_STRING {dims(2)} tensor_content: "\\x02\\x05abc"', STRINGS),
    unparsed("tensor.cc: string content that goes on", f'dtype: DT_STRING {dims(1)} tensor_content: "\\x01abc"', STRINGS),
    unparsed("tensor.cc: a row more in the content", f"dtype: DT_FLOAT {dims(1)} {content([1, 2], '<f4')}"),
    Case(
        row="tensor.cc: 10^8 declared elements",
        request=predict('name: "echo" signature_name: "total"', {"x": f"dtype: DT_FLOAT {dims(10**8)} float_val: 1"}), code=INVALID,
        message="tensor parsing error: x: 100000000 elements are declared and 1 came; at most 67108864 are filled in",
        reference=("OK", None), why="a few bytes mustn't ask for gigabytes",
    ),
]  # fmt: skip


def misfit(dtype: str, name: str, values: str = "int_val: 1") -> Case:
    return Case(
        row=f"2: wrong dtype: {name}", request=predict(HALF, {"x": f"dtype: {dtype} {dims(1)} {values}"}), code=INVALID, is_kernels=True,
        message=f"Expects arg[0] to be float but {name} is provided",
    )  # fmt: skip


# What TensorFlow Serving takes, and ours doesn't.
SILENT = "what a tensor doesn't say plainly isn't guessed: values beyond its shape, or beyond its type, are a caller's mistake"
STRICTER = [
    replace(
        unparsed("tensor.cc: more values than the shape has", f"dtype: DT_FLOAT {dims(1)} float_val: 1 float_val: 2"),
        reference=("OK", None), why=SILENT,
    ),
    replace(
        unparsed("tensor.cc: a number too large for its type", f"dtype: DT_UINT8 {dims(1)} int_val: 300", ECHO_UINT8),
        reference=("OK", None), why=SILENT,
    ),
    replace(
        unparsed("tensor.cc: content of no rows", f'dtype: DT_FLOAT {dims(0)} tensor_content: "abc"'), reference=("OK", None), why=SILENT
    ),
    replace(
        unparsed("tensor_shape.cc: unknown_rank is a scalar's", "dtype: DT_FLOAT tensor_shape { unknown_rank: true } float_val: 2", DOUBLE),
        reference=("OK", None), why=SILENT,
    ),
    Case(
        row="tensor_shape.cc: dimensions whose product overflows", code=INVALID,
        request=predict(HALF, {"x": f"dtype: DT_FLOAT {dims(1 << 40, 1 << 40)} float_val: 1"}),
        message=f"tensor parsing error: x: {1 << 80} elements are declared and 1 came; at most 67108864 are filled in",
        reference=(INVALID, "tensor parsing error: x"), why="the same, and it says what is too much",
    ),
]  # fmt: skip

# The types that no signature here takes are named as TensorFlow names them (tensorflow/core/framework/types.cc).
MISFITS = [
    misfit("DT_HALF", "half", "half_val: 1"),
    misfit("DT_BFLOAT16", "bfloat16", "half_val: 1"),
    misfit("DT_COMPLEX64", "complex64", "scomplex_val: 1 scomplex_val: 2"),
    misfit("DT_BOOL", "bool", "bool_val: true"),
    misfit("DT_UINT64", "uint64", "uint64_val: 1"),
    misfit("DT_QINT8", "qint8"),
    misfit("DT_QUINT8", "quint8"),
    misfit("DT_QINT16", "qint16"),
    misfit("DT_QUINT16", "quint16"),
    misfit("DT_QINT32", "qint32"),
]

# No tensor of these can be sent: what they hold isn't data, or has no array.
UNSENDABLE = [
    replace(
        misfit(*given), message="tensor parsing error: x", why="no model is served such tensors",
        reference=(INVALID, re.compile(rf"Expects arg\[0\] to be float but {given[1]} is provided[\s\S]*")),
    )
    for given in (
        ("DT_INT4", "int4"),
        ("DT_FLOAT8_E5M2", "float8_e5m2", 'float8_val: "\\x01"'),
        ("DT_RESOURCE", "resource", "resource_handle_val { }"),
        ("DT_VARIANT", "variant", "variant_val { }"),
    )
]  # fmt: skip

CASES = [*ENCODINGS, *UNPARSED, *STRICTER, *MISFITS, *UNSENDABLE]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_a_tensor_is_taken_or_refused_as_its_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)
