"""A new list of models in place of the old one: by `HandleReloadConfigRequest`, or by the file that is watched.

A list that is refused changes nothing. A reload waits for the models that are new in the list; it holds up no call and no other reload, and it ends
when its caller goes, or when a later list leaves one of its models out.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.config import model_server_config_pb2

from modelserver.config import ConfigError, ModelConfig, check_platforms, models_of
from modelserver.errors import ServingError, invalid_argument
from modelserver.manager import Manager
from modelserver.model import Model
from modelserver.source import published_versions

_log = structlog.get_logger("modelserver.reload")

# Each holds a thread of those that answer for the status and the health as well.
_MOST_WAITS = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class _Awaited:
    """What a reload waits for: a model that is new, or has moved, to serve from its base path; and a version to serve, for a label that it gets."""

    name: str
    base_path: Path
    version: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """How a wait ended: `failed` are the versions, by their model, that did not become available."""

    failed: Mapping[str, tuple[int, ServingError]]


class Reload:
    """Puts lists of models into effect."""

    def __init__(self, manager: Manager) -> None:
        """Takes what loads models."""
        self._manager = manager
        # From the look at what is served to the change of it, one at a time; never while waiting.
        self._one_at_a_time = threading.Lock()
        self._waits = threading.Semaphore(_MOST_WAITS)

    def reload(self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext) -> model_management_pb2.ReloadConfigResponse:
        """Puts the list of a request into effect, and waits for its new models. Raises ServingError."""
        awaited = self._take(request.config)
        self._wait(awaited, context)
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        for name in dict.fromkeys(request.metric_names):
            # TensorFlow's counters aren't ours; one that it doesn't know hasn't grown either.
            response.metric.add(name=name, int64_value_increase=0)
        return response

    def apply(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Puts a list into effect, and waits for nothing. Raises ServingError."""
        self._take(config)

    def _take(self, config: model_server_config_pb2.ModelServerConfig) -> list[_Awaited]:
        if config.WhichOneof("config") != "model_config_list":
            raise invalid_argument("ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported")
        with self._one_at_a_time:
            with self._manager.holding() as models:
                served = {name: model.config for name, model in models.items() if model.config is not None}
            with _as_status():
                configs = models_of(config.model_config_list, served=served)
            on_disk = {new.name: published_versions(new.base_path) or {} for new in configs if new.labels or _has_moved(new, served)}
            with self._manager.holding() as models:
                awaited = [wait for new in configs for wait in self._labels_of(new, models.get(new.name), on_disk)]
                with _as_status():
                    check_platforms(config.model_config_list)
                for new in configs:
                    before = served.get(new.name)
                    if before is None or (_has_moved(new, served) and on_disk[new.name]):
                        awaited.append(_Awaited(name=new.name, base_path=new.base_path))
                self._manager.configure(configs)
        _log.info("configuration taken", models=len(configs))
        return awaited

    def _labels_of(self, new: ModelConfig, model: Model | None, on_disk: Mapping[str, Mapping[int, Path]]) -> list[_Awaited]:
        """The versions that labels wait for. Raises ServingError (FAILED_PRECONDITION) where a label is on a version that won't be there."""
        awaited = []
        for label, version in new.labels.items():
            if model is not None and version in model.serving:
                continue
            if self._manager.allows_unavailable_labels and (model is None or model.labels.get(label, version) == version):
                continue
            folders = on_disk[new.name]
            will_be_there = version in new.policy.choose(set(folders)) and (model is None or model.may_yet_load(version, folders[version]))
            if not will_be_there:
                message = f"Request to assign label to version {version} of model {new.name}, which is not currently available for inference"
                raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)
            awaited.append(_Awaited(name=new.name, base_path=new.base_path, version=version))
        return awaited

    def _wait(self, awaited: list[_Awaited], context: grpc.ServicerContext) -> None:
        """Waits until each is there, or some have failed for good. Raises ServingError; returns early where the caller has gone."""
        gone = threading.Event()

        def leave() -> None:
            gone.set()
            self._manager.look_at_waits()

        if not awaited or not context.add_callback(leave):
            return
        if not self._waits.acquire(blocking=False):
            message = f"The configuration is in effect, but {_MOST_WAITS} calls wait for models already: ask for the models' status instead"
            raise ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        try:
            outcome = self._manager.wait_for(lambda models: _outcome(awaited, models), gone.is_set)
        finally:
            self._waits.release()
        if outcome is not None and outcome.failed:
            failed = "".join(
                f"{{{{name: {name} version: {version}}} due to error: {error.code.name}: {error.message}}}, "
                for name, (version, error) in sorted(outcome.failed.items())
            )
            message = f"{len(outcome.failed)} model(s) did not become available: {{{failed}}}"
            raise ServingError(grpc.StatusCode.UNKNOWN, message)


@contextmanager
def _as_status() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise invalid_argument(str(error)) from None


def _has_moved(new: ModelConfig, served: Mapping[str, ModelConfig]) -> bool:
    before = served.get(new.name)
    return before is not None and before.base_path != new.base_path


def _outcome(awaited: list[_Awaited], models: Mapping[str, Model]) -> _Outcome | None:
    """How the wait ends; None where it doesn't yet. Raises ServingError (ABORTED) where a later list has left a model out, or moved it."""
    failed = {}
    for wait in awaited:
        model = models[wait.name]
        if model.config is None or model.config.base_path != wait.base_path:
            message = f"A later configuration does not list model {wait.name} with base path {wait.base_path}: it is not waited for any more"
            raise ServingError(grpc.StatusCode.ABORTED, message)
        if any(servable.folder.parent == wait.base_path and wait.version in {None, version} for version, servable in model.serving.items()):
            continue
        version = model.failed_version() if wait.version is None else wait.version
        error = None if version is None else model.error_of(version)
        if version is None or error is None:
            return None
        failed[wait.name] = (version, error)
    return _Outcome(failed=failed)
