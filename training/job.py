"""What a training job declares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medserve.repository import RepositoryError, require_name
from medserve.v1 import manifest_pb2
from training.dataset import Dataset
from training.gates import AnswersThroughGateway, Floor, Gate, Latency, ManifestComplete, NotWorse, SubgroupGap, TrainToServe
from training.quality.table import Table
from training.tasks.task import Task

USUAL: tuple[Gate, ...] = (TrainToServe(), Latency(most_seconds=0.1), AnswersThroughGateway(), ManifestComplete())
"""What every job's version has to show."""


class NoSuchSet(ValueError):
    """The job can't be learnt from data of that name; the message says from which."""


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
        sets: other data that the model can be learnt from, by name: the job as it is on them, of the same name. No set learns from what another one
            holds out, so versions of different sets can be held against each other.
        write_sample: writes one item as a file that a person can send; takes the folder, the file's stem and the item, returns the path.
    """

    name: str
    load: Callable[[], Dataset]
    task: Task
    facts: Callable[[], manifest_pb2.ModelManifest]
    floor: Floor
    gates: tuple[Gate, ...] = USUAL
    table: Table | None = None
    sets: Mapping[str, "Job"] = field(default_factory=dict)
    write_sample: Callable[[Path, str, NDArray[Any]], Path]

    def __post_init__(self) -> None:
        """Raises ValueError where the name is no model's, a job on another set is one of another model or has sets of its own, or a gate can't be.

        Versions, or subgroups, can't be held against each other by what it asks for in this task.
        """
        try:
            require_name(self.name)
        except RepositoryError as error:
            message = f"name: {error}"
            raise ValueError(message) from None
        for gate in self.gates:
            if isinstance(gate, NotWorse) and gate.figure not in self.task.compared_by:
                message = f"gates: {gate.name}: versions are held against each other by {', '.join(sorted(self.task.compared_by))}"
                raise ValueError(message)
            if isinstance(gate, SubgroupGap) and gate.figure != self.task.told_by_group:
                message = f"gates: {gate.name}: subgroups are looked at by {self.task.told_by_group}"
                raise ValueError(message)
        for data, other in self.sets.items():
            if other.name != self.name or other.sets:
                message = f"sets: {data}: the job {self.name}, without sets of its own"
                raise ValueError(message)

    def on(self, data: str | None) -> "Job":
        """The job on another of its sets, or itself where None. Raises NoSuchSet where it has none of that name."""
        if data is None:
            return self
        if data not in self.sets:
            has = f"it has {', '.join(self.sets)}" if self.sets else "it has one set only"
            message = f"{self.name} has no data set {data}: {has}; leave --data out for its own"
            raise NoSuchSet(message)
        return self.sets[data]
