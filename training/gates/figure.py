"""Gates that hold one figure against a number."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from training.gates.evidence import Evidence
from training.gates.verdict import Bound, Verdict, at_least, at_most, compared, missing


@dataclass(frozen=True, kw_only=True, slots=True)
class Floor:
    """A figure is at least `least`: its value, or an end of its interval.

    By the upper end it is for what was promised, such as how often conformal sets hold the true class: passed where what was found is consistent with
    the promise. That isn't to have kept it, so the verdict says which end decided.
    """

    figure: str
    least: float
    bound: Bound = "value"

    @property
    def name(self) -> str:
        """For people."""
        return f"{_named(self.figure, self.bound)} at least"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the figure."""
        return _judged(self, evidence, self.least, at_least)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceiling:
    """A figure is at most `most`: its value, or an end of its interval. Calibration is `Ceiling(figure="ece", most=…)`."""

    figure: str
    most: float
    bound: Bound = "value"

    @property
    def name(self) -> str:
        """For people."""
        return f"{_named(self.figure, self.bound)} at most"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the figure."""
        return _judged(self, evidence, self.most, at_most)


def _named(figure: str, bound: Bound) -> str:
    return figure if bound == "value" else f"{figure} ({bound} end)"


def _judged(gate: Floor | Ceiling, evidence: Evidence, wanted: float, holds: Callable[[float, float], bool]) -> Verdict:
    figure, bound = gate.figure, gate.bound
    measured = evidence.figures.get(figure)
    if measured is None or getattr(measured, bound) is None:
        return missing(gate.name, wanted, figure if bound == "value" else f"the {bound} end of {figure}")
    what = figure if bound == "value" else f"{figure} is {measured.value:.6g}; the {bound} end of its interval"
    verdict = compared(gate.name, getattr(measured, bound), wanted, holds, what)
    return replace(verdict, found=float(measured.value), lower=measured.lower, upper=measured.upper, by=bound)
