"""REST: URLs, status codes, status, metadata, classify and regress. `tfserving.md`, REST; http_rest_api_util.cc, http_server.cc, json_tensor.cc."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from tests.contract.rest import HALF, Rest, RestCase

ONE = {"instances": [1]}
ANSWER = '{"predictions":[2.5]}'
AVAILABLE = {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}


def url(row: str, path: str, verb: str = "POST", body: Any = ONE, **expected: Any) -> RestCase:
    return RestCase(row=f"http_rest_api_util.cc: {row}", verb=verb, path=path, body=body if verb == "POST" else None, **expected)


def malformed(row: str, path: str, verb: str = "POST") -> RestCase:
    return url(row, path, verb, status=400, error=f"Malformed request: {verb} {path}")


URLS = [
    url("a version", f"{HALF}/versions/1:predict", compact=ANSWER),
    url("whatever the case", "/V1/Models/half_plus_two:predict", compact=ANSWER),
    url("a name that is escaped", "/v1/models/half%5Fplus%5Ftwo:predict", compact=ANSWER),
    url("unknown model", "/v1/models/nope:predict", status=404, error="Servable not found for request: Latest(nope)"),
    url("unknown version", f"{HALF}/versions/99:predict", status=404, error="Servable not found for request: Specific(half_plus_two, 99)"),
    url("unknown label", f"{HALF}/labels/nolabel:predict", status=400, error="Unrecognized servable version label: nolabel"),
    url("a version beyond 64 bits", f"{HALF}/versions/99999999999999999999:predict", status=400,
        error="Failed to convert version: 99999999999999999999 to numeric."),
    malformed("a version that is no number", f"{HALF}/versions/one:predict"),
    malformed("a version and a label", f"{HALF}/versions/1/labels/a:predict"),
    malformed("a method that there isn't", f"{HALF}:nope"),
    malformed("a method in capitals", f"{HALF}:PREDICT"),
    malformed("no method", HALF),
    malformed("a query", f"{HALF}:predict?a=b"),
    malformed("GET of a method", f"{HALF}:predict", "GET"),
    malformed("no model", "/v1/models/:predict"),
    malformed("another collection", "/v1/nope"),
    malformed("PUT", f"{HALF}:predict", "PUT"),
    malformed("DELETE", HALF, "DELETE"),
    malformed("a slash at the end", "/v1/models/", "GET"),
    malformed("another subresource", f"{HALF}/nope", "GET"),
    RestCase(row="http_server.cc: another API version", verb="GET", path="/v2/models/half_plus_two", status=404),
    RestCase(row="http_server.cc: no path", verb="GET", path="/", status=404),
    url("GET /v1/models", "/v1/models", "GET", status=400, error="Missing model name in request."),
    url("status", HALF, "GET", value=AVAILABLE),
    url("status of a version", f"{HALF}/versions/1", "GET", value=AVAILABLE),
    url("status by a label, which is passed over", f"{HALF}/labels/nope", "GET", value=AVAILABLE),
    url("status of an unknown model", "/v1/models/nope", "GET", status=404, error="Could not find any versions of model nope"),
    url("status of an unknown version", f"{HALF}/versions/9", "GET", status=404, error="Could not find version 9 of model half_plus_two"),
    url("metadata of an unknown model", "/v1/models/nope/metadata", "GET", status=404, error="Servable not found for request: Latest(nope)"),
    url("metadata of an unknown version", f"{HALF}/versions/9/metadata", "GET", status=404,
        error="Servable not found for request: Specific(half_plus_two, 9)"),
    url("metadata by an unknown label", f"{HALF}/labels/a/metadata", "GET", status=400, error="Unrecognized servable version label: a"),
]  # fmt: skip

X_TO_Y = {"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}, {"x": 2.0}]}
NO_EXAMPLES = "When method is classify, key 'examples' is expected and was not found"


def classified(row: str, body: Any, method: str = "classify", model: str = "examples", **expected: Any) -> RestCase:
    return RestCase(row=f"json_tensor.cc: {method}: {row}", path=f"/v1/models/{model}:{method}", body=body, **expected)


def regressed(row: str, examples: Any, error: str, **more: Any) -> RestCase:
    return classified(row, {"signature_name": "regress_x_to_y", "examples": examples, **more}, "regress", status=400, error=error)


EXAMPLES = [
    classified("scores", X_TO_Y, compact='{"results":[[["",2.5]],[["",3.0]]]}'),
    classified("the default signature", {"examples": [{"x": [1.0]}]}, compact='{"results":[[["",2.5]]]}'),
    classified(
        "labels", {"signature_name": "classify_two", "examples": [{"x": 1.0}]}, compact='{"results":[[["high",2.5],["low",-2.5]]]}',
    ),
    classified("a context", {"signature_name": "classify_x_to_y", "context": {"x": 2.0}, "examples": [{"z": 1}]}, compact='{"results":[[["",3.0]]]}'),
    classified("values", {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}, {"x": 2.0}]}, "regress", compact='{"results":[2.5,3.0]}'),
    classified("a model of TensorFlow 1", {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}, "regress", "legacy",
               compact='{"results":[2.5]}'),
    classified("no examples", {"a": 1}, status=400, error=f'JSON Value: {{\n    "a": 1\n}} {NO_EXAMPLES}'),
    classified("no examples", {"a": 1}, "regress", status=400, error=f'JSON Value: {{\n    "a": 1\n}} {NO_EXAMPLES}'),
    classified("examples that are no list", {"examples": 1}, status=400,
               error='JSON Value: {\n    "examples": 1\n} Expecting \'examples\' value to be an list/array'),
    classified("an empty list", {"examples": []}, status=400, error='JSON Value: {\n    "examples": []\n} \'examples\' value is an empty array'),
    classified("an example that is no object", {"examples": [1]}, status=400, error="Example must be JSON object but got JSON Number"),
    classified("a context that is no object", {"context": [], "examples": [{"x": 1.0}]}, status=400,
               error="Example must be JSON object but got JSON Array"),
    regressed("null", [{"x": None}], "Feature: x has element with unexpected JSON type: Null"),
    regressed("a list in a list", [{"x": [[1.0]]}], "Feature: x has element with unexpected JSON type: Array"),
    regressed("an object", [{"x": {"a": 1}}], "Feature: x has element with unexpected JSON type: Object"),
    regressed("two types in a list", [{"x": [1.0, "a"]}], "Unexpected element type in feature: x expecting type: float"),
    regressed("a whole number among floats", [{"x": [1.0, 1]}], "Unexpected element type in feature: x expecting type: float"),
    regressed("a number beyond int64", [{"x": 18446744073709551615}], "Feature: x has uint64_t element. Only int64_t is supported."),
    classified("unknown signature", {"signature_name": "nosig", "examples": [{"x": 1.0}]}, status=400,
               error="No signature was found with the name: nosig"),
    classified("unknown model", X_TO_Y, model="nope", status=404, error="Servable not found for request: Latest(nope)"),
    classified("the body before the model", "", model="nope", status=400, error="JSON Parse error: The document is empty"),
    classified("what the graph refuses", {"examples": [{"z": 1.0}]}, status=400, is_kernels=True,
               error="Name: <unknown>, Feature: x (data type: float) is required but could not be found."),
]  # fmt: skip

CASES = [*URLS, *EXAMPLES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_rest_answers_as_its_row_says(hold_rest: Callable[[RestCase], None], case: RestCase) -> None:
    hold_rest(case)


@pytest.mark.parametrize("path", [f"{HALF}/metadata", f"{HALF}/versions/1/metadata"])
def test_metadata_are_the_signatures_in_json(hold_rest: Callable[[RestCase], None], saved_models: Callable[[str], Any], path: str) -> None:
    """http_rest_api_util.cc, ToJsonString: every field is printed, under its name in the .proto."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in saved_models("half_plus_two").meta_graphs[0].signature_def.items():
        signatures.signature_def[name].CopyFrom(signature)
    document = json_format.MessageToDict(signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    spec = {"name": "half_plus_two", "signature_name": "", "version": "1"}

    hold_rest(RestCase(row="", verb="GET", path=path, value={"model_spec": spec, "metadata": {"signature_def": document}}))


def test_a_refused_request_leaves_rest_answering(rest: Rest) -> None:
    refused = RestCase(row="", body="{", status=400, error="JSON Parse error: Missing a name for object member. at offset: 1")
    good = RestCase(row="", body=ONE, compact=ANSWER)

    refused.hold(rest.ask(refused))

    good.hold(rest.ask(good))
