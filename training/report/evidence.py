"""What else was measured on held-out items: how sure one can be, for whom, under what, and whether acting on it is worth it."""

from collections.abc import Mapping, Sequence

from training.evaluate import Figure
from training.evidence.robustness import Robustness
from training.evidence.subgroups import Level
from training.report import plots
from training.report.figures import with_interval
from training.report.page import Plot, Section, table
from training.report.plots import Band


def certainty(coverage: Sequence[Figure], novelty: Mapping[str, Sequence[Figure]], *, level: float) -> list[Section]:
    """Whether conformal sets hold what they promise, and whether items of another kind are told, by the name of each set of them."""
    found = [
        Section(
            title="Which classes can't be ruled out",
            text=(f"Sets that are to hold the true class of {level:.0%} of items, by thresholds from validation items.",),
            table=table(("", "found"), [(figure.name, with_interval(figure)) for figure in coverage]),
        )
    ]
    if novelty:
        rows = [(name, figure.name, with_interval(figure)) for name, figures in novelty.items() for figure in figures]
        text = ("Items of another kind against held-out ones of the model's own; the threshold is from validation items.",)
        found.append(Section(title="Whether items of another kind are told", text=text, table=table(("other items", "", "found"), rows)))
    return found


def by_level(levels: Sequence[Level]) -> list[Section]:
    """A figure in each subgroup; nothing where there is none."""
    if not levels:
        return []
    rows = [
        (f"{level.attribute} {level.level}", str(level.items), level.note if level.figure is None else with_interval(level.figure))
        for level in levels
    ]
    return [Section(title="For whom", table=table(("", "items", "found"), rows))]


def robustness(measured: Sequence[Robustness]) -> list[Section]:
    """How a figure falls under each perturbation; nothing where none was tried."""
    if not measured:
        return []
    name = measured[0].figures[0].name
    shown = tuple(Plot(svg=plots.levels(each.band, x=each.perturbation, y=name), caption=f"{name} under {each.perturbation}.") for each in measured)
    return [Section(title="When inputs get worse", text=("The model asked about held-out items that were made worse.",), plots=shown)]


def benefit(curves: Mapping[str, Band]) -> Section:
    """Decision curves."""
    caption = "Net benefit of acting on the model, on everybody and on nobody, by the threshold probability that one would act from."
    return Section(title="Whether acting on it is worth it", plots=(Plot(svg=plots.net_benefit(curves), caption=caption),))
