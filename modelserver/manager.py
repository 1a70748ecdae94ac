"""What loads and unloads versions, and answers which one a request means.

One thread looks at the files and decides; versions load and unload on threads of their own, so that none of them keeps another model, a look or a
change of the configuration waiting. What is wrong with one model stops no other.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import grpc
import structlog
from tensorflow_serving.apis import model_pb2

from modelserver.config import ModelConfig
from modelserver.errors import ServingError, invalid_argument, not_found
from modelserver.model import Model, Retries, VersionStatus
from modelserver.servable import Servable
from modelserver.source import Source, fingerprint

_log = structlog.get_logger("modelserver.manager")

# How long a folder without its graph or a part of its variables may stay as it is before it is taken for a broken version.
_PATIENCE_SECONDS = 5.0
_MOST_UNLOADS = 256

Load = Callable[[str, int, Path], Servable]
Result = TypeVar("Result")


class Manager:
    """The models, by name. What changes them holds one lock; what answers requests holds none."""

    def __init__(
        self, configs: Sequence[ModelConfig], *, load: Load, poll_seconds: float = 1.0, retries: Retries | None = None,
        load_threads: int = 1, unload_threads: int = 0, allows_unavailable_labels: bool = False, patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:  # fmt: skip
        """Takes what to serve, what loads a version, and how often to look for versions (0: once). Nothing is loaded before `start`.

        `unload_threads` is how many versions unload at once; 0: any number. `patience_seconds` is how long a half-copied folder may stay unchanged
        before it is taken for a broken version.
        """
        self.allows_unavailable_labels = allows_unavailable_labels
        self._load = load
        self._poll_seconds = poll_seconds
        self._patience_seconds = patience_seconds if poll_seconds else 0.0
        self._retries = retries or Retries()
        self._load_threads = load_threads
        self._loaders = ThreadPoolExecutor(load_threads, thread_name_prefix="load")
        self._unloaders = ThreadPoolExecutor(unload_threads or _MOST_UNLOADS, thread_name_prefix="unload")
        self._models: Mapping[str, Model] = {}
        self._loads_under_way = 0
        # Held while anything changes, and told of each change.
        self._changed = threading.Condition(threading.RLock())
        self._is_due = threading.Event()
        self._is_stopping = False
        self._settled = threading.Event()
        self._was_ready = False
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)
        self.configure(configs)

    def start(self) -> None:
        """Begins to look and load."""
        self._thread.start()

    def end_waits(self) -> None:
        """Ends what waits for models, for the server stops."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Ends looking, and frees the models once their requests are answered. Waits for the load under way."""
        self.end_waits()
        self._is_due.set()
        self._thread.join()
        self._loaders.shutdown(cancel_futures=True)
        self._unloaders.shutdown()
        for model in self._models.values():
            servables, model.serving = model.serving, {}
            for servable in servables.values():
                servable.close()

    def configure(self, configs: Iterable[ModelConfig]) -> None:
        """Takes what to serve from now on, in place of what it was; the rest follows by itself."""
        wanted = {config.name: config for config in configs}
        with self._changed:
            added = {name: Model(name=name) for name in wanted if name not in self._models}
            for name, model in (*self._models.items(), *added.items()):
                config = wanted.get(name)
                if model.config == config:
                    continue
                if self._thread.is_alive():
                    _log.info("model listed" if config is not None else "model not listed any more", model=name)
                source = None if config is None else Source(config, patience_seconds=self._patience_seconds)
                model.configure(config, source, allows_unavailable=self.allows_unavailable_labels)
            self._models = {**self._models, **added}
            self._changed.notify_all()
        self._is_due.set()

    @contextmanager
    def holding(self) -> Iterator[Mapping[str, Model]]:
        """The models that are or were listed, none of which changes meanwhile."""
        with self._changed:
            yield self._models

    def wait_for(self, found: Callable[[Mapping[str, Model]], Result | None], is_over: Callable[[], bool]) -> Result | None:
        """Waits until `found` finds something in the models, and returns it; None where the wait `is_over` first.

        Raises ServingError (UNAVAILABLE) where the server stops.
        """
        with self._changed:
            while not is_over():
                if self._is_stopping:
                    raise ServingError(grpc.StatusCode.UNAVAILABLE, "The model server stops")
                result = found(self._models)
                if result is not None:
                    return result
                self._changed.wait()
        return None

    def look_at_waits(self) -> None:
        """Has every `wait_for` ask anew whether it is over."""
        with self._changed:
            self._changed.notify_all()

    def names(self) -> tuple[str, ...]:
        """The models that there are, or were since the start."""
        return tuple(self._models)

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
        if not self._was_ready and self._settled.is_set():
            models = [model for model in self._models.values() if model.config is not None]
            self._was_ready = any(model.serving for model in models) and all(model.serving for model in models if model.has_versions)
        return self._was_ready

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
            version = None if model is None else model.labels.get(spec.version_label)
            if version is None:
                message = f"Unrecognized servable version label: {spec.version_label}"
                raise invalid_argument(message)
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
        """The versions that there ever were, newest first. Raises ServingError (NOT_FOUND) where there is none."""
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
        look_at = 0.0
        while not self._is_stopping:
            self._is_due.clear()
            now = time.monotonic()
            models = self._models.values()
            if now >= look_at or not all(model.was_looked_at for model in models):
                for model in models:
                    self._look(model)
                look_at = now + self._poll_seconds if self._poll_seconds else math.inf
            with self._changed:
                self._act()
                self._changed.notify_all()
                due_at = min(look_at, *(model.next_retry_at() for model in models), math.inf)
            self._is_due.wait(None if due_at == math.inf else max(due_at - time.monotonic(), 0.0))

    def _look(self, model: Model) -> None:
        source, found = model.source, None
        try:
            found = model.look(time.monotonic())
        except Exception:  # noqa: BLE001 - what is wrong with one model stops no other
            _log.exception("look failed", model=model.name)
        with self._changed:
            if source is None or model.source is not source:
                return
            if found is None and not model.base_path_missing:
                _log.warning("base path missing: versions stay as they are", model=model.name)
            model.base_path_missing, model.was_looked_at = found is None, True
            if found is not None:
                model.found(found)

    def _act(self) -> None:
        """Begins what is to be done now: unloads first, and loads of models that have none that serves before those of others."""
        now = time.monotonic()
        for model in self._models.values():
            while (version := model.next_unload()) is not None:
                self._unloaders.submit(self._unload_version, model, version, model.begin_unload(version))
        models = sorted(self._models.values(), key=lambda model: (bool(model.serving), model.load_began_at))
        for model in models:
            if self._loads_under_way == self._load_threads:
                return
            if (version := model.next_load(now)) is not None:
                self._loads_under_way += 1
                self._loaders.submit(self._load_version, model, version, model.begin_load(version, now))
                self._is_due.set()
        if not self._loads_under_way:
            self._settled.set()

    def _load_version(self, model: Model, version: int, folder: Path) -> None:
        try:
            self._try_to_load(model, version, folder)
        finally:
            with self._changed:
                self._loads_under_way -= 1
                self._changed.notify_all()
            self._is_due.set()

    def _try_to_load(self, model: Model, version: int, folder: Path) -> None:
        _log.info("loading", model=model.name, version=version)
        files = fingerprint(folder)
        try:
            servable = self._load(model.name, version, folder)
        except Exception as caught:  # noqa: BLE001 - what is wrong with one version stops no other
            error = caught if isinstance(caught, ServingError) else ServingError(grpc.StatusCode.UNKNOWN, f"{type(caught).__name__}: {caught}")
            with self._changed:
                model.not_loaded(version, folder=folder, error=error, files=files, retries=self._retries, now=time.monotonic())
            _log.error("not loaded", model=model.name, version=version, code=error.code.name, why=error.message)
            return
        with self._changed:
            former = model.loaded(version, servable)
        _log.info("available", model=model.name, version=version)
        if former is not None:
            self._unloaders.submit(former.close)

    def _unload_version(self, model: Model, version: int, servable: Servable) -> None:
        try:
            servable.close()
        finally:
            with self._changed:
                model.unloaded(version)
                self._changed.notify_all()
            self._is_due.set()
        _log.info("unloaded", model=model.name, version=version)
