"""A search for better settings of a job's plan.

Settings are proposed by Optuna's tree-structured Parzen estimator (J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011). Trials are
compared on validation items; the held-out ones aren't even handed to a trial. What the best trial shows is the least of many figures of the same
items, and so is too good: only a run of the job, on held-out items, says whether the settings are better.

A trial's settings depend on the seed and on the trials that ended before, and on nothing else. So a search that was killed and begun again comes to
what it would have come to.

A trial is given up where half of those before were better by then (`search_pruning`); the job's own settings never are.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.arguments import at_least
from training.dataset import Dataset
from training.fitting import checkpoint
from training.fitting.fit import Diverged, GivenUp
from training.fitting.monitor import Limits
from training.job import Job
from training.search_found import FIGURE, Found, Tried
from training.search_pruning import limits
from training.search_space import Number, OneOf, Space, Whole, around
from training.search_study import named, study
from training.tasks.classification import Classification
from training.tasks.survival import Survival
from training.tasks.task import Bench

if TYPE_CHECKING:
    import optuna

Say = Callable[[str], None]
Learns = Classification | Survival
"""The tasks that fit a network by a plan."""

_CHECKPOINTS = "checkpoints"
_SECONDS, _OF_EPOCHS = "seconds", "of_epochs"


class NothingToSearch(ValueError):
    """The job's task isn't fitted by a plan."""


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


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", jobs: Iterable[str]) -> None:
    """Adds `search` to the commands; `run` is what it does."""
    searching = commands.add_parser("search", help="look for better settings of a job's plan, on validation items")
    searching.add_argument("job", choices=jobs)
    searching.add_argument("--trials", type=at_least(1), default=20, help="how many, those that were done before included (default: 20)")
    # One to fit and one to validate.
    searching.add_argument("--limit", type=at_least(2), help="fit to and validate on this many items only")
    searching.add_argument("--storage", type=Path, help="a folder that a search which was killed goes on from; made where there is none")


def run(job: Job, arguments: argparse.Namespace, say: Say) -> bool:
    """Searches as the command asks; returns whether the job could be searched. Raises as `search` does."""
    try:
        task = _planned(job)
    except NothingToSearch as error:
        say(str(error))
        return False
    data = job.load()
    if arguments.limit is not None:
        some = slice(arguments.limit)
        data = replace(data, training=data.training.of(some), validation=data.validation.of(some))
    say(f"{data.items_to_learn} items of {data.name} to train on, {len(data.validation)} to compare by")
    found = search(job, data, task.space or around(task.plan), trials=arguments.trials, storage=arguments.storage, say=say)
    for line in str(found).splitlines():
        say(line)
    say("the figure of the best of many is too good: run the job with these settings to measure them on held-out items")
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """What a trial shows: the loss on validation items in the epoch whose weights come out, None where none do, and that of each epoch."""

    value: float | None
    of_epochs: tuple[float, ...]


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
            self.say(f"trial {len(tried)}/{trials}: {tried[-1].line(best)}")
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
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        to_keep = limits([each.user_attrs[_OF_EPOCHS] for each in complete], figure=FIGURE, epochs=self.task.plan.epochs)
        shown = self._shown(_settings(self.space, trial.params), to_keep)
        trial.set_user_attr(_OF_EPOCHS, shown.of_epochs)
        trial.set_user_attr(_SECONDS, time.monotonic() - began)
        if shown.value is None:
            # The estimator takes a pruned trial for worse than all others, the worse the earlier it was given up and the worst where it told of no
            # epoch. From one that failed it doesn't learn.
            if shown.of_epochs and np.isfinite(shown.of_epochs[-1]):
                trial.report(shown.of_epochs[-1], len(shown.of_epochs))
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, shown.value)

    def _shown(self, settings: Mapping[str, Any], limits: Limits | None) -> "_Shown":
        """What a fit with these settings shows on validation items."""
        import keras  # noqa: PLC0415 - it takes seconds
        import tensorflow as tf  # noqa: PLC0415

        # Graphs of the trial before go.
        keras.utils.clear_session()
        gc.collect()
        task = replace(self.task, plan=replace(self.task.plan, **settings, limits=limits))
        try:
            fitted = task.fit(self.data.training, self.data.validation, Bench(say=_not_said, checkpoints=self.checkpoints))
        except (Diverged, GivenUp, tf.errors.ResourceExhaustedError) as error:
            self._clear()
            return _Shown(value=None, of_epochs=_of_epochs(error.history) if isinstance(error, GivenUp) else ())
        self._clear()
        value = fitted.history[fitted.epoch - 1][FIGURE]
        # What comes to no figure tells of no epoch either: by that it is told from what was given up.
        return _Shown(value=value, of_epochs=_of_epochs(fitted.history)) if np.isfinite(value) else _Shown(value=None, of_epochs=())

    def _clear(self) -> None:
        """Removes the checkpoints of a trial that has ended."""
        if self.checkpoints is not None:
            checkpoint.clear(self.checkpoints)

    def _tried(self) -> list[Tried]:
        """Those that ended."""
        from optuna.trial import TrialState  # noqa: PLC0415 - slow to import

        ended = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return [
            Tried(
                settings=_settings(self.space, each.params),
                value=each.value if each.state == TrialState.COMPLETE else None,
                given_up=(len(each.user_attrs[_OF_EPOCHS]) or None) if each.state == TrialState.PRUNED else None,
                seconds=each.user_attrs[_SECONDS],
            )
            for each in ended
        ]


def _of_epochs(history: Sequence[Mapping[str, float]]) -> tuple[float, ...]:
    return tuple(figures[FIGURE] for figures in history)


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


def _not_said(_: str) -> None:
    """A trial's epochs aren't told."""
