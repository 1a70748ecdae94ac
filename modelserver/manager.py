"""The life of every version: START → LOADING → AVAILABLE → UNLOADING → END, and which one answers a request.

New versions are loaded before old ones are unloaded, and an old one is unloaded after its last answer (core/availability_preserving_policy.cc):
a model that serves is never without a version. Each model is polled by itself: what is wrong with one stops no other. What is listed may change
at any time: a model that isn't any more is unloaded, and its history stays, as in TensorFlow Serving.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import structlog
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from modelserver.config import ModelConfig
from modelserver.errors import ServingError, invalid_argument, not_found
from modelserver.servable import Servable
from modelserver.source import Fingerprint, aspired_versions, fingerprint
from modelserver.warmup import warm_up

_log = structlog.get_logger("modelserver.manager")

State = get_model_status_pb2.ModelVersionStatus.State
START, LOADING, AVAILABLE = State.START, State.LOADING, State.AVAILABLE
UNLOADING, END = State.UNLOADING, State.END

Load = Callable[[str, int, Path], Servable]


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionStatus:
    """Where a version stands; `error` says why it ended, where it failed, and `failed_with` what its files then were."""

    state: int
    error: ServingError | None = None
    failed_with: Fingerprint | None = None


@dataclass(kw_only=True, slots=True)
class _Model:
    """One model. `serving` is replaced as a whole, so that a request reads it without a lock; `config` is None once it isn't listed any more."""

    name: str
    config: ModelConfig | None
    serving: Mapping[int, Servable] = field(default_factory=dict)
    history: dict[int, VersionStatus] = field(default_factory=dict)
    base_path_missing: bool = False
    has_versions: bool = False

    @property
    def labels(self) -> Mapping[str, int]:
        """The versions by label."""
        return {} if self.config is None else self.config.labels


class Manager:
    """Loads and unloads on one thread of its own; answers from any."""

    def __init__(self, configs: Sequence[ModelConfig], *, poll_seconds: float, load: Load) -> None:
        """Takes what to serve, how often to look for versions (0: once), and what loads one. Nothing is loaded before `start`."""
        self._models: Mapping[str, _Model] = {}
        self._wanted = self._applied = tuple(configs)
        self._apply(self._applied)
        self._poll_seconds = poll_seconds
        self._load = load
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._settled = threading.Event()
        self._is_ready = False
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    def start(self) -> None:
        """Begins to poll and load."""
        self._thread.start()

    def stop(self) -> None:
        """Ends polling, and frees the models once their requests are answered."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        for model in self._models.values():
            servables, model.serving = model.serving, {}
            for servable in servables.values():
                servable.close()

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Takes what to serve from now on, in place of what it was: models are added, removed and changed at once, by the manager's own thread."""
        self._wanted = tuple(configs)
        self._wake.set()

    def knows(self, name: str) -> bool:
        """Whether there is a model of that name, or was since the start."""
        return name in self._models

    def wait_settled(self, timeout_seconds: float) -> bool:
        """Waits until every version that was there at the start was tried once."""
        return self._settled.wait(timeout_seconds)

    def is_ready(self) -> bool:
        """Whether every model of which versions were published has one that answers, and there is one at all.

        Once that was so it stays so: a model that is added, removed or broken later makes its own requests fail, and takes nobody else's server away.
        """
        if not self._is_ready:
            models = [model for model in self._models.values() if model.config is not None]
            self._is_ready = (
                self._settled.is_set()
                and any(model.serving for model in models)
                and all(model.serving for model in models if model.has_versions)
            )  # fmt: skip
        return self._is_ready

    @contextmanager
    def serving(self, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
        """The version that a request means, kept loaded until the request is answered. Raises ServingError."""
        servable = self._acquire(spec)
        try:
            yield servable
        finally:
            servable.release()

    def _acquire(self, spec: model_pb2.ModelSpec) -> Servable:
        if not spec.name:
            message = "ModelSpec has no name specified."
            raise invalid_argument(message)
        model = self._models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        version = spec.version.value if choice == "version" else None
        if choice == "version_label":
            labels = {} if model is None else model.labels
            if spec.version_label not in labels:
                message = f"Unrecognized servable version label: {spec.version_label}"
                raise invalid_argument(message)
            version = labels[spec.version_label]
        while True:
            serving = {} if model is None else model.serving
            wanted = max(serving, default=None) if version is None else version
            servable = None if wanted is None else serving.get(wanted)
            if servable is None:
                message = f"Servable not found for request: {f'Latest({spec.name})' if version is None else f'Specific({spec.name}, {version})'}"
                raise not_found(message)
            if servable.acquire():
                return servable
            # It began to unload between the look and the grip: the map has changed, look again.

    def statuses(self, name: str, version: int | None) -> list[tuple[int, VersionStatus]]:
        """The versions that were ever tried, newest first. Raises ServingError (NOT_FOUND) where there is none."""
        model = self._models.get(name)
        history = {} if model is None else dict(model.history)
        if version is not None:
            if version not in history:
                message = f"Could not find version {version} of model {name}"
                raise not_found(message)
            return [(version, history[version])]
        if not history:
            message = f"Could not find any versions of model {name}"
            raise not_found(message)
        return sorted(history.items(), reverse=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            if self._wanted is not self._applied:
                self._applied = self._wanted
                self._apply(self._applied)
            for model in self._models.values():
                try:
                    self._reconcile(model)
                except Exception:  # noqa: BLE001 - what is wrong with one model stops no other
                    _log.exception("poll failed", model=model.name)
            self._settled.set()
            self._wake.wait(self._poll_seconds or None)

    def _apply(self, configs: Sequence[ModelConfig]) -> None:
        """Makes the models be those of the configuration. One that went stays, without one, for its versions to be unloaded and remembered."""
        wanted = {config.name: config for config in configs}
        for name, model in self._models.items():
            if model.config != wanted.get(name):
                _log.info("model changed" if name in wanted else "model removed", model=name)
                model.config = wanted.get(name)
        added = {name: _Model(name=name, config=config) for name, config in wanted.items() if name not in self._models}
        self._models = {**self._models, **added}

    def _reconcile(self, model: _Model) -> None:
        """Brings what is loaded to what is wanted: first loads, newest first, then unloads."""
        aspired = {} if model.config is None else aspired_versions(model.config)
        if model.config is not None and aspired is None and not model.base_path_missing:
            _log.warning("base path missing: versions stay as they are", model=model.name, base_path=str(model.config.base_path))
        model.base_path_missing = aspired is None
        model.has_versions = bool(aspired)
        if aspired is None:
            return
        for version, folder in sorted(aspired.items(), reverse=True):
            is_served = version in model.serving and model.serving[version].folder == folder
            if not is_served and self._is_worth_trying(model, version, folder):
                self._load_version(model, version, folder)
        # While none of the wanted versions is ready, what serves goes on serving.
        if aspired and not aspired.keys() & model.serving.keys():
            return
        for version in sorted(model.serving.keys() - aspired.keys()):
            self._unload_version(model, version)

    @staticmethod
    def _is_worth_trying(model: _Model, version: int, folder: Path) -> bool:
        """A version that failed is tried again when its files have changed."""
        status = model.history.get(version)
        return status is None or status.failed_with != fingerprint(folder)

    def _load_version(self, model: _Model, version: int, folder: Path) -> None:
        """Loads a version, next to one of the same number that still serves where the base path has changed."""
        seen = fingerprint(folder)
        former = model.serving.get(version)
        if former is None:
            model.history[version] = VersionStatus(state=START)
            model.history[version] = VersionStatus(state=LOADING)
        _log.info("loading", model=model.name, version=version)
        try:
            servable, records = self._load_and_warm_up(model.name, version, folder)
        except Exception as caught:  # noqa: BLE001 - what is wrong with one version stops no other
            error = caught if isinstance(caught, ServingError) else ServingError(grpc.StatusCode.UNKNOWN, f"{type(caught).__name__}: {caught}")
            model.history[version] = VersionStatus(state=END if former is None else AVAILABLE, error=error, failed_with=seen)
            _log.error("not loaded", model=model.name, version=version, code=error.code.name, why=error.message)
            return
        model.serving = {**model.serving, version: servable}
        model.history[version] = VersionStatus(state=AVAILABLE)
        _log.info("available", model=model.name, version=version, warm_up_records=records)
        if former is not None:
            former.close()

    def _load_and_warm_up(self, name: str, version: int, folder: Path) -> tuple[Servable, int]:
        servable = self._load(name, version, folder)
        try:
            return servable, warm_up(servable, folder)
        except BaseException:
            servable.close()
            raise

    def _unload_version(self, model: _Model, version: int) -> None:
        servable = model.serving[version]
        model.history[version] = VersionStatus(state=UNLOADING)
        model.serving = {number: other for number, other in model.serving.items() if number != version}
        servable.close()
        model.history[version] = VersionStatus(state=END)
        _log.info("unloaded", model=model.name, version=version)
