"""Gates that hold a figure against the same figure of something else: the stable version, the baseline, another subgroup."""

import math
from dataclasses import dataclass, replace

from training.gates.evidence import Evidence, Measured, Resamples, Scores
from training.gates.paired import Gain, gain_of_resamples, gain_of_scores, items_to_show
from training.gates.verdict import Verdict, above, at_least, at_most, compared, missing, with_note


@dataclass(frozen=True, kw_only=True, slots=True)
class NotWorse:
    """The candidate isn't worse than the stable version by `margin` or more: a one-sided paired test of non-inferiority at `significance_level`.

    It tests H0: mean difference ≤ -margin (S. Wellek, "Testing statistical hypotheses of equivalence and noninferiority", 2010, 2.3), by the lower
    bound of the mean difference of the items' scores (`training.gates.paired`), or by the percentile bound of the bootstrap.

    A held-out set that is too small to tell doesn't pass: where both are right about each of 20 items, one may still be worse by 11 % elsewhere, and
    the verdict says how many items it takes. Who gives the same answers in all outputs, each probability within rounding, passes whatever the number:
    a loss could only be where no item is, and no margin that the set can't prove keeps the same model, fitted again, from being published. It isn't
    enough to score alike, which two models do that are right by chance of the same few.

    Where there is no stable version there is nothing to be worse than: the gate is passed, and says that nothing was compared.
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
            return Verdict(gate=self.name, passed=True, found=None, wanted=-self.margin, reason=evidence.not_compared, is_judged=False)
        paired = evidence.paired.get(self.figure)
        if paired is None:
            return missing(self.name, -self.margin, f"{self.figure} of the stable version on the same items")
        if paired.same_answers:
            reason = f"stable version {evidence.stable_version} gives the same answers to every item, in all outputs"
            verdict = Verdict(gate=self.name, passed=True, found=0.0, wanted=-self.margin, reason=reason)
            return with_note(verdict, evidence.doubt)
        gain = self._gain(paired)
        if gain is None:
            return missing(self.name, -self.margin, f"a spread of what {self.figure} gains over stable version {evidence.stable_version}")
        what = f"the {1 - self.significance_level:.0%} lower bound of what {self.figure} gains over stable version {evidence.stable_version}"
        verdict = replace(compared(self.name, gain.lower, -self.margin, above, what), found=gain.value, lower=gain.lower, by="lower")
        verdict = with_note(verdict, f"it gains {gain.value:.6g} in the mean")
        if not verdict.passed and gain.items is not None:
            verdict = with_note(verdict, self._too_few(gain.items))
        return with_note(verdict, evidence.doubt)

    def _gain(self, paired: Scores | Resamples) -> Gain | None:
        sign = 1.0 if self.higher_is_better else -1.0
        if isinstance(paired, Scores):
            return gain_of_scores(paired, sign=sign, significance_level=self.significance_level)
        return gain_of_resamples(paired, sign=sign, significance_level=self.significance_level)

    def _too_few(self, items: int) -> str:
        """Empty where they are enough."""
        needed = items_to_show(min(self.margin, 1.0), significance_level=self.significance_level)
        return f"{items} independent items are few: where none differs, it takes {needed} to show this margin" if items < needed else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NotBehindBaseline:
    """A figure is not behind the baseline's on the same items by more than `margin`: both are compared by their values.

    So it says what was found on these items, and not that others would show it. The paired interval of the difference stands beside it where there
    is one (`Evidence.differences`).
    """

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
        verdict = compared(self.name, gain, -self.margin, at_least, f"what {self.figure} gains over the baseline's {theirs.value:.4g}")
        lower, upper = self._ends(evidence.differences.get(self.figure))
        if lower is None or upper is None:
            return verdict
        noted = with_note(verdict, f"its paired interval is {lower:.4g} to {upper:.4g}, and the value decides")
        return replace(noted, lower=lower, upper=upper)

    def _ends(self, difference: Measured | None) -> tuple[float | None, float | None]:
        """Of what is gained: a figure that is to be low gains what it falls."""
        if difference is None or difference.lower is None or difference.upper is None:
            return None, None
        return (difference.lower, difference.upper) if self.higher_is_better else (-difference.upper, -difference.lower)


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
