"""`grpc.health.v1`: the last row of section 7 of `tfserving_observed.md`. TensorFlow Serving has it with `--enable_grpc_healthcheck_service`."""

from collections.abc import Callable
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from tests.contract.wire import Case


def checked(row: str, service: str, **expected: Any) -> Case:
    return Case(row=f"7: Health: {row}", method="Check", request=health_pb2.HealthCheckRequest(service=service), **expected)


UNKNOWN: Any = {"code": "NOT_FOUND", "message": "service name unknown"}
CASES = [
    checked("the whole server", "", reply="status: SERVING"),
    checked("ModelService", "ModelService", reply="status: SERVING"),
    checked("PredictionService", "PredictionService", reply="status: SERVING"),
    checked("the real full name", "tensorflow.serving.PredictionService", **UNKNOWN),
    checked("the other real full name", "tensorflow.serving.ModelService", **UNKNOWN),
    checked("a model", "half_plus_two", **UNKNOWN),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_health_is_as_its_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)
