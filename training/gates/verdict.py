"""What becomes of a gate, and a number held against what is wanted of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a gate.

    Attributes:
        gate: the gate's name, for people and reports.
        passed: whether it is.
        found: the number that decided; None where there is none.
        wanted: the number that it was held against; None where there is none.
        reason: a sentence.
    """

    gate: str
    passed: bool
    found: float | None
    wanted: float | None
    reason: str


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
    reason = f"{verdict.reason}; {note}" if note else verdict.reason
    return Verdict(gate=verdict.gate, passed=verdict.passed, found=verdict.found, wanted=verdict.wanted, reason=reason)
