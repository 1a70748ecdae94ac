"""What the configuration files say, and the one model that the command line can name instead of the first of them."""

import os
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import grpc
from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from tfserving.v1 import config_pb2

AnyMessage = TypeVar("AnyMessage", bound=Message)

_PLATFORM = "tensorflow"
_MAX_INT32 = (1 << 31) - 1
# What changes nothing here: rows are gathered by their shape, so that none is padded to another's, and the kernel names its threads itself.
_WITHOUT_EFFECT = ("pad_variable_length_inputs", "thread_pool_name")
# The most sizes that a kernel is told of.
_MAX_SIZES = 4096
DEFAULT_METRICS_PATH = "/monitoring/prometheus/metrics"


class ConfigError(ValueError):
    """A configuration can't be used; the message says which and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionPolicy:
    """Which of the versions that are there are to be loaded: all of them, these ones, or the newest so many."""

    all_versions: bool = False
    specific: frozenset[int] = frozenset()
    latest: int = 1

    def choose(self, versions: set[int]) -> set[int]:
        """The versions to load."""
        if self.all_versions:
            return versions
        if self.specific:
            return versions & self.specific
        return set(sorted(versions, reverse=True)[: self.latest])


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """One model."""

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: dict[str, int] = field(default_factory=dict)


def single_model(name: str, base_path: str) -> tuple[ModelConfig, ...]:
    """The configuration of `--model_name` and `--model_base_path`."""
    _check_base_path(name, base_path)
    return (ModelConfig(name=name, base_path=Path(base_path)),)


def read_models(file: Path) -> tuple[ModelConfig, ...]:
    """Reads a `ModelServerConfig` in text form. Raises ConfigError in TensorFlow Serving's words."""
    listed = read_model_server_config(file).model_config_list
    configs = models_of(listed)
    check_platforms(listed)
    return configs


def read_model_server_config(file: Path) -> model_server_config_pb2.ModelServerConfig:
    """Reads a `ModelServerConfig` in text form. Raises ConfigError where it isn't a list of models."""
    message = _read(file, model_server_config_pb2.ModelServerConfig())
    if message.WhichOneof("config") != "model_config_list":
        reason = f"{file}: only model_config_list is supported"
        raise ConfigError(reason)
    return message


def models_of(listed: model_server_config_pb2.ModelConfigList, *, served: Collection[str] = ()) -> tuple[ModelConfig, ...]:
    """What a list of models says; `served` are the names of those that are served already, which keep their platform.

    Raises ConfigError in TensorFlow Serving's words, and looks for what is wrong in its order (model_servers/server_core.cc): the platforms of new
    models come last, by `check_platforms`.
    """
    seen: set[str] = set()
    for config in listed.config:
        if config.name in seen:
            reason = f"Illegal to list model {config.name} multiple times in config list"
            raise ConfigError(reason)
        seen.add(config.name)
    for config in listed.config:
        _check_base_path(config.name, config.base_path)
    for config in listed.config:
        if config.name in served:
            _check_platform(config, is_served=True)
    return tuple(
        ModelConfig(name=config.name, base_path=Path(config.base_path), policy=_policy_of(config), labels=dict(config.version_labels))
        for config in listed.config
    )


def check_platforms(listed: model_server_config_pb2.ModelConfigList) -> None:
    """Raises ConfigError where a model isn't TensorFlow's."""
    for config in listed.config:
        _check_platform(config, is_served=False)
    if any(config.HasField("logging_config") for config in listed.config):
        # TensorFlow Serving's server has none either, and finds that out when all is loaded.
        raise ConfigError("No request-logger-creator provided.")


def _check_platform(config: model_server_config_pb2.ModelConfig, *, is_served: bool) -> None:
    platform = config.model_platform
    if config.model_type:
        if platform:
            setting = "ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform"
            reason = f"Illegal setting both {setting}, model name is {config.name}"
            raise ConfigError(reason)
        if config.model_type != model_server_config_pb2.TENSORFLOW:
            reason = f"ModelServerConfig::model_type choice {config.model_type} not supported."
            raise ConfigError(reason)
        return
    if not platform:
        setting = "ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform"
        reason = f"Illegal setting neither {setting}, model name is {config.name}"
        raise ConfigError(reason)
    if platform != _PLATFORM:
        reason = (
            f"Illegal to change a model's platform. For model {config.name} platform was {_PLATFORM} and new platform requested is {platform}"
            if is_served
            else f"Model {config.name} requests unsupported platform {platform}"
        )
        raise ConfigError(reason)


def _check_base_path(name: str, base_path: str) -> None:
    if "://" in base_path:
        reason = f"Model {name} has a URI for its base path: the embedded server reads local folders; got base_path()={base_path}"
        raise ConfigError(reason)
    if not Path(base_path).is_absolute():
        reason = f"Expected model {name} to have an absolute path or URI; got base_path()={base_path}"
        raise ConfigError(reason)


def _policy_of(config: model_server_config_pb2.ModelConfig) -> VersionPolicy:
    policy = config.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(all_versions=True)
        case "specific":
            if not policy.specific.versions:
                reason = f"{config.name}: specific: name one version at least"
                raise ConfigError(reason)
            return VersionPolicy(specific=frozenset(policy.specific.versions))
        case "latest":
            return VersionPolicy(latest=policy.latest.num_versions or 1)
    return VersionPolicy()


def read_metrics_path(file: Path) -> str | None:
    """The HTTP path of the metrics in a `MonitoringConfig` in text form; None where they are off."""
    prometheus = _read(file, config_pb2.MonitoringConfig()).prometheus_config
    return (prometheus.path or DEFAULT_METRICS_PATH) if prometheus.enable else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Batching:
    """How requests are gathered into batches: `BatchingParameters`, with TensorFlow Serving's defaults. Sizes are in rows."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    allowed_batch_sizes: tuple[int, ...] = ()
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    @property
    def sizes_to_run(self) -> tuple[int, ...]:
        """The sizes that a batch is padded to, the last of them being the most rows that run at once; empty where any size is run."""
        if not self.enable_large_batch_splitting:
            return self.allowed_batch_sizes
        most = self.max_execution_batch_size or self.max_batch_size
        if self.allowed_batch_sizes:
            return (*(size for size in self.allowed_batch_sizes if size < most), most)
        # The kernel knows the most from the last size alone: all sizes are allowed, so that no row is added.
        count = min(most, _MAX_SIZES)
        return tuple(-(-most * step // count) for step in range(1, count + 1))

    def __post_init__(self) -> None:
        """Raises ConfigError for what the kernel would refuse, or abort the process for."""
        least = {"max_batch_size": 1, "batch_timeout_micros": 0, "max_enqueued_batches": 1, "num_batch_threads": 1}
        for name, minimum in least.items():
            value = getattr(self, name)
            if not minimum <= value <= _MAX_INT32:
                reason = f"{name} is {value}: it is {minimum} to {_MAX_INT32}"
                raise ConfigError(reason)
        sizes = self.allowed_batch_sizes
        if any(size < 1 for size in sizes) or list(sizes) != sorted(set(sizes)):
            reason = f"allowed_batch_sizes entries must be monotonically increasing, from 1 on: {list(sizes)}"
            raise ConfigError(reason)
        if sizes and sizes[-1] != self.max_batch_size:
            message = f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {sizes[-1]}; expected {self.max_batch_size}"
            raise ConfigError(message)
        execution = self.max_execution_batch_size
        if execution is not None and self.enable_large_batch_splitting and not 1 <= execution <= self.max_batch_size:
            message = f"max_execution_batch_size is {execution}: it is 1 to max_batch_size, which is {self.max_batch_size}"
            raise ConfigError(message)


def read_batching(file: Path) -> Batching:
    """Reads a `BatchingParameters` in text form. Raises ConfigError."""
    message = _read(file, config_pb2.BatchingParameters())
    given = {descriptor.name: value for descriptor, value in message.ListFields()}
    for name in _WITHOUT_EFFECT:
        given.pop(name, None)
    sizes = tuple(given.pop("allowed_batch_sizes", ()))
    values = {name: wrapped.value for name, wrapped in given.items()}
    if values.get("max_enqueued_batches") == 0 and not values.get("enable_large_batch_splitting"):
        # A queue of none is one of one (shared_batch_scheduler.h).
        values["max_enqueued_batches"] = 1
    try:
        return Batching(**values, allowed_batch_sizes=sizes)
    except ConfigError as error:
        reason = f"{file}: {error}"
        raise ConfigError(reason) from None


def batching_of_version(folder: Path, common: Batching) -> Batching | None:
    """How a version says itself that it is batched; None where it says nothing. Its threads are those of all. Raises ConfigError."""
    file = folder / "batching_params.pbtxt"
    return replace(read_batching(file), num_batch_threads=common.num_batch_threads) if file.exists() else None


def read_ssl(file: Path) -> grpc.ServerCredentials:
    """The server's side of TLS, from an `SSLConfig` in text form. Raises ConfigError."""
    message = _read(file, config_pb2.SSLConfig())
    if not message.server_key or not message.server_cert:
        reason = f"{file}: server_key and server_cert are both needed"
        raise ConfigError(reason)
    if message.client_verify and not message.custom_ca:
        reason = f"{file}: client_verify needs custom_ca, which says whose certificates count"
        raise ConfigError(reason)
    pair = (message.server_key.encode(), message.server_cert.encode())
    return grpc.ssl_server_credentials([pair], message.custom_ca.encode() or None, message.client_verify)


def _read(file: Path, message: AnyMessage) -> AnyMessage:
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        reason = f"{file}: {error}"
        raise ConfigError(reason) from None
