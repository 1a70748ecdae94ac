"""The servers that the contract is checked against: the embedded one, or the TensorFlow Serving at TFSERVING_TARGET; and the gateway before each."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from local.process import Process
from medserve.keys import create_key
from tests.contract import pending
from tests.contract.gateway_differences import difference_for
from tests.contract.models import write_all
from tests.contract.wire import Caller, Case

ROOT = Path(__file__).parents[2]
# Where a real TensorFlow Serving is, by server: `host:port`. README says how it has to be started.
TARGETS: Mapping[str, str | None] = {"plain": os.environ.get("TFSERVING_TARGET"), "batching": os.environ.get("TFSERVING_BATCHING_TARGET")}
IS_REFERENCE = any(TARGETS.values())
_BATCHING = [
    "--enable_batching", "--batching_parameters_file={folder}/batching.config", "--enable_serialization_as_tensor_content",
    "--enable_signature_method_name_check",
]  # fmt: skip
_FLAGS: Mapping[str, list[str]] = {"plain": [], "batching": _BATCHING}
_LISTENING = re.compile(r"Running gRPC ModelServer at .*:(\d+) ")
_GATEWAY_LISTENING = re.compile(r"gateway listening on .*:(\d+)")
_KEYS: Mapping[str, tuple[list[str], list[str]]] = {
    "any": (["*"], ["infer", "read"]),
    "another model's": (["conv"], ["infer", "read"]),
    "a reader's": (["*"], ["read"]),
}


class Servers:
    """What has been started, by name and by whether the gateway stands before it: each when it is first asked for."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self._folder = folder
        self._closing = closing
        self._callers: dict[tuple[str, str], Caller] = {}
        self._addresses: dict[str, str] = {}
        self._models: Path | None = None

    def caller(self, server: str, target: str) -> Caller:
        """A caller of a server, `direct` or by way of the `gateway`."""
        if (server, target) not in self._callers:
            self._callers[server, target] = self._direct(server) if target == "direct" else self._through_gateway(server)
        return self._callers[server, target]

    def address(self, server: str) -> str:
        """Where a server listens. Skips the test where a real one is asked and this kind isn't there."""
        if server not in self._addresses:
            self._addresses[server] = self._start(server)
        return self._addresses[server]

    def models(self) -> Path:
        """The folder of the models, written when it is first asked for. Skips the test where a real server has its own."""
        if IS_REFERENCE:
            pytest.skip("the models that this server has were written elsewhere")
        if self._models is None:
            self._models = write_all(self._folder / "models").parent
        return self._models

    def _start(self, server: str) -> str:
        if IS_REFERENCE:
            target = TARGETS[server]
            return target or pytest.skip(f"no address of a {server} TensorFlow Serving was given")
        folder = self.models()
        flags = [flag.format(folder=folder, rest=0) for flag in _FLAGS[server]]
        process = Process(
            "modelserver",
            ["--port=0", f"--model_config_file={folder / 'models.config'}", "--grpc_max_threads=8", *flags],
            folder=ROOT,
            log_file=self._folder / f"{server}.log",
            ready=_LISTENING,
        )
        self._closing.callback(_stop, process)
        address = f"127.0.0.1:{process.port}"
        with grpc.insecure_channel(address) as channel:
            _wait_available(channel)
        return address

    def _direct(self, server: str) -> Caller:
        return Caller(self._closing.enter_context(grpc.insecure_channel(self.address(server))))

    def _through_gateway(self, server: str) -> Caller:
        address = self.address(server)
        folder = self._folder / f"gateway of {server}"
        folder.mkdir()
        keys = {
            name: (("authorization", f"Bearer {create_key(folder / 'var/keys/api_keys.json', tenant=name, models=models, actions=actions)[1]}"),)
            for name, (models, actions) in _KEYS.items()
        }
        settings = {
            "backend.address": address,
            "listen.port": "0",
            "metrics.port": "-1",
            "labels": "{half_plus_two: {gateways: 1}}",
        }
        process = Process(
            "gateway",
            [f"--config={ROOT / 'serving_config' / 'gateway.yaml'}", *(f"--set={key}={value}" for key, value in settings.items())],
            folder=folder,
            log_file=folder / "log",
            ready=_GATEWAY_LISTENING,
        )
        self._closing.callback(_stop, process)
        authority = grpc.ssl_channel_credentials((folder / "var/pki/ca.pem").read_bytes())
        return Caller(self._closing.enter_context(grpc.secure_channel(f"localhost:{process.port}", authority)), keys)


def _stop(process: Process) -> None:
    assert process.stop() == 0


def _wait_available(channel: grpc.Channel) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415 - of ours only: TensorFlow Serving has it behind a flag

    stub: Any = health_pb2_grpc.HealthStub(channel)
    for reply in stub.Watch(health_pb2.HealthCheckRequest(), timeout=60):
        if reply.status == health_pb2.HealthCheckResponse.SERVING:
            return


@pytest.fixture(scope="session")
def is_reference() -> bool:
    """Whether TensorFlow Serving itself answers: where ours deliberately differs, a case has both answers."""
    return IS_REFERENCE


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as closing:
        yield Servers(tmp_path_factory.mktemp("contract"), closing)


@pytest.fixture(scope="session", params=["direct", "gateway"])
def target(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it runs twice: against the server itself, and through the gateway's drop-in API."""
    return request.param


@pytest.fixture
def caller(servers: Servers, target: str) -> Caller:
    """A caller of the plain server."""
    return servers.caller("plain", target)


@pytest.fixture
def hold(servers: Servers, target: str, is_reference: bool) -> Callable[[Case], None]:
    """Makes a case's call and holds the answer against its row; or against the table of the gateway's differences."""

    def hold_one(case: Case) -> None:
        if case.row in pending.PENDING:
            pytest.skip("not there yet")
        if is_reference and case.reference is not None and case.reference[0] == "UNAVAILABLE":
            pytest.skip(f"it would end the server: {case.why}")
        answer = servers.caller(case.server, target).ask(case.method, case.request, key=case.key, timeout_seconds=case.timeout_seconds)
        difference = difference_for(case.row) if target == "gateway" else None
        if difference is not None:
            assert answer.status == (difference.code, difference.message)
            return
        assert not answer.trailers, "no trailing metadata, and no grpc-status-details-bin"
        if is_reference and case.reference is not None:
            case.hold_to_reference(answer)
        else:
            case.hold(answer)

    return hold_one


@pytest.fixture(scope="session")
def saved_models(servers: Servers) -> Callable[[str], Any]:
    """Reads the SavedModel of a model by its name; skips where a real TensorFlow Serving has models that this process didn't write."""

    def read(name: str) -> Any:
        from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415

        return saved_model_pb2.SavedModel.FromString((servers.models() / name / "1" / "saved_model.pb").read_bytes())

    return read
