"""The examples of a request: the cases of TensorFlow Serving's util/json_tensor_test.cc."""

from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.text_encoding import CEscape
from tensorflow_serving.apis import input_pb2

from modelserver.errors import ServingError
from modelserver.rest.examples import read_examples
from modelserver.rest.json_text import parse


def read(text: str) -> input_pb2.Input:
    return read_examples(parse(text.encode()))


def features(**named: Any) -> str:
    """A message of features in text form: bytes, floats and integers are what they are in Python."""
    kinds = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
    entries = []
    for key, values in named.items():
        listed = " ".join(f"value: {CEscape(value, as_utf8=False)!r}" if isinstance(value, bytes) else f"value: {value}"
                          for value in values)  # fmt: skip
        entries.append(f"feature {{ key: '{key}' value {{ {kinds[type(values[0])]} {{ {listed} }} }} }}")
    return f"features {{ {' '.join(entries)} }}"


def parsed(text: str) -> input_pb2.Input:
    return text_format.Parse(text, input_pb2.Input())


def test_values_say_their_kind() -> None:
    found = read('{"examples": [{"names": ["foo", "bar"], "ratings": [8.0, 9.0], "age": 20}, {"names": ["baz"], "ratings": 6.0}]}')

    first = features(names=[b"foo", b"bar"], ratings=[8.0, 9.0], age=[20])
    second = features(names=[b"baz"], ratings=[6.0])
    assert found == parsed(f"example_list {{ examples {{ {first} }} examples {{ {second} }} }}")


def test_a_context_goes_beside_the_examples() -> None:
    found = read(
        '{"context": {"query": "pizza", "location": ["sfo"]}, "examples": ['
        '{"names": ["baz", {"b64": "aGVsbG8="}], "mixed": [1, true, false]}, {"ratings": -Infinity}]}'
    )

    context = features(query=[b"pizza"], location=[b"sfo"])
    first, second = features(names=[b"baz", b"hello"], mixed=[1, 1, 0]), features(ratings=[float("-inf")])
    assert found == parsed(f"example_list_with_context {{ context {{ {context} }} examples {{ {first} }} examples {{ {second} }} }}")


def test_nan_and_doubles_that_are_too_large_are_floats() -> None:
    (example,) = read('{"examples": [{"x": [NaN, 1e300, 18446744073709551616]}]}').example_list.examples

    assert [str(value) for value in example.features.feature["x"].float_list.value] == ["nan", "inf", "1.8446744073709552e+19"]


def test_an_empty_list_is_a_feature_of_no_kind() -> None:
    (example,) = read('{"examples": [{"x": []}]}').example_list.examples

    assert example.features.feature["x"].WhichOneof("kind") is None


def test_of_a_feature_that_comes_twice_the_last_one_counts() -> None:
    (example,) = read('{"examples": [{"x": 1, "x": "a"}]}').example_list.examples

    assert list(example.features.feature["x"].bytes_list.value) == [b"a"]


REFUSED = [
    ("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
    ('{"examples": {}}', "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an list/array"),
    ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
    ('{"examples": [1]}', "Example must be JSON object but got JSON Number"),
    ('{"context": null}', "Example must be JSON object but got JSON Null"),
    ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
    ('{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array"),
    ('{"examples": [{"x": {"a": 1}}]}', "Feature: x has element with unexpected JSON type: Object"),
    ('{"examples": [{"x": [1, "a"]}]}', "Unexpected element type in feature: x expecting type: int64"),
    ('{"examples": [{"x": [1, 2.5]}]}', "Unexpected element type in feature: x expecting type: int64"),
    ('{"examples": [{"x": ["a", 1]}]}', "Unexpected element type in feature: x expecting type: bytes"),
    ('{"examples": [{"x": [1.5, 1]}]}', "Unexpected element type in feature: x expecting type: float"),
    ('{"examples": [{"x": [1, 9223372036854775808]}]}', "Feature: x has uint64_t element. Only int64_t is supported."),
    ('{"examples": [{"x": {"b64": "%"}}]}', "Unable to base64 decode"),
]


@pytest.mark.parametrize(("text", "error"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_refused(text: str, error: str) -> None:
    with pytest.raises(ServingError) as caught:
        read(text)

    assert caught.value.message == error
