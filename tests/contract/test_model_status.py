"""`GetModelStatus`, as `tfserving_observed.md` section 5 saw it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2


def request(spec: str) -> get_model_status_pb2.GetModelStatusRequest:
    made = get_model_status_pb2.GetModelStatusRequest()
    if spec:
        text_format.Parse(spec, made.model_spec)
    return made


@dataclass(frozen=True, kw_only=True)
class Refused:
    row: str
    spec: str
    code: str = "NOT_FOUND"
    message: str


REFUSED = [
    Refused(row="unknown model", spec='name: "nope"', message="Could not find any versions of model nope"),
    Refused(row="unknown model + version", spec='name: "nope" version { value: 1 }', message="Could not find version 1 of model nope"),
    Refused(row="unknown version", spec='name: "conv" version { value: 7 }', message="Could not find version 7 of model conv"),
    Refused(row="version 0", spec='name: "conv" version { }', message="Could not find version 0 of model conv"),
    Refused(row="no spec", spec="", code="INVALID_ARGUMENT", message="Missing ModelSpec"),
    Refused(row="empty name", spec='signature_name: "x"', message="Could not find any versions of model "),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.row)
def test_a_bad_request_has_the_code_and_the_message_of_its_row(models: Any, refusal: Callable[..., tuple[str, str]], case: Refused) -> None:
    refused = refusal(models.GetModelStatus, request(case.spec))

    assert refused == (case.code, case.message)


ANSWERED = {
    "a model": 'name: "conv"',
    "a version": 'name: "conv" version { value: 1 }',
    "a label, even an unknown one, is ignored": 'name: "conv" version_label: "nope"',
}


@pytest.mark.parametrize("spec", ANSWERED.values(), ids=ANSWERED.keys())
def test_a_loaded_version_is_available(models: Any, spec: str) -> None:
    reply = models.GetModelStatus(request(spec), timeout=20)

    (status,) = reply.model_version_status
    assert (status.version, status.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    assert status.HasField("status")
    assert (status.status.error_code, status.status.error_message) == (0, "")
