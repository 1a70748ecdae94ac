"""What a report says of how curves were made to hold, how far each may be off, and what acting on them comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluate import Figure
from training.evidence.kaplan_meier import Group
from training.evidence.operating_point import OperatingPoint
from training.evidence.recalibration import Recalibration
from training.report.figures import with_interval
from training.report.page import Section, table

INTERVAL = (
    "The interval is of the mean risk of patients whose features are like this one's, each day by itself. It has in it what validation patients "
    "leave open of the recalibration: intercept, slope, and what the features say beyond the network. It hasn't in it what the features leave out, "
    "nor that another fit would have learnt other features, so it is rather too narrow: of made-up patients whose curves were known, intervals of "
    "95 % held 86 %. It is none of how long one patient lives."
)
"""What the served interval is of, and what not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """How far held-out curves hold.

    Attributes:
        error: at the horizon, of groups of equally many patients.
        error_by_chance: the same where they hold.
        log_loss: the mean negative log-likelihood of what was seen, in nats.
        integrated_brier: as the figure.
    """

    error: float
    error_by_chance: float
    log_loss: float
    integrated_brier: float


def made_to_hold(learnt: Recalibration, *, before: Held, after: Held, change: Figure, days: float) -> Section:
    """Held-out patients before and after; `change` is that of the log loss."""
    rows = [
        (f"calibration error at {days:g} days", f"{before.error:.4f}", f"{after.error:.4f}"),
        ("the same where chances hold", f"{before.error_by_chance:.4f}", f"{after.error_by_chance:.4f}"),
        ("log loss", f"{before.log_loss:.4f}", f"{after.log_loss:.4f}"),
        ("integrated Brier score", f"{before.integrated_brier:.4f}", f"{after.integrated_brier:.4f}"),
    ]
    by_validation = ", ".join(f"{method} {loss:.4f}" for method, loss in learnt.log_losses.items())
    by_what = f"By recalibration of the hazards' log odds, {learnt}; learnt from {learnt.patients} validation patients."
    text = [
        f"{by_what} On held-out patients the log loss changed by {with_interval(change)}.",
        *([f"Log loss of validation patients, each by what was learnt from the others: {by_validation}."] if by_validation else []),
    ]
    return Section(title="How chances were made to hold", text=tuple(text), table=table(("held-out patients", "before", "after"), rows))


def intervals(thirds: Sequence[Group], tenths: Sequence[Group], *, level: float) -> Section:
    """Kaplan and Meier's curve against the mean interval: `thirds` at the horizon, `tenths` at every day."""
    rows = [
        (
            group.name,
            f"{group.survival:.3f}",
            f"{group.lower:.3f} to {group.upper:.3f}",
            f"{group.found:.3f} ({group.found_lower:.3f} to {group.found_upper:.3f})",
        )
        for group in sorted(thirds, key=lambda group: -group.survival)
    ]
    days = f" at day {thirds[0].days:g}" if thirds else ""
    count = sum(group.is_held for group in tenths)
    held = (
        "Of held-out patients in tenths by predicted risk, at each of the curve's days, what Kaplan and Meier found lies in the patients' mean "
        f"interval in {count} of {len(tenths)} cases. What is found has luck of its own, and a mean interval is wider than one of a mean."
    )
    return Section(
        title="How far a patient's curve may be off",
        text=(f"Each patient's curve has an interval of {level:.0%}. {INTERVAL}", held),
        table=table((f"predicted risk{days}", "survival that was said", "mean interval", "found (Kaplan-Meier)"), rows),
    )


def acting(point: OperatingPoint, figures: Sequence[Figure], *, days: float) -> Section:
    """Calling the event by a day from a risk on: what comes of it on held-out patients."""
    rows = [(figure.name.removesuffix(f"_{days:g}d").replace("_", " "), with_interval(figure)) for figure in figures]
    text = (
        f"The event by day {days:g} is called from a risk of {point.threshold:.3f} on: by {point.chosen_by}. Who was lost before that day is stood "
        "in for by the others (inverse probability of censoring weights)."
    )
    return Section(title=f"Who is called at risk by day {days:g}", text=(text,), table=table(("held-out patients", "found"), rows))
