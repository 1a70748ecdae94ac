"""What an answer means, as the caller will read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from gateway.manifest import Coding
from gateway.tensor import Tensor


class Decision(Enum):
    """What a finding says about its concept."""

    UNSPECIFIED = auto()
    PRESENT = auto()
    ABSENT = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class ConformalMembership:
    """Whether something is in the set that holds what is true in the share `confidence_level` of items."""

    in_set: bool
    confidence_level: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One statement about the item, read from the output named `output`; `probability` from 0 to 1."""

    output: str
    code: Coding
    probability: float
    decision: Decision
    operating_point: float | None = None
    conformal: ConformalMembership | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Caution:
    """What a reader should know before relying on an answer: a stable reason, and the same for people."""

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IntervalEnds:
    """The ends of intervals, one pair for each number that they are around."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    confidence_level: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SurvivalCurve:
    """The chance to be without `event` until each of `times_days`."""

    output: str
    event: Coding
    times_days: tuple[float, ...]
    probabilities: tuple[float, ...]
    interval: IntervalEnds | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TreatmentOption:
    """An option, its expected outcome, and that less the reference's."""

    code: Coding
    outcome: float
    outcome_interval: IntervalEnds | None
    effect: float | None
    effect_interval: IntervalEnds | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TreatmentRanking:
    """Options, the one with the best expected outcome first; outcomes are in `unit` (UCUM)."""

    output: str
    outcome: Coding
    unit: str
    lower_is_better: bool
    reference: Coding
    options: tuple[TreatmentOption, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What is expected of one variable, in `unit` (UCUM), every `step_seconds` from the end of what was sent."""

    output: str
    variable: Coding
    unit: str
    step_seconds: float
    values: tuple[float, ...]
    interval: IntervalEnds | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Novelty:
    """How unlike the training data the item is."""

    output: str
    score: float
    threshold: float

    @property
    def is_out_of_distribution(self) -> bool:
        """Whether the model shouldn't be relied on."""
        return self.score > self.threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the model's outputs mean, most probable finding first, and the outputs themselves without the batch dimension."""

    findings: tuple[Finding, ...] = ()
    survival_curves: tuple[SurvivalCurve, ...] = ()
    treatment_rankings: tuple[TreatmentRanking, ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    novelties: tuple[Novelty, ...] = ()
    warnings: tuple[Caution, ...]
    outputs: Mapping[str, Tensor]
