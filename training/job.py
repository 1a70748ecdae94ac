"""What a training job declares."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import coding_pb2, manifest_output_pb2, manifest_pb2, tensor_pb2
from training.augmentation import Layers
from training.baseline import Baseline
from training.gates import Gate, Latency, ManifestComplete, TrainToServe

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Items to learn from, and items that nothing but the metrics sees.

    Attributes:
        name, source, license: for the manifest and for people.
        train_inputs, test_inputs: [items, …], as a request would send them.
        train_labels, test_labels: [items], int64, the index of each item's label.
    """

    name: str
    source: str
    license: str
    train_inputs: NDArray[Any]
    train_labels: NDArray[np.int64]
    test_inputs: NDArray[Any]
    test_labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Raises ValueError where inputs and labels don't belong together."""
        if len(self.train_inputs) != len(self.train_labels) or len(self.test_inputs) != len(self.test_labels) or not len(self.test_labels):
            message = f"{self.name}: as many labels as inputs, and some to test with"
            raise ValueError(message)

    def limited(self, items: int | None) -> "Dataset":
        """The first `items` of each part; all where None."""
        return Dataset(
            name=self.name, source=self.source, license=self.license,
            train_inputs=self.train_inputs[:items], train_labels=self.train_labels[:items],
            test_inputs=self.test_inputs[:items], test_labels=self.test_labels[:items],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """How a model is fitted: Adam on sparse categorical cross-entropy.

    Attributes:
        validation_split: the last part of the training items, which no weight is fitted to.
        falls: whether the learning rate falls to zero along half a cosine (I. Loshchilov and F. Hutter, SGDR, 2017), or stays.
        augmentation: makes layers that change the inputs in training; they are no part of the model that comes out.
        seed: of every random choice.
    """

    epochs: int
    batch_size: int
    validation_split: float
    learning_rate: float = 1e-3
    falls: bool = False
    augmentation: Layers | None = None
    seed: int = 2

    def training_items(self, items: int) -> int:
        """How many of `items`, from the first on, the weights are fitted to; the others validate. As Keras's `validation_split` counts."""
        return math.floor(items * (1 - self.validation_split))


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A model, the data that it learns from, and what its manifest says.

    Attributes:
        name: the job's name, and the model's.
        load: reads the data.
        build: makes the network, preprocessing included: from a request's tensor to probabilities. It is given the inputs and labels that
            the weights will be fitted to, and no others, for what is fitted beforehand, such as a normalisation.
        schedule: how it is fitted.
        accuracy_floor: the held-out accuracy below which nothing is published.
        facts: what the manifest says before there are weights: names, input, output, intended use.
        gates: what a version has to show besides that floor before it is published.
        baseline: what the model is held against.
        write_sample: writes one item as a file that a person can send; takes the folder, the file's stem and the item, returns the path.
        draw: draws one item for a report, under a title; returns SVG.
    """

    name: str
    load: Callable[[], Dataset]
    build: Callable[[NDArray[Any], NDArray[np.int64]], "keras.Model"]
    schedule: Schedule
    accuracy_floor: float
    facts: Callable[[], manifest_pb2.ModelManifest]
    gates: tuple[Gate, ...] = (TrainToServe(), Latency(most_seconds=0.1), ManifestComplete())
    baseline: Baseline
    write_sample: Callable[[Path, str, NDArray[Any]], Path]
    draw: Callable[[NDArray[Any], str], str]


def softmax_output(system: str, classes: Mapping[str, str]) -> manifest_output_pb2.OutputSpec:
    """The output `probabilities` of a softmax: float32, one for each class, summing to one.

    `classes` maps each class's code in the coding system `system` to its name for people, in the order of the network's last layer.
    """
    labels = [manifest_output_pb2.Label(code=coding_pb2.Coding(system=system, code=code, display=display)) for code, display in classes.items()]
    return manifest_output_pb2.OutputSpec(
        name="probabilities",
        data_type=tensor_pb2.DATA_TYPE_FLOAT32,
        shape=[len(labels)],
        classification=manifest_output_pb2.Classification(exclusive=True, labels=labels),
    )
