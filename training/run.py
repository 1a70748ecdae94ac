"""One run of a job: fit, evaluate, judge, publish, and report.

What is published has been served once: the staged version is asked by the embedded model server about its golden inputs before anybody else can
meet it. A run that publishes nothing leaves a report as well, which says why.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from medserve.repository import EXTRA, GOLDEN, RepositoryError, version_folder
from training import gates, golden, serving, stable, summary
from training import publish as repository
from training.alone import alone
from training.candidate import Candidate, published_as, report, summary_of, title
from training.dataset import Dataset
from training.evaluate import Figure
from training.failures import Unusable
from training.fitting.identity import digest
from training.job import Job
from training.last_report import LastReport
from training.quality.fault import Refused
from training.quality.split import Leak
from training.stable import Stable
from training.tasks import network
from training.tasks.task import Bench, Trained
from training.trial import Trial

__all__ = ["CHECKPOINTS", "REPORT", "TooFewItems", "Trial", "run"]

REPORT = "medserve_report.html"
CHECKPOINTS = ".checkpoints"
_LOCK = ".run.lock"
_LAST_REPORT = ".last_report.html"
# A killed run that nobody went on with for so long is given up: each fit has a folder of its own, and these would add up.
_KEPT_SECONDS = 30 * 24 * 3600.0

Say = Callable[[str], None]


class TooFewItems(Unusable):
    """What `--limit` leaves is too little to learn from, or to measure on."""


def run(job: Job, root: Path, trial: Trial, *, say: Say) -> bool:
    """Trains a job and publishes what it made; returns whether it was good enough.

    A run that was killed goes on from its last checkpoint when it is begun again, a fit that had ended included. Raises AtWork where another run of
    the job works in the repository, RepositoryError or NotServed where the version that the new one isn't to be worse than isn't there or can't be
    asked, and OSError where the repository can't be written to: all of them before the training, where it shows by then.
    """
    folder = repository.prepare(root, job.name)
    # Both would write their checkpoints and reports to one place, and each would take the other's for its own.
    with alone(folder / _LOCK, who=f"another run of {job.name}"), LastReport(file=folder / _LAST_REPORT, title=title(job)).begun() as last:
        if trial.stable is not None:
            version_folder(root, job.name, trial.stable)
        return _run(job, root, trial, last, say)


def _run(job: Job, root: Path, trial: Trial, last: LastReport, say: Say) -> bool:
    started, folder = time.monotonic(), root / job.name
    asked, not_asked = trial.asks(job)
    data = _loaded(job, trial, say)
    shortened = trial.shortened(not_asked)
    beside = _stable(job, root, data, trial, asked=asked, say=say)
    checkpoints = _checkpoints(job, folder / CHECKPOINTS, data, trial)
    began, before = time.monotonic(), list[float]()
    trained = _trained(job, data, trial, Bench(say=say, epochs=trial.epochs, checkpoints=checkpoints, events=trial.events, resumed=before.append))
    candidate = Candidate(job=job, data=data, trained=trained, seconds=time.monotonic() - began + sum(before), trial=shortened)
    floor = asked[0]
    judged = floor.judge(gates.Evidence(figures=_measured(candidate.trained.figures)))
    if not judged.passed:
        remedy = "leave out --epochs and --limit" if trial.is_shortened else "look at the data and the schedule"
        ends = "" if judged.by == "value" else f" ({judged.interval})"
        found = "can't be told" if judged.found is None else f"{judged.found:.4f}{ends} is below the floor of {judged.wanted}"
        why = f"nothing published: held-out {job.floor.figure} {found}; {remedy}"
        say(last.write(report(candidate, outcome=why, verdicts=(), manifest=None)))
        say(why)
        _clear(checkpoints)
        return False

    page = ""

    def write(staging: Path, version: int) -> None:
        nonlocal page
        evidence = _stage(candidate, staging, version, asked)
        mine = network.predicted(candidate.trained.model, data.held_out.inputs) if beside.answers else {}
        evidence = beside.beside(evidence, mine, job.task, data.held_out, asked=asked)
        verdicts = gates.judge(asked, evidence)
        for verdict in verdicts:
            say(str(verdict))
        for name in () if shortened is None else shortened.not_asked:
            say(f"gate {name}: SKIPPED: a trial isn't held to it")
        passed = all(verdict.passed for verdict in verdicts)
        outcome = published_as(version, candidate.trial) if passed else "Nothing published: a gate was not passed."
        page = report(candidate, outcome=outcome, verdicts=verdicts, manifest=evidence.manifest, is_published=passed and candidate.trial is None)
        gates.require(verdicts)
        summary.write(staging, summary_of(candidate, evidence))
        (staging / EXTRA / REPORT).write_text(page, encoding="utf-8")

    try:
        version = repository.publish(root, job.name, write)
    except gates.NotEarned as error:
        say(last.write(page))
        say(str(error))
        _clear(checkpoints)
        return False
    # What it says is true from here on: before, there was no version yet.
    say(last.write_published(page))
    _clear(checkpoints)
    what = "version" if shortened is None else "a TRIAL as version"
    say(f"published {what} {version} in {root / job.name / str(version)} after {time.monotonic() - started:.0f} s")
    return True


def _loaded(job: Job, trial: Trial, say: Say) -> Dataset:
    say("starting TensorFlow")
    import tensorflow as tf  # noqa: PLC0415 - not before it is needed: it takes seconds

    data = job.load().limited(trial.limit)
    gpus = len(tf.config.list_physical_devices("GPU"))
    device = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "the CPU"
    say(f"{data.items_to_learn} items of {data.name} to train on, {len(data.validation)} to validate, {len(data.held_out)} held out; on {device}")
    return data


def _stable(job: Job, root: Path, data: Dataset, trial: Trial, *, asked: Sequence[gates.Gate], say: Say) -> Stable:
    """What the candidate is held against. It is asked before the training: what can't be asked would be found out after it."""
    if not trial.is_compared:
        return Stable(why_none=stable.NOT_ASKED_FOR)
    if trial.stable is None and (trial.is_shortened or trial.floor is not None):
        return Stable(why_none="a trial is held against a version where --stable names one")
    if trial.stable is None and not stable.is_compared(asked):
        return Stable(why_none="no gate of the job asks for it")
    return stable.found(job, root, data, trial.stable, say=say)


def _checkpoints(job: Job, folder: Path, data: Dataset, trial: Trial) -> Path:
    """The folder of this very fit: a trial, or another data set or plan, has one of its own, so that none is in another's way.

    Those of fits that nobody has gone on with for long are removed.
    """
    old = time.time() - _KEPT_SECONDS
    for path in folder.iterdir() if folder.is_dir() else ():
        if max(each.stat().st_mtime for each in (path, *path.rglob("*"))) < old:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    items = [part.source().identity() for part in (data.training, data.validation)]
    return folder / digest([getattr(job.task, "plan", None), trial.epochs, items])


def _clear(checkpoints: Path) -> None:
    """What was judged is of no use any more."""
    shutil.rmtree(checkpoints, ignore_errors=True)


def _trained(job: Job, data: Dataset, trial: Trial, bench: Bench) -> Trained:
    """Raises TooFewItems where a limit leaves too few, and what the task raises."""
    try:
        return job.task.train(data, bench)
    except (Refused, Leak, RepositoryError):
        raise
    except (ValueError, IndexError, ZeroDivisionError) as error:
        if trial.limit is None:
            raise
        # The message may quote what is in an item; `--traceback` shows it.
        message = f"{job.name} can't be learnt from, or measured on, the first {trial.limit} items of each part: give a larger --limit"
        raise TooFewItems(message) from error


def _measured(figures: Sequence[Figure]) -> dict[str, gates.Measured]:
    return {figure.name: gates.Measured.of(figure) for figure in figures}


def _stage(candidate: Candidate, folder: Path, version: int, asked: Sequence[gates.Gate]) -> gates.Evidence:
    """Writes a version, and asks it as its callers will, as far as these gates do. Raises NotServed where it doesn't load or answer."""
    from training.export import SIGNATURE, export  # noqa: PLC0415 - it takes seconds

    job, data, trained = candidate.job, candidate.data, candidate.trained
    manifest = export(folder, version, job=job, trained=trained, data=data, is_trial=candidate.trial is not None)
    inputs = golden.chosen(data.held_out.inputs, [data.validation.inputs, data.training.inputs])
    # One by one, as they are asked for when served: kernels add in another order for a batch, which shows in the sixth decimal.
    outputs = trained.model.predict(inputs, batch_size=1, verbose=0)
    predictions = golden.Golden(inputs={manifest.inputs[0].name: inputs}, outputs=outputs)
    golden.write_golden(folder / EXTRA / GOLDEN, predictions, model=job.name, signature_name=SIGNATURE)
    write_sample = job.write_sample if gates.ask_gateway(asked) else None
    found = serving.ask_golden(folder, model=job.name, version=version, signature_name=SIGNATURE, write_sample=write_sample)
    return gates.Evidence(
        figures=_measured(trained.figures) | dict(trained.measured),
        baseline=_measured(trained.baseline),
        differences={mine.name: gates.Measured.of(each) for mine, each in zip(trained.figures, trained.differences, strict=False)},
        subgroups=trained.subgroups,
        p50_seconds=found.served.p50_seconds,
        parity=found.parity,
        gateway=found.gateway,
        manifest=manifest,
    )
