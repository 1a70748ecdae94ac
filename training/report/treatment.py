"""What a report says of a policy that chooses treatments."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.evaluate import Figure
from training.evidence.treatment import PolicyValue
from training.report import plots
from training.report.figures import with_interval
from training.report.page import Plot, Section, table
from training.report.plots import Band


def policy(value: PolicyValue) -> Section:
    """The policy's value beside that of each option for everybody, and what it gains over each."""
    rows = [("the model's choice", with_interval(value.policy), "")]
    rows += [(f"{name} for everybody", with_interval(figure), with_interval(value.gains[name])) for name, figure in value.arms.items()]
    return Section(
        title="What the choice is worth",
        text=(f"On held-out patients of the trial, {value}.",),
        table=table(("", "mean outcome", "the model's choice less this"), rows),
    )


def average_effects(effects: Mapping[str, Figure], *, unit: str, reference: str) -> Section:
    """The mean effect of each option on all held-out patients."""
    figures = list(effects.values())
    y, lower, upper = (np.array([getattr(figure, part) for figure in figures]) for part in ("value", "lower", "upper"))
    svg = plots.effects(list(effects), Band(x=np.arange(len(figures)), y=y, lower=lower, upper=upper), unit=unit, reference=reference)
    return Section(title="What each option does in the mean", plots=(Plot(svg=svg, caption=f"Mean effect against {reference}, in {unit}."),))


def effects_hold(slopes: Sequence[tuple[str, Figure]], calibration: Mapping[str, Band], *, unit: str) -> Section:
    """Whether who was said to gain more does."""
    text = ("The slope of the effects that were found on those that were predicted: 1 where they hold, 0 where they tell nobody from anybody.",)
    shown = tuple(
        Plot(
            svg=plots.agreement(band, unit=unit), caption=f"{name}: predicted effect, and the mean effect that was found, in fifths of the patients."
        )
        for name, band in calibration.items()
    )
    return Section(
        title="Whether effects hold", text=text, table=table(("", "slope"), [(name, with_interval(each)) for name, each in slopes]), plots=shown
    )
