"""Section 7 of `tfserving_observed.md`, at the start: where TensorFlow Serving ends or never listens, ours answers for what can be answered."""

from collections.abc import Callable
from typing import Any

import pytest
from tensorflow_serving.apis import get_model_status_pb2

from tests.contract.wire import Case, floats, predict

X = {"x": floats([2])}
ENDS = "it ends, or never listens: one model keeps every other from being served"


def answered(model: str, version: int) -> str:
    return (
        'outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 3 } } '
        f'model_spec {{ name: "{model}" version {{ value: {version} }} signature_name: "serving_default" }}'
    )


def asked(row: str, spec: str, **expected: Any) -> Case:
    return Case(row=f"7: Boot: {row}", request=predict(spec, X), server="boot", why=ENDS, reference=("UNAVAILABLE", None), **expected)


def ended(reply: get_model_status_pb2.GetModelStatusResponse) -> None:
    (status,) = reply.model_version_status
    assert status.state == get_model_status_pb2.ModelVersionStatus.END
    assert status.status.error_code
    assert status.status.error_message


# The server's models.config, from its start on: `labelled` with a label on its version, one on a version that there isn't; `missing` without a base
# path; `empty` with an empty one; `corrupt` with a saved_model.pb that is none.
CASES = [
    asked("a label on a version that is loaded later", 'name: "labelled" version_label: "stable"', reply=answered("labelled", 1)),
    asked("a model whose label isn't a version's", 'name: "labelled"', reply=answered("labelled", 1)),
    asked(
        "a label on a version that there isn't", 'name: "labelled" version_label: "next"', code="INVALID_ARGUMENT",
        message="Unrecognized servable version label: next",
    ),
    asked("a base path that is missing", 'name: "missing"', code="NOT_FOUND", message="Servable not found for request: Latest(missing)"),
    asked("a base path without versions", 'name: "empty"', code="NOT_FOUND", message="Servable not found for request: Latest(empty)"),
    asked("a corrupt model", 'name: "corrupt"', code="NOT_FOUND", message="Servable not found for request: Latest(corrupt)"),
    Case(
        row="7: Boot: the status of a corrupt model", method="GetModelStatus", server="boot", check=ended, reference=("UNAVAILABLE", None), why=ENDS,
        request=get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "corrupt"}),
    ),
    Case(
        row="7: Boot: the status of a base path that is missing", method="GetModelStatus", server="boot", code="NOT_FOUND",
        message="Could not find any versions of model missing", reference=("UNAVAILABLE", None), why=ENDS,
        request=get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "missing"}),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_a_server_that_has_started_answers_as_its_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)
