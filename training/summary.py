"""What a run measured, kept in the version that it made: `assets.extra/medserve_training.json`, and the table of all jobs from these."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from medserve.repository import EXTRA, RepositoryError, version_folder, versions
from training import gates
from training.evaluate import Figure
from training.report.figures import verdict, with_ends

FILE = "medserve_training.json"


class Shortened(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial did instead of what its job asks for.

    Attributes:
        epochs: so many at most; None: the plan's.
        limit: the first items of each part that it was fitted to and measured on; None: all.
        floor: that it was published from; None: the job's.
        not_asked: the gates that it wasn't held to.
    """

    epochs: int | None = None
    limit: int | None = None
    floor: float | None = None
    not_asked: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people."""
        did = [
            "" if self.epochs is None else f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}",
            "" if self.limit is None else f"the first {self.limit} items of each part",
            "" if self.floor is None else f"a floor of {self.floor:g}",
        ]
        return ", ".join(each for each in did if each)


class ForGates(msgspec.Struct, frozen=True, kw_only=True):
    """What gates ask for besides the figures and the baseline's: JSON has no infinity and no not-a-number, and neither passes a gate.

    Attributes:
        measured: other figures on held-out items, such as the calibration error, by name; without those that are no numbers.
        differences: the figures less the baseline's on the same items, by name; without those that are no numbers.
        subgroups: a figure's value, None where it is no number, and the items that it rests on: by figure, attribute and level.
    """

    measured: Mapping[str, gates.Measured]
    differences: Mapping[str, gates.Measured]
    subgroups: Mapping[str, Mapping[str, Mapping[str, tuple[float | None, int]]]]

    @classmethod
    def of(cls, evidence: gates.Evidence) -> Self:
        """What is to be kept of what a candidate was judged by."""
        return cls(
            measured=_numbers(evidence.figures),
            differences=_numbers(evidence.differences),
            subgroups={
                figure: {
                    attribute: {level: (_number(group.value), group.items) for level, group in levels.items()} for attribute, levels in found.items()
                }
                for figure, found in evidence.subgroups.items()
            },
        )

    def groups(self) -> dict[str, dict[str, dict[str, gates.Group]]]:
        """The subgroups as a gate asks for them."""
        return {
            figure: {
                attribute: {level: gates.Group(value=math.nan if value is None else value, items=items) for level, (value, items) in levels.items()}
                for attribute, levels in found.items()
            }
            for figure, found in self.subgroups.items()
        }


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run.

    Attributes:
        job: its name.
        figures, baseline: on held-out items, in the same order; the floor's is `floor_figure`.
        baseline_name: for people.
        parameters: numbers in the model that is served.
        training_seconds: to fit and measure, on the machine that did; what earlier processes spent on a fit that went on included.
        p50_seconds: the median latency on the embedded model server, one caller, one item.
        trial: what a trial did instead; None for a version that is none.
        for_gates: what gates ask for besides the figures; None for a version of an earlier release.
    """

    job: str
    floor_figure: str
    figures: tuple[Figure, ...]
    baseline: tuple[Figure, ...]
    baseline_name: str
    parameters: int
    training_seconds: float
    p50_seconds: float
    trial: Shortened | None = None
    for_gates: ForGates | None = None


def _numbers(figures: Mapping[str, gates.Measured]) -> dict[str, gates.Measured]:
    return {
        name: gates.Measured(value=each.value, lower=_number(each.lower), upper=_number(each.upper))
        for name, each in figures.items()
        if math.isfinite(each.value)
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def write(folder: Path, summary: Summary) -> None:
    """Writes it into a version's folder. Raises OSError."""
    (folder / EXTRA / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")


def read(folder: Path) -> Summary | None:
    """The summary in a version's folder; None where it has none. Raises OSError, and RepositoryError for a damaged file."""
    file = folder / EXTRA / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Summary)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{file}: not what a run measured ({error}); publish the version again"
        raise RepositoryError(message) from None


def newest(repository: Path, job: str) -> tuple[int, Summary] | None:
    """The newest version of a job that has one, and its summary; None where there is none. Raises OSError and RepositoryError as `read`."""
    for version in reversed(versions(repository, job)):
        summary = read(version_folder(repository, job, version))
        if summary is not None:
            return version, summary
    return None


def table(repository: Path, jobs: Sequence[str]) -> str:
    """A row of Markdown for each job: what its newest version showed, what the baseline did, which of both is ahead, and what it cost.

    Raises RepositoryError where there is no such repository or a file in it is damaged, OSError.
    """
    if not repository.is_dir():
        message = f"{repository}: there is no such repository"
        raise RepositoryError(message)
    rows: list[tuple[Any, ...]] = [("job", "held out", "baseline (how the model is beside it)", "parameters", "to train", "p50 served"), ("---",) * 6]
    for job in jobs:
        found = newest(repository, job)
        if found is None:
            rows.append((f"`{job}`", "not published", "", "", "", ""))
            continue
        version, summary = found
        rows.append(
            (
                f"`{job}` version {version}" + (f"<br>a TRIAL: {summary.trial}" if summary.trial else ""),
                "<br>".join(_with_interval(figure) for figure in summary.figures),
                f"{summary.baseline_name}:<br>" + "<br>".join(_beside(figure, summary) for figure in summary.baseline),
                f"{summary.parameters:,}",
                f"{summary.training_seconds:.0f} s",
                f"{summary.p50_seconds * 1000:.1f} ms",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _beside(baseline: Figure, summary: Summary) -> str:
    """A baseline's figure, and how the model does beside it on the same items, where that is known."""
    found = None if summary.for_gates is None else summary.for_gates.differences.get(baseline.name)
    if found is None or found.lower is None or found.upper is None:
        return f"{baseline.name} {baseline.value:.4g}"
    return f"{baseline.name} {baseline.value:.4g} ({verdict(baseline.name, found.lower, found.upper)})"


def _with_interval(figure: Figure) -> str:
    return f"{figure.name} {with_ends(figure)}"
