"""The examples of `classify` and `regress` from JSON, as TensorFlow Serving reads them (util/json_tensor.cc): the values say what kind they are."""

from collections.abc import Mapping
from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import input_pb2

from modelserver.errors import ServingError, invalid_argument
from modelserver.rest.json_text import Value, is_int64
from modelserver.rest.json_writer import pairs_of, quoted, type_name
from modelserver.rest.tensors import is_b64, read_b64

_CONTEXT, _EXAMPLES = "context", "examples"
_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
_MAX_INT64 = (1 << 63) - 1


def read_examples(document: dict[str, Value]) -> input_pb2.Input:
    """The input of a request. Raises ServingError in TensorFlow Serving's words, which say "classify" for `regress` as well."""
    found = input_pb2.Input()
    if _CONTEXT in document:
        _read_example(document[_CONTEXT], found.example_list_with_context.context)
    if _EXAMPLES not in document:
        raise _refusal(document, f"When method is classify, key '{_EXAMPLES}' is expected and was not found")
    examples = document[_EXAMPLES]
    if not isinstance(examples, list):
        raise _refusal(document, f"Expecting '{_EXAMPLES}' value to be an list/array")
    if not examples:
        raise _refusal(document, f"'{_EXAMPLES}' value is an empty array")
    listed = found.example_list_with_context if _CONTEXT in document else found.example_list
    for value in examples:
        _read_example(value, listed.examples.add())
    return found


def _refusal(document: Mapping[str, Value], why: str) -> ServingError:
    return invalid_argument(f"JSON Value: {quoted(document)} {why}")


def _read_example(value: Value, example: example_pb2.Example) -> None:
    if not isinstance(value, dict):
        message = f"Example must be JSON object but got JSON {type_name(value)}"
        raise invalid_argument(message)
    example.features.SetInParent()
    for name, content in pairs_of(value):
        feature = feature_pb2.Feature()
        _read_feature(name, content if isinstance(content, list) else [content], feature)
        example.features.feature[name].CopyFrom(feature)


def _read_feature(name: str, values: list[Value], feature: feature_pb2.Feature) -> None:
    for kind, content in _as_a_whole(values) or (_read_value(name, value) for value in values):
        present = feature.WhichOneof("kind")
        if present not in {None, kind}:
            message = f"Unexpected element type in feature: {name} expecting type: {_KINDS[str(present)]}"
            raise invalid_argument(message)
        getattr(feature, kind).value.extend(content)


def _as_a_whole(values: list[Value]) -> list[tuple[str, list[Any]]] | None:
    """Values of one kind at once; None where they aren't, or may not be."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return [("float_list", values)]
    if kinds == {int} and max(values) <= _MAX_INT64 and is_int64(min(values)):
        return [("int64_list", values)]
    return None


def _read_value(name: str, value: Value) -> tuple[str, list[Any]]:
    if isinstance(value, str):
        return "bytes_list", [value.encode(errors="surrogateescape")]
    if is_b64(value):
        return "bytes_list", [read_b64(value)]
    if isinstance(value, bool):
        return "int64_list", [int(value)]
    if isinstance(value, float) or (isinstance(value, int) and not is_int64(value)):
        return "float_list", [float(value)]
    if not isinstance(value, int):
        message = f"Feature: {name} has element with unexpected JSON type: {type_name(value)}"
        raise invalid_argument(message)
    if value > _MAX_INT64:
        message = f"Feature: {name} has uint64_t element. Only int64_t is supported."
        raise invalid_argument(message)
    return "int64_list", [value]
