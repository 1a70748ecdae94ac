"""Gates that hold a figure against the same figure of something else: the stable version, the baseline, another subgroup."""

import math
from dataclasses import dataclass

import numpy as np

from training.gates.evidence import Evidence, Resamples, Scores
from training.gates.verdict import Verdict, above, at_least, at_most, compared, missing, with_note


@dataclass(frozen=True, kw_only=True, slots=True)
class NotWorse:
    """The candidate isn't worse than the stable version by `margin` or more: a one-sided paired test of non-inferiority at `significance_level`.

    On scores it is the paired t-test of H0: mean difference ≤ -margin (Wellek, Testing Statistical Hypotheses of Equivalence and Noninferiority,
    2010, 2.3); on resamples, the percentile bound of the bootstrap. So a held-out set that is too small to tell doesn't pass. Where there is no
    stable version there is nothing to be worse than, and the gate is passed, and says that nothing was compared.
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
            return Verdict(gate=self.name, passed=True, found=None, wanted=-self.margin, reason=f"not compared: {evidence.not_compared}")
        paired = evidence.paired.get(self.figure)
        if paired is None:
            return missing(self.name, -self.margin, f"{self.figure} of the stable version on the same items")
        sign = 1.0 if self.higher_is_better else -1.0
        lower = _lower_of_scores(paired, sign, self.significance_level) if isinstance(paired, Scores) else None
        if isinstance(paired, Resamples) and len(paired.differences):
            lower = float(np.quantile(sign * np.asarray(paired.differences, np.float64), self.significance_level))
        what = f"the {1 - self.significance_level:.0%} lower bound of what {self.figure} gains over stable version {evidence.stable_version}"
        return compared(self.name, lower, -self.margin, above, what)


@dataclass(frozen=True, kw_only=True, slots=True)
class NotBehindBaseline:
    """A figure is not behind the baseline's on the same items by more than `margin`: both are compared by their values."""

    figure: str
    margin: float
    higher_is_better: bool = True

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.figure} not behind the baseline"

    def judge(self, evidence: Evidence) -> Verdict:
        """Judges by the difference."""
        mine, theirs = evidence.figures.get(self.figure), evidence.baseline.get(self.figure)
        if mine is None or theirs is None:
            return missing(self.name, -self.margin, f"{self.figure} of the model and of the baseline")
        gain = (mine.value - theirs.value) * (1 if self.higher_is_better else -1)
        return compared(self.name, gain, -self.margin, at_least, f"what {self.figure} gains over the baseline's {theirs.value:.4g}")


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
            return missing(self.name, self.most, f"{self.figure} in two subgroups of {self.least_items} items or more")
        # Not-a-number first: it would hide behind any number.
        widest = max(gaps, key=lambda attribute: (math.isnan(gaps[attribute]), gaps[attribute]))
        verdict = compared(self.name, gaps[widest], self.most, at_most, f"the gap of {self.figure} by {widest}")
        return with_note(verdict, f"too small to count: {', '.join(small)}" if small else "")


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
