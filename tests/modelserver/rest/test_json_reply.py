"""Answers as JSON: what TensorFlow Serving's util/json_tensor_test.cc expects of it, and the layout of RapidJSON's PrettyWriter."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, regression_pb2

from modelserver.errors import ServingError
from modelserver.rest import json_reply, json_writer

FLOAT, DOUBLE, INT32, STRING = types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_INT32, types_pb2.DT_STRING

FLOATS = [
    (9000000, "9e+06"),
    (999999, "999999.0"),
    (0.5, "0.5"),
    (0.0003, "0.0003"),
    (0.00003, "3e-05"),
    (555557.5, "555557.5"),
    (0.1, "0.1"),
    (0.2, "0.2"),
    (1 / 3, "0.333333343"),
    (16777216, "16777216.0"),
    (1234567, "1234567.0"),
    (0, "0.0"),
    (-0.0, "-0.0"),
    (3.4028234663852886e38, "3.40282347e+38"),
    (1.401298464324817e-45, "1.4013e-45"),
    (float("nan"), "NaN"),
    (float("inf"), "Infinity"),
    (float("-inf"), "-Infinity"),
]
DOUBLES = [(0.1, "0.1"), (1 / 3, "0.33333333333333331"), (123456789, "123456789.0"), (1e300, "1e+300"), (5e-324, "4.94066e-324"), (1e15, "1e+15")]


@pytest.mark.parametrize(("number", "text"), FLOATS)
def test_floats(number: float, text: str) -> None:
    assert json_reply.rows({"y": np.array([number], np.float32)}, {"y": FLOAT}) == f'{{\n    "predictions": [{text}\n    ]\n}}'.encode()


@pytest.mark.parametrize(("number", "text"), DOUBLES)
def test_doubles(number: float, text: str) -> None:
    assert json_reply.rows({"y": np.array([number], np.float64)}, {"y": DOUBLE}) == f'{{\n    "predictions": [{text}\n    ]\n}}'.encode()


@given(array=arrays.arrays(np.float32, st.integers(0, 30)) | arrays.arrays(np.float64, st.integers(0, 30)))
def test_every_float_comes_back_as_the_same_and_is_no_integer(array: Any) -> None:
    dtype = FLOAT if array.dtype == np.float32 else DOUBLE

    (texts,) = json.loads(json_reply.columns({"y": array}, {"y": dtype}), parse_int=lambda text: pytest.fail(f"{text} is an integer")).values()

    np.testing.assert_array_equal(np.array(texts, np.float64).astype(array.dtype), array)


def test_what_is_formatted_in_parts_is_whole() -> None:
    array = np.arange(10_000, dtype=np.float32).reshape(100, 10, 10)

    assert json.loads(json_reply.rows({"y": array}, {"y": FLOAT}))["predictions"] == array.tolist()
    assert json.loads(json_reply.rows({"y": array.reshape(1, 10_000)}, {"y": FLOAT}))["predictions"] == [array.ravel().tolist()]
    assert json.loads(json_reply.columns({"y": array}, {"y": FLOAT}))["outputs"] == array.tolist()


NUMBERS = np.array([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 0], [1, 2]]], np.int32)


def test_rows_are_on_one_line() -> None:
    text = json_reply.rows({"y": NUMBERS}, {"y": INT32}).decode()

    assert text == '{\n    "predictions": [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 0], [1, 2]]\n    ]\n}'


def test_columns_have_a_line_for_each_number() -> None:
    text = json_reply.columns({"y": NUMBERS[0, :1]}, {"y": INT32}).decode()

    assert text == '{\n    "outputs": [\n        [\n            1,\n            2\n        ]\n    ]\n}'


def test_a_scalar_is_a_column_and_no_row() -> None:
    outputs = {"y": np.array(7, np.int32)}

    assert json_reply.columns(outputs, {"y": INT32}) == b'{\n    "outputs": 7\n}'
    with pytest.raises(ServingError, match=r"^Tensor name: y has no shape information $"):
        json_reply.rows(outputs, {"y": INT32})


def test_a_row_of_several_outputs_is_an_object() -> None:
    outputs = {
        "double_scalar": np.array([8.0, 9.0]),
        "float": np.array([[1], [2]], np.float32),
        "str": np.array([[b"foo", b"bar"], [b"baz", b"bat"]], object),
        "str_bytes": np.array([[b"hello"], [b"tf"]], object),
    }
    types = {"double_scalar": DOUBLE, "float": FLOAT, "str": STRING, "str_bytes": STRING}

    text = json_reply.rows(outputs, types).decode()

    assert json.loads(text) == {
        "predictions": [
            {"double_scalar": 8.0, "float": [1.0], "str": ["foo", "bar"], "str_bytes": [{"b64": "aGVsbG8="}]},
            {"double_scalar": 9.0, "float": [2.0], "str": ["baz", "bat"], "str_bytes": [{"b64": "dGY="}]},
        ]
    }
    assert text.startswith(
        '{\n    "predictions": [\n        {\n            "double_scalar": 8.0,\n            "float": [1.0],\n            "str": ["foo", "bar"],\n'
        '            "str_bytes": [{\n                    "b64": "aGVsbG8="\n                }]\n        },\n        {\n'
    )


def test_outputs_of_several_names_are_an_object_of_columns() -> None:
    text = json_reply.columns({"a": np.array([1], np.int32), "b": np.array(2, np.int32)}, {"a": INT32, "b": INT32}).decode()

    assert text == '{\n    "outputs": {\n        "a": [\n            1\n        ],\n        "b": 2\n    }\n}'


def test_bytes_of_rows_and_of_columns_are_indented() -> None:
    outputs = {"y_bytes": np.array([b"\xff"], object)}

    assert json_reply.rows(outputs, {"y_bytes": STRING}).decode() == '{\n    "predictions": [{\n            "b64": "/w=="\n        }\n    ]\n}'
    assert json_reply.columns(outputs, {"y_bytes": STRING}).decode() == (
        '{\n    "outputs": [\n        {\n            "b64": "/w=="\n        }\n    ]\n}'
    )


@pytest.mark.parametrize(("shape", "rows", "columns"), [((0,), "[]", "[]"), ((0, 2), "[]", "[]"), ((2, 0), "[[], []\n    ]", None)])
def test_nothing_is_an_empty_list(shape: tuple[int, ...], rows: str, columns: str | None) -> None:
    outputs, types = {"y": np.zeros(shape, np.float32)}, {"y": FLOAT}

    assert json_reply.rows(outputs, types).decode() == f'{{\n    "predictions": {rows}\n}}'
    if columns is not None:
        assert json_reply.columns(outputs, types).decode() == f'{{\n    "outputs": {columns}\n}}'


def test_a_string_is_escaped_and_its_bytes_stay() -> None:
    texts = np.array([b'"\\\b\f\n\r\t/\x01\x1f\x7f', "é".encode(), b"\xff"], object)

    text = json_reply.rows({"y": texts}, {"y": STRING})

    assert text == b'{\n    "predictions": ["\\"\\\\\\b\\f\\n\\r\\t/\\u0001\\u001F\x7f", "\xc3\xa9", "\xff"\n    ]\n}'


def test_booleans() -> None:
    assert json_reply.rows({"y": np.array([True, False])}, {"y": types_pb2.DT_BOOL}) == b'{\n    "predictions": [true, false\n    ]\n}'


@pytest.mark.parametrize(
    ("outputs", "types", "error"),
    [
        ({}, {}, "Cannot convert empty tensor map to JSON"),
        ({"y": np.zeros(2, np.complex64)}, {"y": types_pb2.DT_COMPLEX64}, "Failed to write JSON value for tensor type: complex64"),
        ({"y": np.zeros(2, np.float16)}, {"y": types_pb2.DT_HALF}, "Failed to write JSON value for tensor type: half"),
        (
            {"a": np.zeros((2, 3), np.int32), "b": np.zeros((1, 3), np.int32)},
            {"a": INT32, "b": INT32},
            "Tensor name: b has inconsistent batch size: 1 expecting: 2",
        ),
        (
            {"a": np.zeros((0, 2), np.int32), "b": np.zeros((1, 2), np.int32)},
            {"a": INT32, "b": INT32},
            "Tensor name: b has inconsistent batch size: 1 expecting: 0",
        ),
    ],
)
def test_what_cant_be_rows(outputs: dict[str, Any], types: dict[str, int], error: str) -> None:
    with pytest.raises(ServingError) as caught:
        json_reply.rows(outputs, types)

    assert caught.value.message == error


def test_classifications_and_regressions() -> None:
    classes = classification_pb2.ClassificationResult()
    for label, score in (("a", 0.5), ("", 12)):
        classes.classifications.add().classes.add(label=label, score=score)
    regressions = regression_pb2.RegressionResult()
    for value in (42, 0.1):
        regressions.regressions.add(value=value)

    assert json_reply.classifications(classes).decode() == '{\n    "results": [[["a", 0.5]], [["", 12.0]]\n    ]\n}'
    assert json_reply.regressions(regressions).decode() == '{\n    "results": [42.0, 0.1]\n}'


def test_no_results_are_an_error() -> None:
    with pytest.raises(ServingError, match=r"^Cannot convert empty ClassificationResults to JSON$"):
        json_reply.classifications(classification_pb2.ClassificationResult())
    with pytest.raises(ServingError, match=r"^Cannot convert empty RegressionResults to JSON$"):
        json_reply.regressions(regression_pb2.RegressionResult())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, 2.0, "a\n", None, True], '[1, 2.0, "a\\n", null, true]'),
        ({"a": [], "b": {}}, '{\n    "a": [],\n    "b": {}\n}'),
        ([{"a": 1}], '[{\n        "a": 1\n    }]'),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.25e21, "1.25e21"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (-0.0, "-0.0"),
        (1 << 64, "18446744073709552000.0"),
        ([1, float("nan"), 2], "[1, "),
    ],
)
def test_a_value_in_an_error(value: Any, text: str) -> None:
    assert json_writer.quoted(value) == text


def test_a_long_value_in_an_error_is_cut() -> None:
    assert json_writer.quoted([1] * 1000) == "[1" + ", 1" * 85
    assert json_writer.quoted(["x" * 1000, 1]) == '["' + "x" * 1000 + '"'


def test_a_deep_value_in_an_error_is_cut() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    assert json_writer.quoted(value) == "[" * 256
    while value:
        value = value[0]


DECIMALS = st.integers(-999_999, 999_999).map(lambda number: float(np.float32(number / 1e3)))


@given(number=st.floats(width=32, allow_nan=False, allow_infinity=False) | DECIMALS)
def test_a_float_has_six_digits_where_these_say_it_and_nine_otherwise(number: float) -> None:
    """json_tensor.cc, WriteDecimal."""
    text = f"{number:g}"
    if np.float32(text) != np.float32(number):
        text = f"{number:.9g}"
    text = text if "." in text or "e" in text else f"{text}.0"

    assert json_reply.columns({"y": np.array(number, np.float32)}, {"y": FLOAT}).decode() == f'{{\n    "outputs": {text}\n}}'
