"""What a job's task made of its data, and what is said of it: the report and the summary of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training import gates, summary
from training.dataset import Dataset
from training.job import Job
from training.report.card import card
from training.report.figures import figures
from training.report.page import Report, Section, render, table
from training.tasks.task import Trained

if TYPE_CHECKING:
    from medserve.v1 import manifest_pb2

_SIGNATURES = ("Clinical lead", "Data scientist")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What a job's task made of its data.

    Attributes:
        job, data, trained: the job, what it was given, and what came of it.
        seconds: to fit and measure, what earlier processes spent on the fit included.
        trial: what a trial did instead of what the job asks for.
    """

    job: Job
    data: Dataset
    trained: Trained
    seconds: float
    trial: summary.Shortened | None


def title(job: Job) -> str:
    """The heading of a report."""
    return f"{job.facts().display_name} ({job.name})"


def published_as(version: int, trial: summary.Shortened | None) -> str:
    """The first sentence of the report of what was published."""
    return f"Published as version {version}." if trial is None else f"TRIAL, for trying things out only, published as version {version}: {trial}."


def report(
    candidate: Candidate,
    *,
    outcome: str,
    verdicts: Sequence[gates.Verdict],
    manifest: "manifest_pb2.ModelManifest | None",
    is_published: bool = False,
) -> str:
    """The page; `is_published` where it is published as its job asks for, so that people can sign for it: never of a trial."""
    job, trained = candidate.job, candidate.trained
    sections: list[Section] = [
        *(() if candidate.trial is None else (_of_trial(candidate.trial),)),
        figures(
            trained.figures, trained.baseline, trained.differences, baseline_name=trained.baseline_name, of_one_patient=candidate.data.of_one_patient
        ),
        *trained.sections,
        *candidate.data.notes,
    ]
    if manifest is not None:
        sections.append(card(manifest, covered=trained.measured.get("conformal_coverage"), limits=trained.limits))
    return render(
        Report(
            title=title(job),
            outcome=outcome,
            is_published=is_published,
            verdicts=tuple(verdicts),
            sections=tuple(sections),
            signatures=_SIGNATURES if is_published else (),
        )
    )


def summary_of(candidate: Candidate, evidence: gates.Evidence) -> summary.Summary:
    """What its version remembers of the run, and of what it was judged by."""
    trained = candidate.trained
    return summary.Summary(
        job=candidate.job.name,
        floor_figure=candidate.job.floor.figure,
        figures=trained.figures,
        baseline=trained.baseline,
        baseline_name=trained.baseline_name,
        parameters=trained.model.count_params(),
        training_seconds=candidate.seconds,
        p50_seconds=evidence.p50_seconds or 0.0,
        trial=candidate.trial,
        for_gates=summary.ForGates.of(evidence),
    )


def _of_trial(trial: summary.Shortened) -> Section:
    text = (
        f"This version is a trial: it came of {trial}, instead of what its job asks for. That everything works is all that it shows.",
        "It isn't published into another repository, and no patient's care may rest on it.",
    )
    skipped = [(name, "skipped: a trial isn't held to it") for name in trial.not_asked]
    return Section(title="A trial", text=text, table=table(("gate", "what became of it"), skipped) if skipped else None)
