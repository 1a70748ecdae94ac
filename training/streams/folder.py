"""Folders of files, each of which is an item or a part of one: which files there are, what class each has, and shards of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason
from training.streams.labels import Labels
from training.streams.source import Shard, names_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """A folder's files that have a class, or all, where nobody asks for classes.

    Attributes:
        names: of the files, sorted.
        labels: the classes' numbers by name; empty where nobody asks.
        faults: why the others aren't here.
    """

    names: tuple[str, ...]
    labels: Mapping[str, int]
    faults: tuple[Fault, ...]

    def label_of(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The array `label`, int64 [names], where somebody asks for classes."""
        return {"label": np.array([self.labels[name] for name in names], np.int64)} if self.labels else {}


def listing(root: Path, patterns: Sequence[str], labels: Labels | None, *, leaves_out: Callable[[str], bool] = lambda _: False) -> Listing:
    """The files below `root`, without those whose name is left out. Raises OSError."""
    names = tuple(name for name in names_of(root, *patterns) if not leaves_out(name))
    if not names:
        return Listing(names=(), labels={}, faults=(Fault(file=root.name, reason=Reason.NO_FILES),))
    if labels is None:
        return Listing(names=names, labels={}, faults=())
    classes, faults = labels.of(names)
    return Listing(names=tuple(name for name in names if name in classes), labels=classes, faults=tuple(faults))


def shards_of(names: Sequence[str], size: int, faults: Sequence[Fault]) -> Iterator[Shard]:
    """`size` items each; and one without any for what is known to be wrong beforehand, where there is something."""
    if faults:
        yield Shard(file=faults[0].file, faults=tuple(faults), of_files=True)
    for first in range(0, len(names), size):
        yield Shard(file=names[first], first=first, records=min(size, len(names) - first), of_files=True)
