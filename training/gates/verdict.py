"""What becomes of a gate, and a number held against what is wanted of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Bound = Literal["value", "lower", "upper"]
"""What of a figure is held against what is wanted: its value, or an end of its interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a gate.

    Attributes:
        gate: the gate's name, for people and reports.
        passed: whether it is.
        found: the figure's value; None where there is none.
        wanted: the number that it, or an end of its interval, was held against; None where there is none.
        reason: a sentence.
        lower, upper: the ends of what was found's interval; None where there is none, or none at that side.
        by: which of the three was held against what is wanted.
        is_judged: whether there was something to judge. What can't be worse than anything, for lack of a stable version, is passed all the same.
    """

    gate: str
    passed: bool
    found: float | None
    wanted: float | None
    reason: str
    lower: float | None = None
    upper: float | None = None
    by: Bound = "value"
    is_judged: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError where a gate isn't passed that nothing was judged of."""
        if not self.is_judged and not self.passed:
            message = f"{self.gate}: passed where nothing was judged, or judged"
            raise ValueError(message)

    @property
    def outcome(self) -> str:
        """`passed`, `NOT passed` or `not compared`."""
        if not self.is_judged:
            return "not compared"
        return "passed" if self.passed else "NOT passed"

    @property
    def interval(self) -> str:
        """For people, which end decided said beside it: `0.8776 to 0.9562, the upper end decides`; empty where there is none."""
        ends = " ".join(
            f"{word}{end:.4g}" for word, end in (("" if self.upper is not None else "from ", self.lower), ("to ", self.upper)) if end is not None
        )
        return f"{ends}, the {self.by} end decides" if ends and self.by != "value" else ends

    def __str__(self) -> str:
        """For people, in a line."""
        return f"gate {self.gate}: {self.outcome}: {self.reason}"


def at_least(found: float, wanted: float) -> bool:
    """For a floor."""
    return found >= wanted


def at_most(found: float, wanted: float) -> bool:
    """For a ceiling."""
    return found <= wanted


def above(found: float, wanted: float) -> bool:
    """For a bound that must be passed."""
    return found > wanted


_WORDS: dict[Callable[[float, float], bool], tuple[str, str]] = {
    at_least: ("at least", "below"),
    at_most: ("at most", "above"),
    above: ("above", "not above"),
}


def compared(gate: str, found: float | None, wanted: float, holds: Callable[[float, float], bool], what: str) -> Verdict:
    """Passed where the number `holds` against what is wanted; not where there is none, or it is no number. `what` is it, for people."""
    if found is None:
        return missing(gate, wanted, what)
    if math.isnan(found):
        return Verdict(gate=gate, passed=False, found=found, wanted=wanted, reason=f"{what} is not a number")
    # Bools of NumPy's are none of Python's.
    passed = bool(holds(found, wanted))
    word = _WORDS[holds][0 if passed else 1]
    return Verdict(gate=gate, passed=passed, found=float(found), wanted=wanted, reason=f"{what} is {found:.6g}, {word} {wanted:g}")


def missing(gate: str, wanted: float, what: str) -> Verdict:
    """Not passed: `what` would be needed to judge."""
    return Verdict(gate=gate, passed=False, found=None, wanted=wanted, reason=f"can't be judged without {what}")


def with_note(verdict: Verdict, note: str) -> Verdict:
    """The verdict with something more to say, if there is anything."""
    return replace(verdict, reason=f"{verdict.reason}; {note}") if note else verdict
