"""The version that a candidate is held against: which one it is, and what it scores on the candidate's held-out items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medserve.repository import RepositoryError, read_manifest, version_folder, versions
from training import gates, serving
from training.dataset import Dataset, Part
from training.job import Job

Say = Callable[[str], None]
# Thousands of heartbeats take a recurrent network a minute, one by one.
_ITEMS_A_CALL = 64
NOT_ASKED_FOR = "--no-stable was given"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stable:
    """A version to be no worse than, or why there is none.

    Attributes:
        version: its number; None where nothing is compared.
        why_none: why, for people; empty where something is.
        scores: what it scores, [items] each, by the figure's name.
    """

    version: int | None = None
    why_none: str = ""
    scores: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def beside(self, candidate: Mapping[str, NDArray[Any]], held_out: Part) -> dict[str, gates.Scores | gates.Resamples]:
        """The candidate's scores beside these, for the gates."""
        return {
            name: gates.Scores(candidate=candidate[name], stable=scores, groups=held_out.patients)
            for name, scores in self.scores.items()
            if name in candidate
        }


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


def scored(job: Job, folder: Path, version: int, data: Dataset, *, say: Say) -> dict[str, NDArray[Any]]:
    """What a version scores on each held-out item, [items], by the figure's name. Raises NotServed where it can't be asked."""
    from training.export import SIGNATURE  # noqa: PLC0415 - it takes seconds

    (given,) = job.facts().inputs
    say(f"asking version {version} about the same {len(data.held_out)} held-out items")
    inputs = {given.name: data.held_out.inputs}
    served = serving.ask(folder, model=job.name, version=version, signature_name=SIGNATURE, inputs=inputs, items_a_call=_ITEMS_A_CALL)
    return job.task.scores(served.outputs, data.held_out)


def found(job: Job, root: Path, data: Dataset, version: int | None, *, say: Say) -> Stable:
    """The version of that number, or the newest one of the same data set, asked about the held-out items.

    Raises RepositoryError where there is no version of that number, and NotServed where it can't be asked.
    """
    chosen = newest(root, job.name, data.name) if version is None else (version, version_folder(root, job.name, version))
    if chosen is None:
        return Stable(why_none=f"no version of {data.name} is published here, trials apart")
    number, folder = chosen
    try:
        return Stable(version=number, scores=scored(job, folder, number, data, say=say))
    except serving.NotServed as error:
        remedy = "name another with --stable, or give --no-stable"
        message = f"version {number}, which the new one isn't to be worse than, can't be asked; {remedy}: {error}"
        raise serving.NotServed(message) from None
