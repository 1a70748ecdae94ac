"""A signature's outputs, and how each is read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.tensor import DType


@dataclass(frozen=True, kw_only=True, slots=True)
class Coding:
    """A concept from a coding system."""

    system: str
    code: str
    display: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """One label of a classification.

    Attributes:
        operating_point: the probability from which it is called present, if any.
        conformal_threshold: it is in the conformal set where 1 - probability is at most this.
    """

    code: Coding
    operating_point: float | None = None
    conformal_threshold: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for not-a-number, above or below which nothing is."""
        for field, value in (("operating_point", self.operating_point), ("conformal_threshold", self.conformal_threshold)):
            if value is not None and not math.isfinite(value):
                message = f"classification.labels[{self.code.code!r}].{field}: a finite number"
                raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """One probability for each label, in order of the last dimension; `conformal_confidence_level` is that of the set, 0 where there is none."""

    exclusive: bool
    labels: tuple[Label, ...]
    conformal_confidence_level: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where thresholds and their level don't come together."""
        has_threshold = {label.conformal_threshold is not None for label in self.labels}
        if len(has_threshold) > 1 or (has_threshold == {True} and not 0 < self.conformal_confidence_level < 1):
            message = "classification: a conformal threshold for each label or for none, and a confidence level between 0 and 1 beside them"
            raise ValueError(message)

    def require_fits(self, dtype: DType, shape: tuple[int, ...]) -> None:
        """Raises ValueError where the output has another number of elements than there are labels."""
        if not dtype.is_floating or shape != (len(self.labels),):
            message = "a classification is a floating vector with one element a label"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """The outputs that hold the ends of an interval at `confidence_level`."""

    lower_output: str
    upper_output: str
    confidence_level: float

    def __post_init__(self) -> None:
        """Raises ValueError for a level that is none."""
        if not 0 < self.confidence_level < 1:
            message = "interval.confidence_level: between 0 and 1"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class SurvivalReading:
    """The chance to be without `event` until each of `times_days`."""

    event: Coding
    times_days: tuple[float, ...]
    interval: Interval | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the times don't rise from above 0."""
        earlier = (0.0, *self.times_days[:-1])
        if not self.times_days or not all(before < time < math.inf for before, time in zip(earlier, self.times_days, strict=True)):
            message = "survival.times_days: at least one, above 0 and rising"
            raise ValueError(message)

    def require_fits(self, dtype: DType, shape: tuple[int, ...]) -> None:
        """Raises ValueError where the output hasn't one element for each time."""
        if not dtype.is_floating or shape != (len(self.times_days),):
            message = "a survival curve is a floating vector with one element a time"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class TreatmentReading:
    """The expected outcome, in `unit` (UCUM), under each of `options`; effects are against `options[reference]`."""

    outcome: Coding
    unit: str
    lower_is_better: bool
    options: tuple[Coding, ...]
    reference: int
    outcome_interval: Interval | None = None
    effect_output: str = ""
    effect_interval: Interval | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for fewer than two options, a reference that is none of them, or an interval around nothing."""
        if len(self.options) < 2 or not 0 <= self.reference < len(self.options):  # noqa: PLR2004 - one option is no choice
            message = "treatment: two options or more, and a reference that is one of them"
            raise ValueError(message)
        if self.effect_interval is not None and not self.effect_output:
            message = "treatment.effect_interval: needs an effect_output"
            raise ValueError(message)

    def require_fits(self, dtype: DType, shape: tuple[int, ...]) -> None:
        """Raises ValueError where the output hasn't one element for each option."""
        if not dtype.is_floating or shape != (len(self.options),):
            message = "treatment outcomes are a floating vector with one element an option"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastReading:
    """What is expected of each variable, of which `units` has the UCUM unit, every `step_seconds` from the end of what was sent."""

    variables: tuple[Coding, ...]
    units: tuple[str, ...]
    step_seconds: float
    interval: Interval | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for no variables, or steps that lead nowhere."""
        if not self.variables or len(self.variables) != len(self.units) or not 0 < self.step_seconds < math.inf:
            message = "forecast: at least one variable with its unit, and steps of more than 0 seconds"
            raise ValueError(message)

    def require_fits(self, dtype: DType, shape: tuple[int, ...]) -> None:
        """Raises ValueError where the output isn't [steps, variables]."""
        if not dtype.is_floating or len(shape) != 2 or shape[1] != len(self.variables):  # noqa: PLR2004 - steps, variables
            message = f"a forecast is floating, [steps, {len(self.variables)}]"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class NoveltyReading:
    """How unlike the training data the item is; above `threshold` it is out of distribution."""

    threshold: float

    def __post_init__(self) -> None:
        """Raises ValueError for a threshold that nothing can be held against."""
        if not math.isfinite(self.threshold):
            message = "novelty.threshold: a finite number"
            raise ValueError(message)

    def require_fits(self, dtype: DType, shape: tuple[int, ...]) -> None:
        """Raises ValueError where the output isn't one number."""
        if not dtype.is_floating or shape != (1,):
            message = "a novelty is one floating number, [1]"
            raise ValueError(message)


OutputReading = Classification | SurvivalReading | TreatmentReading | ForecastReading | NoveltyReading


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSpec:
    """One output of the signature; `shape` is that of one item, -1 where it varies. Without a reading it is a tensor only."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    reading: OutputReading | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the reading doesn't fit the shape."""
        if self.reading is not None:
            try:
                self.reading.require_fits(self.dtype, self.shape)
            except ValueError as error:
                message = f"outputs[{self.name!r}]: {error}"
                raise ValueError(message) from None

    @property
    def companions(self) -> tuple[str, ...]:
        """The names of the outputs that this one is read with: each has its type and shape."""
        match self.reading:
            case SurvivalReading(interval=interval) | ForecastReading(interval=interval):
                intervals: tuple[Interval | None, ...] = (interval,)
                effect = ""
            case TreatmentReading(outcome_interval=outcome_interval, effect_output=effect, effect_interval=effect_interval):
                intervals = (outcome_interval, effect_interval)
            case _:
                return ()
        ends = tuple(name for interval in intervals if interval is not None for name in (interval.lower_output, interval.upper_output))
        return (*ends, effect) if effect else ends


def require_companions(outputs: Mapping[str, OutputSpec]) -> None:
    """Raises ValueError where an output is to be read with one that isn't there, or is of another type or shape."""
    for name, spec in outputs.items():
        for companion in spec.companions:
            other = outputs.get(companion)
            if other is None or (other.dtype, other.shape) != (spec.dtype, spec.shape):
                message = f"outputs[{name!r}]: it is read with an output {companion!r} of the same type and shape, which there isn't"
                raise ValueError(message)
