"""What came of a search."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.search_space import label, written

FIGURE = "val_loss"
"""What trials are compared by: as Keras has it, so with what the network's regularisers add, which is the same network's in every trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A trial.

    Attributes:
        settings: by the plan's fields.
        value: its figure; None where the fit came to none.
        given_up: after how many epochs it was given up because others were better by then; None where it wasn't.
        seconds: how long it took.
    """

    settings: Mapping[str, Any]
    value: float | None
    given_up: int | None = None
    seconds: float

    def line(self, best: float | None) -> str:
        """For people; `best` is that of the trials before."""
        settings = "  ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {label(value)}" for name, value in self.settings.items())
        if self.given_up is not None:
            return f"{settings}: given up after {self.given_up} epochs, half of the others were better by then"
        if self.value is None:
            return f"{settings}: no {FIGURE}, the fit diverged or wanted more memory than there is"
        return f"{settings}: {FIGURE} {self.value:.4f}{', the best so far' if best is None or self.value < best else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What came of all.

    Attributes:
        settings: the best, for `dataclasses.replace(plan, **settings)`.
        value: their loss on validation items, in the epoch whose weights came out.
        own: the same of the job's own settings, which are tried first; None where they aren't in the space, or came to none.
        tried: each trial, in order.
    """

    settings: Mapping[str, Any]
    value: float
    own: float | None
    tried: tuple[Tried, ...]

    def __str__(self) -> str:
        """For people; the settings as they are written in a plan."""
        given_up = sum(each.given_up is not None for each in self.tried)
        failed = sum(each.value is None for each in self.tried) - given_up
        beside = "" if self.own is None else f"; the job's own settings: {self.own:.4f}"
        early = f", {given_up} given up early" if given_up else ""
        without = f", {failed} without a figure" if failed else ""
        spent = f"in {sum(each.seconds for each in self.tried):.0f} s"
        best = ", ".join(f"{name}={written(value)}" for name, value in self.settings.items())
        return f"best {FIGURE} of {len(self.tried)} trials {spent}{early}{without}: {self.value:.4f}{beside}\n{best}"
