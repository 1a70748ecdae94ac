"""The composition root: what starts in which order, and what ends in which."""

import gc
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import structlog

from modelserver.api import Api
from modelserver.config import ConfigError
from modelserver.config_watch import ConfigWatch
from modelserver.denormals import flush_denormals
from modelserver.flag_table import Flags
from modelserver.flags import Setup
from modelserver.gate import Gate, Unknown
from modelserver.grpc_server import Server
from modelserver.health import Health
from modelserver.loader import Loader
from modelserver.manager import Manager
from modelserver.metrics import Metrics
from modelserver.model import Retries
from modelserver.reload import Reload
from modelserver.rest.handler import Handler
from modelserver.rest.server import Options, RestServer
from modelserver.services import inference, register

_log = structlog.get_logger("modelserver.server")

_DRAIN_SECONDS = 30.0
_READINESS_SECONDS = 0.2
# Health watches and reloads that wait hold one each; they are made when they are needed.
_CONTROL_THREADS = 256
# TensorFlow Serving's limit is as good as none, whatever the channel's arguments say.
_NO_LIMITS: dict[str, int | str] = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1}


def serve(setup: Setup) -> None:
    """Runs the server until SIGTERM or SIGINT, then answers what it has taken on. Raises ConfigError where a port can't be had.

    It listens at once, and its health says SERVING when every model has a version that answers: a caller that comes early is told that the model
    isn't found, and not that there is no server.
    """
    # First of all: the threads that are made from here on have it from this one.
    flush_denormals()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    flags = setup.flags
    manager = Manager(
        setup.models,
        load=Loader(setup),
        poll_seconds=flags.file_system_poll_wait_seconds,
        retries=Retries(count=flags.max_num_load_retries, interval_seconds=max(flags.load_retry_interval_micros, 0) / 1e6),
        load_threads=max(flags.num_load_threads, 1),
        unload_threads=flags.num_unload_threads,
        allows_unavailable_labels=flags.allow_version_labels_for_unavailable_models,
    )
    metrics = Metrics(manager, names=manager.names)
    # Calls beyond the threads wait; TensorFlow Serving refuses them. What looks at models or changes them has threads of its own: it is answered
    # while all others are busy with predictions, and a reload that waits takes none of those.
    server = Server(
        threads=flags.grpc_max_threads,
        others=ThreadPoolExecutor(_CONTROL_THREADS, thread_name_prefix="control"),
        options=tuple(({"grpc.so_reuseport": 0} | setup.channel_arguments | _NO_LIMITS).items()),
    )
    gate = Gate()
    server.grpc.add_generic_rpc_handlers((gate,))
    api = Api(manager)
    register(server.grpc, api)
    health = Health()
    if flags.enable_grpc_healthcheck_service:
        health.add_to(server.grpc)
    server.grpc.add_generic_rpc_handlers((Unknown(),))
    port = _listen(server.grpc, setup)
    rest = _start_rest(Handler(api, manager, metrics), metrics, setup) if flags.rest_api_port else None
    server.start(inference(api, metrics))
    # TensorFlow Serving's words; parents read the port from them.
    print(f"Running gRPC ModelServer at {flags.host}:{port} ...", flush=True)
    if flags.grpc_socket_path:
        print(f"Running gRPC ModelServer at UNIX socket {flags.grpc_socket_path} ...", flush=True)
    # TensorFlow's modules stay for good: passing them over, the collection at a version's end takes milliseconds, not tenths of a second.
    gc.freeze()
    manager.start()
    watch = _watch(flags, api.reloads)
    while not stopping.wait(_READINESS_SECONDS):
        health.show(is_ready=manager.is_ready())
    _log.info("stopping")
    if watch is not None:
        watch.stop()
    health.enter_graceful_shutdown()
    manager.end_waits()
    server.leave_all_to_grpc()
    gate.close()
    stopped = server.grpc.stop(_DRAIN_SECONDS)
    if rest is not None:
        rest.stop(_DRAIN_SECONDS)
    stopped.wait()
    manager.stop()
    _log.info("stopped")


def _watch(flags: Flags, reloads: Reload) -> ConfigWatch | None:
    """The file of the models, watched where it is to be."""
    if not flags.model_config_file or not flags.model_config_file_poll_wait_seconds:
        return None
    watch = ConfigWatch(Path(flags.model_config_file), poll_seconds=flags.model_config_file_poll_wait_seconds, apply=reloads.apply)
    watch.start()
    return watch


def _listen(server: grpc.Server, setup: Setup) -> int:
    """Listens on the port, and on the socket where one is named; returns the port."""
    flags = setup.flags
    if flags.grpc_socket_path:
        _add_port(server, setup, f"unix:{flags.grpc_socket_path}", f"--grpc_socket_path: can't listen on {flags.grpc_socket_path}")
    problem = f"--port: can't listen on {flags.host}:{flags.port}: another process may hold it; 0 lets the system choose"
    return _add_port(server, setup, f"{flags.host}:{flags.port}", problem)


def _add_port(server: grpc.Server, setup: Setup, address: str, problem: str) -> int:
    try:
        if setup.credentials is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, setup.credentials))
    except RuntimeError:
        ssl = ", or the key and the certificates of --ssl_config_file can't be used" if setup.credentials is not None else ""
        raise ConfigError(problem + ssl) from None


def _start_rest(handler: Handler, metrics: Metrics, setup: Setup) -> RestServer:
    flags = setup.flags
    milliseconds = flags.rest_api_timeout_in_ms
    rest = RestServer(
        handler,
        metrics,
        Options(
            host=flags.host,
            port=max(flags.rest_api_port, 0),
            threads=flags.rest_api_num_threads,
            timeout_seconds=milliseconds / 1000 if milliseconds > 0 else None,
            allows_origins=flags.rest_api_enable_cors_support,
            metrics_path=setup.metrics_path,
        ),
    )
    try:
        port = rest.start()
    except OSError:
        message = f"--rest_api_port: can't listen on {flags.host}:{flags.rest_api_port}: another process may hold it"
        raise ConfigError(message) from None
    _log.info("rest", host=flags.host, port=port, metrics=setup.metrics_path)
    return rest
