"""What is known of a candidate when its gates are judged, as plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from numpy.typing import NDArray

from medserve.v1 import manifest_pb2
from training.evaluate import Figure
from training.golden import Parity
from training.through_gateway import ThroughGateway


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A figure on held-out data: its value, and the ends of its interval where it has one."""

    value: float
    lower: float | None = None
    upper: float | None = None

    @classmethod
    def of(cls, figure: Figure) -> Self:
        """What a gate asks of a figure."""
        return cls(value=figure.value, lower=figure.lower, upper=figure.upper)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A figure in one subgroup, and the number of items that it rests on."""

    value: float
    items: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """What the candidate and the stable version scored on the same items, where a figure is a mean of scores (accuracy: 1 or 0; Brier's squares).

    Attributes:
        candidate, stable: [items], float.
        groups: [items], whose items they are, such as the patient: those of one aren't independent of each other. None: each is somebody else's.
        same_answers: whether both answered every item alike, in every output, and didn't only score alike.
    """

    candidate: NDArray[Any]
    stable: NDArray[Any]
    groups: NDArray[Any] | None = None
    same_answers: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays aren't of the same items."""
        shapes = {array.shape for array in (self.candidate, self.stable, self.groups) if array is not None}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            message = f"paired scores and their groups are [items] of the same items; they are {sorted(shapes)}"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Resamples:
    """The candidate's figure less the stable version's on the same bootstrap resamples, where a figure is no mean of scores (AUROC, F1).

    Attributes:
        differences: [resamples], float.
        same_answers: as of `Scores`.
    """

    differences: NDArray[Any]
    same_answers: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evidence:
    """What is known of a candidate.

    Attributes:
        figures: on held-out data, by name.
        baseline: the same figures of what the model is held against.
        differences: the model's figures less the baseline's on the same items, where that was worked out.
        stable_version: the version that the candidate is held against; None where it is held against none.
        not_compared: why it is held against none, for people.
        doubt: why one of the two may seem better on these items than it is, for people; empty where nothing speaks for it.
        paired: the candidate beside that version, by the figure's name.
        subgroups: by the figure's name, by attribute (such as sex), by level.
        p50_seconds: the median latency on the embedded model server, one caller, one item; None where nobody measured it.
        parity: golden outputs against the served answers; None where nobody compared.
        gateway: what came of golden inputs through the gateway; None where nobody asked it.
        manifest: what would be published; None where there is none yet.
    """

    figures: Mapping[str, Measured] = field(default_factory=dict)
    baseline: Mapping[str, Measured] = field(default_factory=dict)
    differences: Mapping[str, Measured] = field(default_factory=dict)
    stable_version: int | None = None
    not_compared: str = "there is no stable version to be worse than"
    doubt: str = ""
    paired: Mapping[str, Scores | Resamples] = field(default_factory=dict)
    subgroups: Mapping[str, Mapping[str, Mapping[str, Group]]] = field(default_factory=dict)
    p50_seconds: float | None = None
    parity: Parity | None = None
    gateway: ThroughGateway | None = None
    manifest: manifest_pb2.ModelManifest | None = None
