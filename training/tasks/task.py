"""What every task takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from medserve.v1 import manifest_output_pb2
from training.evaluate import Figure
from training.evidence.resampling import Bootstrap, Statistic
from training.gates.evidence import Group, Measured
from training.report.page import Section

if TYPE_CHECKING:
    import keras

    from training.dataset import Dataset, Part

Say = Callable[[str], None]
Ask = Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]]
"""What a model says of inputs [items, …]: its outputs by name, each [items, …]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """Where a task works.

    Attributes:
        say: is told how it goes.
        epochs: instead of the plan's own; None for that.
        checkpoints: the folder that a fit which was killed goes on from; None keeps none.
        events: the folder for each epoch's figures, as TensorBoard reads them; None writes none.
        resumed: is told how many seconds earlier processes spent on a fit that goes on.
    """

    say: Say
    epochs: int | None = None
    checkpoints: Path | None = None
    events: Path | None = None
    resumed: Callable[[float], None] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trained:
    """What came of the data.

    Attributes:
        model: the network as it is served, preprocessing and calibration included: one input, and a dictionary of outputs.
        outputs: what the manifest says of each output, thresholds included; in an order for people.
        figures: on held-out items; the floor's is among them.
        baseline: the same figures, in the same order, of what the model is held against.
        baseline_name: for people.
        differences: each figure less the baseline's, in the same order, with the interval of that difference on the same items; empty where nobody
            worked it out.
        measured: other figures that a gate may ask for, by name.
        subgroups: as `gates.evidence.Evidence` has them.
        sections: of the report, but for the figures.
        limits: what they say that a person who signs has to know, in sentences.
    """

    model: "keras.Model"
    outputs: tuple[manifest_output_pb2.OutputSpec, ...]
    figures: tuple[Figure, ...]
    baseline: tuple[Figure, ...]
    baseline_name: str
    sections: tuple[Section, ...]
    differences: tuple[Figure, ...] = ()
    measured: Mapping[str, Measured] = field(default_factory=dict)
    subgroups: Mapping[str, Mapping[str, Mapping[str, Group]]] = field(default_factory=dict)
    limits: tuple[str, ...] = ()


def by_patient(part: "Part", seed: int, *, resamples: int = 1000) -> Bootstrap:
    """Resamples of a part's items, by patient where items are known to be of the same one."""
    return Bootstrap(items=len(part), seed=seed, groups=part.patients, resamples=resamples)


class Task(Protocol):
    """Diagnosis, prediction, treatment: what they have in common."""

    @property
    def seed(self) -> int:
        """Of every random choice."""

    def train(self, data: "Dataset", bench: Bench) -> Trained:
        """Learns from training and validation items, and measures on held-out ones. Raises ValueError where the data isn't what the task learns."""

    def scores(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, NDArray[Any]]:
        """What each item of the part scores, [items], by the name of the figure that is the mean of it; nothing for outputs that it doesn't know."""

    def statistics(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, Statistic]:
        """Figures that are no mean of scores, such as an area, by name, of some of the part's rows; nothing for outputs that it doesn't know."""

    @property
    def compared_by(self) -> frozenset[str]:
        """The names in `scores` and `statistics`: what two versions can be held against each other by."""

    @property
    def told_by_group(self) -> str:
        """The figure that subgroups are looked at by."""

    def evaluate(self, ask: Ask, data: "Dataset") -> list[Figure]:
        """The figures of a model on held-out items, as `train` gives them; `ask` has the model's outputs for inputs, by name."""

    def kinds(self, targets: NDArray[Any]) -> list[str]:
        """What kind of item each is, to choose samples by and to name them: letters, digits and `-`."""
