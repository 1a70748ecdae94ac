"""The gateway's settings: `gateway.yaml`, then the environment, then `--set`, each over the one before. Read once, here.

`MEDSERVE_GATEWAY__BACKEND__ADDRESS=serving:8500` and `--set backend.address=serving:8500` both set `address` under `backend`; values are
read as YAML. Paths are relative to the folder in which the gateway starts.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

ENVIRONMENT_PREFIX = "MEDSERVE_GATEWAY__"
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_MAX_PORT = 65535


class SettingsError(ValueError):
    """A setting is missing or can't be used; the message names it."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Tls(_Section):
    """Where the certificate is."""

    enabled: bool = True
    """False only on a loopback address: elsewhere the gateway refuses to start."""
    certificate_file: Path | None = None
    """The server's certificate chain, PEM. Empty: one is made by a development CA."""
    private_key_file: Path | None = None
    """The certificate's key, PEM."""
    development_ca_folder: Path = Path("var/pki")
    """Where the development CA is made, and kept, when there is no `certificate_file`."""


class Listen(_Section):
    """Where callers connect."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 8443
    """The port; 0 lets the system choose, and the first line of output says which."""
    tls: Tls = Tls()
    """The certificate."""


class BackendSettings(_Section):
    """The model server."""

    address: str = "127.0.0.1:8500"
    """TensorFlow Serving's gRPC address, or the embedded server's: any gRPC name."""
    status_poll_seconds: float = 0.5
    """How often it is asked which versions are loaded; more than 0."""
    status_timeout_seconds: float = 2.0
    """How long it may take to say; more than 0."""
    max_output_elements: int = 16_777_216
    """The most elements of one output of one item."""


class RepositorySettings(_Section):
    """The model repository."""

    path: Path = Path("var/models")
    """The folder of `<model>/<version>/`."""
    poll_seconds: float = 1.0
    """How often it is read; more than 0."""


class Admission(_Section):
    """What is taken on."""

    max_request_bytes: int = 67_108_864
    """The most bytes of a message."""
    max_elements: int = 16_777_216
    """The most elements of one tensor or one time series."""
    max_pixels: int = 67_108_864
    """The most pixels of one image, over all channels and frames."""
    max_calls: int = 256
    """The most calls under way."""
    max_calls_per_tenant: int = 128
    """The most calls of one tenant under way."""
    default_timeout_seconds: float = 10.0
    """The deadline of a call that has none."""
    max_timeout_seconds: float = 60.0
    """The longest deadline; a longer one is shortened."""
    min_timeout_seconds: float = 0.002
    """A call with less left is refused at once."""
    decoding_threads: int = 2
    """How many images are decoded at once."""


class Metrics(_Section):
    """Prometheus."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 9464
    """The port of `/metrics`; 0 lets the system choose, -1 serves none."""


class Settings(_Section):
    """All settings."""

    listen: Listen = Listen()
    """Where callers connect."""
    backend: BackendSettings = BackendSettings()
    """The model server."""
    repository: RepositorySettings = RepositorySettings()
    """The model repository."""
    admission: Admission = Admission()
    """What is taken on."""
    metrics: Metrics = Metrics()
    """Prometheus."""
    labels: dict[str, dict[str, int]] = {}
    """Versions by label, by model: `{digits: {stable: 1}}`."""
    api_keys_file: Path = Path("var/keys/api_keys.json")
    """The table of API keys, hashed; `medserve keys` writes it."""
    audit_file: Path = Path("var/audit/audit.jsonl")
    """One line a call is appended here."""
    audit_secret_file: Path = Path("var/audit/secret.key")
    """The key of the hashes that stand for study and patient keys. Made on first run."""
    drain_seconds: float = 30.0
    """How long calls under way may take to end when the gateway is told to stop; those that take longer are cut off. 0 cuts off at once."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""


def _from_environment(environment: Mapping[str, str]) -> list[tuple[list[str], str]]:
    return [
        (name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), value)
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    ]


def _from_arguments(assignments: Sequence[str]) -> list[tuple[list[str], str]]:
    pairs = []
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path:
            message = f"--set {assignment}: write it as KEY=VALUE, for example backend.address=127.0.0.1:8500"
            raise SettingsError(message)
        pairs.append((path.split("."), value))
    return pairs


def load(file: Path | None, environment: Mapping[str, str], assignments: Sequence[str] = ()) -> Settings:
    """Reads the settings. Raises SettingsError, naming the setting, where one can't be used."""
    document: Any = {}
    if file is not None:
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except OSError as error:
            message = f"{file}: can't be read ({error.strerror})"
            raise SettingsError(message) from None
        except yaml.YAMLError as error:
            message = f"{file}: not YAML ({error})"
            raise SettingsError(message) from None
    for path, value in [*_from_environment(environment), *_from_arguments(assignments)]:
        section = document
        for key in path[:-1]:
            section = section.setdefault(key, {}) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            message = f"{'.'.join(path)}: there is no such setting"
            raise SettingsError(message)
        section[path[-1]] = yaml.safe_load(value)
    try:
        settings = msgspec.convert(document, Settings, dec_hook=_decode)
    except msgspec.ValidationError as error:
        message = f"{file or 'settings'}: {error}"
        raise SettingsError(message) from None
    _check(settings)
    return settings


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    message = f"expected a path, got {type(value).__name__}"
    raise msgspec.ValidationError(message)


def _positive(settings: Settings) -> Iterator[tuple[str, float]]:
    for name in Admission.__struct_fields__:
        yield f"admission.{name}", getattr(settings.admission, name)
    for name in ("status_poll_seconds", "status_timeout_seconds", "max_output_elements"):
        yield f"backend.{name}", getattr(settings.backend, name)
    yield "repository.poll_seconds", settings.repository.poll_seconds


def _check(settings: Settings) -> None:
    """What the types can't say."""
    tls = settings.listen.tls
    if (tls.certificate_file is None) != (tls.private_key_file is None):
        message = "listen.tls: certificate_file and private_key_file come together"
        raise SettingsError(message)
    for path, value in _positive(settings):
        # NaN compares false, so it is refused as well.
        if not 0 < value < math.inf:
            message = f"{path}: more than 0"
            raise SettingsError(message)
    if not 0 <= settings.drain_seconds < math.inf:
        message = "drain_seconds: 0 or more"
        raise SettingsError(message)
    if not 0 <= settings.listen.port <= _MAX_PORT or not -1 <= settings.metrics.port <= _MAX_PORT:
        message = f"listen.port, metrics.port: a port is 0 to {_MAX_PORT}"
        raise SettingsError(message)
    if settings.log_level not in _LOG_LEVELS:
        message = f"log_level: one of {', '.join(_LOG_LEVELS)}"
        raise SettingsError(message)
    if not settings.admission.min_timeout_seconds < settings.admission.default_timeout_seconds <= settings.admission.max_timeout_seconds:
        message = "admission: min_timeout_seconds < default_timeout_seconds <= max_timeout_seconds"
        raise SettingsError(message)
    for model, labels in settings.labels.items():
        for label, version in labels.items():
            if version < 1:
                message = f"labels.{model}.{label}: a version is 1 or more"
                raise SettingsError(message)
