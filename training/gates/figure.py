"""Gates that hold one figure against a number."""

from dataclasses import dataclass
from typing import Literal

from training.gates.evidence import Evidence
from training.gates.verdict import Verdict, at_least, at_most, compared

Bound = Literal["value", "lower", "upper"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """A figure is at least `least`: its value, or the lower end of its interval."""

    figure: str
    least: float
    bound: Bound = "value"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.figure} at least"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the figure."""
        found = _bound(evidence, self.figure, self.bound)
        return compared(self.name, found, self.least, at_least, f"{_bound_name(self.bound)}{self.figure}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceiling:
    """A figure is at most `most`: its value, or the upper end of its interval. Calibration is `Ceiling(figure="ece", most=…)`."""

    figure: str
    most: float
    bound: Bound = "value"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.figure} at most"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the figure."""
        found = _bound(evidence, self.figure, self.bound)
        return compared(self.name, found, self.most, at_most, f"{_bound_name(self.bound)}{self.figure}")


def _bound(evidence: Evidence, figure: str, bound: Bound) -> float | None:
    measured = evidence.figures.get(figure)
    return None if measured is None else getattr(measured, bound)


def _bound_name(bound: Bound) -> str:
    return {"value": "", "lower": "the lower end of ", "upper": "the upper end of "}[bound]
