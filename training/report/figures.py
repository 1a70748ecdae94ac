"""Figures beside those of a baseline."""

from collections.abc import Sequence

from training.evaluate import Figure
from training.report.page import Section, table

# Errors: the smaller, the better. By how their names begin.
_ERRORS = ("brier", "integrated_brier", "ece")


def figures(model: Sequence[Figure], baseline: Sequence[Figure], *, baseline_name: str) -> Section:
    """The model's figures beside the baseline's: both with their intervals, and which is ahead where the intervals part."""
    rows = []
    for mine, theirs in zip(model, baseline, strict=True):
        rows.append((mine.name, with_interval(mine), with_interval(theirs), _verdict(mine, theirs)))
    text = (
        "Each figure with its interval, on items that nothing else saw.",
        f"The baseline is {baseline_name}.",
    )
    return Section(title="How well", text=text, table=table(("", "model", "baseline", "the model is"), rows))


def with_interval(figure: Figure) -> str:
    """A figure, its interval, the level and the method, in a cell."""
    return f"{figure.value:.4g} ({figure.lower:.4g} to {figure.upper:.4g}; {figure.confidence_level:.0%}, {figure.interval_method})"


def _verdict(mine: Figure, theirs: Figure) -> str:
    better, worse = ("behind", "ahead") if mine.name.startswith(_ERRORS) else ("ahead", "behind")
    return better if mine.lower > theirs.upper else worse if mine.upper < theirs.lower else "not told apart"
