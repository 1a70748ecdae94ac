"""Tiny SavedModels, ways to publish and load them, and the server as a process."""

import importlib.util
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from local.process import Process
from modelserver.servable import LoadOptions, Servable
from modelserver.signature import Signature

ROOT = Path(__file__).parents[2]
READY = re.compile(r"Running gRPC ModelServer at .*:(\d+) ")

Publish = Callable[..., Path]
Outputs = dict[str, NDArray[Any]]


def _contract_models() -> ModuleType:
    """The models of the contract are those of these tests."""
    spec = importlib.util.spec_from_file_location("contract_models", ROOT / "tests" / "contract" / "models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`<name>/1` of each model of `tests/contract/models.py`."""
    root = tmp_path_factory.mktemp("saved_models")
    _contract_models().write_all(root)
    return root


@pytest.fixture(scope="session")
def publish(saved_models: Path) -> Publish:
    """Publishes a model as a version below a base path, by one rename; with warm-up records where they are given."""

    def copy(model: str, base_path: Path, version: int, *, warm_up: bytes | None = None) -> Path:
        base_path.mkdir(parents=True, exist_ok=True)
        unfinished = base_path / f".{version}.tmp"
        shutil.copytree(saved_models / model / "1", unfinished)
        if warm_up is not None:
            (unfinished / "assets.extra").mkdir()
            (unfinished / "assets.extra" / "tf_serving_warmup_requests").write_bytes(warm_up)
        return unfinished.rename(base_path / str(version))

    return copy


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., bytes]:
    """A TFRecord file's bytes."""

    def write(*logs: prediction_log_pb2.PredictionLog | bytes) -> bytes:
        file = tmp_path / "records"
        with tf.io.TFRecordWriter(str(file)) as writer:
            for log in logs:
                writer.write(log if isinstance(log, bytes) else log.SerializeToString())
        return file.read_bytes()

    return write


@pytest.fixture
def load(saved_models: Path) -> Iterator[Callable[..., Servable]]:
    """Loads a model by name; closed at the end."""
    loaded: list[Servable] = []

    def load_one(model: str, *, folder: Path | None = None, **options: Any) -> Servable:
        path = folder or saved_models / model / "1"
        servable = Servable(model, 1, path, LoadOptions(session_config=config_pb2.ConfigProto(), **options))
        loaded.append(servable)
        return servable

    yield load_one
    for servable in loaded:
        if servable.signatures:
            servable.close()


@pytest.fixture(scope="session")
def load_shared(saved_models: Path) -> Iterator[Callable[..., Servable]]:
    """Loads a model by name, with options of `LoadOptions`: once in all for the same ones, so that a test mustn't close it."""
    loaded: dict[str, Servable] = {}

    def load_one(model: str, **options: Any) -> Servable:
        key = f"{model} {sorted(options.items())}"
        if key not in loaded:
            loaded[key] = Servable(model, 1, saved_models / model / "1", LoadOptions(session_config=config_pb2.ConfigProto(), **options))
        return loaded[key]

    yield load_one
    for servable in loaded.values():
        servable.close()


@pytest.fixture
def run() -> Callable[..., Outputs]:
    """Runs a signature on arrays."""

    def run_one(signature: Signature, output_filter: tuple[str, ...] = (), /, **inputs: Any) -> Outputs:
        return signature.predict({alias: tf.make_tensor_proto(value) for alias, value in inputs.items()}, output_filter)

    return run_one


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Polls a condition until it holds; fails at the deadline."""

    def wait(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.01)

    return wait


class Server:
    """The server as a process, and a client of it."""

    def __init__(self, process: Process, log_file: Path) -> None:
        self.process = process
        self.channel = grpc.insecure_channel(f"127.0.0.1:{process.port}", options=(("grpc.use_local_subchannel_pool", 1),))
        self.prediction: Any = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self._log_file = log_file

    def end(self) -> None:
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()

    def log(self) -> str:
        return self._log_file.read_text(encoding="utf-8")

    def predict(self, model: str, *, signature: str = "", timeout: float = 60.0, **inputs: Any) -> predict_pb2.PredictResponse:
        return self.prediction.Predict(self.request(model, signature=signature, **inputs), timeout=timeout)

    @staticmethod
    def request(model: str, *, signature: str = "", **inputs: Any) -> predict_pb2.PredictRequest:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        for alias, value in inputs.items():
            request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
        return request

    def states(self, model: str) -> dict[int, str]:
        """The state of each version; empty while the model isn't known."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        try:
            reply = self.models.GetModelStatus(request, timeout=60, wait_for_ready=True)
        except grpc.RpcError:
            return {}
        return {row.version: get_model_status_pb2.ModelVersionStatus.State.Name(row.state) for row in reply.model_version_status}


@pytest.fixture(scope="session")
def new_server(tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., None]) -> Callable[..., Server]:
    """Starts a server with flags, and waits for the versions that are named to be available."""

    def start_one(*flags: str, port: int = 0, available: tuple[tuple[str, int], ...] = ()) -> Server:
        log_file = tmp_path_factory.mktemp("server") / "log"
        process = Process("modelserver", [f"--port={port}", *flags], folder=ROOT, log_file=log_file, ready=READY)
        server = Server(process, log_file)
        for model, version in available:
            wait_until(lambda model=model, version=version: server.states(model).get(version) == "AVAILABLE")
        return server

    return start_one


@pytest.fixture
def start(new_server: Callable[..., Server]) -> Iterator[Callable[..., Server]]:
    """`new_server`, whose processes end with the test."""
    servers: list[Server] = []

    def start_one(*flags: str, **options: Any) -> Server:
        servers.append(new_server(*flags, **options))
        return servers[-1]

    yield start_one
    for server in servers:
        server.end()


@pytest.fixture(scope="module")
def shared(new_server: Callable[..., Server], publish: Publish, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one thread, batches and metrics, which serves half_plus_two and several; no test changes it."""
    root = tmp_path_factory.mktemp("shared")
    entries = []
    for name in ("half_plus_two", "several"):
        publish(name, root / name, 1)
        entries.append(f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}')
    (root / "models.config").write_text(f"model_config_list {{ {' '.join(entries)} }}", encoding="utf-8")
    server = new_server(
        f"--model_config_file={root / 'models.config'}",
        "--grpc_max_threads=1",
        "--enable_batching",
        f"--batching_parameters_file={ROOT / 'serving_config' / 'batching_parameters.txt'}",
        "--rest_api_port=-1",
        f"--monitoring_config_file={ROOT / 'serving_config' / 'monitoring.config'}",
        available=(("half_plus_two", 1), ("several", 1)),
    )
    yield server
    server.end()


@pytest.fixture
def floats() -> Callable[..., NDArray[np.float32]]:
    return lambda *values: np.array(values, np.float32)
