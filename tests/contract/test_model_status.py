"""`GetModelStatus`: section 5 of `tfserving_observed.md`. How versions come and go is in `test_versions.py`."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2

from tests.contract.wire import Case

INVALID = "INVALID_ARGUMENT"
AVAILABLE = 'model_version_status { version: 1 state: AVAILABLE status { error_code: OK error_message: "" } }'


def asked(row: str, spec: str, **expected: Any) -> Case:
    made = get_model_status_pb2.GetModelStatusRequest()
    if spec:
        text_format.Parse(spec, made.model_spec)
    return Case(row=f"5: {row}", method="GetModelStatus", request=made, **expected)


CASES = [
    asked("unknown model", 'name: "nope"', code="NOT_FOUND", message="Could not find any versions of model nope"),
    asked("unknown model + version", 'name: "nope" version { value: 1 }', code="NOT_FOUND", message="Could not find version 1 of model nope"),
    asked("unknown version", 'name: "conv" version { value: 7 }', code="NOT_FOUND", message="Could not find version 7 of model conv"),
    asked("version 0", 'name: "conv" version { }', code="NOT_FOUND", message="Could not find version 0 of model conv"),
    asked("version -1", 'name: "conv" version { value: -1 }', code="NOT_FOUND", message="Could not find version -1 of model conv"),
    asked("no spec", "", code=INVALID, message="Missing ModelSpec"),
    asked("empty name", 'signature_name: "x"', code="NOT_FOUND", message="Could not find any versions of model "),
    asked("empty name + version", "version { value: 3 }", code="NOT_FOUND", message="Could not find version 3 of model "),
    asked("unknown model + label", 'name: "nope" version_label: "a"', code="NOT_FOUND", message="Could not find any versions of model nope"),
    asked(
        "a long name is cut", f'name: "{"m" * 2000}"', code="NOT_FOUND",
        message=("Could not find any versions of model " + "m" * 2000)[:1024] + "...TRUNCATED",
    ),
    asked("a model", 'name: "conv"', reply=AVAILABLE),
    asked("a version", 'name: "conv" version { value: 1 }', reply=AVAILABLE),
    asked("a label, even an unknown one, is ignored", 'name: "conv" version_label: "nope"', reply=AVAILABLE),
    asked("a signature, even an unknown one, is ignored", 'name: "conv" signature_name: "nope"', reply=AVAILABLE),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_a_status_is_as_its_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)
