"""Fits a network by a plan, so that a fit which was killed and begun again comes to the weights that it would have come to.

On the CPU of one machine, with the same versions, these are the same bit for bit, whatever was done between. Three things make it so: the order of
an epoch's items is a function of the seed and the epoch's number; dropout and augmentation draw from seed generators, which count their draws in
variables; and a checkpoint holds every variable that a step changes. So a layer has to draw from a `keras.random.SeedGenerator` of its own, as all
of Keras's do. On a GPU the order of additions is left to cuDNN.

The loop is here and not in `model.fit`, which can begin at an epoch's start only.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from training.fitting.class_weights import weighted
from training.fitting.events import Events
from training.fitting.identity import identity
from training.fitting.keeper import Keeper, Standing
from training.fitting.monitor import EarlyStopping, ReduceOnPlateau
from training.fitting.network import Network, compiled, precision
from training.fitting.plan import Plan
from training.fitting.progress import Watcher, is_told, line, watcher
from training.fitting.source import Source

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Say = Callable[[str], None]


class Diverged(ArithmeticError):
    """The loss or a weight is no longer a number."""


class GivenUp(Exception):
    """The plan's limits weren't kept, and nothing came out. `history` is each epoch's figures by name, as of `Fitted`."""

    def __init__(self, history: tuple[Mapping[str, float], ...]) -> None:
        super().__init__(f"given up after epoch {len(history)}: others were better by then")
        self.history = history


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fitted:
    """What came out.

    Attributes:
        model: what `build` made, fitted.
        history: each epoch's figures by name; those on validation items begin with `val_`.
        epoch: whose weights these are, counted from 1.
        seconds: spent, over all runs.
        seconds_before: of these, spent by earlier processes, from whose checkpoint this one went on.
    """

    model: "keras.Model"
    history: tuple[Mapping[str, float], ...]
    epoch: int
    seconds: float
    seconds_before: float = 0.0


def fit(
    build: Callable[[], "keras.Model"],
    plan: Plan,
    training: Source,
    validation: Source | None = None,
    *,
    checkpoints: Path | None = None,
    events: Path | None = None,
    say: Say,
) -> Fitted:
    """Makes the network and fits it to `training`; `say` is told how it goes: of each epoch where a bar shows it on a terminal, otherwise of some.

    Where the folder `checkpoints` holds those of this same fit, it goes on from the newest; where that one had finished, what had come out comes out
    again. They stay when the fit ends: `checkpoint.clear` removes them. Each epoch's figures go below the folder `events`, for TensorBoard.

    Raises ValueError where plan and sources don't go together, NotThisFit where the checkpoints are of another fit, Diverged where loss or weights
    are no longer numbers, GivenUp where the plan's limits aren't kept, and OSError where a folder can't be used.
    """
    import keras  # noqa: PLC0415 - it takes seconds

    source = weighted(training, plan.class_weights)
    steps = source.steps(plan.batch_size)
    keras.utils.set_random_seed(plan.seed)
    with precision(plan):
        model = build()
        fitted = compiled(model, plan, steps=steps)
    in_order = None if validation is None else validation.epoch(0, batch_size=plan.batch_size, seed=None)
    spec = source.epoch(0, batch_size=plan.batch_size, seed=plan.seed).element_spec
    network = Network(fitted, training=spec, validation=spec if in_order is None else in_order.element_spec)
    _require_monitored(plan, list(network.figures()), validated=validation is not None)
    keeper, standing = None, None
    if checkpoints is not None:
        named = identity(fitted, plan, source, validation)
        keeper = Keeper(checkpoints, identity=named, variables=network.variables(), seconds=plan.checkpoint_seconds)
        standing = keeper.restore(say)
        if standing is not None:
            where = "a fit that had finished" if standing.finished else f"epoch {standing.epoch + 1}, after step {standing.step}"
            say(f"going on from the checkpoint of {where}, in {checkpoints}")
    standing = standing or Standing()
    before = standing.seconds
    with closing(Events(events)) if events is not None else nullcontext() as written:
        run = _Run(network=network, plan=plan, source=source, validation=in_order, keeper=keeper, events=written, say=say, standing=standing)
        done = standing.epoch * (steps or 0) + standing.step
        with watcher(epochs=plan.epochs, steps=steps, done=done) as watching:
            run.to_the_end(watching)
    standing = run.standing
    epoch = standing.epoch if standing.best is None else standing.stopping.best_epoch + 1
    return Fitted(model=model, history=standing.history, epoch=epoch, seconds=standing.seconds, seconds_before=before)


def _require_monitored(plan: Plan, names: list[str], *, validated: bool) -> None:
    figures = names + [f"val_{name}" for name in names if validated]
    for monitor in plan.monitors:
        if monitor.figure not in figures:
            message = f"{type(monitor).__name__}: no figure {monitor.figure!r}; there are {', '.join(figures)}"
            raise ValueError(message)


@dataclass(kw_only=True, slots=True)
class _Run:
    """A fit under way: its parts, and where it stands."""

    network: Network
    plan: Plan
    source: Source
    validation: "tf.data.Dataset | None"
    keeper: Keeper | None
    events: Events | None
    say: Say
    standing: Standing
    began: float = field(init=False)
    told: float = field(init=False, default=-math.inf)
    untold: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.began = time.monotonic() - self.standing.seconds

    def to_the_end(self, watching: Watcher) -> None:
        """Epoch by epoch."""
        while not self.standing.finished:
            self._steps(watching)
            self._end_epoch(is_brief=not watching.is_seen)
        self._tell_epoch()

    def _tell_epoch(self) -> None:
        """Says of the last epoch how it went, if that wasn't said."""
        if self.untold:
            self.say(self.untold)
            self.untold, self.told = "", time.monotonic()

    def _tell(self, message: str) -> None:
        """Says what became of an epoch, after how it went."""
        self._tell_epoch()
        self.say(message)

    def _stand(self, standing: Standing) -> None:
        self.standing = replace(standing, seconds=time.monotonic() - self.began)
        if self.keeper is not None:
            self.keeper.keep(self.standing)

    def _steps(self, watching: Watcher) -> None:
        """What is left of an epoch."""
        standing = self.standing
        if standing.step == 0:
            self.network.model.reset_metrics()
        batches = self.source.epoch(standing.epoch, batch_size=self.plan.batch_size, seed=self.plan.seed, first=standing.step)
        for step, figures in enumerate(self.network.train(batches), start=standing.step + 1):
            watching.stepped(standing.epoch, step, figures)
            self._stand(replace(standing, step=step))
        if self.standing.step == 0:
            message = f"training: no items came in epoch {standing.epoch + 1}"
            raise ValueError(message)

    def _end_epoch(self, *, is_brief: bool) -> None:
        """Evaluates, and decides how it goes on."""
        plan, standing, epoch = self.plan, self.standing, self.standing.epoch
        figures = self.network.figures()
        # One that isn't a number may hide: a rectifier turns it into 0, and the loss stays finite.
        if not math.isfinite(figures["loss"]) or not self.network.is_finite():
            message = f"epoch {epoch + 1}: loss or weights are no numbers any more; lower the learning rate, clip the gradients, or look for gaps"
            raise Diverged(message)
        if self.validation is not None:
            figures |= {f"val_{name}": value for name, value in self.network.evaluate(self.validation).items()}
        learning_rate = self.network.learning_rate
        self.untold = line(epoch, plan.epochs, figures, time.monotonic() - self.began)
        if not is_brief or is_told(epoch, plan.epochs, seconds=time.monotonic() - self.told):
            self._tell_epoch()
        if self.events is not None:
            self.events.write(epoch, figures, learning_rate=learning_rate)
        standing = replace(standing, epoch=epoch + 1, step=0, history=(*standing.history, figures), finished=epoch + 1 == plan.epochs)
        if plan.limits is not None and not plan.limits.are_kept(standing.history):
            raise GivenUp(standing.history)
        if isinstance(plan.schedule, ReduceOnPlateau):
            standing = self._reduced(standing, plan.schedule, learning_rate)
        if plan.early_stopping is not None:
            standing = self._watched(standing, plan.early_stopping)
        self._stand(standing)

    def _watched(self, standing: Standing, stopping: EarlyStopping) -> Standing:
        """Whether it is over, and with which weights."""
        waiting = standing.stopping.after(standing.epoch - 1, standing.history[-1][stopping.figure], stopping)
        best = self.network.model.get_weights() if stopping.restore_best and waiting.epochs == 0 else standing.best
        is_over = waiting.epochs >= stopping.patience
        if is_over:
            self._tell(f"stopped: no better {stopping.figure} since epoch {waiting.best_epoch + 1}")
        standing = replace(standing, stopping=waiting, best=best, finished=standing.finished or is_over)
        if standing.finished and best is not None:
            self.network.model.set_weights(best)
            self._tell(f"weights are those of epoch {waiting.best_epoch + 1}, with a {stopping.figure} of {waiting.best:.4f}")
        return standing

    def _reduced(self, standing: Standing, schedule: ReduceOnPlateau, learning_rate: float) -> Standing:
        """With a lower rate where it is time for one."""
        waiting = standing.plateau.after(standing.epoch - 1, standing.history[-1][schedule.figure], schedule)
        if waiting.epochs >= schedule.patience:
            waiting = replace(waiting, epochs=0)
            reduced = max(learning_rate * schedule.factor, schedule.lowest)
            if reduced < learning_rate:
                self.network.learning_rate = reduced
                self._tell(f"learning rate reduced to {reduced:.3g}: no better {schedule.figure} since epoch {waiting.best_epoch + 1}")
        return replace(standing, plateau=waiting)
