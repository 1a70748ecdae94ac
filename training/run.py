"""One run of a job: fit, evaluate, judge, publish, and report.

What is published has been served once: the staged version is asked by the embedded model server about its golden inputs before anybody else can
meet it. A run that publishes nothing leaves a report as well, which says why.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medserve.repository import EXTRA, GOLDEN
from training import gates, golden, serving, summary
from training import publish as repository
from training.alone import alone
from training.dataset import Dataset
from training.evaluate import Figure
from training.job import Job
from training.report.card import card
from training.report.figures import figures
from training.report.page import Report, Section, render
from training.tasks import network
from training.tasks.task import Bench, Trained

if TYPE_CHECKING:
    from medserve.v1 import manifest_pb2

REPORT = "medserve_report.html"
CHECKPOINTS = ".checkpoints"
_LOCK = ".run.lock"
_LAST_REPORT = ".last_report.html"
_SIGNATURES = ("Clinical lead", "Data scientist")

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What stands in for a job's own plan.

    Attributes:
        epochs: fewer or more of them.
        limit: trains and tests on the first items of each part only.
        floor: instead of the job's; then no other gate asks for a figure either.
        stable: the version that the candidate isn't to be worse than; None where there is none.
        events: the folder for each epoch's figures, as TensorBoard reads them; None writes none.
    """

    epochs: int | None = None
    limit: int | None = None
    floor: float | None = None
    stable: int | None = None
    events: Path | None = None

    @property
    def is_shortened(self) -> bool:
        """Whether less was done than the job asks for."""
        return self.epochs is not None or self.limit is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """What a job's task made of its data."""

    job: Job
    data: Dataset
    trained: Trained
    seconds: float


def run(job: Job, root: Path, trial: Trial, *, say: Say) -> bool:
    """Trains a job and publishes what it made; returns whether it was good enough.

    A run that was killed goes on from its last checkpoint when it is begun again. Raises AtWork where another run of the job works in the repository,
    and OSError where that can't be written to: both before the training, where it shows by then.
    """
    folder = repository.prepare(root, job.name)
    # Both would write their checkpoints and reports to one place, and each would take the other's for its own.
    with alone(folder / _LOCK, who=f"another run of {job.name}"):
        return _run(job, root, trial, say)


def _run(job: Job, root: Path, trial: Trial, say: Say) -> bool:
    started, folder = time.monotonic(), root / job.name
    say("starting TensorFlow")
    candidate = _train(job, trial, folder / CHECKPOINTS, say)
    floor = job.floor if trial.floor is None else replace(job.floor, least=trial.floor)
    judged = floor.judge(gates.Evidence(figures=_measured(candidate.trained.figures)))
    if not judged.passed:
        remedy = "leave out --epochs and --limit" if trial.is_shortened else "look at the data and the schedule"
        found = "can't be told" if judged.found is None else f"{judged.found:.4f} is below the floor of {floor.least}"
        why = f"nothing published: held-out {floor.figure} {found}; {remedy}, or publish a trial with --floor 0"
        _write_report(folder / _LAST_REPORT, _report(candidate, outcome=why, verdicts=(), manifest=None), say)
        say(why)
        return False

    asked = tuple(gate for gate in job.gates if trial.floor is None or not isinstance(gate, gates.OF_FIGURES))

    def write(staging: Path, version: int) -> None:
        evidence = _stage(candidate, staging, version)
        if trial.stable is not None:
            evidence = replace(evidence, stable_version=trial.stable, paired=_beside(candidate, folder / str(trial.stable), trial.stable, say))
        verdicts = gates.judge((floor, *asked), evidence)
        for verdict in verdicts:
            say(f"gate {verdict.gate}: {'passed' if verdict.passed else 'NOT passed'}: {verdict.reason}")
        passed = all(verdict.passed for verdict in verdicts)
        outcome = f"Published as version {version}." if passed else "Nothing published: a gate was not passed."
        page = _report(candidate, outcome=outcome, verdicts=verdicts, manifest=evidence.manifest, is_published=passed)
        _write_report(folder / _LAST_REPORT, page, say)
        gates.require(verdicts)
        summary.write(staging, _summary(candidate, evidence.p50_seconds))
        (staging / EXTRA / REPORT).write_text(page, encoding="utf-8")

    try:
        version = repository.publish(root, job.name, write)
    except (gates.NotEarned, serving.NotServed) as error:
        say(str(error))
        return False
    say(f"published version {version} in {root / job.name / str(version)} after {time.monotonic() - started:.0f} s")
    return True


def _train(job: Job, trial: Trial, checkpoints: Path, say: Say) -> _Candidate:
    import tensorflow as tf  # noqa: PLC0415 - not before it is needed: it takes seconds

    data = job.load().limited(trial.limit)
    gpus = len(tf.config.list_physical_devices("GPU"))
    device = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "the CPU"
    say(f"{data.items_to_learn} items of {data.name} to train on, {len(data.validation)} to validate, {len(data.held_out)} held out; on {device}")
    began = time.monotonic()
    trained = job.task.train(data, Bench(say=say, epochs=trial.epochs, checkpoints=checkpoints, events=trial.events))
    return _Candidate(job=job, data=data, trained=trained, seconds=time.monotonic() - began)


def _measured(figures: Sequence[Figure]) -> dict[str, gates.Measured]:
    return {figure.name: gates.Measured.of(figure) for figure in figures}


def _stage(candidate: _Candidate, folder: Path, version: int) -> gates.Evidence:
    """Writes a version, and asks it as its callers will. Raises NotServed where it doesn't load or answer."""
    from training.export import SIGNATURE, export  # noqa: PLC0415 - it takes seconds

    job, data, trained = candidate.job, candidate.data, candidate.trained
    manifest = export(folder, version, job=job, trained=trained, data=data)
    inputs = data.held_out.inputs[golden.spread(len(data.held_out))]
    # One by one, as they are asked for when served: kernels add in another order for a batch, which shows in the sixth decimal.
    outputs = trained.model.predict(inputs, batch_size=1, verbose=0)
    asked = golden.Golden(inputs={manifest.inputs[0].name: inputs}, outputs=outputs)
    golden.write_golden(folder / EXTRA / GOLDEN, asked, model=job.name, signature_name=SIGNATURE)
    parity, served = serving.ask_golden(folder, model=job.name, version=version, signature_name=SIGNATURE)
    return gates.Evidence(
        figures=_measured(trained.figures) | dict(trained.measured),
        baseline=_measured(trained.baseline),
        subgroups=trained.subgroups,
        p50_seconds=served.p50_seconds,
        parity=parity,
        manifest=manifest,
    )


def _summary(candidate: _Candidate, p50_seconds: float | None) -> summary.Summary:
    trained = candidate.trained
    return summary.Summary(
        job=candidate.job.name,
        floor_figure=candidate.job.floor.figure,
        figures=trained.figures,
        baseline=trained.baseline,
        baseline_name=trained.baseline_name,
        parameters=trained.model.count_params(),
        training_seconds=candidate.seconds,
        p50_seconds=p50_seconds or 0.0,
    )


def _beside(candidate: _Candidate, folder: Path, version: int, say: Say) -> dict[str, gates.Scores | gates.Resamples]:
    """What the candidate and a published version score on each held-out item. Raises NotServed where that one can't be asked."""
    from training.export import SIGNATURE  # noqa: PLC0415 - it takes seconds

    job, held_out = candidate.job, candidate.data.held_out
    (given,) = job.facts().inputs
    say(f"asking version {version} about the same {len(held_out)} held-out items")
    theirs = serving.ask(folder, model=job.name, version=version, signature_name=SIGNATURE, inputs={given.name: held_out.inputs}).outputs
    mine = network.predicted(candidate.trained.model, held_out.inputs)
    of_mine, of_theirs = (job.task.scores(outputs, held_out) for outputs in (mine, theirs))
    known = [name for name in of_mine if name in of_theirs]
    return {name: gates.Scores(candidate=of_mine[name], stable=of_theirs[name], groups=held_out.patients) for name in known}


def _report(
    candidate: _Candidate,
    *,
    outcome: str,
    verdicts: Sequence[gates.Verdict],
    manifest: "manifest_pb2.ModelManifest | None",
    is_published: bool = False,
) -> str:
    job, trained = candidate.job, candidate.trained
    sections: list[Section] = [
        figures(trained.figures, trained.baseline, baseline_name=trained.baseline_name),
        *trained.sections,
        *candidate.data.notes,
    ]
    if manifest is not None:
        sections.append(card(manifest))
    return render(
        Report(
            title=f"{job.facts().display_name} ({job.name})",
            outcome=outcome,
            is_published=is_published,
            verdicts=tuple(verdicts),
            sections=tuple(sections),
            signatures=_SIGNATURES if is_published else (),
        )
    )


def _write_report(file: Path, page: str, say: Say) -> None:
    file.write_text(page, encoding="utf-8")
    say(f"report in {file}")
