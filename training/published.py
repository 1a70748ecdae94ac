"""What can be done with a version that a run has published: measured again, read about, and published into another repository."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from numpy.typing import NDArray

from medserve.repository import EXTRA, MANIFEST, RepositoryError, read_manifest, version_folder, versions, weights_digest
from training import gates, serving
from training import publish as repository
from training.job import Job
from training.run import REPORT

Say = Callable[[str], None]
# What a kernel of another machine makes of the same weights differs by rounding, and so may what falls on one side of a threshold.
_TOLERANCE = 1e-6


def evaluate(job: Job, root: Path, version: int | None, *, say: Say) -> bool:
    """Asks a version, the newest where None, about the held-out items; returns whether its figures are those that its manifest has.

    Raises RepositoryError where it was fitted to another data set or can't be read, NotServed or OSError.
    """
    from training.export import SIGNATURE  # noqa: PLC0415 - it takes seconds

    number, folder = _found(job, root, version)
    manifest = read_manifest(folder)
    published = {metric.name: metric for metric in manifest.metrics}
    data = job.load()
    if manifest.training_data.name != data.name:
        # Among these held-out items there may be some that it has learnt from.
        message = f"{job.name} version {number} was fitted to {manifest.training_data.name}, and not to {data.name}: choose the set with --data"
        raise RepositoryError(message)
    (given,) = job.facts().inputs

    def ask(inputs: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        return serving.ask(folder, model=job.name, version=number, signature_name=SIGNATURE, inputs={given.name: inputs}).outputs

    say(f"asking version {number} about {len(data.held_out)} held-out items")
    is_same = True
    for figure in job.task.evaluate(ask, data):
        metric = published.get(figure.name)
        same = metric is not None and abs(metric.value - figure.value) <= _TOLERANCE * max(1.0, abs(metric.value))
        is_same &= same
        was = "not in its manifest" if metric is None else "as published" if same else f"published as {metric.value:.4f}"
        say(f"held-out {figure}: {was}")
    return is_same


def report(job: Job, root: Path, version: int | None) -> Path:
    """The file of a version's report, the newest's where None. Raises RepositoryError where there is none."""
    number, folder = _found(job, root, version)
    file = folder / EXTRA / REPORT
    if not file.exists():
        message = f"{job.name} version {number} has no report: it wasn't made by a run"
        raise RepositoryError(message)
    return file


def publish(job: Job, source: Path, version: int | None, root: Path, *, say: Say) -> int:
    """Publishes a version of one repository into another, under the next number there, and returns that.

    It is whole, says all of itself and answers its golden inputs as it did, or nothing is published. Raises NotEarned, NotServed, RepositoryError or
    OSError.
    """
    from training.export import SIGNATURE  # noqa: PLC0415 - it takes seconds

    number, folder = _found(job, source, version)
    manifest = read_manifest(folder)
    if weights_digest(folder) != manifest.weights_digest:
        message = f"{folder} isn't as it was published: its files have another digest than its manifest; take another version"
        raise RepositoryError(message)

    def write(staging: Path, new: int) -> None:
        shutil.copytree(folder, staging, dirs_exist_ok=True)
        manifest.version = new
        (staging / EXTRA / MANIFEST).write_text(json_format.MessageToJson(manifest, indent=2) + "\n", encoding="utf-8")
        parity, served = serving.ask_golden(staging, model=job.name, version=new, signature_name=SIGNATURE)
        evidence = gates.Evidence(parity=parity, p50_seconds=served.p50_seconds, manifest=manifest)
        asked = [gate for gate in job.gates if not isinstance(gate, gates.OF_FIGURES)]
        verdicts = gates.judge(asked, evidence)
        for verdict in verdicts:
            say(f"gate {verdict.gate}: {'passed' if verdict.passed else 'NOT passed'}: {verdict.reason}")
        gates.require(verdicts)

    repository.prepare(root, job.name)
    new = repository.publish(root, job.name, write)
    say(f"published version {number} of {source} as version {new} in {root / job.name / str(new)}")
    return new


def _found(job: Job, root: Path, version: int | None) -> tuple[int, Path]:
    number = version if version is not None else max(versions(root, job.name), default=None)
    if number is None:
        message = f"no version of {job.name} in {root}: `python -m training run {job.name} --repository {root}` makes one"
        raise RepositoryError(message)
    return number, version_folder(root, job.name, number)
