"""A running gateway, a model server that does as it is told, and what is published between them.

The gateway is the real process, reached over TLS with real keys. The model server is a gRPC server of this process that speaks
TensorFlow Serving's own messages and can be told to be slow, to refuse, to answer nonsense, or to be gone.
"""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
import structlog
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tensorflow_serving.apis import (
    inference_pb2 as tensorflow_inference_pb2,
)

from gateway import logs
from medserve.keys import create_key, revoke_key
from medserve.v1 import catalog_pb2_grpc, inference_pb2, inference_pb2_grpc

ROOT = Path(__file__).parents[2]
AVAILABLE = 30
DIFFERENT_MODELS = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))

IMAGES = {"name": "images", "dataType": "DATA_TYPE_UINT8", "shape": ["28", "28", "1"], "image": {"colorSpace": "COLOR_SPACE_MONOCHROME"}}
ECG = {
    "name": "ecg", "dataType": "DATA_TYPE_FLOAT32", "shape": ["-1", "2"],
    "timeSeries": {"samplingFrequencyHz": 100, "channels": [{"name": "I", "unit": "mV"}, {"name": "II", "unit": "mV"}]},
}  # fmt: skip
RECORD = {"name": "x", "dataType": "DATA_TYPE_FLOAT32", "shape": ["3"]}
BEDSIDE = {
    "name": "x", "dataType": "DATA_TYPE_FLOAT32", "shape": ["-1", "1"],
    "timeSeries": {"samplingFrequencyHz": 2, "channels": [{"name": "p", "unit": "mm[Hg]"}], "resampling": {"maxGapSeconds": 3}},
}  # fmt: skip
CLINIC = {
    "name": "x", "dataType": "DATA_TYPE_FLOAT32", "shape": ["3"], "allowsMissing": True,
    "record": {
        "features": [
            {"name": "age", "unit": "a", "minimum": 18, "maximum": 110},
            {"name": "creatinine", "unit": "mg/dL", "ifMissing": "FEATURE_HANDLING_AS_MISSING"},
            {"name": "sex", "categories": [{"code": "female"}, {"code": "male"}]},
        ]
    },
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {"digits": IMAGES, "ecg": ECG, "record": RECORD, "bedside": BEDSIDE, "clinic": CLINIC}
PROBABILITIES = {
    "name": "probabilities", "dataType": "DATA_TYPE_FLOAT32", "shape": ["2"],
    "classification": {"exclusive": True, "labels": [{"code": {"system": "99MED", "code": c, "display": c}} for c in ("no", "yes")]},
}  # fmt: skip


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """What the condition gives once it gives something. Fails after the time."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def publish(root: Path, model: str, version: int) -> None:
    """Puts a version in place by one rename."""
    document = {"name": model, "version": str(version), "inputs": [MODELS[model]], "outputs": [PROBABILITIES], "weightsDigest": f"sha256:{version}"}
    staging = root / model / f".staging-{version}"
    (staging / "assets.extra").mkdir(parents=True)
    (staging / "assets.extra" / "medserve_manifest.json").write_text(json.dumps(document))
    staging.rename(root / model / str(version))


Script = Callable[[bytes, grpc.ServicerContext], bytes]


class Peer:
    """`tensorflow.serving`, scripted: `script` by method replaces an answer; `versions` says what is loaded."""

    def __init__(self) -> None:
        self.port = 0
        self.lock = threading.Lock()
        self.start()
        self.reset()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def reset(self) -> None:
        self.script: dict[str, Script] = {}
        self.versions = {"digits": [2, 1], "ecg": [1], "record": [1], "bedside": [1], "clinic": [1], "unpublished": [7]}
        self.requests: list[tuple[str, bytes]] = []

    def start(self) -> None:
        """Listens, on the port that it had before if it had one."""
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=UNLIMITED)
        services: dict[str, dict[str, Script]] = {
            "PredictionService": {
                "Classify": self.classify, "Regress": self.regress, "Predict": self.predict, "MultiInference": self.multi_inference,
                "GetModelMetadata": self.metadata,
            },
            "ModelService": {"GetModelStatus": self.status, "HandleReloadConfigRequest": self.reload},
        }  # fmt: skip
        for service, answers in services.items():
            handlers = {method: self._handler(method, default) for method, default in answers.items()}
            self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers),))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()

    def stop(self) -> None:
        """Is gone at once; calls under way are cut off."""
        self.server.stop(None).wait()

    def last(self, method: str = "Predict") -> bytes:
        """The bytes of the newest request of a method."""
        return next(request for name, request in reversed(self.requests) if name == method)

    def _handler(self, method: str, default: Script) -> grpc.RpcMethodHandler[bytes, bytes]:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            with self.lock:
                self.requests.append((method, request))
            return self.script.get(method, default)(request, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    def parse(self, kind: type[Any], request: bytes, context: grpc.ServicerContext) -> Any:
        try:
            return kind.FromString(request)
        except DecodeError:
            self.refuse(context, grpc.StatusCode.INTERNAL, "")

    def version_for(self, spec: Any, context: grpc.ServicerContext) -> int:
        """The version that a ModelSpec means; refuses as TensorFlow Serving does where there is none."""
        loaded = self.versions.get(spec.name, [])
        if not spec.name:
            self.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        if spec.WhichOneof("version_choice") == "version_label":
            self.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {spec.version_label}")
        if not loaded or (spec.HasField("version") and spec.version.value not in loaded):
            named = f"Specific({spec.name}, {spec.version.value})" if spec.HasField("version") else f"Latest({spec.name})"
            self.refuse(context, grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {named}")
        return int(spec.version.value or max(loaded))

    def predict(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        spec = self.parse(predict_pb2.PredictRequest, request, context).model_spec
        return self.answer([0.25, 0.75], model=spec.name, version=self.version_for(spec, context))

    def classify(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        spec = self.parse(classification_pb2.ClassificationRequest, request, context).model_spec
        reply = classification_pb2.ClassificationResponse()
        reply.model_spec.name, reply.model_spec.version.value = spec.name, self.version_for(spec, context)
        reply.result.classifications.add().classes.add(label="yes", score=0.75)
        return bytes(reply.SerializeToString())

    def regress(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        spec = self.parse(regression_pb2.RegressionRequest, request, context).model_spec
        reply = regression_pb2.RegressionResponse()
        reply.model_spec.name, reply.model_spec.version.value = spec.name, self.version_for(spec, context)
        reply.result.regressions.add(value=2.5)
        return bytes(reply.SerializeToString())

    def multi_inference(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        tasks = self.parse(tensorflow_inference_pb2.MultiInferenceRequest, request, context).tasks
        version = self.version_for(tasks[0].model_spec if tasks else predict_pb2.PredictRequest().model_spec, context)
        if len({task.model_spec.name for task in tasks}) > 1:
            self.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, DIFFERENT_MODELS)
        reply = tensorflow_inference_pb2.MultiInferenceResponse()
        for task in tasks:
            result = reply.results.add()
            result.model_spec.name, result.model_spec.version.value = task.model_spec.name, version
            result.regression_result.regressions.add(value=2.5)
        return bytes(reply.SerializeToString())

    def reload(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.parse(model_management_pb2.ReloadConfigRequest, request, context)
        reply = model_management_pb2.ReloadConfigResponse()
        reply.status.error_code = 0
        return bytes(reply.SerializeToString())

    def metadata(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        spec = self.parse(get_model_metadata_pb2.GetModelMetadataRequest, request, context).model_spec
        if spec.name not in self.versions:
            self.refuse(context, grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        reply.model_spec.name, reply.model_spec.version.value = spec.name, spec.version.value or max(self.versions[spec.name])
        return bytes(reply.SerializeToString())

    def status(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        name = self.parse(get_model_status_pb2.GetModelStatusRequest, request, context).model_spec.name
        if name not in self.versions:
            self.refuse(context, grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        reply = get_model_status_pb2.GetModelStatusResponse()
        for version in self.versions[name]:
            reply.model_version_status.add(version=version, state=AVAILABLE)
        return bytes(reply.SerializeToString())

    @staticmethod
    def answer(
        values: list[float], *, model: str = "record", version: int = 1, shape: tuple[int, ...] | None = None, name: str = "probabilities"
    ) -> bytes:
        """A PredictResponse with one float output."""
        reply = predict_pb2.PredictResponse()
        reply.model_spec.name, reply.model_spec.version.value = model, version
        reply.model_spec.signature_name = "serving_default"
        output = reply.outputs[name]
        output.dtype = 1
        for size in shape or (1, len(values)):
            output.tensor_shape.dim.add(size=size)
        output.float_val.extend(values)
        return bytes(reply.SerializeToString())

    @staticmethod
    def refuse(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
        context.abort(code, message)
        raise AssertionError


@dataclass
class Running:
    """A gateway process and how to call it. `sent` is what callers' requests held and must never be found in what it writes."""

    process: subprocess.Popen[str]
    folder: Path
    port: int
    metrics_port: int
    keys: dict[str, str] = field(repr=False)
    closing: ExitStack = field(default_factory=ExitStack)

    def metadata(self, key: str = "full") -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.keys[key]}"),)

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials((self.folder / "var/pki/ca.pem").read_bytes())

    def __post_init__(self) -> None:
        self.channel = self.closing.enter_context(grpc.secure_channel(f"localhost:{self.port}", self.credentials, options=UNLIMITED))
        self.inference = inference_pb2_grpc.InferenceServiceStub(self.channel)
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(self.channel)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    @property
    def audit(self) -> list[dict[str, Any]]:
        text = (self.folder / "var/audit/audit.jsonl").read_text()
        # Up to the last line that is whole.
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]

    @property
    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60) as response:
            return str(response.read(), "utf-8")

    def written(self) -> str:
        """All that the gateway has written anywhere."""
        return "\n".join([self.log, (self.folder / "var/audit/audit.jsonl").read_text(), self.metrics])

    def audited(self, count: int) -> list[dict[str, Any]]:
        """The audit, once it has `count` events."""
        wait_until(lambda: len(self.audit) >= count, f"{count} events in the audit")
        return self.audit

    def mark(self) -> int:
        """How many events there are once all calls that have been answered until now are among them: events come in order."""
        request = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="no-such-model"))
        request.context.request_id = f"mark-{uuid.uuid4()}"
        with pytest.raises(grpc.RpcError):
            self.inference.Infer(request, metadata=self.metadata(), timeout=60)

        def position() -> int | None:
            ids = [event["request_id"] for event in self.audit]
            return ids.index(request.context.request_id) + 1 if request.context.request_id in ids else None

        return int(wait_until(position, "the mark in the audit"))

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def make_keys(file: Path) -> dict[str, str]:
    """The keys of the tests, by what they are for."""
    keys: dict[str, str] = {}
    for name, models, actions in (
        ("full", ["*"], ["infer", "read"]),
        ("reader", ["*"], ["read"]),
        ("narrow", ["ecg"], ["infer", "read"]),
        ("operator", ["*"], ["reload"]),
        ("revoked", ["*"], ["infer", "read"]),
    ):
        key, keys[name] = create_key(file, tenant="ward", models=models, actions=actions)
        if name == "revoked":
            revoke_key(file, key.key_id)
    _, keys["expired"] = create_key(file, tenant="ward", models=["*"], actions=["infer"], expire_time=datetime.now(UTC) - timedelta(days=1))
    key, text = create_key(file, tenant="other", models=["*"], actions=["infer"])
    keys["wrong"] = text[:-43] + "A" * 43
    # A key that `medserve keys` doesn't make: the action that touches every model, and one model.
    key, keys["narrow operator"] = create_key(file, tenant="ward", models=["record"], actions=["read"])
    document = json.loads(file.read_text())
    next(row for row in document["keys"] if row["key_id"] == key.key_id)["actions"] = ["reload"]
    file.write_text(json.dumps(document))
    return keys


@contextmanager
def running(folder: Path, address: str, *settings: str) -> Iterator[Running]:
    """Starts `python -m gateway` in a folder of its own and ends it."""
    keys = make_keys(folder / "var/keys/api_keys.json")
    for model in MODELS:
        publish(folder / "var/models", model, 1)
    publish(folder / "var/models", "digits", 2)
    given = (
        f"backend.address={address}", "listen.port=0", "metrics.port=0", "backend.status_poll_seconds=0.1", "repository.poll_seconds=0.1",
        "labels={digits: {stable: 1, later: 3}}", *settings,
    )  # fmt: skip
    arguments = [sys.executable, "-m", "gateway", *(part for setting in given for part in ("--set", setting))]
    with (folder / "stderr").open("w") as log, ExitStack() as closing:
        process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("gateway listening on"), (folder / "stderr").read_text()
            listening = wait_until(
                lambda: [json.loads(line) for line in (folder / "stderr").read_text().splitlines() if '"listening"' in line], "the log's line"
            )
            yield Running(
                process=process, folder=folder, port=int(first.rpartition(":")[2]),
                metrics_port=listening[0]["metrics_port"], keys=keys, closing=closing,
            )  # fmt: skip
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture(scope="session")
def session_peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


@pytest.fixture
def peer(session_peer: Peer) -> Iterator[Peer]:
    session_peer.reset()
    yield session_peer
    session_peer.reset()


@pytest.fixture
def gone_peer(peer: Peer) -> Iterator[Peer]:
    """A model server that nothing answers for until it is started."""
    peer.stop()
    yield peer
    peer.stop()
    peer.start()


@pytest.fixture(scope="session")
def session_gateway(session_peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = (f"admission.max_request_bytes={24 << 20}", "admission.max_calls_per_tenant=4", "admission.default_timeout_seconds=1")
    with running(tmp_path_factory.mktemp("gateway"), session_peer.address, *settings) as gateway:
        yield gateway


@pytest.fixture
def gateway(session_gateway: Running, peer: Peer) -> Running:
    """A gateway that many tests share, and its model server as it was in the beginning."""
    assert peer.versions
    return session_gateway


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a gateway for one test: takes the model server's address and settings."""
    with ExitStack() as stack:
        yield lambda address, *settings: stack.enter_context(running(tmp_path, address, *settings))


@pytest.fixture(scope="session")
def log_stream() -> io.StringIO:
    """One for all: a logger of the product keeps the stream that it was first used with."""
    return io.StringIO()


@pytest.fixture
def log(log_stream: io.StringIO) -> Iterator[io.StringIO]:
    """What this process logs, as the product would write it."""
    log_stream.seek(0)
    log_stream.truncate()
    root = logging.getLogger()
    before = root.handlers, root.level
    logs.configure(stream=log_stream)
    yield log_stream
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers, root.level = before


@pytest.fixture(scope="session")
def poll() -> Callable[..., Any]:
    return wait_until


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port that nothing listens on: for what has to be down, and never to listen on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
