"""What a run measured, kept in the version that it made: `assets.extra/medserve_training.json`, and the table of all jobs from these."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from medserve.repository import EXTRA, versions
from training.evaluate import Figure

FILE = "medserve_training.json"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run.

    Attributes:
        job: its name.
        figures, baseline: on held-out items, in the same order; the floor's is `floor_figure`.
        baseline_name: for people.
        parameters: numbers in the model that is served.
        training_seconds: to fit and measure, on the machine that did.
        p50_seconds: the median latency on the embedded model server, one caller, one item.
    """

    job: str
    floor_figure: str
    figures: tuple[Figure, ...]
    baseline: tuple[Figure, ...]
    baseline_name: str
    parameters: int
    training_seconds: float
    p50_seconds: float


def write(folder: Path, summary: Summary) -> None:
    """Writes it into a version's folder. Raises OSError."""
    (folder / EXTRA / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")


def newest(repository: Path, job: str) -> tuple[int, Summary] | None:
    """The newest version of a job that has one, and its summary; None where there is none. Raises OSError, and ValueError for a damaged file."""
    for version in sorted(versions(repository, job), reverse=True):
        file = repository / job / str(version) / EXTRA / FILE
        if file.exists():
            try:
                return version, msgspec.json.decode(file.read_bytes(), type=Summary)
            except msgspec.DecodeError as error:
                message = f"{file}: {error}"
                raise ValueError(message) from None
    return None


def table(repository: Path, jobs: Sequence[str]) -> str:
    """A row of Markdown for each job: what its newest version showed, what the baseline did, and what it cost."""
    rows: list[tuple[Any, ...]] = [("job", "held out", "baseline", "parameters", "to train", "p50 served"), ("---",) * 6]
    for job in jobs:
        found = newest(repository, job)
        if found is None:
            rows.append((f"`{job}`", "not published", "", "", "", ""))
            continue
        version, summary = found
        baseline = {figure.name: figure for figure in summary.baseline}
        rows.append(
            (
                f"`{job}` version {version}",
                "<br>".join(_with_interval(figure) for figure in summary.figures),
                f"{summary.baseline_name}:<br>" + "<br>".join(f"{figure.name} {baseline[figure.name].value:.4g}" for figure in summary.figures),
                f"{summary.parameters:,}",
                f"{summary.training_seconds:.0f} s",
                f"{summary.p50_seconds * 1000:.1f} ms",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _with_interval(figure: Figure) -> str:
    return f"{figure.name} {figure.value:.4g} ({figure.lower:.4g} to {figure.upper:.4g})"
