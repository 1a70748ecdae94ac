"""Every flag there is, in one table: ours and TensorFlow Serving's (model_servers/main.cc), what each does, and why some aren't supported."""

import os
from dataclasses import dataclass, field, fields
from typing import Any

_MOST = (1 << 31) - 1
_MICROSECONDS = (1 << 63) - 1
# TensorFlow Serving takes four for each core; so few are a narrow door on a small machine.
_CORE_THREADS = 4 * (os.cpu_count() or 1)
_THREADS = max(16, _CORE_THREADS)


def _flag(meaning: str, least: float | None = None, most: float = _MOST, *, default: Any, is_ours: bool = False) -> Any:  # noqa: ANN401 - as field()
    return field(default=default, metadata={"meaning": meaning, "least": least, "most": most, "is_ours": is_ours})


@dataclass(frozen=True, kw_only=True, slots=True)
class Flags:
    """What the command line says: each field is the flag of its name, as it is given."""

    host: str = _flag("The address to listen on. Theirs is always 0.0.0.0.", is_ours=True, default="127.0.0.1")
    port: int = _flag("The gRPC port. 0 lets the system choose; the first line of the output says which.", 0, 65535, default=8500)
    rest_api_port: int = _flag("The HTTP port, of REST and of the metrics. 0 serves none, -1 lets the system choose.", -1, 65535, default=0)
    rest_api_num_threads: int = _flag("How many HTTP calls run at once; more wait.", 1, default=_CORE_THREADS)
    rest_api_timeout_in_ms: int = _flag(
        "How long an HTTP call may take, its wait included; without a limit, where it isn't positive.", default=30_000
    )
    rest_api_enable_cors_support: bool = _flag("Whether pages of other origins may call by HTTP.", default=False)
    grpc_socket_path: str = _flag("A Unix socket to listen on besides the port.", default="")
    grpc_max_threads: int = _flag(
        "How many calls run at once: 16, or four for each core. Calls above it wait; theirs are refused.", 1, default=_THREADS
    )
    grpc_channel_arguments: str = _flag("gRPC's own settings: `key=value,key=value`. The sizes of messages have no limit either way.", default="")
    enable_grpc_healthcheck_service: bool = _flag(
        "Whether `grpc.health.v1.Health` answers; off by default in theirs, where it says SERVING before the first model is loaded.", default=True
    )
    ssl_config_file: str = _flag("An `SSLConfig` in text form: the key and the certificates for TLS, as PEM.", default="")
    model_name: str = _flag("The model's name, where there is no `--model_config_file`.", default="default")
    model_base_path: str = _flag("The absolute path of the folder with its versions.", default="")
    model_config_file: str = _flag("A `ModelServerConfig` in text form; the two flags above then say nothing.", default="")
    model_config_file_poll_wait_seconds: float = _flag("How often to read that file again; 0: never.", 0, default=0.0)
    file_system_poll_wait_seconds: float = _flag("How often to look for versions; 0: once, and at each change of the configuration.", 0, default=1.0)
    allow_version_labels_for_unavailable_models: bool = _flag(
        "Whether a new label may name a version that isn't there yet. One that is there and still loads may be named either way.", default=False
    )
    max_num_load_retries: int = _flag(
        "How often a load that failed is tried again. It is tried at once when the version's files change.", 0, default=5
    )
    load_retry_interval_micros: int = _flag("How long to wait before that; negative: not at all.", -_MICROSECONDS, _MICROSECONDS, default=60_000_000)
    num_load_threads: int = _flag("How many versions load at once. 0: one, on a thread of its own.", 0, 64, default=0)
    num_unload_threads: int = _flag("How many versions unload at once. 0: any number, so that none waits for another's last call.", 0, 64, default=0)
    flush_filesystem_caches: bool = _flag(
        "Either way the same: local file systems, which are all that is read, have no cache to flush.", default=True
    )
    enable_model_warmup: bool = _flag("Whether a version's recorded requests are run before it answers others.", default=True)
    num_request_iterations_for_warmup: int = _flag("How often each of them is run; once, where it isn't positive.", -_MOST, default=0)
    saved_model_tags: str = _flag("The tags of the graph to load, with commas between them.", default="serve")
    allowed_ops_file: str = _flag(
        "The operations that a model may have, one a line; `#` starts a comment. Any, without it.", is_ours=True, default=""
    )
    tensorflow_session_parallelism: int = _flag("The threads of one operation, and the operations at once; 0: TensorFlow chooses.", 0, default=0)
    tensorflow_intra_op_parallelism: int = _flag(
        "The threads of one operation. 0: one in a model whose answer takes under 2 ms, all in another.", 0, default=0
    )
    tensorflow_inter_op_parallelism: int = _flag(
        "The operations at once. 0: those of such a short model run one after the other on its call's thread, another's as TensorFlow chooses.",
        0,
        default=0,
    )
    enable_signature_method_name_check: bool = _flag(
        "Whether a signature's `method_name` has to be that of the method that is called.", default=False
    )
    enable_serialization_as_tensor_content: bool = _flag("Whether replies hold tensors as `tensor_content`.", default=False)
    enable_batching: bool = _flag("Whether calls are gathered into batches.", default=False)
    batching_parameters_file: str = _flag("A `BatchingParameters` in text form.", default="")
    enable_per_model_batching_parameters: bool = _flag(
        "Whether a version is batched by its own `batching_params.pbtxt`, and not at all without one; the threads are those of the file above.",
        default=False,
    )
    monitoring_config_file: str = _flag("A `MonitoringConfig` in text form.", default="")
    remove_unused_fields_from_bundle_metagraph: bool = _flag("Only true: of a `MetaGraphDef` nothing is kept but its signatures.", default=True)
    version: bool = _flag("Print the versions, and end.", default=False)


# TensorFlow Serving's other flags, and why each isn't supported.
UNSUPPORTED = {
    "tensorflow_session_config_file": "the embedded server sets the session up itself; the flags of parallelism are there",
    "use_alts_credentials": "ALTS works in Google's own network only; --ssl_config_file is there",
    "platform_config_file": "SavedModels are the only platform",
    "per_process_gpu_memory_fraction": "the embedded server runs on the CPU",
    "prefer_tflite_model": "it runs TensorFlow models, not those of TensorFlow Lite",
    "num_tflite_pools": "it runs TensorFlow models, not those of TensorFlow Lite",
    "num_tflite_interpreters_per_pool": "it runs TensorFlow models, not those of TensorFlow Lite",
    "xla_cpu_compilation_enabled": "operations are run, not compiled",
    "xla_gpu_compilation_enabled": "operations are run, not compiled",
    "enable_profiler": "it has no profiler service",
    "thread_pool_factory_config_file": "calls have one pool of threads, --grpc_max_threads",
    "mixed_precision": "models run in the precision that they were saved with",
    "skip_initialize_tpu": "the embedded server runs on the CPU",
}


_SHOWN = {"grpc_max_threads": "`max(16, 4 × cores)`", "rest_api_num_threads": "`4 × cores`"}


def markdown() -> str:
    """The table as it stands in the documentation."""
    rows = ["| flag | default | what it does |", "|---|---|---|"]
    for flag in fields(Flags):
        ours = " (Ours alone.)" if flag.metadata["is_ours"] else ""
        rows.append(f"| `--{flag.name}` | {_shown(flag.name, flag.default)} | {flag.metadata['meaning']}{ours} |")
    rows += ["", "These stop the start, with the reason:", "", "| flag | why it isn't supported |", "|---|---|"]
    rows += [f"| `--{name}` | {reason} |" for name, reason in UNSUPPORTED.items()]
    return "\n".join(rows) + "\n"


def _shown(name: str, default: object) -> str:
    if name in _SHOWN:
        return _SHOWN[name]
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "" if default == "" else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
