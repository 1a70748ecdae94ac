"""One model: its versions' states, START → LOADING → AVAILABLE → UNLOADING → END, what is to happen next, and what its labels mean.

New versions are loaded before old ones are unloaded (core/availability_preserving_policy.cc): a model that serves is never without a version. A
load that failed is tried again after a while, and at once when the version's files have changed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2

from modelserver.config import ModelConfig
from modelserver.errors import ServingError
from modelserver.servable import Servable
from modelserver.source import Fingerprint, Found, Source, fingerprint

State = get_model_status_pb2.ModelVersionStatus.State
START, LOADING, AVAILABLE = State.START, State.LOADING, State.AVAILABLE
UNLOADING, END = State.UNLOADING, State.END


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionStatus:
    """Where a version stands; `error` says why a load of it failed."""

    state: int
    error: ServingError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often, and after how long, a load that failed is tried again."""

    count: int = 5
    interval_seconds: float = 60.0


@dataclass(kw_only=True, slots=True)
class _Failure:
    """Loads of one version that failed, the files that they saw, and when it is tried again: where that is None, when the files change."""

    error: ServingError
    folder: Path
    files: Fingerprint
    count: int
    retry_at: float | None
    changed_files: Fingerprint | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class Model:
    """One model, listed or not any more. The manager's lock guards it; `serving` and `labels` are replaced as a whole, and read without it."""

    name: str
    config: ModelConfig | None = None
    """None once it isn't listed any more."""
    source: Source | None = None
    serving: Mapping[int, Servable] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    history: dict[int, VersionStatus] = field(default_factory=dict)
    wanted: Mapping[int, Path] = field(default_factory=dict)
    """The versions that are to be served, as of the last look."""
    unfinished: Mapping[int, Path] = field(default_factory=dict)
    """Those that are still being copied."""
    was_looked_at: bool = False
    base_path_missing: bool = False
    loading: set[int] = field(default_factory=set)
    unloading: set[int] = field(default_factory=set)
    load_began_at: float = 0.0
    failures: dict[int, _Failure] = field(default_factory=dict)

    def configure(self, config: ModelConfig | None, source: Source | None, *, allows_unavailable: bool) -> None:
        """Takes what it is to be from now on; None where it isn't listed any more."""
        self.config, self.source = config, source
        self.was_looked_at = False
        if config is None:
            self.labels = {}
            self.found(Found(versions={}, unfinished={}))
        self.settle_labels(allows_unavailable=allows_unavailable)

    def settle_labels(self, *, allows_unavailable: bool = False) -> None:
        """Has each label mean its version as soon as that serves. Until then it means what it did before, or nothing."""
        before, labels = self.labels, {}
        for label, version in () if self.config is None else self.config.labels.items():
            if version in self.serving or before.get(label, version if allows_unavailable else None) == version:
                labels[label] = version
            elif label in before:
                labels[label] = before[label]
        self.labels = labels

    def look(self, now: float) -> Found | None:
        """Looks at the files, without the lock: at the base path, and at those of versions that failed. None where the base path can't be read."""
        if self.source is None:
            return None
        failures = list(self.failures.values())
        found = self.source.look({*(servable.folder for servable in self.serving.values()), *(failure.folder for failure in failures)})
        for failure in failures:
            files = fingerprint(failure.folder)
            if files == failure.files:
                failure.changed_files = None
            elif files == failure.changed_files:
                # They have changed, and stayed so since the last look.
                failure.count, failure.retry_at = 0, now
            else:
                failure.changed_files = files
        return found

    def found(self, found: Found) -> None:
        """Takes what is to be served from now on."""
        self.wanted, self.unfinished = found.versions, found.unfinished
        there = found.versions.keys() | found.unfinished.keys()
        for version in [version for version, status in self.history.items() if status.state in {START, LOADING}]:
            if version not in there and version not in self.loading:
                failure = self.failures.get(version)
                self.history[version] = VersionStatus(state=END, error=None if failure is None else failure.error)
        for version in self.failures.keys() - found.versions.keys():
            self.failures.pop(version)
        for version in there:
            if version not in self.history or (self.history[version].state == END and version not in self.failures):
                self.history[version] = VersionStatus(state=START)

    @property
    def has_versions(self) -> bool:
        """Whether versions were published."""
        return bool(self.wanted or self.unfinished)

    def next_unload(self) -> int | None:
        """The version to unload now."""
        unwanted = self.serving.keys() - self.wanted.keys()
        is_one_ready = any(self._is_served(version) for version in self.wanted)
        if unwanted and (not self.has_versions or is_one_ready or len(unwanted) > 1):
            return min(unwanted)
        return None

    def next_load(self, now: float) -> int | None:
        """The version to load now."""
        return max((version for version in self.wanted if self._is_to_load(version, now)), default=None)

    def next_retry_at(self) -> float:
        """When a version that failed is to be tried again; infinite where none is."""
        times = (failure.retry_at for version, failure in self.failures.items() if version not in self.loading)
        return min((at for at in times if at is not None), default=math.inf)

    def _is_served(self, version: int) -> bool:
        return version in self.serving and self.serving[version].folder == self.wanted.get(version)

    def _is_to_load(self, version: int, now: float) -> bool:
        if version in self.loading or version in self.unloading or self._is_served(version):
            return False
        failure = self.failures.get(version)
        return failure is None or failure.folder != self.wanted[version] or (failure.retry_at is not None and failure.retry_at <= now)

    def begin_load(self, version: int, now: float) -> Path:
        """Marks a version as loading; returns its folder. One that serves the same number meanwhile, from another folder, stays AVAILABLE."""
        self.loading.add(version)
        self.load_began_at = now
        if version not in self.serving:
            self.history[version] = VersionStatus(state=LOADING)
        return self.wanted[version]

    def loaded(self, version: int, servable: Servable) -> Servable | None:
        """Has a version serve from now on. Returns what is to be closed: the former one of its number, or this one, if it isn't listed any more."""
        self.loading.discard(version)
        self.failures.pop(version, None)
        if self.config is None:
            self.history[version] = VersionStatus(state=END)
            return servable
        former = self.serving.get(version)
        self.serving = {**self.serving, version: servable}
        # Before the state, which is read without the lock: whoever sees it AVAILABLE finds it by its labels, too.
        self.settle_labels()
        self.history[version] = VersionStatus(state=AVAILABLE)
        return former

    def not_loaded(self, version: int, *, folder: Path, error: ServingError, files: Fingerprint, retries: Retries, now: float) -> None:
        """Takes a load that failed."""
        self.loading.discard(version)
        before = self.failures.pop(version, None)
        count = 1 + (before.count if before is not None and before.folder == folder else 0)
        is_wanted = self.wanted.get(version) == folder
        is_last = count > retries.count or not is_wanted
        if is_wanted:
            retry_at = None if is_last else now + retries.interval_seconds
            self.failures[version] = _Failure(error=error, folder=folder, files=files, count=count, retry_at=retry_at)
        if version in self.serving:
            self.history[version] = VersionStatus(state=AVAILABLE, error=error)
        else:
            self.history[version] = VersionStatus(state=END, error=error) if is_last else VersionStatus(state=LOADING)

    def begin_unload(self, version: int) -> Servable:
        """Has a version serve no new call."""
        self.unloading.add(version)
        self.history[version] = VersionStatus(state=UNLOADING)
        servable = self.serving[version]
        self.serving = {number: other for number, other in self.serving.items() if number != version}
        return servable

    def unloaded(self, version: int) -> None:
        """Ends a version."""
        self.unloading.discard(version)
        is_wanted = version in self.wanted
        self.history[version] = VersionStatus(state=START if is_wanted else END)

    def failed_version(self) -> int | None:
        """The newest version, where every one that is wanted has failed for good; None where one may yet serve."""
        ended = [version for version in self.wanted if self.error_of(version) is not None]
        return max(ended, default=None) if self.was_looked_at and not self.unfinished and len(ended) == len(self.wanted) else None

    def may_yet_load(self, version: int, folder: Path) -> bool:
        """Whether a version hasn't failed for good. Its failure is forgotten where its files have changed since."""
        if self.error_of(version) is None or self.failures[version].folder != folder:
            return True
        if self.failures[version].files == fingerprint(folder):
            return False
        self.failures.pop(version)
        self.history[version] = VersionStatus(state=START)
        return True

    def error_of(self, version: int) -> ServingError | None:
        """Why a version failed for good."""
        failure = self.failures.get(version)
        if self.config is None or failure is None or failure.folder.parent != self.config.base_path:
            return None
        return None if failure.retry_at is not None or version in self.loading else failure.error
