"""What the gateway knows of models: what the repository holds, and what the model server says of it.

Two writers, `repository.py` and `backend/watch.py`, replace whole tables; every reader sees one whole table or the next. All of it runs on
the event loop's thread, so there is no lock.
"""

from collections.abc import Mapping
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
        """The version for a call that names none.

        The newest that is available; the newest that may be, while the model server can't be asked; None where none is ready.
        """
        # Every call of the drop-in API that names no version comes by here.
        versions, states = self.published.get(model, {}), self.states.get(model)
        if states is None:
            return max(versions, default=None)
        return max((version for version in versions if states.get(version) is VersionState.AVAILABLE), default=None)

    def is_ready(self, model: str) -> bool:
        """Whether a call that names no version would be answered now."""
        return any(self.state(model, version) is VersionState.AVAILABLE for version in self.published.get(model, {}))
