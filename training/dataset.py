"""What a job is given: items in three parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.fitting.source import Arrays, Source
from training.quality.split import Leak
from training.report.page import Section


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Some of a data set's items.

    Attributes:
        inputs: [items, …], as a request would send them.
        targets: [items], what is to be learnt, as the job's task has it: labels int64, or a structured array.
        patients: [items], whose each item is; None where each is somebody else's.
        attributes: [items] by name, levels as text, to look at subgroups by; None stands for an unknown level.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    patients: NDArray[Any] | None = None
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays aren't of the same items, or there is none."""
        others = [array for array in (self.patients, *self.attributes.values()) if array is not None]
        if not len(self.targets) or any(len(array) != len(self.inputs) for array in (self.targets, *others)):
            message = f"as many targets, patients and attributes as inputs, and at least one; there are {len(self.inputs)} inputs"
            raise ValueError(message)

    def __len__(self) -> int:
        """How many items."""
        return len(self.inputs)

    def source(self) -> Source:
        """What a fit reads that is fitted to this part."""
        return Arrays(inputs=self.inputs, targets=self.targets)

    def of(self, rows: NDArray[np.int64] | slice) -> "Part":
        """Some of these items, and no others: of a sample as well."""
        return Part(
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            patients=None if self.patients is None else self.patients[rows],
            attributes={name: values[rows] for name, values in self.attributes.items()},
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample(Part):
    """Some items of a set that is larger than memory, and the set itself.

    The weights are fitted to the set. What is fitted in memory rests on the sample: a normalisation, the measure of novelty, the baseline.

    Attributes:
        stream: reads all items of the set, those of the sample included.
    """

    stream: Source

    def __post_init__(self) -> None:
        """Raises ValueError as a part does, and where nobody knows how many items the stream has."""
        Part.__post_init__(self)
        if self.stream.steps(1) is None:
            message = "stream: one that knows how many items it has, by a survey or a cache"
            raise ValueError(message)

    def source(self) -> Source:
        """The stream."""
        return self.stream


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Items to learn from, and items that nothing but the metrics sees.

    Attributes:
        name, source, license: for the manifest and for people.
        training: the weights are fitted to these; or, where it is a sample, to what it is a sample of.
        validation: these calibrate, set thresholds and end the fit.
        held_out: only the metrics see these.
        notes: what was found of the data when it was read, for the report.
        of_one_patient: whether all items are of the same one; then no interval says anything of others, and the report says so.
    """

    name: str
    source: str
    license: str
    training: Part
    validation: Part
    held_out: Part
    notes: tuple[Section, ...] = ()
    of_one_patient: bool = False

    def __post_init__(self) -> None:
        """Raises Leak where a patient has items in two parts."""
        parts = {"to train on": self.training, "to validate": self.validation, "held out": self.held_out}
        for (one, first), (other, second) in combinations(parts.items(), 2):
            if first.patients is None or second.patients is None:
                continue
            if shared := len(set(first.patients.tolist()) & set(second.patients.tolist())):
                message = f"{shared} patient{'s have' if shared > 1 else ' has'} items {one} and items {other}"
                raise Leak(message)

    @property
    def items_to_learn(self) -> int:
        """How many items the weights are fitted to."""
        return self.training.source().steps(1) or 0

    def limited(self, items: int | None) -> "Dataset":
        """The first `items` of each part, without a stream; all where None."""
        if items is None:
            return self
        some = slice(items)
        return replace(self, training=self.training.of(some), validation=self.validation.of(some), held_out=self.held_out.of(some))
