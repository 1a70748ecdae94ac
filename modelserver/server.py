"""The composition root: what starts in which order, and what ends in which."""

import gc
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow.core.protobuf import config_pb2

from modelserver.api import Api
from modelserver.config import ConfigError
from modelserver.config_watch import ConfigWatch
from modelserver.flags import Flags
from modelserver.manager import Manager
from modelserver.metrics import Metrics
from modelserver.servable import LoadOptions, Servable
from modelserver.services import register

_log = structlog.get_logger("modelserver.server")

_DRAIN_SECONDS = 30.0
_READINESS_SECONDS = 0.2
# Health watches and reloads that wait hold one each; they are made when they are needed.
_CONTROL_THREADS = 256
# The names that TensorFlow Serving answers for.
_HEALTH_NAMES = ("", "ModelService", "PredictionService")


def serve(flags: Flags) -> None:
    """Runs the server until SIGTERM or SIGINT, then answers what it has taken on. Raises ConfigError where a port can't be had.

    It listens at once, and its health says SERVING when every model has a version that answers: a caller that comes early is told that the model
    isn't found, and not that there is no server.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    session_config = config_pb2.ConfigProto(intra_op_parallelism_threads=flags.intra_op_threads, inter_op_parallelism_threads=flags.inter_op_threads)
    load = partial(Servable, options=LoadOptions(session_config=session_config, batching=flags.batching))
    manager = Manager(flags.models, poll_seconds=flags.poll_seconds, load=load)
    metrics = Metrics(manager.knows)
    # Calls beyond the threads wait; TensorFlow Serving refuses them.
    server = grpc.server(
        ThreadPoolExecutor(flags.threads, thread_name_prefix="call"),
        options=(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)),
    )
    control = ThreadPoolExecutor(_CONTROL_THREADS, thread_name_prefix="control")
    register(server, Api(manager), metrics, control)
    status = health.HealthServicer(experimental_thread_pool=control)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    _set_health(status, health_pb2.HealthCheckResponse.NOT_SERVING)
    port = _listen(server, flags)
    if flags.metrics_path is not None:
        http_port = _serve_metrics(metrics, flags, flags.metrics_path)
        _log.info("metrics", host=flags.host, port=http_port, path=flags.metrics_path)
    server.start()
    # TensorFlow Serving's words; parents read the port from them.
    print(f"Running gRPC ModelServer at {flags.host}:{port} ...", flush=True)
    # TensorFlow's modules stay for good: passing them over, the collection at a version's end takes milliseconds, not tenths of a second.
    gc.freeze()
    manager.start()
    watch = _watch(flags, manager)
    while not stopping.wait(_READINESS_SECONDS):
        serving = health_pb2.HealthCheckResponse.SERVING if manager.is_ready() else health_pb2.HealthCheckResponse.NOT_SERVING
        _set_health(status, serving)
    _log.info("stopping")
    if watch is not None:
        watch.stop()
    status.enter_graceful_shutdown()
    server.stop(_DRAIN_SECONDS).wait()
    manager.stop()
    metrics.close()
    _log.info("stopped")


def _watch(flags: Flags, manager: Manager) -> ConfigWatch | None:
    """The file of the models, watched where it is to be."""
    if flags.model_config_file is None or not flags.config_poll_seconds:
        return None
    watch = ConfigWatch(flags.model_config_file, poll_seconds=flags.config_poll_seconds, apply=manager.configure)
    watch.start()
    return watch


def _listen(server: grpc.Server, flags: Flags) -> int:
    try:
        return int(server.add_insecure_port(f"{flags.host}:{flags.port}"))
    except RuntimeError:
        message = f"--port: can't listen on {flags.host}:{flags.port}: another process may hold it; 0 lets the system choose"
        raise ConfigError(message) from None


def _serve_metrics(metrics: Metrics, flags: Flags, path: str) -> int:
    try:
        return metrics.serve(flags.host, max(flags.rest_api_port, 0), path)
    except OSError:
        message = f"--rest_api_port: can't listen on {flags.host}:{flags.rest_api_port}: another process may hold it"
        raise ConfigError(message) from None


def _set_health(status: health.HealthServicer, serving: int) -> None:
    for name in _HEALTH_NAMES:
        status.set(name, serving)
