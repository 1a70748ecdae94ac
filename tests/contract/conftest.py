"""The servers that the contract is checked against: the embedded one, or the TensorFlow Serving at TFSERVING_TARGET; and the gateway before each."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from local.process import Process
from medserve.keys import create_key
from tests.contract import pending
from tests.contract.gateway_differences import difference_for
from tests.contract.models import write, write_all, write_corrupt
from tests.contract.reloads import UNLABELLED, A, B, Reloads, eventually, listed
from tests.contract.rest import Rest, RestCase
from tests.contract.wire import Caller, Case

ROOT = Path(__file__).parents[2]
# Where a real TensorFlow Serving is, by server: `host:port`. README says how it has to be started.
TARGETS: Mapping[str, str | None] = {
    "plain": os.environ.get("TFSERVING_TARGET"),
    "batching": os.environ.get("TFSERVING_BATCHING_TARGET"),
    # It has to see this machine's files: the tests write what it is told to serve.
    "reload": os.environ.get("TFSERVING_RELOAD_TARGET"),
    # It can't be there: TensorFlow Serving doesn't start on such a list.
    "boot": None,
}
REST_TARGET = os.environ.get("TFSERVING_REST_TARGET")
IS_REFERENCE = any((*TARGETS.values(), REST_TARGET))
_MODELS = ("--model_config_file={folder}/models.config", "--allow_version_labels_for_unavailable_models=true")
_FLAGS: Mapping[str, tuple[str, ...]] = {
    "plain": (*_MODELS, "--rest_api_port=-1"),
    "batching": (
        *_MODELS, "--enable_batching", "--batching_parameters_file={folder}/batching.config",
        "--enable_serialization_as_tensor_content", "--enable_signature_method_name_check",
    ),
    "reload": (
        "--model_name=half_plus_two", "--model_base_path={folder}/half_plus_two", "--file_system_poll_wait_seconds=0.1", "--max_num_load_retries=0",
    ),
    "boot": ("--model_config_file={boot}/models.config", "--max_num_load_retries=0"),
}  # fmt: skip
# A list that keeps TensorFlow Serving from starting. `{folder}` has good models, and `{boot}` what is wrong with these.
_BOOT = """
model_config_list {
  config { name: "labelled" base_path: "{folder}/half_plus_two" model_platform: "tensorflow"
           version_labels { key: "stable" value: 1 } version_labels { key: "next" value: 123 } }
  config { name: "missing" base_path: "{boot}/missing" model_platform: "tensorflow" }
  config { name: "empty" base_path: "{boot}/empty" model_platform: "tensorflow" }
  config { name: "corrupt" base_path: "{boot}/corrupt" model_platform: "tensorflow" }
}
"""
_LISTENING = re.compile(r"Running gRPC ModelServer at .*:(\d+) ")
_GATEWAY_LISTENING = re.compile(r"gateway listening on .*:(\d+)")
_KEYS: Mapping[str, tuple[list[str], list[str]]] = {
    "any": (["*"], ["infer", "read", "reload"]),
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
        # Those that didn't start: nobody waits for them twice.
        self._broken: set[str] = set()
        self._models: Path | None = None

    def caller(self, server: str, target: str) -> Caller:
        """A caller of a server, `direct` or by way of the `gateway`."""
        if server in pending.SERVERS:
            pytest.skip("not there yet")
        if (server, target) not in self._callers:
            self._callers[server, target] = self._direct(server) if target == "direct" else self._through_gateway(server)
        return self._callers[server, target]

    def address(self, server: str) -> str:
        """Where a server listens. Skips the test where a real one is asked and this kind isn't there."""
        if server in self._broken:
            pytest.fail(f"the {server} server didn't start: an earlier test says why")
        if server not in self._addresses:
            self._broken.add(server)
            self._addresses[server] = self._start(server)
            self._broken.remove(server)
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
            if target is None:
                self._broken.remove(server)
                pytest.skip(f"no address of a {server} TensorFlow Serving was given")
            return target
        folder, boot = self.models(), self._folder / "boot"
        if server == "boot":
            _write_boot(boot, folder)
        process = Process(
            "modelserver",
            ["--port=0", "--grpc_max_threads=8", *(flag.format(folder=folder, boot=boot) for flag in _FLAGS[server])],
            folder=ROOT,
            log_file=self._folder / f"{server}.log",
            ready=_LISTENING,
        )
        self._closing.callback(_stop, process)
        address = f"127.0.0.1:{process.port}"
        with grpc.insecure_channel(address) as channel:
            if server == "boot":
                booted = Reloads(Caller(channel), boot)
                eventually(lambda: (booted.predicted('name: "labelled"'), booted.states("corrupt")), (1, {1: "END"}))
            else:
                _wait_available(channel)
        return address

    def rest(self) -> Rest:
        """The plain server's REST API."""
        if IS_REFERENCE:
            return Rest(REST_TARGET) if REST_TARGET else pytest.skip("TFSERVING_REST_TARGET isn't given")
        self.address("plain")
        events = [json.loads(line) for line in (self._folder / "plain.log").read_text(encoding="utf-8").splitlines() if line.startswith("{")]
        ports = [event["port"] for event in events if "port" in event]
        return Rest(f"127.0.0.1:{ports[-1]}")

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


def _write_boot(boot: Path, folder: Path) -> None:
    (boot / "empty").mkdir(parents=True)
    write_corrupt(boot / "corrupt" / "1")
    (boot / "models.config").write_text(_BOOT.replace("{folder}", str(folder)).replace("{boot}", str(boot)), encoding="utf-8")


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


@pytest.fixture
def rest(servers: Servers) -> Rest:
    """The plain server's REST API. The gateway has none."""
    if "rest" in pending.SERVERS:
        pytest.skip("not there yet")
    return servers.rest()


@pytest.fixture
def hold_rest(rest: Rest) -> Callable[[RestCase], None]:
    """Makes a case's call and holds the answer against its row."""

    def hold_one(case: RestCase) -> None:
        if case.row in pending.PENDING:
            pytest.skip("not there yet")
        case.hold(rest.ask(case))

    return hold_one


@pytest.fixture(scope="session")
def saved_models(servers: Servers) -> Callable[[str], Any]:
    """Reads the SavedModel of a model by its name; skips where a real TensorFlow Serving has models that this process didn't write."""

    def read(name: str) -> Any:
        from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415

        return saved_model_pb2.SavedModel.FromString((servers.models() / name / "1" / "saved_model.pb").read_bytes())

    return read


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reload")
    write("half_plus_two", folder / "a" / "1")
    for place in ("a/2", "b/1", "moved/3", "late/ready"):
        shutil.copytree(folder / "a" / "1", folder / place)
    write_corrupt(folder / "bad" / "1")
    return folder


@pytest.fixture
def reloads(servers: Any, target: str, root: Path) -> Reloads:
    """The server, set to serve `a` and `b`, labelled."""
    reloads = Reloads(servers.caller("reload", target), root)
    both = {2: "AVAILABLE", 1: "AVAILABLE"}
    # In two steps: a label that comes with its model is refused.
    for request in (listed(UNLABELLED, B), listed(A, B)):
        answer = reloads.reload(request)
        assert answer.code == "OK", answer.status
        eventually(partial(reloads.states, "a", both), both)
    return reloads
