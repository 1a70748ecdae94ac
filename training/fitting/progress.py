"""How a fit shows where it is: a bar and a line for each epoch on a terminal; elsewhere, as in a log, a line for some of them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

# A loss is fetched from where it was computed, which waits for the step: not at each.
_SECONDS_BETWEEN_LOSSES = 0.25
# Where no bar shows it: so many epochs are told of at least, spread evenly, and one after so many seconds.
_LINES, _SECONDS_BETWEEN_LINES = 20, 30.0


class Watcher(Protocol):
    """Is told of each step."""

    @property
    def is_seen(self) -> bool:
        """Whether a person watches."""

    def stepped(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        """`epoch` counts from 0; `step` is how many of it are done; `figures` are those so far, as tensors."""


class _Nobody:
    is_seen = False

    def stepped(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        """Nothing."""


class _Bar:
    is_seen = True

    def __init__(self, progress: "Progress", task: "TaskID", *, epochs: int, steps: int | None) -> None:
        self._progress, self._task, self._epochs, self._steps = progress, task, epochs, steps
        self._seen = 0.0

    def stepped(self, epoch: int, step: int, figures: Mapping[str, Any]) -> None:
        """Moves the bar, and shows the loss four times a second."""
        said: dict[str, Any] = {"epoch": epoch + 1, "step": step}
        if time.monotonic() - self._seen >= _SECONDS_BETWEEN_LOSSES:
            said["loss"] = f"{float(figures['loss']):.4f}"
            self._seen = time.monotonic()
        # Where nobody knows how many steps there are, the epochs alone move it.
        done = epoch if self._steps is None else epoch * self._steps + step
        self._progress.update(self._task, completed=done, **said)


@contextmanager
def watcher(*, epochs: int, steps: int | None, done: int, console: "Console | None" = None) -> Iterator[Watcher]:
    """A bar with epoch, step, loss and the time that is left, while it is open, where `console` (the standard output) is a terminal.

    `steps` is how many an epoch has, `done` how many of all were done before. What is printed meanwhile stands above the bar.
    """
    from rich.console import Console  # noqa: PLC0415 - where nobody fits, nobody needs it
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = console or Console()
    if not console.is_terminal:
        yield _Nobody()
        return
    of_steps = "" if steps is None else f"/{steps}"
    progress = Progress(
        TextColumn(f"epoch {{task.fields[epoch]}}/{epochs}"),
        BarColumn(bar_width=None),
        TextColumn(f"step {{task.fields[step]}}{of_steps}  loss {{task.fields[loss]}}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        # It goes when the fit ends: the lines that stay say it all.
        transient=True,
    )
    first_epoch, first_step = (0, 0) if steps is None else divmod(done, steps)
    task = progress.add_task("", total=epochs * (steps or 1), completed=done if steps else 0, epoch=first_epoch + 1, step=first_step, loss="…")
    with progress:
        yield _Bar(progress, task, epochs=epochs, steps=steps)


def is_told(epoch: int, epochs: int, *, seconds: float) -> bool:
    """Whether a log is told of an epoch, counted from 0: the first, each of some twenty, and one that ends `seconds` after what was told last.

    The last one is told in any case, by who knows which it is.
    """
    return epoch == 0 or (epoch + 1) % max(1, epochs // _LINES) == 0 or seconds >= _SECONDS_BETWEEN_LINES


def line(epoch: int, epochs: int, figures: Mapping[str, float], seconds: float) -> str:
    """What is said of an epoch, counted from 0: its figures, those on validation items last, and the seconds since the fit began."""
    own = [f"{_words(name)} {value:.4f}" for name, value in figures.items() if not name.startswith("val_")]
    validation = [f"{_words(name.removeprefix('val_'))} {value:.4f}" for name, value in figures.items() if name.startswith("val_")]
    if validation:
        validation[0] = f"validation {validation[0]}"
    return "  ".join([f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}", *own, *validation, f"{seconds:.0f} s"])


def _words(name: str) -> str:
    return name.replace("_", " ")
