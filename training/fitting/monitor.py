"""Figures that are watched from epoch to epoch, because something is to happen when they no longer improve."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from training.fitting.checks import is_count, is_number, require


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitor:
    """A figure that is to get better, and for how long it may fail to.

    Attributes:
        figure: its name, as in the history: `loss` and the metrics' names, with `val_` before them on validation items.
        mode: whether less or more is better.
        least_improvement: what doesn't better the best by more than so much is no improvement.
        patience: how many epochs may pass without one.
    """

    figure: str = "val_loss"
    mode: Literal["min", "max"] = "min"
    least_improvement: float = 0.0
    patience: int = 5

    def __post_init__(self) -> None:
        """Raises ValueError where a field is out of its range."""
        require(self.mode in ("min", "max"), "mode", "min or max", self.mode)
        require(is_number(self.least_improvement, least=0), "least_improvement", "0 or more", self.least_improvement)
        require(is_count(self.patience), "patience", "1 or more epochs", self.patience)


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyStopping(Monitor):
    """Stops where the figure didn't improve for `patience` epochs.

    Attributes:
        restore_best: whether the weights that come out are those of the best epoch, whether or not it stopped, or those of the last.
    """

    restore_best: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ReduceOnPlateau(Monitor):
    """Multiplies the learning rate by `factor`, down to `lowest`, where the figure didn't improve for `patience` epochs; then waits anew."""

    patience: int = 3
    factor: float = 0.5
    lowest: float = 1e-6

    def __post_init__(self) -> None:
        """Raises ValueError where a field is out of its range."""
        # A dataclass with slots is another class than the one that `super()` would mean.
        Monitor.__post_init__(self)
        require(is_number(self.factor, above=0) and self.factor < 1, "factor", "above 0 and below 1", self.factor)
        require(is_number(self.lowest, least=0), "lowest", "0 or more", self.lowest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """By when a figure has to be how good for a fit to go on: what came of others, such as a search's trials before, is known when it begins.

    Attributes:
        of_epochs: after each epoch, from the first on, what the best of the figure so far may be at most; None, and after the last of them, anything.
        figure: as of a `Monitor`; less is better.
    """

    of_epochs: tuple[float | None, ...]
    figure: str = "val_loss"

    def __post_init__(self) -> None:
        """Raises ValueError where a limit is no number."""
        require(all(limit is None or is_number(limit) for limit in self.of_epochs), "of_epochs", "finite numbers, or None", self.of_epochs)

    def are_kept(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Whether a fit with these figures, of each epoch so far, goes on. What isn't a number is never the best."""
        limit = self.of_epochs[len(history) - 1] if 0 < len(history) <= len(self.of_epochs) else None
        return limit is None or any(figures[self.figure] <= limit for figures in history)


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How it stands with a monitored figure: the best so far, in which epoch (from 0), and the epochs without an improvement since."""

    best: float | None = None
    best_epoch: int = 0
    epochs: int = 0

    def after(self, epoch: int, value: float, monitor: Monitor) -> Self:
        """How it stands after one more epoch. What isn't a number is no improvement."""
        gain = math.inf if self.best is None else (self.best - value if monitor.mode == "min" else value - self.best)
        if not math.isnan(value) and gain > monitor.least_improvement:
            return type(self)(best=value, best_epoch=epoch)
        return type(self)(best=self.best, best_epoch=self.best_epoch, epochs=self.epochs + 1)
