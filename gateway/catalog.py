"""What the gateway knows of models: what the repository holds, and what the model server says of it.

Two writers, `repository.py` and `backend/watch.py`, replace whole tables; every reader sees one whole table or the next. All of it runs on
the event loop's thread, so there is no lock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType

from gateway.manifest import Manifest


class VersionState(Enum):
    """Where a version stands in its life, as the model server says; UNKNOWN while it can't be asked."""

    UNKNOWN = auto()
    PUBLISHED = auto()
    LOADING = auto()
    AVAILABLE = auto()
    UNLOADING = auto()
    ENDED = auto()
    FAILED = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedVersion:
    """A version that the repository holds.

    Attributes:
        manifest: what it says of itself, as the stages read it.
        document: the same, whole, as a serialised `medserve.v1.ModelManifest`.
    """

    manifest: Manifest
    document: bytes


Published = Mapping[str, Mapping[int, PublishedVersion]]
States = Mapping[int, VersionState]


@dataclass(kw_only=True, slots=True)
class Catalog:
    """The tables, each replaced as a whole.

    Attributes:
        labels: versions by label, by model; from the settings.
        published: versions by number, by model.
        states: the model server's word on each model; None for one that it couldn't be asked about.
    """

    labels: Mapping[str, Mapping[str, int]]
    published: Published = field(default_factory=lambda: MappingProxyType({}))
    states: Mapping[str, States | None] = field(default_factory=lambda: MappingProxyType({}))

    def set_states(self, model: str, states: States | None) -> None:
        """Replaces what is known of one model; None where the model server can't be asked."""
        self.states = MappingProxyType({**{name: self.states[name] for name in self.states if name in self.published}, model: states})

    def state(self, model: str, version: int) -> VersionState:
        """Where a published version stands."""
        states = self.states.get(model)
        if states is None:
            return VersionState.UNKNOWN
        return states.get(version, VersionState.PUBLISHED)

    def default_version(self, model: str) -> int | None:
        """The version for a call of the public API that names none; None where none is ready.

        The newest that is no trial of those that are available, or of all, while the model server can't be asked; the newest trial where there is
        nothing else.
        """
        versions = self.published.get(model, {})
        return max(self._ready(model), key=lambda version: (not versions[version].manifest.is_trial, version), default=None)

    def newest_version(self, model: str) -> int | None:
        """The version that the model server chooses for a call that names none: the newest that it has, trial or not. None where none is ready."""
        # Every call of the drop-in API that names no version comes by here.
        return max(self._ready(model), default=None)

    def is_unknown(self, model: str) -> bool:
        """Whether the model server was asked about the model, and knows no version of it: it isn't listed there, or was published just now."""
        states = self.states.get(model)
        return states is not None and not states

    def is_ready(self, model: str) -> bool:
        """Whether a call that names no version would be answered now."""
        return any(self.state(model, version) is VersionState.AVAILABLE for version in self.published.get(model, {}))

    def _ready(self, model: str) -> Iterator[int]:
        """The published versions that are available; all of them, while the model server can't be asked."""
        states = self.states.get(model)
        return (version for version in self.published.get(model, {}) if states is None or states.get(version) is VersionState.AVAILABLE)
