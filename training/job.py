"""What a training job declares."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medserve.v1 import manifest_pb2
from training.dataset import Dataset
from training.gates import Floor, Gate, Latency, ManifestComplete, TrainToServe
from training.quality.table import Table
from training.tasks.task import Task

USUAL: tuple[Gate, ...] = (TrainToServe(), Latency(most_seconds=0.1), ManifestComplete())
"""What every job's version has to show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A model, the data that it learns from, and what its manifest says.

    Attributes:
        name: the job's name, and the model's.
        load: reads the data.
        task: what is learnt, how, and what it is held against.
        facts: what the manifest says before there are weights: names, the input, intended use. What comes out is the task's to say.
        floor: the figure on held-out items below which nothing is published.
        gates: what a version has to show besides that floor before it is published.
        table: the table that the items are rows of, as it is and as each later drop of it is to be; None for images, series and the like.
        write_sample: writes one item as a file that a person can send; takes the folder, the file's stem and the item, returns the path.
    """

    name: str
    load: Callable[[], Dataset]
    task: Task
    facts: Callable[[], manifest_pb2.ModelManifest]
    floor: Floor
    gates: tuple[Gate, ...] = USUAL
    table: Table | None = None
    write_sample: Callable[[Path, str, NDArray[Any]], Path]
