"""The command line: TensorFlow Serving's flags, by their names and with their meanings.

A flag of theirs that isn't supported stops the start, with the reason: it is never accepted and ignored.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelserver.config import Batching, ConfigError, ModelConfig, read_batching, read_metrics_path, read_models, single_model

_NOT_YET = "the embedded server doesn't have it yet"
# TensorFlow Serving's flags (model_servers/main.cc) that aren't supported, and why.
UNSUPPORTED = {
    "enable_per_model_batching_parameters": _NOT_YET,
    "ssl_config_file": "the embedded server listens on loopback; TLS is the gateway's",
    "grpc_socket_path": _NOT_YET,
    "grpc_channel_arguments": _NOT_YET,
    "max_num_load_retries": "a version that failed is tried again when its files change",
    "load_retry_interval_micros": "a version that failed is tried again when its files change",
    "num_request_iterations_for_warmup": _NOT_YET,
    "allow_version_labels_for_unavailable_models": "a label applies as soon as its version is available",
    "enable_signature_method_name_check": _NOT_YET,
    "enable_serialization_as_tensor_content": _NOT_YET,
    "saved_model_tags": _NOT_YET,
    "tensorflow_session_parallelism": "set the intra- and the inter-op parallelism",
}

_MOST = 1 << 31
# The least and the most of each number. gRPC takes a port beyond the last one for another.
_RANGES = {
    "port": (0, 65535),
    "rest_api_port": (-1, 65535),
    "model_config_file_poll_wait_seconds": (0, _MOST),
    "file_system_poll_wait_seconds": (0, _MOST),
    "grpc_max_threads": (1, _MOST),
    "tensorflow_intra_op_parallelism": (0, _MOST),
    "tensorflow_inter_op_parallelism": (0, _MOST),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Flags:
    """What the command line asks for."""

    host: str
    port: int
    rest_api_port: int
    metrics_path: str | None
    models: tuple[ModelConfig, ...]
    model_config_file: Path | None
    config_poll_seconds: float
    poll_seconds: float
    batching: Batching | None
    threads: int
    intra_op_threads: int
    inter_op_threads: int


def parse(arguments: Sequence[str] | None = None) -> Flags:
    """Reads the command line and the files that it names. Raises ConfigError; exits with 2, as argparse does, for a flag that doesn't exist."""
    parser = argparse.ArgumentParser(prog="python -m modelserver", description="TensorFlow Serving's API, embedded.", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=8500, help="the gRPC port; 0 lets the system choose")
    parser.add_argument("--host", default="127.0.0.1", help="the address; loopback, for the embedded server has neither TLS nor keys")
    parser.add_argument("--rest_api_port", type=int, default=0, help="the HTTP port of the metrics; 0 serves none, -1 lets the system choose")
    parser.add_argument("--model_config_file", type=Path, help="a ModelServerConfig in text form")
    parser.add_argument("--model_config_file_poll_wait_seconds", type=float, default=0.0, help="how often to read that file again; 0: never")
    parser.add_argument("--model_name", default="default", help="the model's name, without a --model_config_file")
    parser.add_argument("--model_base_path", default="", help="the absolute path of the folder with the versions")
    parser.add_argument("--monitoring_config_file", type=Path, help="a MonitoringConfig in text form")
    parser.add_argument("--file_system_poll_wait_seconds", type=float, default=1.0, help="how often to look for versions; 0: once")
    parser.add_argument("--grpc_max_threads", type=int, default=16, help="how many requests run at once; more wait")
    parser.add_argument("--enable_batching", type=_boolean, nargs="?", const=True, default=False, help="gather requests into batches")
    parser.add_argument("--batching_parameters_file", type=Path, help="a BatchingParameters in text form")
    parser.add_argument("--tensorflow_intra_op_parallelism", type=int, default=0, help="threads of one operation; 0: TensorFlow chooses")
    parser.add_argument("--tensorflow_inter_op_parallelism", type=int, default=0, help="operations at once; 0: TensorFlow chooses")
    for name in UNSUPPORTED:
        parser.add_argument(f"--{name}", nargs="?", default=None, const="true", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    for name, reason in UNSUPPORTED.items():
        if getattr(parsed, name) is not None:
            message = f"--{name} is not supported: {reason}"
            raise ConfigError(message)
    if (parsed.model_config_file is None) == (not parsed.model_base_path):
        message = "name either --model_config_file or --model_base_path"
        raise ConfigError(message)
    for name, (least, most) in _RANGES.items():
        if not least <= getattr(parsed, name) <= most:
            message = f"--{name} is {getattr(parsed, name)}: it is {least} to {most}"
            raise ConfigError(message)
    if (parsed.monitoring_config_file is None) != (not parsed.rest_api_port):
        message = "--rest_api_port and --monitoring_config_file go together: the embedded server's HTTP port has the metrics, and nothing else"
        raise ConfigError(message)
    if parsed.batching_parameters_file is not None and not parsed.enable_batching:
        message = "--batching_parameters_file is set without --enable_batching"
        raise ConfigError(message)
    models = read_models(parsed.model_config_file) if parsed.model_config_file else single_model(parsed.model_name, parsed.model_base_path)
    return Flags(
        host=parsed.host,
        port=parsed.port,
        rest_api_port=parsed.rest_api_port,
        metrics_path=read_metrics_path(parsed.monitoring_config_file) if parsed.monitoring_config_file else None,
        models=models,
        model_config_file=parsed.model_config_file,
        config_poll_seconds=parsed.model_config_file_poll_wait_seconds,
        poll_seconds=parsed.file_system_poll_wait_seconds,
        batching=_batching(parsed.batching_parameters_file) if parsed.enable_batching else None,
        threads=parsed.grpc_max_threads,
        intra_op_threads=parsed.tensorflow_intra_op_parallelism,
        inter_op_threads=parsed.tensorflow_inter_op_parallelism,
    )


def _boolean(text: str) -> bool:
    """How TensorFlow Serving's flags say yes and no (tensorflow/core/util/command_line_flags.cc)."""
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError("true or false") from None


def _batching(file: Path | None) -> Batching:
    return Batching() if file is None else read_batching(file)
