"""What a report says of how a classification's probabilities were made to hold: by what, on what evidence, and what came of it."""

import numpy as np
from numpy.typing import NDArray

from training import calibration
from training.calibration import Chosen
from training.evidence import resampling
from training.evidence.resampling import Bootstrap
from training.report.figures import with_interval
from training.report.page import Section, table


def made_to_hold(
    chosen: Chosen, before: NDArray[np.floating], after: NDArray[np.floating], labels: NDArray[np.int64], bootstrap: Bootstrap
) -> Section:
    """Calibration error and log loss of held-out items before and after; `before` and `after` are [items, classes], `labels` [items]."""
    losses = [calibration.log_losses(said, labels) for said in (before, after)]
    change = resampling.figure("log_loss_change", lambda rows: float((losses[1][rows] - losses[0][rows]).mean()), bootstrap)
    rows = [
        ("expected calibration error", *(f"{calibration.expected_calibration_error(said, labels):.4f}" for said in (before, after))),
        ("the same where probabilities hold", *(f"{calibration.error_by_chance(said, seed=bootstrap.seed):.4f}" for said in (before, after))),
        ("log loss", *(f"{each.mean():.4f}" for each in losses)),
    ]
    by_validation = ", ".join(f"{name} {value:.4f}" for name, value in chosen.log_losses.items())
    text = [
        f"By {chosen.calibration}, learnt from {chosen.items} validation items. On held-out items the log loss changed by {with_interval(change)}.",
        *([f"Log loss of validation items, each by what was learnt from the others: {by_validation}."] if by_validation else []),
        *([f"Beware: {chosen.warning}."] if chosen.warning else []),
    ]
    return Section(title="How probabilities were made to hold", text=tuple(text), table=table(("held-out items", "before", "after"), rows))
