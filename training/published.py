"""What can be done with a version that a run has published: measured again, read about, and published into another repository."""

import html
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from numpy.typing import NDArray

from medserve.repository import EXTRA, MANIFEST, RepositoryError, read_manifest, version_folder, versions, weights_digest
from medserve.repository_check import not_plain
from medserve.repository_digests import changed_files
from medserve.v1 import manifest_pb2
from training import gates, serving, stable, summary
from training import publish as repository
from training.dataset import Dataset
from training.job import Job
from training.run import REPORT

Say = Callable[[str], None]
# What a kernel of another machine makes of the same weights differs by rounding, and so may what falls on one side of a threshold.
_TOLERANCE = 1e-6
# After the heading, before the outcome of the run: what is true here comes first.
_HEADING_ENDS = "</h1>\n"


def evaluate(job: Job, root: Path, version: int | None, *, say: Say) -> bool:
    """Asks a version, the newest where None, about the held-out items; returns whether its figures are those that its manifest has.

    Raises RepositoryError where it was fitted to another data set or can't be read, NotServed or OSError.
    """
    from training.export import SIGNATURE  # noqa: PLC0415 - it takes seconds

    number, folder = _found(job, root, version)
    manifest = read_manifest(folder)
    published = {metric.name: metric for metric in manifest.metrics}
    data = _data_of(job, manifest)
    trial = getattr(summary.read(folder), "trial", None)
    if trial is not None and trial.limit is not None:
        say(f"version {number} is a trial, measured on {trial}: asking about those")
        data = data.limited(trial.limit)
    if doubt := stable.doubt(folder, data, who=f"version {number}"):
        say(doubt)
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


def publish(job: Job, source: Path, version: int | None, root: Path, *, against: int | None = None, is_compared: bool = True, say: Say) -> int:
    """Publishes a version of one repository into another, under the next number there, and returns that.

    It is whole and as it was published, no trial, says all of itself, shows what the job asks of figures today by those that it was published with,
    answers its golden inputs as it did, and isn't worse than version `against` there, or the newest one there of the same data set where None, or
    nothing is published. Its report says where it was judged first.

    Raises NotEarned, NotServed, RepositoryError or OSError.
    """
    from training.export import SIGNATURE  # noqa: PLC0415 - it takes seconds

    number, folder = _found(job, source, version)
    manifest = read_manifest(folder)
    _require_publishable(job, number, folder, manifest, say)
    judged = _of_figures(job, number, folder, manifest, say)
    asked = [gate for gate in job.gates if not isinstance(gate, gates.OF_FIGURES) or isinstance(gate, gates.NotWorse)]
    compared = gates.Evidence(not_compared=stable.NOT_ASKED_FOR)
    if is_compared:
        compared = _compared(job, folder, manifest, root, against=against, say=say)

    def write(staging: Path, new: int) -> None:
        _copy(folder, staging)
        manifest.version = new
        (staging / EXTRA / MANIFEST).write_text(json_format.MessageToJson(manifest, indent=2) + "\n", encoding="utf-8")
        write_sample = job.write_sample if gates.ask_gateway(asked) else None
        found = serving.ask_golden(staging, model=job.name, version=new, signature_name=SIGNATURE, write_sample=write_sample)
        evidence = replace(compared, parity=found.parity, p50_seconds=found.served.p50_seconds, gateway=found.gateway, manifest=manifest)
        verdicts = gates.judge(asked, evidence)
        for verdict in verdicts:
            say(str(verdict))
        gates.require(verdicts)
        _note(staging / EXTRA / REPORT, new, number, folder, [*judged, *verdicts])

    repository.prepare(root, job.name)
    new = repository.publish(root, job.name, write)
    say(f"published version {number} of {source} as version {new} in {root / job.name / str(new)}")
    return new


def _of_figures(job: Job, number: int, folder: Path, manifest: manifest_pb2.ModelManifest, say: Say) -> list[gates.Verdict]:
    """What the job asks of figures today, judged by those that the version was published with. Raises NotEarned.

    An earlier release kept fewer of them: a gate that lacks its own is passed over then, and that is said.
    """
    asked = [job.floor, *(gate for gate in job.gates if isinstance(gate, gates.OF_FIGURES) and not isinstance(gate, gates.NotWorse))]
    kept = summary.read(folder)
    evidence = gates.Evidence(
        figures={metric.name: gates.Measured(value=metric.value, lower=metric.lower, upper=metric.upper) for metric in manifest.metrics},
        baseline={} if kept is None else {figure.name: gates.Measured.of(figure) for figure in kept.baseline},
    )
    of_earlier = kept is None or kept.for_gates is None
    if kept is not None and kept.for_gates is not None:
        more = kept.for_gates
        evidence = replace(evidence, figures={**more.measured, **evidence.figures}, differences=more.differences, subgroups=more.groups())
    verdicts = []
    for verdict in gates.judge(asked, evidence):
        if of_earlier and verdict.found is None:
            say(f"gate {verdict.gate}: SKIPPED: version {number} was published by an earlier release, which kept no such figure")
        else:
            say(str(verdict))
            verdicts.append(verdict)
    if verdicts:
        gates.require(verdicts)
    return verdicts


def _require_publishable(job: Job, number: int, folder: Path, manifest: manifest_pb2.ModelManifest, say: Say) -> None:
    """Raises RepositoryError where the version is a trial, or isn't as it was published."""
    if manifest.provenance.trial:
        message = f"{job.name} version {number} in {folder.parent} is a trial: it wasn't held to what its job asks for; publish what a whole run made"
        raise RepositoryError(message)
    changed = changed_files(folder)
    if changed is None:
        say(f"version {number} has no digests: it was published by an earlier release, and only its weights can be told from changed ones")
    if changed or weights_digest(folder) != manifest.weights_digest:
        what = f"changed since then: {', '.join(changed)}" if changed else "its files have another digest than its manifest"
        message = f"{folder} isn't as it was published: {what}; take another version"
        raise RepositoryError(message)
    if strange := not_plain(folder):
        message = f"{strange[0]}: a version has files and folders, and nothing else; take another version"
        raise RepositoryError(message)


def _copy(folder: Path, staging: Path) -> None:
    """Copies a version's files into an empty folder, up to the first that can't be: `shutil.copytree` goes on, and raises a list of all of them."""
    for path in sorted(folder.rglob("*")):
        copy = staging / path.relative_to(folder)
        if path.is_dir():
            copy.mkdir()
        else:
            with path.open("rb") as old, copy.open("xb") as new:
                shutil.copyfileobj(old, new)


def _compared(job: Job, folder: Path, manifest: manifest_pb2.ModelManifest, root: Path, *, against: int | None, say: Say) -> gates.Evidence:
    """The version beside one of the repository that it is to be published into."""
    if against is None and not stable.is_compared(job.gates):
        return gates.Evidence(not_compared="no gate of the job asks for it")
    there = stable.newest(root, job.name, manifest.training_data.name) if against is None else (against, version_folder(root, job.name, against))
    if there is None:
        return gates.Evidence(not_compared=f"no version of {manifest.training_data.name} is published there, trials apart")
    stable_number, stable_folder = there
    if read_manifest(stable_folder).weights_digest == manifest.weights_digest:
        return gates.Evidence(not_compared=f"version {stable_number} there has the same weights")
    data = _data_of(job, manifest)
    of = {"this version": folder, f"version {stable_number} there": stable_folder}
    doubt = "; ".join(filter(None, (stable.doubt(each, data, who=who) for who, each in of.items())))
    if doubt and against is None:
        return gates.Evidence(not_compared=doubt)
    say(f"asking this version and version {stable_number} there")
    mine = stable.answered(job, folder, manifest.version, data, say=say)
    theirs = stable.Stable(version=stable_number, doubt=doubt, answers=stable.answered(job, stable_folder, stable_number, data, say=say))
    return theirs.beside(gates.Evidence(), mine, job.task, data.held_out, asked=job.gates)


def _data_of(job: Job, manifest: manifest_pb2.ModelManifest) -> Dataset:
    """The job's data. Raises RepositoryError where the version was fitted to another set."""
    data = job.load()
    if manifest.training_data.name != data.name:
        # Among these held-out items there may be some that it has learnt from.
        sets = f"was fitted to {manifest.training_data.name}, and not to {data.name}"
        message = f"{job.name} version {manifest.version} {sets}: choose the set with --data"
        raise RepositoryError(message)
    return data


def _note(report: Path, new: int, number: int, folder: Path, verdicts: Sequence[gates.Verdict]) -> None:
    """Says in a copied report which version it is of now, and that the rest was written about it where it was judged first."""
    try:
        page = report.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z"
    judged = "; ".join(f"{verdict.gate}: {verdict.outcome}: {verdict.reason}" for verdict in verdicts)
    words = (
        f"Version {new} of this repository, published here on {when}. It was judged first, and everything below was written, as version {number} "
        f"of {folder.parent}. Judged again here: {judged}."
    )
    note = f'<p class="outcome published">{html.escape(words)}</p>\n'
    report.write_text(page.replace(_HEADING_ENDS, _HEADING_ENDS + note, 1), encoding="utf-8")


def _found(job: Job, root: Path, version: int | None) -> tuple[int, Path]:
    number = version if version is not None else max(versions(root, job.name), default=None)
    if number is None:
        message = f"no version of {job.name} in {root}: `python -m training run {job.name} --repository {root}` makes one"
        raise RepositoryError(message)
    return number, version_folder(root, job.name, number)
