"""The version that a candidate is held against: which one it is, and what it answers to the candidate's held-out items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medserve.repository import RepositoryError, read_manifest, version_folder, versions
from training import gates, golden, serving
from training.dataset import Dataset, Part
from training.evidence import resampling
from training.job import Job
from training.tasks.task import Task, by_patient

Say = Callable[[str], None]
# Thousands of heartbeats take a recurrent network a minute, one by one.
_ITEMS_A_CALL = 64
NOT_ASKED_FOR = "--no-stable was given"
# What one set of weights answers differs by rounding, where it is asked about other batches or elsewhere (as `golden.Parity.difference` is told).
_SAME = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stable:
    """A version to be no worse than, or why there is none.

    Attributes:
        version: its number; None where nothing is compared.
        why_none: why, for people; empty where something is.
        doubt: why it may seem better on the held-out items than it is, for people; empty where nothing speaks for it.
        answers: what it answers to the held-out items, [items, …] each, by output.
    """

    version: int | None = None
    why_none: str = ""
    doubt: str = ""
    answers: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def beside(
        self, evidence: gates.Evidence, candidate: Mapping[str, NDArray[Any]], task: Task, held_out: Part, *, asked: Sequence[gates.Gate]
    ) -> gates.Evidence:
        """What is known of a candidate, with its answers beside these by the figures that are asked for."""
        figures = {gate.figure for gate in asked if isinstance(gate, gates.NotWorse)}
        mine, theirs = (task.scores(answers, held_out) for answers in (candidate, self.answers))
        same = bool(self.answers) and golden.compare(self.answers, candidate).difference <= _SAME
        paired: dict[str, gates.Scores | gates.Resamples] = {
            name: gates.Scores(candidate=mine[name], stable=theirs[name], groups=held_out.patients, same_answers=same)
            for name in figures & mine.keys() & theirs.keys()
        }
        if more := figures - paired.keys():
            mine_of, theirs_of = (task.statistics(answers, held_out) for answers in (candidate, self.answers))
            for name in more & mine_of.keys() & theirs_of.keys():
                resamples = resampling.paired(mine_of[name], theirs_of[name], by_patient(held_out, task.seed))
                paired[name] = replace(resamples, same_answers=same)
        return replace(evidence, stable_version=self.version, not_compared=self.why_none, doubt=self.doubt, paired=paired)


def is_compared(asked: Sequence[gates.Gate]) -> bool:
    """Whether a gate among these holds a candidate against a version."""
    return any(isinstance(gate, gates.NotWorse) for gate in asked)


def newest(root: Path, model: str, data: str) -> tuple[int, Path] | None:
    """The newest version that was fitted to the data set of this name and is no trial, and its folder; None where there is none.

    A version without a manifest that can be read says neither, and is passed over.
    """
    for version in reversed(versions(root, model)):
        folder = version_folder(root, model, version)
        try:
            manifest = read_manifest(folder)
        except (RepositoryError, OSError):
            continue
        if manifest.training_data.name == data and not manifest.provenance.trial:
            return version, folder
    return None


def doubt(folder: Path, data: Dataset, *, who: str) -> str:
    """Why a version may seem better on these held-out items than it is, for people: by its manifest it was fitted to another state of the data.

    Rows that were added, cleaned or cut otherwise may be held out now that it has learnt from. Empty where the items of all parts are the same.
    """
    from training.export import digest_of_data  # noqa: PLC0415 - it takes seconds

    try:
        same = read_manifest(folder).training_data.digest == digest_of_data(data)
    except (RepositoryError, OSError):
        same = False
    return "" if same else f"{who} was fitted to other items, or to another cut of them, and may know some that are held out now"


def answered(job: Job, folder: Path, version: int, data: Dataset, *, say: Say) -> Mapping[str, NDArray[Any]]:
    """What a version answers to each held-out item, [items, …], by output. Raises NotServed where it can't be asked."""
    from training.export import SIGNATURE  # noqa: PLC0415 - it takes seconds

    (given,) = job.facts().inputs
    say(f"asking version {version} about the same {len(data.held_out)} held-out items")
    inputs = {given.name: data.held_out.inputs}
    return serving.ask(folder, model=job.name, version=version, signature_name=SIGNATURE, inputs=inputs, items_a_call=_ITEMS_A_CALL).outputs


def found(job: Job, root: Path, data: Dataset, version: int | None, *, say: Say) -> Stable:
    """The version of that number, or the newest one of the same data set, asked about the held-out items.

    The newest one isn't asked where it was fitted to another state of the data: on items that it has learnt from nobody is as good as it. One of a
    number that somebody gave is, with that doubt. Raises RepositoryError where there is no such version, and NotServed where it can't be asked.
    """
    chosen = newest(root, job.name, data.name) if version is None else (version, version_folder(root, job.name, version))
    if chosen is None:
        return Stable(why_none=f"no version of {data.name} is published here, trials apart")
    number, folder = chosen
    why = doubt(folder, data, who=f"version {number}")
    if why and version is None:
        return Stable(why_none=f"{why}; --stable {number} compares all the same")
    try:
        return Stable(version=number, doubt=why, answers=answered(job, folder, number, data, say=say))
    except serving.NotServed as error:
        remedy = "name another with --stable, or give --no-stable"
        message = f"version {number}, which the new one isn't to be worse than, can't be asked; {remedy}: {error}"
        raise serving.NotServed(message) from None
