"""Which models are served: `models.config`, or one model named on the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from tfserving.v1 import config_pb2

AnyMessage = TypeVar("AnyMessage", bound=Message)

_PLATFORM = "tensorflow"
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
    message = _read(file, model_server_config_pb2.ModelServerConfig())
    if message.WhichOneof("config") != "model_config_list":
        reason = f"{file}: only model_config_list is supported"
        raise ConfigError(reason)
    models: dict[str, ModelConfig] = {}
    for config in message.model_config_list.config:
        if config.name in models:
            reason = f"Illegal to list model {config.name} multiple times in config list"
            raise ConfigError(reason)
        if not config.model_platform:
            reason = (
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
                f"model name is {config.name}"
            )
            raise ConfigError(reason)
        if config.model_platform != _PLATFORM:
            reason = f"Model {config.name} requests unsupported platform {config.model_platform}"
            raise ConfigError(reason)
        _check_base_path(config.name, config.base_path)
        models[config.name] = ModelConfig(
            name=config.name,
            base_path=Path(config.base_path),
            policy=_policy_of(config),
            labels=dict(config.version_labels),
        )
    return tuple(models.values())


def _check_base_path(name: str, base_path: str) -> None:
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


def _read(file: Path, message: AnyMessage) -> AnyMessage:
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        reason = f"{file}: {error}"
        raise ConfigError(reason) from None
