"""What a job is given: items in three parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    def of(self, rows: NDArray[np.int64] | slice) -> "Part":
        """Some of these items."""
        return Part(
            inputs=self.inputs[rows],
            targets=self.targets[rows],
            patients=None if self.patients is None else self.patients[rows],
            attributes={name: values[rows] for name, values in self.attributes.items()},
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Items to learn from, and items that nothing but the metrics sees.

    Attributes:
        name, source, license: for the manifest and for people.
        training: the weights are fitted to these.
        validation: these calibrate, set thresholds and end the fit.
        held_out: only the metrics see these.
        notes: what was found of the data when it was read, for the report.
    """

    name: str
    source: str
    license: str
    training: Part
    validation: Part
    held_out: Part
    notes: tuple[Section, ...] = ()

    def limited(self, items: int | None) -> "Dataset":
        """The first `items` of each part; all where None."""
        some = slice(items)
        return Dataset(
            name=self.name, source=self.source, license=self.license, notes=self.notes,
            training=self.training.of(some), validation=self.validation.of(some), held_out=self.held_out.of(some),
        )  # fmt: skip
