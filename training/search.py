"""A search for better settings of a job's plan.

Settings are proposed by Optuna's tree-structured Parzen estimator (J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011). Trials are
compared on validation items; the held-out ones aren't even handed to a trial. What the best trial shows is the least of many figures of the same
items, and so is too good: only a run of the job, on held-out items, says whether the settings are better.

A trial's settings depend on the seed and on the trials that ended before, and on nothing else. So a search that was killed and begun again comes to
what it would have come to.

No trial is pruned: `fitting.fit` tells a caller of an epoch in words only. Where the plan has early stopping, that ends a hopeless fit.
"""

import argparse
import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.arguments import at_least
from training.dataset import Dataset
from training.fitting import checkpoint
from training.fitting.fit import Diverged
from training.job import Job
from training.jobs import JOBS
from training.search_space import Number, OneOf, Space, Whole, around, label, written
from training.search_study import named, study
from training.tasks.classification import Classification
from training.tasks.survival import Survival
from training.tasks.task import Bench

if TYPE_CHECKING:
    import optuna

Say = Callable[[str], None]
Learns = Classification | Survival
"""The tasks that fit a network by a plan."""

FIGURE = "val_loss"
_CHECKPOINTS = "checkpoints"
_SECONDS = "seconds"


class NothingToSearch(ValueError):
    """The job's task isn't fitted by a plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A trial: its settings by the plan's fields, its figure, None where the fit came to none, and how long it took."""

    settings: Mapping[str, Any]
    value: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What came of a search.

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
        failed = sum(each.value is None for each in self.tried)
        beside = "" if self.own is None else f"; the job's own settings: {self.own:.4f}"
        without = f", {failed} without a figure" if failed else ""
        spent = f"in {sum(each.seconds for each in self.tried):.0f} s"
        best = ", ".join(f"{name}={written(value)}" for name, value in self.settings.items())
        return f"best {FIGURE} of {len(self.tried)} trials {spent}{without}: {self.value:.4f}{beside}\n{best}"


def search(job: Job, data: Dataset, space: Space, *, trials: int, storage: Path | None, say: Say) -> Found:
    """Tries settings until there are `trials`, the job's own first; `say` is told of each.

    With a folder `storage`, where one process works at a time, a search that was killed goes on: with the trial that it was killed in, and that from
    its checkpoint. Begun again with more trials it goes on as well. Another space, plan, seed or other items are another search in the same folder;
    who changes the network gives another folder.

    Raises NothingToSearch where the task has no plan, ValueError where there is to be no trial or settings don't go with the job, Diverged where no
    trial came to a figure, and OSError where the folder can't be used or another process works in it.
    """
    task = _planned(job)
    if trials < 1:
        message = f"trials: 1 or more, not {trials}"
        raise ValueError(message)
    checkpoints = None if storage is None else storage / _CHECKPOINTS
    with study(named(job.name, task.plan, data, space), storage) as kept:
        return _Search(task=task, data=data, space=space, study=kept, checkpoints=checkpoints, say=say).to_the_end(trials)


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `search` to the commands; `run` is what it does."""
    searching = commands.add_parser("search", help="look for better settings of a job's plan, on validation items")
    searching.add_argument("job", choices=JOBS)
    searching.add_argument("--trials", type=at_least(1), default=20, help="how many, those that were done before included (default: 20)")
    # One to fit and one to validate.
    searching.add_argument("--limit", type=at_least(2), help="fit to and validate on this many items only")
    searching.add_argument("--storage", type=Path, help="a folder that a search which was killed goes on from; made where there is none")


def run(arguments: argparse.Namespace, say: Say) -> bool:
    """Searches as the command asks; returns whether the job could be searched. Raises as `search` does."""
    job, some = JOBS[arguments.job], slice(arguments.limit)
    try:
        task = _planned(job)
    except NothingToSearch as error:
        say(str(error))
        return False
    data = job.load()
    data = replace(data, training=data.training.of(some), validation=data.validation.of(some))
    say(f"{len(data.training)} items of {data.name} to train on, {len(data.validation)} to compare by")
    found = search(job, data, around(task.plan), trials=arguments.trials, storage=arguments.storage, say=say)
    for line in str(found).splitlines():
        say(line)
    say("the figure of the best of many is too good: run the job with these settings to measure them on held-out items")
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    """Its parts. `checkpoints`: a folder for those of the trial that is under way."""

    task: Learns
    data: Dataset
    space: Space
    study: "optuna.Study"
    checkpoints: Path | None
    say: Say

    def to_the_end(self, trials: int) -> Found:
        """Trial by trial."""
        from optuna.trial import TrialState  # noqa: PLC0415 - slow to import

        # What a process that was killed left: it counts as not begun.
        for begun in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.tell(begun.number, state=TrialState.FAIL)
        tried = self._tried()
        if tried:
            self.say(f"going on: {min(len(tried), trials)} of {trials} trials are done")
        while len(tried) < trials:
            self._try(len(tried))
            best = min((each.value for each in tried if each.value is not None), default=None)
            tried = self._tried()
            self.say(f"trial {len(tried)}/{trials}: {_line(tried[-1], best)}")
        found = tried[:trials]
        settings, value = min(((each.settings, each.value) for each in found if each.value is not None), key=lambda pair: pair[1], default=({}, None))
        if value is None:
            message = f"no trial came to a {FIGURE}: look for gaps in the data, or search among lower learning rates"
            raise Diverged(message)
        return Found(settings=settings, value=value, own=found[0].value if self.space.has(self.task.plan) else None, tried=tuple(found))

    def _try(self, number: int) -> None:
        """One trial, from the settings to the figure; `number` have ended before."""
        import optuna  # noqa: PLC0415 - slow to import
        from optuna.trial import TrialState  # noqa: PLC0415

        # A sampler of its own for each: one that went on would begin anew after a kill, and propose what it proposed first.
        self.study.sampler = optuna.samplers.TPESampler(seed=int(np.random.SeedSequence([self.task.seed, number]).generate_state(1)[0]))
        if number == 0 and self.space.has(self.task.plan) and not self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.study.enqueue_trial({name: _kept(self.space, name, getattr(self.task.plan, name)) for name in self.space.settings})
        trial = self.study.ask(fixed_distributions={name: _distribution(among) for name, among in self.space.settings.items()})
        began = time.monotonic()
        value = self._value(_settings(self.space, trial.params))
        trial.set_user_attr(_SECONDS, time.monotonic() - began)
        if value is None:
            # The estimator takes a pruned trial that told of no epoch for worse than all others, and doesn't learn from one that failed.
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, value)

    def _value(self, settings: Mapping[str, Any]) -> float | None:
        """The loss on validation items in the epoch whose weights come out; None where it is no number, or memory doesn't suffice."""
        import keras  # noqa: PLC0415 - it takes seconds
        import tensorflow as tf  # noqa: PLC0415

        # Graphs of the trial before go.
        keras.utils.clear_session()
        gc.collect()
        task = replace(self.task, plan=replace(self.task.plan, **settings))
        try:
            fitted = task.fit(self.data.training, self.data.validation, Bench(say=_not_said, checkpoints=self.checkpoints))
        except (Diverged, tf.errors.ResourceExhaustedError):
            if self.checkpoints is not None:
                checkpoint.clear(self.checkpoints)
            return None
        value = fitted.history[fitted.epoch - 1][FIGURE]
        return value if np.isfinite(value) else None

    def _tried(self) -> list[Tried]:
        """Those that ended."""
        from optuna.trial import TrialState  # noqa: PLC0415 - slow to import

        ended = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return [
            Tried(
                settings=_settings(self.space, each.params),
                value=each.value if each.state == TrialState.COMPLETE else None,
                seconds=each.user_attrs[_SECONDS],
            )
            for each in ended
        ]


def _planned(job: Job) -> Learns:
    if not isinstance(job.task, Classification | Survival):
        message = f"there is nothing to search in {job.name}: a task of the kind {type(job.task).__name__} has no plan, for it isn't fitted by epochs"
        raise NothingToSearch(message)
    return job.task


def _distribution(among: Number | Whole | OneOf) -> "optuna.distributions.BaseDistribution":
    from optuna import distributions  # noqa: PLC0415 - slow to import

    match among:
        case Number():
            return distributions.FloatDistribution(among.low, among.high, log=among.log)
        case Whole():
            return distributions.IntDistribution(among.low, among.high, log=among.log)
        case OneOf():
            return distributions.CategoricalDistribution(among.labels)


def _kept(space: Space, name: str, value: Any) -> Any:  # noqa: ANN401 - a setting
    """A setting as the study keeps it."""
    among = space.settings[name]
    return among.label_of(value) if isinstance(among, OneOf) else value


def _settings(space: Space, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What the study keeps, as a plan takes it."""
    return {name: among.of(kept[name]) if isinstance(among, OneOf) else kept[name] for name, among in space.settings.items()}


def _line(tried: Tried, best: float | None) -> str:
    """`best` is that of the trials before."""
    settings = "  ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {label(value)}" for name, value in tried.settings.items())
    if tried.value is None:
        return f"{settings}: no {FIGURE}, the fit diverged or wanted more memory than there is"
    return f"{settings}: {FIGURE} {tried.value:.4f}{', the best so far' if best is None or tried.value < best else ''}"


def _not_said(_: str) -> None:
    """A trial's epochs aren't told."""
