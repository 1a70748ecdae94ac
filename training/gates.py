"""What a version must show before it is published, declared by its job: `judge(gates, evidence)` says of each gate whether it is passed and why.

A gate that can't be judged, because the evidence for it is missing or is not a number, is not passed: nothing is published by default.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.gate_evidence import Evidence, Group, Measured, Resamples, Scores
from training.manifest_fields import missing_fields

__all__ = [
    "Ceiling",
    "Evidence",
    "Floor",
    "Gate",
    "Group",
    "Latency",
    "ManifestComplete",
    "Measured",
    "NotEarned",
    "NotWorse",
    "Resamples",
    "Scores",
    "SubgroupGap",
    "TrainToServe",
    "Verdict",
    "judge",
    "require",
]

Bound = Literal["value", "lower", "upper"]


class NotEarned(ValueError):
    """At least one gate isn't passed; the message has them all."""


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
        return _compared(self.name, found, self.least, _at_least, f"{_bound_name(self.bound)}{self.figure}")


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
        return _compared(self.name, found, self.most, _at_most, f"{_bound_name(self.bound)}{self.figure}")


@dataclass(frozen=True, kw_only=True, slots=True)
class NotWorse:
    """The candidate isn't worse than the stable version by `margin` or more: a one-sided paired test of non-inferiority at `significance_level`.

    On scores it is the paired t-test of H0: mean difference ≤ -margin (Wellek, Testing Statistical Hypotheses of Equivalence and Noninferiority,
    2010, 2.3); on resamples, the percentile bound of the bootstrap. So a held-out set that is too small to tell doesn't pass. Where there is no
    stable version there is nothing to be worse than, and the gate is passed.
    """

    figure: str
    margin: float
    significance_level: float = 0.05
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError where the margin or the level is out of range."""
        if not self.margin > 0 or not 0 < self.significance_level < 1:
            message = f"{self.figure}: a margin above 0 and a level between 0 and 1, not {self.margin} and {self.significance_level}"
            raise ValueError(message)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.figure} not worse than stable"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the lower bound of the difference."""
        if evidence.stable_version is None:
            return Verdict(gate=self.name, passed=True, found=None, wanted=-self.margin, reason="there is no stable version to be worse than")
        paired = evidence.paired.get(self.figure)
        if paired is None:
            return _missing(self.name, -self.margin, f"{self.figure} of the stable version on the same items")
        sign = 1.0 if self.higher_is_better else -1.0
        lower = _lower_of_scores(paired, sign, self.significance_level) if isinstance(paired, Scores) else None
        if isinstance(paired, Resamples) and len(paired.differences):
            lower = float(np.quantile(sign * np.asarray(paired.differences, np.float64), self.significance_level))
        what = f"the {1 - self.significance_level:.0%} lower bound of what {self.figure} gains over stable version {evidence.stable_version}"
        return _compared(self.name, lower, -self.margin, _above, what)


@dataclass(frozen=True, kw_only=True, slots=True)
class SubgroupGap:
    """Between the best and the worst level of any attribute the figure differs by at most `most`. Levels of fewer than `least_items` don't count.

    Where no attribute has two levels that are large enough, the gap can't be judged and the gate isn't passed.
    """

    figure: str
    most: float
    least_items: int = 30

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.figure} gap between subgroups"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the attribute with the widest gap."""
        gaps: dict[str, float] = {}
        small: list[str] = []
        for attribute, levels in evidence.subgroups.get(self.figure, {}).items():
            large = [group.value for group in levels.values() if group.items >= self.least_items]
            small += [f"{attribute} {level}" for level, group in levels.items() if group.items < self.least_items]
            if len(large) > 1:
                gaps[attribute] = math.nan if any(map(math.isnan, large)) else max(large) - min(large)
        if not gaps:
            return _missing(self.name, self.most, f"{self.figure} in two subgroups of {self.least_items} items or more")
        # Not-a-number first: it would hide behind any number.
        widest = max(gaps, key=lambda attribute: (math.isnan(gaps[attribute]), gaps[attribute]))
        verdict = _compared(self.name, gaps[widest], self.most, _at_most, f"the gap of {self.figure} by {widest}")
        return _with_note(verdict, f"too small to count: {', '.join(small)}" if small else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """The median latency on the embedded model server is at most `most_seconds`."""

    most_seconds: float

    @property
    def name(self) -> str:
        """For people."""
        return "latency on the model server"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the median."""
        return _compared(self.name, evidence.p50_seconds, self.most_seconds, _at_most, "the median latency in seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainToServe:
    """The served version answers as the network did, within `tolerance`, on `least_items` golden inputs or more (`training.golden.compare`)."""

    tolerance: float = 1e-6
    least_items: int = 1

    @property
    def name(self) -> str:
        """For people."""
        return "train-to-serve parity"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the greatest difference."""
        parity = evidence.parity
        if parity is None or parity.items < self.least_items:
            return _missing(self.name, self.tolerance, f"answers to {self.least_items} golden inputs or more")
        what = f"the greatest difference of {parity.items} golden inputs (output {parity.output}, item {parity.item})"
        return _compared(self.name, parity.difference, self.tolerance, _at_most, what)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestComplete:
    """The manifest says all that a reader needs: `training.manifest_fields` has the fields, and why each is asked for."""

    @property
    def name(self) -> str:
        """For people."""
        return "manifest complete"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the fields that are empty."""
        if evidence.manifest is None:
            return _missing(self.name, 0.0, "a manifest")
        missing = missing_fields(evidence.manifest)
        reason = f"these are missing: {'; '.join(missing)}" if missing else "every field that is asked for is there"
        return Verdict(gate=self.name, passed=not missing, found=float(len(missing)), wanted=0.0, reason=reason)


Gate = Floor | Ceiling | NotWorse | SubgroupGap | Latency | TrainToServe | ManifestComplete


def judge(gates: Sequence[Gate], evidence: Evidence) -> list[Verdict]:
    """A verdict for each gate, in their order. Raises ValueError where there is no gate: what nobody asks anything of has earned nothing."""
    if not gates:
        raise ValueError("a job declares at least one gate: what nobody asks anything of has earned nothing")
    return [gate.judge(evidence) for gate in gates]


def require(verdicts: Sequence[Verdict]) -> None:
    """Raises NotEarned, which says of each gate that isn't passed why. Raised within `training.publish.publish`, nothing is published."""
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed or not verdicts:
        message = "\n".join(["nothing published:", *(f"  {verdict.gate}: {verdict.reason}" for verdict in failed)])
        raise NotEarned(message)


def _bound(evidence: Evidence, figure: str, bound: Bound) -> float | None:
    measured = evidence.figures.get(figure)
    return None if measured is None else getattr(measured, bound)


def _bound_name(bound: Bound) -> str:
    return {"value": "", "lower": "the lower end of ", "upper": "the upper end of "}[bound]


def _lower_of_scores(scores: Scores, sign: float, significance_level: float) -> float | None:
    """The one-sided lower confidence bound of the mean paired difference by Student's t; None where fewer than two groups are there."""
    from scipy.stats import t  # noqa: PLC0415 - slow to import

    differences = sign * (np.asarray(scores.candidate, np.float64) - np.asarray(scores.stable, np.float64))
    if scores.groups is not None:
        _, group = np.unique(scores.groups, return_inverse=True)
        differences = np.bincount(group, weights=differences) / np.bincount(group)
    if len(differences) < 2:  # noqa: PLR2004 - one difference has no spread
        return None
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return float(differences.mean() + t.ppf(significance_level, len(differences) - 1) * error)


def _at_least(found: float, wanted: float) -> bool:
    return found >= wanted


def _at_most(found: float, wanted: float) -> bool:
    return found <= wanted


def _above(found: float, wanted: float) -> bool:
    return found > wanted


_WORDS: dict[Callable[[float, float], bool], tuple[str, str]] = {
    _at_least: ("at least", "below"),
    _at_most: ("at most", "above"),
    _above: ("above", "not above"),
}


def _compared(gate: str, found: float | None, wanted: float, holds: Callable[[float, float], bool], what: str) -> Verdict:
    if found is None:
        return _missing(gate, wanted, what)
    if math.isnan(found):
        return Verdict(gate=gate, passed=False, found=found, wanted=wanted, reason=f"{what} is not a number")
    # Bools of NumPy's are none of Python's.
    passed = bool(holds(found, wanted))
    word = _WORDS[holds][0 if passed else 1]
    return Verdict(gate=gate, passed=passed, found=float(found), wanted=wanted, reason=f"{what} is {found:.6g}, {word} {wanted:g}")


def _missing(gate: str, wanted: float, what: str) -> Verdict:
    return Verdict(gate=gate, passed=False, found=None, wanted=wanted, reason=f"can't be judged without {what}")


def _with_note(verdict: Verdict, note: str) -> Verdict:
    reason = f"{verdict.reason}; {note}" if note else verdict.reason
    return Verdict(gate=verdict.gate, passed=verdict.passed, found=verdict.found, wanted=verdict.wanted, reason=reason)
