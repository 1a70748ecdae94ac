"""REST `predict`: the JSON of json_tensor.cc, and `tfserving.md`, REST."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.rest import HALF, RestCase

ECHO = "/v1/models/echo:predict"
SEVERAL = "/v1/models/several:predict"
TEXT = "/v1/models/text:predict"
TYPES = "/v1/models/types:predict"
PREDICT = f"{HALF}:predict"


def given(row: str, body: Any, compact: str | None = None, path: str = PREDICT, **expected: Any) -> RestCase:
    return RestCase(row=f"json_tensor.cc: {row}", path=path, body=body, compact=compact, **expected)


def refused(row: str, body: Any, error: str | re.Pattern[str], path: str = PREDICT, status: int = 400, **expected: Any) -> RestCase:
    return RestCase(row=f"json_tensor.cc: {row}", path=path, body=body, error=error, status=status, **expected)


def echoed(row: str, dtype: str, sent: str, received: str | None = None) -> RestCase:
    return given(row, f'{{"signature_name": "{dtype}", "instances": {sent}}}', f'{{"predictions":{received or sent}}}', ECHO)


# The value that goes beyond 256 bytes is the last that is written.
CUT = '{\n    "instances": 1,\n    "more": [1'
CUT += ", 1" * -((len(CUT) - 256) // 3)


def element(number: int, error: str, code: str = "INVALID_ARGUMENT") -> str:
    return f"Failed to process element: {number} of 'instances' list. Error: {code}: {error}"


FORMATS = [
    given("row form", {"instances": [1.0, 2.0, 5.0]}, '{"predictions":[2.5,3.0,4.5]}'),
    given("row form, named", {"instances": [{"x": 1.0}, {"x": 2.0}]}, '{"predictions":[2.5,3.0]}'),
    given("column form", {"inputs": [1.0, 2.0]}, '{"outputs":[2.5,3.0]}'),
    given("column form, named", {"inputs": {"x": [1.0, 2.0]}}, '{"outputs":[2.5,3.0]}'),
    given("signature_name", {"signature_name": "double", "instances": [[1, 2], [3, 4]]}, '{"predictions":[[2.0,4.0],[6.0,8.0]]}', SEVERAL),
    given(
        "rows of several inputs and outputs", {"instances": [{"a": [3, 1], "b": [1, 1]}, {"a": [0, 0], "b": [1, 2]}]}, path=SEVERAL,
        value={"predictions": [{"difference": [2, 0], "sum": [4, 2]}, {"difference": [-1, -2], "sum": [1, 2]}]},
    ),
    given(
        "columns of several inputs and outputs", {"inputs": {"a": [[3, 1]], "b": [[1, 1]]}}, path=SEVERAL,
        value={"outputs": {"difference": [[2, 0]], "sum": [[4, 2]]}},
    ),
    given("a scalar, in column form", {"signature_name": "slow", "inputs": 3}, '{"outputs":3}', SEVERAL),
    given("other keys are passed over", {"instances": [1], "more": {"x": None}}, '{"predictions":[2.5]}'),
    given("what comes after the object is passed over", '{"instances": [1]} and more', '{"predictions":[2.5]}'),
    given("no rows, in column form", {"inputs": []}, '{"outputs":[]}'),
    given("a model of TensorFlow 1", {"instances": [[1.0]]}, '{"predictions":[[2.5]]}', "/v1/models/legacy:predict"),
    given("a Keras 3 export", {"instances": [{"features": [1.0]}]}, '{"predictions":[[2.5]]}', "/v1/models/keras:predict"),
]  # fmt: skip

VALUES = [
    echoed("NaN and infinities", "float", "[NaN,Infinity,-Infinity]"),
    echoed("Inf is Infinity", "float", "[Inf,-Inf]", "[Infinity,-Infinity]"),
    echoed("a whole float has .0", "float", "[3,0,-1]", "[3.0,0.0,-1.0]"),
    echoed("a float is as short as it can be", "float", "[0.1,0.333333343,16777216,1e10,0.00003]", "[0.1,0.333333343,16777216.0,1e+10,3e-05]"),
    echoed(
        "a double is as short as it can be", "double", "[0.1,0.33333333333333331,1e300,123456789]",
        "[0.1,0.33333333333333331,1e+300,123456789.0]",
    ),
    echoed("int64 to its last digit", "int64", "[9007199254740993,-9223372036854775808]"),
    echoed("uint64 to its last digit", "uint64", "[18446744073709551615]"),
    echoed("uint32", "uint32", "[4294967295]"),
    echoed("int8", "int8", "[-128,127]"),
    echoed("bool", "bool", "[true,false]"),
    echoed("strings", "string", r'["a","\"\\","é"]'),
    echoed("b64", "string", '[{"b64":"aGk="}]', '["hi"]'),
    echoed("b64 without padding", "string", '[{"b64":"aGk"}]', '["hi"]'),
    given(
        "b64, named", {"signature_name": "string", "instances": [{"x": {"b64": "aGk="}}]}, '{"predictions":["hi"]}', ECHO,
    ),
    given("b64, a scalar in column form", {"signature_name": "bytes", "inputs": {"x": [{"b64": "/wA="}]}}, '{"outputs":[{"b64":"/wA="}]}', ECHO),
    given("an output named _bytes comes in base64", {"signature_name": "bytes", "instances": ["hi"]}, '{"predictions":[{"b64":"aGk="}]}', ECHO),
]  # fmt: skip

PARSING = [
    refused("no body", "", "JSON Parse error: The document is empty"),
    refused("not JSON", '{"instances":[1,}', "JSON Parse error: Invalid value. at offset: 16"),
    refused("not closed", '{"instances":[1', "JSON Parse error: Missing a comma or ] after an array element. at offset: 15"),
    refused("no object", [1], "JSON Value: [1] Is not object"),
    refused("no key", {}, "Missing 'inputs' or 'instances' key"),
    refused(
        "both keys", {"instances": [1], "inputs": [1]},
        'JSON Value: {\n    "instances": [1],\n    "inputs": [1]\n} Not formatted correctly expecting only one of '
        "'inputs' or 'instances' keys to exist ",
    ),
    refused("instances that are no list", {"instances": 1}, 'JSON Value: {\n    "instances": 1\n} Expecting \'instances\' to be an list/array'),
    refused("no instances", {"instances": []}, 'JSON Value: {\n    "instances": []\n} No values in \'instances\' array'),
    refused(
        "a signature_name that is no string", {"signature_name": 5, "instances": [1]},
        'JSON Value: {\n    "signature_name": 5,\n    "instances": [1]\n} not formatted correctly. \'signature_name\' key must be a string value.',
    ),
    refused("unknown signature", {"signature_name": "nosig", "instances": [1]}, 'Serving signature name: "nosig" not found in signature def'),
    refused(
        "no serving_default", {"instances": [1]}, 'Serving signature name: "serving_default" not found in signature def', ECHO,
    ),
    refused("a signature without inputs", {"signature_name": "get_counter", "instances": [1]}, "Failed to get input map for signature: get_counter",
            "/v1/models/counter:predict"),
    refused("the body before the model", "", "JSON Parse error: The document is empty", "/v1/models/nope:predict"),
    refused("the model before the keys", {}, "Servable not found for request: Latest(nope)", "/v1/models/nope:predict", 404),
]  # fmt: skip

SHAPES = [
    refused("ragged rows", {"signature_name": "double", "instances": [[1, 2], [3]]}, element(1, "Expecting tensor size: 2 but got: 1"), SEVERAL),
    refused("rows of other shapes", {"signature_name": "double", "instances": [[1, 2], [[1], [2]]]}, element(1, "Expecting shape [2] but got: [2,1]"),
            SEVERAL),
    refused("a number beside a list", {"signature_name": "double", "instances": [[1], 2]}, element(1, "Expecting shape [1] but got: []"), SEVERAL),
    refused("ragged columns", {"signature_name": "double", "inputs": [[1, 2], [3]]},
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2", SEVERAL),
    refused("a list too deep", {"signature_name": "double", "inputs": [1, [2]]}, "Encountered list at unexpected level: 1 expected < 1", SEVERAL),
    refused("a list not deep enough", {"signature_name": "double", "inputs": [[1], 2]},
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2", SEVERAL),
    refused("a list for two inputs", {"instances": [[1, 2]]},
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map", SEVERAL),
    refused("columns for two inputs", {"inputs": [[1, 2]]},
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map", SEVERAL),
    refused("columns without one of the inputs", {"inputs": {"a": [[1, 2]]}}, "Missing named input: b in 'inputs' object.", SEVERAL),
    refused("a row without one of the inputs", {"instances": [{"a": [1, 2]}]},
            'Failed to process element: 0 of \'instances\' list. JSON object: {\n    "a": [1, 2]\n} keys must be equal to: a,b', SEVERAL),
    refused("a row with another input", {"instances": [{"y": 1}]},
            "Failed to process element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: y"),
    refused("a list after an object", {"instances": [{"x": 1}, [2]]}, "Expecting object but got list at item 1 of input list"),
    refused("an object after a value", {"instances": [1, {"x": 2}]}, "Expecting value/list but got object at item 1 of input list"),
]  # fmt: skip

TYPED = [
    refused("a string for a float", {"instances": ["a"]}, element(0, 'JSON Value: "a" Type: String is not of expected type: float')),
    refused("null for a float", {"instances": [1, None]}, element(1, "JSON Value: null Type: Null is not of expected type: float")),
    refused("true for a float", {"inputs": [True]}, "JSON Value: true Type: True is not of expected type: float"),
    refused("false for a float", {"inputs": [False]}, "JSON Value: false Type: False is not of expected type: float"),
    refused("a float for an int32", {"instances": [1.5]}, element(0, "JSON Value: 1.5 Type: Number is not of expected type: int32"), TYPES),
    refused("a number too large for an int32", {"inputs": [2147483648]}, "JSON Value: 2147483648 Type: Number is not of expected type: int32", TYPES),
    refused("a number for a string", {"inputs": [1]}, "JSON Value: 1 Type: Number is not of expected type: string", TEXT),
    refused("a number for a bool", {"signature_name": "bool", "inputs": [1]}, "JSON Value: 1 Type: Number is not of expected type: bool", ECHO),
    refused("an object for a float", {"inputs": {"x": [{"a": 1}]}},
            'JSON Value: {\n    "a": 1\n} Type: Object is not of expected type: float'),
    refused("an object for a string", {"inputs": {"numbers": [{"a": 1}]}},
            'JSON Value: {\n    "a": 1\n} not formatted correctly for base64 data', TEXT),
    refused("base64 that is none", {"instances": [{"b64": "%"}]}, element(0, "Unable to base64 decode"), TEXT),
    refused("a half, in rows", {"signature_name": "half", "instances": [1.5]},
            element(0, "Conversion of JSON Value: 1.5 to type: half", "UNIMPLEMENTED"), ECHO),
    refused("a half, in columns", {"signature_name": "half", "inputs": [1.5]}, "Conversion of JSON Value: 1.5 to type: half", ECHO, 501),
    refused("a uint16, in columns", {"signature_name": "uint16", "inputs": [1]}, "Conversion of JSON Value: 1 to type: uint16", ECHO, 501),
    refused("an output of a type that JSON has no values for", {"instances": [1]},
            re.compile("Failed to write JSON value for tensor type: (half|bfloat16|uint16|complex64|complex128)"), TYPES),
    refused("a scalar output, in rows", {"signature_name": "total", "instances": [1, 2]}, "Tensor name: y has no shape information ", ECHO),
    refused("what the graph refuses", {"instances": ["abc"]}, "StringToNumberOp could not correctly convert string: abc", TEXT, is_kernels=True),
    refused("what is shown of the body ends at 256 bytes", {"instances": 1, "more": [1] * 200},
            f"JSON Value: {CUT} Expecting 'instances' to be an list/array"),
]  # fmt: skip

CASES = [*FORMATS, *VALUES, *PARSING, *SHAPES, *TYPED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_predict_over_rest_answers_as_its_row_says(hold_rest: Callable[[RestCase], None], case: RestCase) -> None:
    hold_rest(case)
