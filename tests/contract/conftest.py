"""The model server that the contract is checked against: ours, or the one at TFSERVING_TARGET."""

import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from local.process import Process

# `host:port` of a TensorFlow Serving, serving what `tests/contract/models.py` writes, unbatched.
TARGET = os.environ.get("TFSERVING_TARGET")


def _models() -> ModuleType:
    """`models.py` beside this file, which is a command as well."""
    spec = importlib.util.spec_from_file_location("contract_models", Path(__file__).with_name("models.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def is_reference() -> bool:
    """Whether TensorFlow Serving itself answers: where ours deliberately differs, a case has both answers."""
    return TARGET is not None


@pytest.fixture(scope="session")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    if TARGET is not None:
        with grpc.insecure_channel(TARGET) as channel:
            yield channel
        return
    folder = tmp_path_factory.mktemp("contract")
    config = _models().write_all(folder)
    process = Process(
        "modelserver",
        ["--port=0", f"--model_config_file={config}", "--grpc_max_threads=4"],
        folder=Path(__file__).parents[2],
        log_file=folder / "log",
        ready=re.compile(r"Running gRPC ModelServer at .*:(\d+) "),
    )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{process.port}") as channel:
            _wait_available(channel)
            yield channel
    finally:
        assert process.stop() == 0


def _wait_available(channel: grpc.Channel) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415 - of ours only: TensorFlow Serving has it behind a flag

    stub: Any = health_pb2_grpc.HealthStub(channel)
    for reply in stub.Watch(health_pb2.HealthCheckRequest(), timeout=60):
        if reply.status == health_pb2.HealthCheckResponse.SERVING:
            return


@pytest.fixture
def prediction(channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture
def models(channel: grpc.Channel) -> Any:
    return model_service_pb2_grpc.ModelServiceStub(channel)


@pytest.fixture
def refusal() -> Callable[..., tuple[str, str]]:
    """Makes a call that must fail; returns its code and message."""

    def call(method: Any, request: Any, **options: Any) -> tuple[str, str]:
        with pytest.raises(grpc.RpcError) as caught:
            method(request, **{"timeout": 20, **options})
        return caught.value.code().name, caught.value.details() or ""

    return call
