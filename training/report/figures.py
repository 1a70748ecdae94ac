"""Figures beside those of a baseline, and what each is called."""

from collections.abc import Iterable, Sequence
from typing import Literal

from training.evaluate import Figure
from training.report import glossary
from training.report.page import Section, table

# For people.
_METHODS = {"wilson": "Wilson", "delong": "DeLong", "newcombe": "Newcombe"}
# What a model is whose figure is below the baseline's, and above it, by which way is better. Of the outcome of a treatment its job alone knows that.
_WORDS = {"higher": ("behind", "ahead"), "lower": ("ahead", "behind")}


def figures(
    model: Sequence[Figure], baseline: Sequence[Figure], differences: Sequence[Figure] = (), *, baseline_name: str, of_one_patient: bool = False
) -> Section:
    """The model's figures beside the baseline's, each with its interval; what each says; and which is ahead, by the `differences`' intervals.

    `differences` are the model's figures less the baseline's on the same items, in the same order; where there are none, nothing is said of which is
    ahead. The intervals of the two tell nothing of that: both models find the same items hard, so that the difference is surer than either.
    `of_one_patient` where all items are.
    """
    text = [
        "Each figure with its interval, on items that nothing else saw.",
        f"The baseline is {baseline_name}.",
    ]
    if of_one_patient:
        text.append("All items are of one patient: the intervals are of other items of that patient, and say nothing of others.")
    columns = ["", "model", "baseline"]
    rows = [[glossary.called(mine.name), with_interval(mine), with_interval(theirs)] for mine, theirs in zip(model, baseline, strict=True)]
    if differences:
        text.append(
            "The difference is the model's figure less the baseline's on the same items, with an interval of its own. Ahead or behind: 0 is outside "
            "of that interval. Not told apart: 0 is in it; these items don't show which is better, nor that both are equal."
        )
        columns += ["difference", "the model is"]
        rows = [
            [*row, with_interval(each, sign="+"), verdict(mine.name, each.lower, each.upper)]
            for row, mine, each in zip(rows, model, differences, strict=True)
        ]
    return Section(title="How well", text=tuple(text), table=table(columns, rows), beneath=explained(figure.name for figure in model))


def explained(names: Iterable[str]) -> tuple[Section, ...]:
    """A section with a row for each figure that has one: its name for people and its own, what it says, and which way is better."""
    known = [(name, found) for name in dict.fromkeys(names) if (found := glossary.meaning(name)) is not None]
    rows = [(found.name, name, found.says, found.better) for name, found in known]
    columns = ("", "short name", "it is", "better is")
    return (Section(title="What these figures say", table=table(columns, rows)),) if rows else ()


def with_interval(figure: Figure, *, sign: Literal["", "+"] = "") -> str:
    """A figure, its interval, the level and the method, in a cell; with `+` what is above 0 has its sign as well, as of a difference."""
    value, lower, upper = (f"{each:{sign}.4g}" for each in (figure.value, figure.lower, figure.upper))
    return f"{value} ({lower} to {upper}; {figure.confidence_level:.0%}, {method(figure)})"


def with_ends(figure: Figure) -> str:
    """A figure and its interval, where level and method are said elsewhere."""
    return f"{figure.value:.4g} ({figure.lower:.4g} to {figure.upper:.4g})"


def method(figure: Figure) -> str:
    """How a figure's interval was made."""
    return _METHODS.get(figure.interval_method, figure.interval_method)


def verdict(name: str, lower: float, upper: float) -> str:
    """What the interval of a figure's difference says of the model: ahead, behind, not told apart, or the same."""
    if lower == upper == 0:
        return "the same on these items"
    if lower <= 0 <= upper:
        return "not told apart"
    found = glossary.meaning(name)
    below, above = _WORDS.get(found.better if found is not None else "", ("lower", "higher"))
    return above if lower > 0 else below
