"""What a report says of a policy that chooses treatments."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.evaluate import Figure
from training.evidence.treatment import PolicyValue
from training.models.meta_learner import Learner
from training.report import plots
from training.report.figures import explained, with_interval
from training.report.glossary import called
from training.report.page import Plot, Section, table
from training.report.plots import Band


def policy(value: PolicyValue, ranked_first: Mapping[str, int]) -> Section:
    """The policy's value beside that of each option for everybody, what it gains over each, and for how many patients each option is ranked first."""
    rows = [("the model's choice", with_interval(value.policy), "")]
    rows += [(f"{name} for everybody", with_interval(figure), with_interval(value.gains[name])) for name, figure in value.arms.items()]
    return Section(
        title="What the choice is worth",
        text=(
            f"On held-out patients of the trial, {value}.",
            (
                "The trial gave each patient one option, by chance. So what each would have had under another is estimated, in a way that is right "
                "in the mean of many patients (doubly robust scores), and not for one of them."
            ),
        ),
        table=table(("", "mean outcome", "the model's choice less this"), rows),
        beneath=(_ranked_first(ranked_first),),
    )


def _ranked_first(patients: Mapping[str, int]) -> Section:
    of = sum(patients.values())
    always = [name for name, count in patients.items() if count == of]
    text = [
        f"The model chooses {name} for every one of these {of} patients: here it is worth what that is worth for everybody, whatever it says of each."
        for name in always
    ]
    return Section(
        title="How often each option is ranked first",
        text=tuple(text),
        table=table(("", "patients", "share"), [(name, f"{count}", f"{count / of:.1%}") for name, count in patients.items()]),
    )


def average_effects(effects: Mapping[str, Figure], predicted: Mapping[str, float], *, unit: str, reference: str, miss: float) -> Section:
    """The mean effect of each option on all held-out patients, beside the mean of what was predicted of them; `miss` as `average_effect_miss`."""
    figures = list(effects.values())
    y, lower, upper = (np.array([getattr(figure, part) for figure in figures]) for part in ("value", "lower", "upper"))
    svg = plots.effects(
        list(effects), Band(x=np.arange(len(figures)), y=y, lower=lower, upper=upper), unit=unit, reference=reference,
        predicted=[predicted[name] for name in effects],
    )  # fmt: skip
    rows = [(name, with_interval(figure), f"{predicted[name]:.4g}") for name, figure in effects.items()]
    return Section(
        title="What each option does in the mean",
        text=(
            (
                f"The mean prediction that is furthest off is {miss:.2f} times as far from what was found as chance explains: both rest on patients "
                "that were drawn, those that were learnt from and those that were held out."
            ),
        ),
        table=table(("", f"found, against {reference} ({unit})", f"predicted ({unit})"), rows),
        plots=(Plot(svg=svg, caption=f"Mean effect against {reference}, in {unit}, with its interval, and what was predicted in the mean."),),
    )


def intervals_hold(coverage: Mapping[str, Figure], learner: Learner, *, level: float) -> Section:
    """The share of intervals of outcomes and effects that hold the truth, in trials that were simulated."""
    return Section(
        title="Whether intervals hold",
        text=(
            (
                f"A {level:.0%} interval that comes with an answer is of the mean outcome, or effect, of patients with the same record: where one "
                "patient will be is far less certain."
            ),
            (
                "What is true is known of no patient, so whether intervals hold it is measured in simulated trials: the patients that were learnt "
                "from, with the effects that were learnt as the truth, given options by chance, and all learnt anew. What resamples of the patients "
                "leave out, such as how much the learner's first regressions depend on the draw, is made up for by as much as other simulated trials "
                f"asked for: intervals of outcomes are {learner.outcome_stretch:.2f} times as wide as the resamples', and those of effects "
                f"{learner.effect_stretch:.2f} times."
            ),
        ),
        table=table(("", "found"), [(called(figure.name), with_interval(figure)) for figure in coverage.values()]),
        beneath=explained(coverage),
    )


def effects_hold(slopes: Sequence[tuple[str, Figure]], calibration: Mapping[str, Band], *, unit: str) -> Section:
    """Whether who was said to gain more does."""
    text = (
        (
            "The slope of the effects that were found on those that were predicted: 1 where they hold, 0 where who is said to gain more doesn't. "
            "Where the interval has both 0 and 1, these patients don't show whether effects differ between patients as predicted."
        ),
    )
    shown = tuple(
        Plot(
            svg=plots.agreement(band, unit=unit), caption=f"{name}: predicted effect, and the mean effect that was found, in fifths of the patients."
        )
        for name, band in calibration.items()
    )
    return Section(
        title="Whether effects hold", text=text, table=table(("", "slope"), [(name, with_interval(each)) for name, each in slopes]), plots=shown
    )
