"""When a trial of a search is given up: after an epoch by which half of the trials before were better.

It is Optuna's `MedianPruner`, with five trials before the first that may be given up. That is asked after each epoch of a trial; here, where one
trial comes after the other, its answers are known before the trial begins. So they are numbers in the trial's plan, the fit needs nobody to ask, and
a trial that was killed goes on with the same ones.
"""

from collections.abc import Sequence

import numpy as np

from training.fitting.monitor import Limits

FEWEST = 5
"""How many trials have to have come through an epoch for their median to be a limit."""

_UNJUDGED = 0.1


def unjudged(epochs: int) -> int:
    """After how many epochs of a plan no trial is given up: a tenth, in which a low learning rate looks worse than it is."""
    return max(1, round(_UNJUDGED * epochs))


def limits(told: Sequence[Sequence[float]], *, figure: str, epochs: int) -> Limits | None:
    """What the next trial's fit has to keep; None where that is nothing yet.

    `told` is the figure of each epoch of each trial that wasn't given up; `epochs` is how many the job's own plan has.
    """
    of_epochs: list[float | None] = []
    for number in range(max(map(len, told), default=0)):
        there = [values[number] for values in told if number < len(values) and np.isfinite(values[number])]
        of_epochs.append(float(np.median(there)) if number >= unjudged(epochs) and len(there) >= FEWEST else None)
    return None if all(limit is None for limit in of_epochs) else Limits(of_epochs=tuple(of_epochs), figure=figure)
