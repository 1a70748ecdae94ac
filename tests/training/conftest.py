"""A tiny model, trained once on a slice of the real digits, and published; and the command as a process."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from training import publish
from training.dataset import Dataset
from training.evaluate import Figure
from training.export import export
from training.jobs import JOBS
from training.tasks.task import Bench

Command = Callable[..., subprocess.CompletedProcess[str]]
ITEMS = 200
EPOCHS = 3


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What one short run of `digits` made."""

    model: Any
    data: Dataset
    figures: list[Figure]
    repository: Path
    folder: Path
    said: list[str]


@pytest.fixture(scope="session")
def loaded() -> dict[str, Dataset]:
    """Each job's data, read once."""
    return {job.name: job.load() for job in JOBS.values()}


@pytest.fixture(scope="session")
def build(loaded: dict[str, Dataset]) -> Callable[[Any], Any]:
    """Makes a job's network for its data."""
    return lambda job: job.task.build(loaded[job.name].training)


@pytest.fixture(scope="session")
def trained(loaded: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    job = JOBS["digits"]
    repository = tmp_path_factory.mktemp("repository")
    data = loaded[job.name].limited(ITEMS)
    said: list[str] = []
    made = job.task.train(data, Bench(say=said.append, epochs=EPOCHS))

    def write(folder: Path, version: int) -> None:
        export(folder, version, job=job, trained=made, data=data)

    version = publish.publish(repository, job.name, write)
    return Trained(
        model=made.model, data=data, figures=list(made.figures), repository=repository, folder=repository / job.name / str(version), said=said
    )


@pytest.fixture(scope="session")
def command() -> Command:
    """Runs `python -m training ...` to its end."""

    def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "training", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=250, **options
        )

    return run
