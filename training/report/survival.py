"""What a report says of predicted survival."""

from collections.abc import Mapping

from training.evaluate import Figure
from training.report import plots
from training.report.figures import with_interval
from training.report.glossary import called
from training.report.page import Plot, Section
from training.report.plots import Band


def calibration(band: Band, *, days: float, error: float) -> Section:
    """The predicted chance of the event by a day against what Kaplan and Meier found, in groups of equally many patients."""
    x, y = f"predicted chance of the event by day {days:g}", "share that had it (Kaplan-Meier)"
    return Section(
        title="Whether chances hold",
        text=(f"By day {days:g}, in {len(band.x)} groups of equally many patients; they are off by {error:.4f} in the mean.",),
        plots=(Plot(svg=plots.reliability({"model": band}, x=x, y=y), caption=f"The {x}, and the share that had it, with 95% intervals."),),
    )


def groups(curves: Mapping[str, Band]) -> Section:
    """What became of patients by the risk that was predicted of them."""
    caption = "The share without the event over time (Kaplan-Meier), by predicted risk."
    text = "Held-out patients by their predicted risk, which is cut where the validation patients' risks are cut into thirds."
    return Section(title="What became of whom", text=(text,), plots=(Plot(svg=plots.survival(curves), caption=caption),))


def naive(brier: Figure) -> Section:
    """What there would be without a model."""
    return Section(
        title="Without a model", text=(f"The same curve for everybody, of the training patients, has {called(brier.name)} {with_interval(brier)}.",)
    )
