"""A real gateway process with TLS in front of a scripted model server, and the `medserve` command as a real process."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from medserve.client import Client
from medserve.keys import create_key, write_secret
from tfserving.v1 import model_pb2, prediction_pb2, tensor_pb2

START_SECONDS = 100
DEMONSTRATION = "This model is a technical demonstration: no patient's care may rest on its answers."


@dataclass
class ModelServer:
    """Answers TensorFlow Serving's API by a script that a test may change.

    Attributes:
        faults: what the next Predict calls fail with, one each.
        outputs: what `digits` and `ecg` answer.
        gate: a Predict call waits for it.
        asked: how many Predict calls came.
    """

    faults: list[grpc.StatusCode] = field(default_factory=list)
    outputs: dict[str, list[float]] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    port: int = 0

    def reset(self) -> None:
        self.faults.clear()
        self.outputs = {"digits": [0.00000002, 0.00030004, 0.99969994], "ecg": [0.25, 0.75], "rare": [0.75, 0.3]}
        self.gate.set()
        self.asked = 0

    def predict(self, content: bytes, context: grpc.ServicerContext) -> bytes:
        if not context.is_active():
            # Of a test before: it didn't wait for it.
            return b""
        self.asked += 1
        if self.faults:
            context.abort(self.faults.pop(0), "scripted")
        self.gate.wait(START_SECONDS)
        request = prediction_pb2.PredictRequest.FromString(content)
        model = request.model_spec.name
        response = prediction_pb2.PredictResponse(model_spec=request.model_spec)
        if model in self.outputs:
            numbers = np.array([self.outputs[model]], dtype="<f4")
            output = response.outputs["probabilities"]
            output.dtype = tensor_pb2.DATA_TYPE_FLOAT
            output.tensor_content = numbers.tobytes()
            for size in numbers.shape:
                output.tensor_shape.dim.add(size=size)
        else:
            response.outputs["y"].CopyFrom(request.inputs["x"])
        return response.SerializeToString()

    def status(self, content: bytes, _: grpc.ServicerContext) -> bytes:
        model = model_pb2.GetModelStatusRequest.FromString(content).model_spec.name
        state = model_pb2.ModelVersionStatus.STATE_LOADING if model == "asleep" else model_pb2.ModelVersionStatus.STATE_AVAILABLE
        status = model_pb2.ModelVersionStatus(version=1, state=state)
        return model_pb2.GetModelStatusResponse(model_version_status=[status]).SerializeToString()


@dataclass(frozen=True)
class Stack:
    """Where the gateway is, and keys for it: `key` allows everything, `narrow_key` only to ask digits and echo."""

    target: str
    folder: Path
    ca_file: Path
    keys_file: Path
    key: str
    key_file: Path
    narrow_key: str
    narrow_key_file: Path
    model_server: ModelServer

    def client(self, **changes: Any) -> Client:
        options: dict[str, Any] = {"api_key": self.key, "ca_certificates": self.ca_file, "timeout_seconds": 60} | changes
        return Client(self.target, **options)

    @property
    def environment(self) -> dict[str, str]:
        return {"MEDSERVE_TARGET": self.target, "MEDSERVE_CA_FILE": str(self.ca_file), "MEDSERVE_KEY_FILE": str(self.key_file)}


def _classification(*labels: dict[str, Any], exclusive: bool = True) -> list[dict[str, Any]]:
    return [
        {
            "name": "probabilities",
            "dataType": "DATA_TYPE_FLOAT32",
            "shape": [str(len(labels))],
            "classification": {"exclusive": exclusive, "labels": labels},
        }
    ]


def _label(code: str, display: str, **more: Any) -> dict[str, Any]:
    return {"code": {"system": "http://medserve.example/codes", "code": code, "display": display}, **more}


_IMAGES = {
    "name": "images",
    "dataType": "DATA_TYPE_UINT8",
    "shape": ["-1", "-1", "1"],
    "description": "One digit, white on black",
    "image": {"colorSpace": "COLOR_SPACE_MONOCHROME"},
}
_SIGNAL = {
    "name": "signal",
    "dataType": "DATA_TYPE_FLOAT32",
    "shape": ["4", "1"],
    "timeSeries": {"channels": [{"name": "II", "unit": "mV"}], "samplingFrequencyHz": 250},
}
_X = {"name": "x", "dataType": "DATA_TYPE_FLOAT64", "shape": ["-1"]}
_MODELS: dict[str, dict[str, Any]] = {
    "digits": {
        "displayName": "Handwritten digits",
        "description": "Says which digit a small grey image shows.",
        "intendedUse": {"purpose": "To show that the service works.", "notFor": ["anything clinical"], "demonstrationOnly": True},
        "inputs": [_IMAGES],
        "outputs": _classification(_label("0", "zero"), _label("1", "one"), _label("2", "two")),
        "metrics": [{"name": "accuracy", "value": 0.952, "lower": 0.938, "upper": 0.963, "confidenceLevel": 0.95, "intervalMethod": "wilson"}],
        "provenance": {"createTime": "2026-11-24T12:00:00Z", "job": "digits"},
    },
    "ecg": {
        "displayName": "Heartbeats",
        "provenance": {"trial": True},
        "inputs": [_SIGNAL],
        "outputs": _classification(_label("N", "normal beat"), _label("V", "premature ventricular contraction with a long name of its own")),
    },
    "rare": {"inputs": [_IMAGES], "outputs": _classification(_label("A", "common"), _label("B", "rare", operatingPoint=0.25), exclusive=False)},
    "echo": {"inputs": [_X], "outputs": [_X | {"name": "y"}]},
    "pair": {"inputs": [_X, _X | {"name": "z"}], "outputs": [_X | {"name": "y"}]},
    "asleep": {"inputs": [_X], "outputs": [_X | {"name": "y"}]},
}


def _publish(root: Path) -> None:
    for name, more in _MODELS.items():
        folder = root / name / "1" / "assets.extra"
        folder.mkdir(parents=True)
        document = {"name": name, "version": "1", "task": "TASK_DIAGNOSIS", "weightsDigest": "sha256:00", **more}
        (folder / "medserve_manifest.json").write_text(json.dumps(document))


@pytest.fixture(scope="session")
def _model_server() -> Iterator[ModelServer]:
    scripted = ModelServer()
    scripted.reset()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=(("grpc.max_receive_message_length", -1),))
    services: dict[str, dict[str, Any]] = {
        "tensorflow.serving.PredictionService": {"Predict": grpc.unary_unary_rpc_method_handler(scripted.predict)},
        "tensorflow.serving.ModelService": {"GetModelStatus": grpc.unary_unary_rpc_method_handler(scripted.status)},
    }
    server.add_generic_rpc_handlers(tuple(grpc.method_handlers_generic_handler(name, rows) for name, rows in services.items()))
    scripted.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield scripted
    scripted.gate.set()
    server.stop(None).wait()


@pytest.fixture(scope="session")
def _stack(_model_server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("gateway")
    keys_file = folder / "var" / "keys" / "api_keys.json"
    _publish(folder / "var" / "models")
    _, key = create_key(keys_file, tenant="tests", models=["*"], actions=["infer", "read"])
    _, narrow_key = create_key(keys_file, tenant="tests", models=["digits", "echo"], actions=["infer"])
    write_secret(folder / "key", key + "\n")
    write_secret(folder / "narrow", narrow_key + "\n")
    settings = (f"backend.address=127.0.0.1:{_model_server.port}", "listen.port=0", "metrics.port=-1", "labels.digits={stable: 1, approved: 1}")
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *(f"--set={setting}" for setting in settings)], cwd=folder, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    with process.stdout as output:
        match = re.fullmatch(rb"gateway listening on .*:(\d+)\n", output.readline())
        assert match, (folder / "gateway.log").read_text()
        yield Stack(
            target=f"localhost:{int(match[1])}",
            folder=folder,
            ca_file=folder / "var" / "pki" / "ca.pem",
            keys_file=keys_file,
            key=key,
            key_file=folder / "key",
            narrow_key=narrow_key,
            narrow_key_file=folder / "narrow",
            model_server=_model_server,
        )
        process.terminate()
        assert process.wait(START_SECONDS) == 0


@pytest.fixture
def stack(_stack: Stack) -> Stack:
    """The gateway, with the model server's script as it was in the beginning."""
    _stack.model_server.reset()
    return _stack


@pytest.fixture(scope="session")
def medserve() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m medserve`; nothing of the environment reaches it that starts with MEDSERVE_ or says how wide a terminal is."""

    def run(*arguments: object, environment: Mapping[str, str] | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("MEDSERVE_", "COLUMNS", "FORCE_COLOR"))}
        return subprocess.run(
            [sys.executable, "-m", "medserve", *map(str, arguments)],
            env={**bare, **(environment or {})}, capture_output=True, text=True, check=False, timeout=START_SECONDS, **more,
        )  # fmt: skip

    return run
