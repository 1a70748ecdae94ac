"""Figures beside those of a baseline, and what each is called."""

from collections.abc import Iterable, Sequence

from training.evaluate import Figure
from training.report import glossary
from training.report.page import Section, table

# For people.
_METHODS = {"wilson": "Wilson", "delong": "DeLong"}


def figures(model: Sequence[Figure], baseline: Sequence[Figure], *, baseline_name: str) -> Section:
    """The model's figures beside the baseline's: both with their intervals, which is ahead where the intervals part, and what each figure says."""
    rows = []
    for mine, theirs in zip(model, baseline, strict=True):
        rows.append((glossary.called(mine.name), with_interval(mine), with_interval(theirs), _verdict(mine, theirs)))
    text = (
        "Each figure with its interval, on items that nothing else saw.",
        f"The baseline is {baseline_name}.",
        "Ahead or behind: the two intervals don't overlap. Not told apart: they do; these items don't show which is better, nor that both are equal.",
    )
    return Section(
        title="How well",
        text=text,
        table=table(("", "model", "baseline", "the model is"), rows),
        beneath=explained(figure.name for figure in model),
    )


def explained(names: Iterable[str]) -> tuple[Section, ...]:
    """A section with a row for each figure that has one: its name for people and its own, what it says, and which way is better."""
    known = [(name, found) for name in dict.fromkeys(names) if (found := glossary.meaning(name)) is not None]
    rows = [(found.name, name, found.says, found.better) for name, found in known]
    columns = ("", "short name", "it is", "better is")
    return (Section(title="What these figures say", table=table(columns, rows)),) if rows else ()


def with_interval(figure: Figure) -> str:
    """A figure, its interval, the level and the method, in a cell."""
    return f"{figure.value:.4g} ({figure.lower:.4g} to {figure.upper:.4g}; {figure.confidence_level:.0%}, {method(figure)})"


def with_ends(figure: Figure) -> str:
    """A figure and its interval, where level and method are said elsewhere."""
    return f"{figure.value:.4g} ({figure.lower:.4g} to {figure.upper:.4g})"


def method(figure: Figure) -> str:
    """How a figure's interval was made."""
    return _METHODS.get(figure.interval_method, figure.interval_method)


def _verdict(mine: Figure, theirs: Figure) -> str:
    found = glossary.meaning(mine.name)
    better, worse = ("behind", "ahead") if found is not None and found.is_error else ("ahead", "behind")
    return better if mine.lower > theirs.upper else worse if mine.upper < theirs.lower else "not told apart"
