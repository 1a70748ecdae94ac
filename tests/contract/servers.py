"""The servers that the contract is checked against: the embedded one, or the TensorFlow Serving at TFSERVING_TARGET; and the gateway before each."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from local.process import Process
from medserve.keys import create_key
from tests.contract.models import write_all, write_corrupt
from tests.contract.reloads import Reloads, eventually
from tests.contract.rest import Rest
from tests.contract.wire import Caller

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
        # Two at once: a start is mostly the import of TensorFlow, and one that fails does so once.
        self._pool = closing.enter_context(ThreadPoolExecutor(2))
        self._starting: dict[str, Future[str]] = {}
        self._models: Path | None = None

    def prepare(self, servers: Iterable[str]) -> None:
        """Begins to start those that tests will ask for."""
        if not IS_REFERENCE:
            self.models()
            for server in servers:
                self._starting[server] = self._pool.submit(self._start, server)

    def caller(self, server: str, target: str) -> Caller:
        """A caller of a server, `direct` or by way of the `gateway`."""
        if (server, target) not in self._callers:
            self._callers[server, target] = self._direct(server) if target == "direct" else self._through_gateway(server)
        return self._callers[server, target]

    def address(self, server: str) -> str:
        """Where a server listens. Skips the test where a real one is asked and this kind isn't there."""
        if IS_REFERENCE:
            return TARGETS[server] or pytest.skip(f"no address of a {server} TensorFlow Serving was given")
        if server not in self._starting:
            self.prepare([server])
        return self._starting[server].result()

    def models(self) -> Path:
        """The folder of the models, written when it is first asked for. Skips the test where a real server has its own."""
        if IS_REFERENCE:
            pytest.skip("the models that this server has were written elsewhere")
        if self._models is None:
            self._models = write_all(self._folder / "models").parent
        return self._models

    def _start(self, server: str) -> str:
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
    for reply in stub.Watch(health_pb2.HealthCheckRequest(), timeout=250):
        if reply.status == health_pb2.HealthCheckResponse.SERVING:
            return
