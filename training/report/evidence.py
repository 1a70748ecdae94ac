"""What else was measured on held-out items: how sure one can be, for whom, under what, and whether acting on it is worth it."""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from training.evaluate import Figure
from training.evidence import conformal
from training.evidence.novelty import Told
from training.evidence.robustness import Robustness
from training.evidence.subgroups import Level
from training.report import plots
from training.report.figures import explained, method, with_ends, with_interval
from training.report.glossary import called
from training.report.page import Plot, Section, table
from training.report.plots import Band

_NOT_AGAINST_OTHERS = "not measured against other items: no real ones of this input are at hand, so whether a caller is warned of such isn't known"


def certainty(coverage: Sequence[Figure], *, level: float, set_by: int) -> Section:
    """Whether conformal sets hold what they promise: `level`, by thresholds that `set_by` validation items set."""
    lower, upper = conformal.promised(level, set_by)
    return Section(
        title="Which classes can't be ruled out",
        text=(
            (
                f"A set has the classes that can't be ruled out for an item. Sets are to hold the true class of {level:.0%} of items: that is "
                f"promised in the mean of many draws of the {set_by} validation items that set the thresholds. One draw of as many independent "
                f"items holds {lower:.1%} to {upper:.1%} of others, in 19 of 20 draws."
            ),
            (
                "An empty set doesn't say that the item is of none of the classes: it says that the model is less sure of each of them than it "
                f"was of the true one of {level:.0%} of the items that set the thresholds, and that a person has to look. It counts as one that "
                "doesn't hold the true class."
            ),
        ),
        table=table(("", "found"), [(called(figure.name), with_interval(figure)) for figure in coverage]),
        beneath=explained(figure.name for figure in coverage),
    )


def novelty(told: Told | None) -> list[Section]:
    """Whether items of another kind are told, or that it isn't known; nothing for a model without that output."""
    if told is None:
        return []
    found = [("held-out items of its own", told.own), *((name, figure) for name, figures in told.others.items() for figure in figures)]
    text = (
        "Items of another kind against held-out ones of the model's own; the threshold is from validation items."
        if told.others
        else f"Held-out items of the model's own; {_NOT_AGAINST_OTHERS}. The threshold is from validation items."
    )
    return [
        Section(
            title="Whether items of another kind are told",
            text=(text,),
            table=table(("items", "", "found"), [(name, called(figure.name), with_interval(figure)) for name, figure in found]),
            beneath=explained(figure.name for _, figure in found),
        )
    ]


def limits(levels: Sequence[Level], measured: Sequence[Robustness], told: Told | None) -> tuple[str, ...]:
    """What a person who signs has to know of the other sections: the widest gap, what changes most, and of what a warning wasn't measured."""
    return (*_widest_gap(levels), *_changes_most(measured), *_of_warnings(told))


def _widest_gap(levels: Sequence[Level]) -> Iterator[str]:
    known = [(level, level.figure) for level in levels if level.figure is not None]
    ends = []
    for attribute in dict.fromkeys(level.attribute for level, _ in known):
        rising = sorted((each for each in known if each[0].attribute == attribute), key=lambda each: each[1].value)
        if len(rising) > 1:
            ends.append((rising[0], rising[-1]))
    if not ends:
        yield "whether it is as good for everybody isn't known: there are no groups to tell apart"
        return
    (low, least), (high, most) = max(ends, key=lambda pair: pair[1][1].value - pair[0][1].value)
    said = (f"{with_ends(figure)} for {level.attribute} {level.level}" for level, figure in ((low, least), (high, most)))
    yield f"widest gap between groups: {called(least.name)} {' and '.join(said)}"


def _changes_most(measured: Sequence[Robustness]) -> Iterator[str]:
    tried = [(abs(fall.value), each, number) for each in measured for number, fall in enumerate(each.falls)]
    if not tried:
        yield "what worse inputs do wasn't measured"
        return
    _, each, number = max(tried, key=itemgetter(0))
    figure, as_given = each.figures[number], each.figures[0]
    yield (
        f"where inputs get worse {called(figure.name)} changes most at {each.levels[number]:g} of “{each.perturbation}”: {with_ends(figure)} instead "
        f"of {as_given.value:.4g}"
    )


def _of_warnings(told: Told | None) -> Iterator[str]:
    if told is not None:
        others = (f"{with_ends(flagged)} of {name}" for name, (_, flagged) in told.others.items())
        known = f", and of {', '.join(others)}" if told.others else f"; {_NOT_AGAINST_OTHERS}"
        yield f"a caller is warned of {with_ends(told.own)} of its own kind of items{known}"


def by_level(levels: Sequence[Level]) -> list[Section]:
    """A figure in each subgroup; nothing where there is none."""
    if not levels:
        return []
    rows = [
        (f"{level.attribute} {level.level}", str(level.items), level.note if level.figure is None else with_interval(level.figure))
        for level in levels
    ]
    names = sorted({level.figure.name for level in levels if level.figure is not None})
    return [
        Section(
            title="For whom",
            text=(f"The {' and the '.join(called(name) for name in names)} in each group." if names else "No group is large enough.",),
            table=table(("", "items", "found"), rows),
        )
    ]


def robustness(measured: Sequence[Robustness], *, unit: str = "") -> list[Section]:
    """How a figure falls under each perturbation; nothing where none was tried. `unit` is the figure's, where it has one."""
    if not measured:
        return []
    first = measured[0].figures[0]
    name = called(first.name)
    methods = dict.fromkeys(method(figure) for each in measured for figure in (*each.figures, *each.falls[1:]))
    shown = tuple(
        Plot(
            svg=plots.levels(each.band, x=each.perturbation, y=f"{name} ({unit})" if unit else name),
            # Not `capitalize`, which would write ROC small.
            caption=f"{name[0].upper()}{name[1:]} under {each.perturbation}.",
        )
        for each in measured
    )
    text = (
        f"The {name} when the model is asked about held-out items that were made worse; at 0 they are as they are. A standard deviation is that of "
        "all held-out values together, or of each field or channel by itself where these have units of their own. Intervals are of "
        f"{first.confidence_level:.0%}: {'; '.join(methods)}."
    )
    rows = [
        (each.perturbation, f"{level:g}", with_ends(figure), with_ends(fall))
        for each in measured
        for level, figure, fall in zip(each.levels[1:], each.figures[1:], each.falls[1:], strict=True)
    ]
    return [Section(title="When inputs get worse", text=(text,), table=table(("what", "how much", name, "change"), rows), plots=shown)]


def benefit(curves: Mapping[str, Band]) -> Section:
    """Decision curves."""
    caption = "Net benefit of acting on the model, on everybody and on nobody, by the probability that one would act from."
    text = (
        "Net benefit is the share of true positives less that of false positives, which count by the odds of the probability that one would act "
        "from: who acts from 10 % on takes one missed case to be as bad as nine needless alarms. Where the model's line is the highest, acting on "
        "it is best."
    )
    return Section(title="Whether acting on it is worth it", text=(text,), plots=(Plot(svg=plots.net_benefit(curves), caption=caption),))
