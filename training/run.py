"""One run of a job: fit, evaluate, judge, publish, and report.

What is published has been served once: the staged version is asked by the embedded model server about its golden inputs before anybody else can
meet it. A run that publishes nothing leaves a report as well, which says why.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medserve.repository import EXTRA, GOLDEN
from training import calibration, gates, golden, serving
from training import publish as repository
from training.evaluate import Figure, evaluate
from training.job import Dataset, Job
from training.report import classification
from training.report.card import card
from training.report.page import Report, Section, render

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from medserve.v1 import manifest_pb2

REPORT = "medserve_report.html"
_LAST_REPORT = ".last_report.html"
_SIGNATURES = ("Clinical lead", "Data scientist")
_BATCH = 256

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What stands in for a job's own plan: `limit` trains and tests on the first items only."""

    epochs: int | None = None
    limit: int | None = None
    floor: float | None = None

    @property
    def is_shortened(self) -> bool:
        """Whether less was done than the job asks for."""
        return self.epochs is not None or self.limit is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """A fitted network and what it showed on held-out items."""

    job: Job
    data: Dataset
    model: "keras.Model"
    probabilities: "NDArray[Any]"
    figures: list[Figure]
    calibration_error: float
    baseline: list[Figure]

    @property
    def names(self) -> list[str]:
        """What each class is called."""
        return [label.code.display for label in self.job.facts().outputs[0].classification.labels]


def run(job: Job, root: Path, trial: Trial, *, say: Say) -> bool:
    """Trains a job and publishes what it made; returns whether it was good enough.

    Raises OSError where the repository can't be written to: before the training, where that shows by then.
    """
    started = time.monotonic()
    folder = repository.prepare(root, job.name)
    say("starting TensorFlow")
    candidate = _fit(job, trial, say)
    accuracy, wanted = candidate.figures[0].value, job.accuracy_floor if trial.floor is None else trial.floor
    if accuracy < wanted:
        remedy = "leave out --epochs and --limit" if trial.is_shortened else "look at the data and the schedule"
        why = f"nothing published: held-out accuracy {accuracy:.4f} is below the floor of {wanted}; {remedy}, or publish a trial with --floor 0"
        _write_report(folder / _LAST_REPORT, _report(candidate, outcome=why, verdicts=(), manifest=None), say)
        say(why)
        return False

    def write(staging: Path, version: int) -> None:
        evidence = _stage(candidate, staging, version)
        verdicts = gates.judge((gates.Floor(figure="accuracy", least=wanted), *job.gates), evidence)
        for verdict in verdicts:
            say(f"gate {verdict.gate}: {'passed' if verdict.passed else 'NOT passed'}: {verdict.reason}")
        passed = all(verdict.passed for verdict in verdicts)
        outcome = f"Published as version {version}." if passed else "Nothing published: a gate was not passed."
        page = _report(candidate, outcome=outcome, verdicts=verdicts, manifest=evidence.manifest, is_published=passed)
        _write_report(folder / _LAST_REPORT, page, say)
        gates.require(verdicts)
        (staging / EXTRA / REPORT).write_text(page, encoding="utf-8")

    try:
        version = repository.publish(root, job.name, write)
    except (gates.NotEarned, serving.NotServed) as error:
        say(str(error))
        return False
    say(f"published version {version} in {root / job.name / str(version)} after {time.monotonic() - started:.0f} s")
    return True


def _fit(job: Job, trial: Trial, say: Say) -> _Candidate:
    import tensorflow as tf  # noqa: PLC0415 - not before it is needed: it takes seconds

    from training.fit import fit  # noqa: PLC0415

    data = job.load().limited(trial.limit)
    gpus = len(tf.config.list_physical_devices("GPU"))
    device = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "the CPU"
    say(f"{len(data.train_labels)} items of {data.name} to train on, {len(data.test_labels)} held out; on {device}")
    model = fit(job, data, epochs=trial.epochs or job.schedule.epochs, say=say)
    fitted = job.schedule.training_items(len(data.train_labels))
    model = _calibrated(model, data.train_inputs[fitted:], data.train_labels[fitted:], say)
    probabilities = model.predict(data.test_inputs, batch_size=_BATCH, verbose=0)
    figures = evaluate(probabilities, data.test_labels, seed=job.schedule.seed)
    for figure in figures:
        say(f"held-out {figure}")
    error = calibration.expected_calibration_error(probabilities, data.test_labels)
    say(f"held-out expected calibration error {error:.4f}")
    theirs = job.baseline.probabilities(data.train_inputs[:fitted], data.train_labels[:fitted], data.test_inputs, classes=probabilities.shape[1])
    baseline = evaluate(theirs, data.test_labels, seed=job.schedule.seed)
    say(f"baseline, {job.baseline.name}: {', '.join(f'{figure.name} {figure.value:.4f}' for figure in baseline)}")
    return _Candidate(
        job=job, data=data, model=model, probabilities=probabilities, figures=figures, calibration_error=error, baseline=baseline,
    )  # fmt: skip


def _calibrated(model: "keras.Model", inputs: "NDArray[Any]", labels: "NDArray[Any]", say: Say) -> "keras.Model":
    """The model with probabilities that hold on the validation items, to which no weight was fitted."""
    temperature = calibration.fit_temperature(model.predict(inputs, batch_size=_BATCH, verbose=0), labels)
    say(f"calibrated on {len(labels)} validation items: temperature {temperature:.3f}")
    return calibration.calibrated(model, temperature)


def _stage(candidate: _Candidate, folder: Path, version: int) -> gates.Evidence:
    """Writes a version, and asks it as its callers will. Raises NotServed where it doesn't load or answer."""
    from training.export import SIGNATURE, export  # noqa: PLC0415 - it takes seconds

    job, data = candidate.job, candidate.data
    manifest = export(folder, version, job=job, model=candidate.model, data=data, figures=candidate.figures)
    given, wanted = manifest.inputs[0].name, manifest.outputs[0].name
    inputs = data.test_inputs[golden.spread(len(data.test_inputs))]
    # One by one, as they are asked for when served: kernels add in another order for a batch, which shows in the sixth decimal.
    outputs = candidate.model.predict(inputs, batch_size=1, verbose=0)
    asked = golden.Golden(inputs={given: inputs}, outputs={wanted: outputs})
    golden.write_golden(folder / EXTRA / GOLDEN, asked, model=job.name, signature_name=SIGNATURE)
    parity, served = serving.ask_golden(folder, model=job.name, version=version, signature_name=SIGNATURE)
    figures = {figure.name: gates.Measured(value=figure.value, lower=figure.lower, upper=figure.upper) for figure in candidate.figures}
    figures["ece"] = gates.Measured(value=candidate.calibration_error)
    return gates.Evidence(
        figures=figures,
        p50_seconds=served.p50_seconds,
        parity=parity,
        manifest=manifest,
    )


def _report(
    candidate: _Candidate,
    *,
    outcome: str,
    verdicts: Sequence[gates.Verdict],
    manifest: "manifest_pb2.ModelManifest | None",
    is_published: bool = False,
) -> str:
    job, data, names = candidate.job, candidate.data, candidate.names
    said, labels = candidate.probabilities, data.test_labels
    sections: list[Section] = [
        classification.figures(candidate.figures, candidate.baseline, baseline_name=job.baseline.name),
        classification.calibration(said, labels, error=candidate.calibration_error),
        classification.discrimination(said, labels, names),
        classification.misread(said, labels, names, lambda item, title: job.draw(data.test_inputs[item], title)),
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
