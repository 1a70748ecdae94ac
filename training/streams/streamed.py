"""A set as a fit reads it: batches of inputs and targets, epoch by epoch (`training.fitting.source.Source`)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.streams.cache import Cached, cached
from training.streams.dataset import dataset
from training.streams.quarantine import Quarantine
from training.streams.source import Source
from training.streams.survey import Survey

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, kw_only=True, eq=False)
class Streamed:
    """Items of a set, and which of their arrays is what.

    Attributes:
        source: the set.
        inputs: an array's name; or several, for a network with inputs of these names.
        targets: an array's name; or several, for a loss that compares with tensors by name.
        weights: that of what each item counts in the loss; None: all the same.
        cache, survey, worker, quarantine: as `dataset` takes them.
    """

    source: Source
    inputs: str | tuple[str, ...]
    targets: str | tuple[str, ...]
    weights: str | None = None
    cache: Path | None = None
    survey: Survey | None = None
    worker: tuple[int, int] = (0, 1)
    quarantine: Quarantine | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the items have no such array."""
        inputs, targets = ((names,) if isinstance(names, str) else names for names in (self.inputs, self.targets))
        for field, names in (("inputs", inputs), ("targets", targets), ("weights", (self.weights,) if self.weights is not None else ())):
            if not set(names) <= set(self.source.spec()) or (field != "weights" and not names):
                message = f"{field}: of {', '.join(self.source.spec())}, not {names}"
                raise ValueError(message)

    def steps(self, batch_size: int) -> int | None:
        """How many batches an epoch has; None for a set without a survey or a cache, and where workers' shares differ from epoch to epoch.

        A cache is made where there is none yet. Raises OSError.
        """
        survey = self.survey if self.cache is None else cached(self.source, self.cache).survey
        return math.ceil(len(survey) / batch_size) if survey is not None and self.worker[1] == 1 else None

    def identity(self) -> str:
        """The set's, and which array is what. A copy has another order than the set."""
        is_copy = self.cache is not None or isinstance(self.source, Cached)
        return f"{self.source.identity()} {self.inputs} {self.targets} {self.weights} {self.worker} {is_copy}"

    def epoch(self, number: int, *, batch_size: int, seed: int | None, first: int = 0) -> "tf.data.Dataset":
        """An epoch's batches from batch `first` on: (inputs, targets) or (inputs, targets, weights).

        Raises OSError, and ValueError as `dataset` does.
        """
        batches = dataset(
            self.source,
            batch_size=batch_size,
            seed=seed,
            epoch=number,
            worker=self.worker,
            start=first * batch_size,
            cache=self.cache,
            survey=self.survey,
            quarantine=self.quarantine,
        )
        return batches.map(self._chosen)

    def _chosen(self, items: Mapping[str, Any]) -> tuple[Any, ...]:
        inputs, targets = (items[names] if isinstance(names, str) else {name: items[name] for name in names} for names in (self.inputs, self.targets))
        return (inputs, targets) if self.weights is None else (inputs, targets, items[self.weights])
