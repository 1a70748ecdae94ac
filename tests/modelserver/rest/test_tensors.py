"""The tensors of a request: the cases of TensorFlow Serving's util/json_tensor_test.cc, and what its util/json_tensor.cc says of others."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import types_pb2

from modelserver.errors import ServingError
from modelserver.rest.json_text import parse
from modelserver.rest.tensors import read_inputs

FLOAT, DOUBLE, INT32, INT64, STRING = types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_INT32, types_pb2.DT_INT64, types_pb2.DT_STRING
X_INT, X_FLOAT, X_STRING = {"x": INT32}, {"x": FLOAT}, {"x": STRING}
AB = {"int": INT32, "str": STRING}
MAX_DOUBLE = "1.7976931348623157e308"


def read(text: str | bytes, types: dict[str, int]) -> dict[str, Any]:
    """The arrays of a body."""
    body = text if isinstance(text, bytes) else text.encode()
    inputs, _ = read_inputs(parse(body), body, types)
    return {alias: tf.make_ndarray(proto) for alias, proto in inputs.items()}


TAKEN: list[tuple[str, dict[str, int], dict[str, Any]]] = [
    ('{"instances": [[1,2],[3,4],[5,6]]}', X_INT, {"x": np.array([[1, 2], [3, 4], [5, 6]], np.int32)}),
    ('{"instances": [1, 2.0, 3, 0.007]}', X_FLOAT, {"x": np.array([1, 2, 3, 0.007], np.float32)}),
    ('{"instances": [1.0, 2, 0.662]}', {"x": DOUBLE}, {"x": np.array([1, 2, 0.662])}),
    ('{"instances": [1435774380]}', X_FLOAT, {"x": np.array([1435774380], np.float32)}),
    ('{"instances": [1435774380.0]}', X_FLOAT, {"x": np.array([1435774380], np.float32)}),
    (f'{{"instances": [{MAX_DOUBLE}, -{MAX_DOUBLE}]}}', X_FLOAT, {"x": np.array([np.inf, -np.inf], np.float32)}),
    ('{"instances": [2.2250738585072014e-308, -2.2250738585072014e-308]}', X_FLOAT, {"x": np.array([0, -0.0], np.float32)}),
    ('{"instances": [NaN, Infinity, -Infinity, Inf]}', X_FLOAT, {"x": np.array([np.nan, np.inf, -np.inf, np.inf], np.float32)}),
    ('{"instances": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}]}', X_STRING, {"x": np.array([b"hello", b"world"], object)}),
    ('{"instances": [[{"b64": "aGVsbG8="}], ["world"]]}', X_STRING, {"x": np.array([[b"hello"], [b"world"]], object)}),
    ('{"instances": [{"x": [[{"b64": "aGVsbG8="}]]}]}', X_STRING, {"x": np.array([[[b"hello"]]], object)}),
    (
        '{"instances": [{"int": [1,2], "str": "foo"}, {"str": "bar", "int": [3,4]}]}',
        AB, {"int": np.array([[1, 2], [3, 4]], np.int32), "str": np.array([b"foo", b"bar"], object)},
    ),
    ('{"inputs": {"x": [[[1,2],[3,4]]]}}', X_INT, {"x": np.array([[[1, 2], [3, 4]]], np.int32)}),
    ('{"inputs": [[[1,2],[3,4]]]}', X_INT, {"x": np.array([[[1, 2], [3, 4]]], np.int32)}),
    (
        '{"inputs": {"int": [[1,2]], "str": {"b64": "aGVsbG8="}, "more": 1}}',
        AB, {"int": np.array([[1, 2]], np.int32), "str": np.array(b"hello", object)},
    ),
    ('{"inputs": 7}', X_INT, {"x": np.array(7, np.int32)}),
    ('{"inputs": {"b64": "aGk="}}', X_STRING, {"x": np.array(b"hi", object)}),
    ('{"inputs": []}', X_FLOAT, {"x": np.zeros(0, np.float32)}),
    ('{"inputs": [[], []]}', X_FLOAT, {"x": np.zeros((2, 0), np.float32)}),
    ('{"instances": [[], []]}', X_STRING, {"x": np.zeros((2, 0), object)}),
    ('{"instances": [true, false]}', {"x": types_pb2.DT_BOOL}, {"x": np.array([True, False])}),
    ('{"instances": [9223372036854775807, -9223372036854775808]}', {"x": INT64}, {"x": np.array([2**63 - 1, -(2**63)], np.int64)}),
    ('{"instances": [18446744073709551615]}', {"x": types_pb2.DT_UINT64}, {"x": np.array([2**64 - 1], np.uint64)}),
    ('{"instances": [18446744073709551616]}', X_FLOAT, {"x": np.array([2.0**64], np.float32)}),
    ('{"instances": [-128, 127]}', {"x": types_pb2.DT_INT8}, {"x": np.array([-128, 127], np.int8)}),
    ('{"inputs": []}', {"x": types_pb2.DT_HALF}, {"x": np.zeros(0, np.float16)}),
    ('{"inputs": {"x": 1, "x": 2}}', X_INT, {"x": np.array(1, np.int32)}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "types", "arrays"), TAKEN, ids=[text for text, _, _ in TAKEN])
def test_what_is_taken(text: str, types: dict[str, int], arrays: dict[str, Any]) -> None:
    found = read(text, types)

    assert found.keys() == arrays.keys()
    for alias, array in arrays.items():
        assert (found[alias].dtype, found[alias].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[alias], array)


def test_rows_and_columns_are_told_apart() -> None:
    assert read_inputs({"instances": [1]}, b"", X_INT)[1] is True
    assert read_inputs({"inputs": [1]}, b"", X_INT)[1] is False


def test_strings_are_their_bytes_even_where_these_are_no_text() -> None:
    assert read(b'{"instances": ["\xff\x80", "\xc3\xa9"]}', X_STRING)["x"].tolist() == [b"\xff\x80", b"\xc3\xa9"]


def row(number: int, error: str, key: str = "", code: str = "INVALID_ARGUMENT") -> str:
    return f"Failed to process element: {number}{f' key: {key}' if key else ''} of 'instances' list. Error: {code}: {error}"


def unexpected(shown: str, kind: str, dtype: str) -> str:
    return f"JSON Value: {shown} Type: {kind} is not of expected type: {dtype}"


REFUSED = [
    ("{}", X_INT, "Missing 'inputs' or 'instances' key"),
    ('{"instances": {}}', X_INT, 'JSON Value: {\n    "instances": {}\n} Expecting \'instances\' to be an list/array'),
    ('{"instances": []}', X_INT, 'JSON Value: {\n    "instances": []\n} No values in \'instances\' array'),
    (
        '{"instances": [1], "inputs": [1]}', X_INT,
        (
            'JSON Value: {\n    "instances": [1],\n    "inputs": [1]\n} Not formatted correctly expecting only one of '
            "'inputs' or 'instances' keys to exist "
        ),
    ),
    ('{"instances": [[1,2],[3,4],[5,6,7]]}', X_INT, row(2, "Expecting tensor size: 2 but got: 3")),
    ('{"instances": [[1,2],[3,4],[[5,6]]]}', X_INT, row(2, "Expecting shape [2] but got: [1,2]")),
    ('{"instances": [1, [1]]}', X_INT, row(1, "Expecting shape [] but got: [1]")),
    ('{"instances": [[1,[2]]]}', X_INT, row(0, "Encountered list at unexpected level: 1 expected < 1")),
    ('{"instances": [[[1],[2,3]]]}', X_INT, row(0, "Encountered list at unexpected size: 2 at level: 1 expected size: 1")),
    ('{"instances": [[[1],2]]}', X_INT, row(0, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2")),
    ('{"instances": [[1,2],["a","b"]]}', X_INT, row(1, unexpected('"a"', "String", "int32"))),
    ('{"instances": [[], [1]]}', X_INT, row(1, "Expecting tensor size: 0 but got: 1")),
    ('{"instances": [{"int": [[1]], "str": "a"}, {"int": [[[1]]], "str": "a"}]}', AB, row(1, "Expecting shape [1,1] but got: [1,1,1]", "int")),
    ('{"instances": [{"int": [1], "str": "a"}, {"int": [1,2], "str": "a"}]}', AB, row(1, "Expecting tensor size: 1 but got: 2", "int")),
    ('{"instances": [{"int": [1], "str": "a"}, [1]]}', AB, "Expecting object but got list at item 1 of input list"),
    ('{"instances": ["a", {"x": "b"}]}', X_STRING, "Expecting value/list but got object at item 1 of input list"),
    ('{"instances": [{"x": "a"}, {"b64": "aGk="}]}', X_STRING, "Expecting object but got list at item 1 of input list"),
    ('{"instances": [{"z": 1}]}', X_INT, row(0, "JSON object: does not have named input: z", "z")),
    (
        '{"instances": [{"int": 1}]}', AB,
        'Failed to process element: 0 of \'instances\' list. JSON object: {\n    "int": 1\n} keys must be equal to: int,str',
    ),
    ('{"instances": [{"x": 1, "x": 2}]}', X_INT, "tensor parsing error: x"),
    (
        '{"instances": [1]}', AB,
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
    ),
    ('{"inputs": [1]}', AB, "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"),
    ('{"inputs": {"int": [1]}}', AB, "Missing named input: str in 'inputs' object."),
    ('{"inputs": [1, [2]]}', X_INT, "Encountered list at unexpected level: 1 expected < 1"),
    ('{"inputs": [[1, 2], [3]]}', X_INT, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
    ('{"inputs": [[], 1]}', X_INT, "JSON Value: 1 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ('{"inputs": [null]}', X_FLOAT, unexpected("null", "Null", "float")),
    ('{"inputs": [true]}', X_FLOAT, unexpected("true", "True", "float")),
    ('{"inputs": [false]}', X_INT, unexpected("false", "False", "int32")),
    ('{"inputs": [1.0]}', X_INT, unexpected("1.0", "Number", "int32")),
    ('{"inputs": [2147483648]}', X_INT, unexpected("2147483648", "Number", "int32")),
    ('{"inputs": [2147483648]}', {"x": types_pb2.DT_UINT8}, unexpected("2147483648", "Number", "uint8")),
    ('{"inputs": [-1]}', {"x": types_pb2.DT_UINT32}, unexpected("-1", "Number", "uint32")),
    ('{"inputs": [9223372036854775808]}', {"x": INT64}, unexpected("9223372036854775808", "Number", "int64")),
    ('{"inputs": [18446744073709551616]}', {"x": types_pb2.DT_UINT64}, unexpected("18446744073709552000.0", "Number", "uint64")),
    ('{"inputs": [1]}', X_STRING, unexpected("1", "Number", "string")),
    ('{"inputs": [1]}', {"x": types_pb2.DT_BOOL}, unexpected("1", "Number", "bool")),
    ('{"inputs": [{"a": 1}]}', X_FLOAT, unexpected('{\n    "a": 1\n}', "Object", "float")),
    ('{"inputs": [{"b64": "aGk="}]}', X_FLOAT, unexpected('{\n    "b64": "aGk="\n}', "Object", "float")),
    ('{"inputs": [{"b64": 1}]}', X_STRING, 'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data'),
    ('{"inputs": [1e400]}', X_FLOAT, "JSON Parse error: Number too big to be stored in double. at offset: 12"),
    (f'{{"inputs": [{"9" * 400}]}}', X_FLOAT, "JSON Parse error: Number too big to be stored in double. at offset: 12"),
    ('{"inputs": [{"b64": "a"}]}', X_STRING, "Unable to base64 decode"),
    ('{"inputs": [{"b64": "aGk=="}]}', X_STRING, "Unable to base64 decode"),
    ('{"inputs": [{"b64": "a-_k"}]}', X_STRING, "Unable to base64 decode"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "types", "error"), REFUSED, ids=[text[:80] for text, _, _ in REFUSED])
def test_what_is_refused(text: str, types: dict[str, int], error: str) -> None:
    with pytest.raises(ServingError) as caught:
        read(text, types)

    assert (caught.value.code.name, caught.value.message) == ("INVALID_ARGUMENT", error)


@pytest.mark.parametrize(
    ("encoded", "content"), [("aGk=", b"hi"), ("aGk", b"hi"), (" a\nG k = ", b"hi"), ("aGk.", b"hi"), ("", b""), ("/wA=", b"\xff\0")]
)
def test_base64_as_absl_takes_it(encoded: str, content: bytes) -> None:
    assert read(json.dumps({"inputs": {"b64": encoded}}), X_STRING)["x"].item() == content


@pytest.mark.parametrize("dtype", [types_pb2.DT_HALF, types_pb2.DT_BFLOAT16, types_pb2.DT_UINT16, types_pb2.DT_COMPLEX64])
def test_a_type_that_json_has_no_values_for_is_unimplemented(dtype: int) -> None:
    with pytest.raises(ServingError) as caught:
        read('{"inputs": [1]}', {"x": dtype})

    assert caught.value.code.name == "UNIMPLEMENTED"
    assert caught.value.message.startswith("Conversion of JSON Value: 1 to type: ")


def test_a_number_too_large_for_a_short_type_goes_as_it_does_over_grpc() -> None:
    inputs, _ = read_inputs({"inputs": [1, 300]}, b"", {"x": types_pb2.DT_UINT8})

    assert list(inputs["x"].int_val) == [1, 300]


SHAPES = st.lists(st.integers(0, 3), max_size=4)


@given(shape=SHAPES, data=st.data())
def test_a_list_of_any_shape_is_numpys(shape: list[int], data: st.DataObject) -> None:
    count = int(np.prod(shape))
    values = np.array(data.draw(st.lists(st.integers(-100, 100), min_size=count, max_size=count)), np.int32).reshape(shape)

    # Of an empty list, what it would hold can't be seen.
    nested = values.tolist()
    assert read(json.dumps({"inputs": nested}), X_INT)["x"].tolist() == nested
    if shape and shape[0]:
        assert read(json.dumps({"instances": [{"x": item} for item in nested]}), X_INT)["x"].tolist() == nested


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just({"b64": "aGk="}),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "b64"]), children, max_size=2),
    max_leaves=12,
)


@given(value=NESTED, key=st.sampled_from(["instances", "inputs"]), dtype=st.sampled_from([FLOAT, INT32, STRING, types_pb2.DT_UINT8]))
def test_any_value_is_taken_as_a_tensor_or_refused(value: Any, key: str, dtype: int) -> None:
    body = json.dumps({key: value}).encode()
    with suppress(ServingError):
        inputs, _ = read_inputs(parse(body), body, {"x": dtype})

        assert inputs["x"].dtype == dtype
