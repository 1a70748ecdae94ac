"""The embedded model server and the gateway, on one machine, as two processes that start and end in the right order."""

import contextlib
import re
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from local.process import Process, StartError
from medserve import Client, MedserveError
from medserve.repository import models

SERVING_CONFIG = Path(__file__).resolve().parent.parent / "serving_config"
# Where TensorFlow Serving's container has the repository; `serving_config/models.config` is written for it.
_CONTAINER_REPOSITORY = '"/models/'
_MODEL_NAME = re.compile(r'^\s*name: "([^"]+)"', re.MULTILINE)
# The newest two, as `serving_config/models.config` says why: what a trial is published on top of stays loaded, and goes on answering.
_MODEL_CONFIG = """  config {{
    name: "{name}" base_path: "/models/{name}" model_platform: "tensorflow" model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
"""
_MODEL_SERVER_READY = re.compile(r"Running gRPC ModelServer at .*:(\d+) ")
_GATEWAY_READY = re.compile(r"gateway listening on .*:(\d+)")
_HEALTH_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class Stack:
    """Both servers over one folder. Everything that they write is below `<folder>/var`; ports are the system's choice where they are 0."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder to run in. Nothing is started yet."""
        self.folder = folder
        self.var = folder / "var"
        self.repository = self.var / "models"
        self.ca_file = self.var / "pki" / "ca.pem"
        self.api_keys_file = self.var / "keys" / "api_keys.json"
        self.audit_file = self.var / "audit" / "audit.jsonl"
        self.log_folder = self.var / "log"
        self.models_config = self.var / "run" / "models.config"
        self._listed = ""
        self.model_server: Process | None = None
        self.gateway: Process | None = None

    def start_model_server(self, *, port: int = 0, rest_api_port: int = -1) -> Process:
        """Starts the model server on `models.config`, `batching_parameters.txt` and `monitoring.config`. Raises StartError."""
        self.list_models()
        self.model_server = Process(
            "modelserver",
            [
                f"--port={port}",
                f"--rest_api_port={rest_api_port}",
                f"--model_config_file={self.models_config}",
                "--model_config_file_poll_wait_seconds=1",
                "--enable_batching",
                f"--batching_parameters_file={SERVING_CONFIG / 'batching_parameters.txt'}",
                f"--monitoring_config_file={SERVING_CONFIG / 'monitoring.config'}",
            ],
            folder=self.folder,
            log_file=self.log_folder / "modelserver.log",
            ready=_MODEL_SERVER_READY,
        )
        return self.model_server

    def list_models(self) -> None:
        """Writes the model server's `models.config`, where other models are published than when it was written last. Raises OSError.

        The server reads it again when it changes. It is a copy of what ships, with this repository's path in place of the container's, since
        TensorFlow Serving takes absolute paths only, and the repository's other models added. What ships names the models that `make run` publishes;
        who publishes more has them served.
        """
        text = (SERVING_CONFIG / "models.config").read_text(encoding="utf-8")
        named = set(_MODEL_NAME.findall(text))
        added = "".join(_MODEL_CONFIG.format(name=name) for name in models(self.repository) if name not in named)
        listed, end, rest = text.rpartition("}")
        text = (listed + added + end + rest).replace(_CONTAINER_REPOSITORY, f'"{self.repository.resolve()}/')
        file = self.models_config
        # What somebody has changed in it stays until then.
        if text == self._listed and file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        # By one rename: the model server never reads half of it.
        file.with_suffix(".new").write_text(text, encoding="utf-8")
        file.with_suffix(".new").replace(file)
        self._listed = text

    def start_gateway(self, *settings: str, port: int = 0, metrics_port: int = 0) -> Process:
        """Starts the gateway in front of the model server; `settings` are `KEY=VALUE`. Raises StartError."""
        if self.model_server is None:
            raise StartError("the model server comes first: the gateway needs its address")
        assignments = (
            f"backend.address=127.0.0.1:{self.model_server.port}",
            f"listen.port={port}",
            f"metrics.port={metrics_port}",
            *settings,
        )
        self.gateway = Process(
            "gateway",
            [f"--config={SERVING_CONFIG / 'gateway.yaml'}", *(f"--set={assignment}" for assignment in assignments)],
            folder=self.folder,
            log_file=self.log_folder / "gateway.log",
            ready=_GATEWAY_READY,
        )
        return self.gateway

    @property
    def target(self) -> str:
        """The gateway's address."""
        if self.gateway is None:
            raise StartError("the gateway isn't started")
        return f"localhost:{self.gateway.port}"

    def channel(self) -> grpc.Channel:
        """A channel to the gateway that trusts the development CA."""
        return grpc.secure_channel(self.target, grpc.ssl_channel_credentials(self.ca_file.read_bytes()))

    def wait_ready(self, model: str) -> None:
        """Waits until a call to the model would be answered. Raises StartError where it takes too long, or a server has ended."""
        deadline = time.monotonic() + _HEALTH_SECONDS
        with Client(self.target, ca_certificates=self.ca_file) as client:
            while time.monotonic() < deadline:
                self.require_running()
                with contextlib.suppress(MedserveError):
                    if client.health(model):
                        return
                time.sleep(_LOOK_SECONDS)
        message = f"the model {model} isn't served after {_HEALTH_SECONDS:.0f} s: see {self.log_folder}"
        raise StartError(message)

    def require_running(self) -> None:
        """Raises StartError where a server has ended by itself."""
        for process in (self.model_server, self.gateway):
            if process is not None and process.poll() is not None:
                message = f"{process.module} has ended with status {process.poll()}: see {process.log_file}"
                raise StartError(message)

    def stop(self) -> dict[str, int]:
        """Ends both: first the gateway, so that what it has taken on is still answered. Returns the exit status of each that ran."""
        running = [process for process in (self.gateway, self.model_server) if process is not None]
        self.gateway = self.model_server = None
        return {process.module: process.stop() for process in running}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
