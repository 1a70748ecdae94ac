"""What a fit reads: items in memory, or a stream. Each epoch's order is a function of the seed and the epoch's number alone."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tensorflow as tf

Tree = NDArray[Any] | Mapping[str, NDArray[Any]]
"""One array [items, …], or several by name."""


class Source(Protocol):
    """Batches of (inputs, targets) or (inputs, targets, weights), each one tensor [batch, …] or a dictionary of them."""

    def steps(self, batch_size: int) -> int | None:
        """How many batches an epoch has; None where nobody knows before it has been read."""

    def identity(self) -> str:
        """Tells these items from others: a fit goes on from its checkpoint only with the same."""

    def epoch(self, number: int, *, batch_size: int, seed: int | None, first: int = 0) -> "tf.data.Dataset":
        """An epoch's batches from batch `first` on: the same for the same number and seed; in the items' own order where `seed` is None.

        It may be asked more than once for an epoch, and without reading it, for the types of what would come.
        The size of a batch is left open in the element's spec, as `Dataset.batch` leaves it: the step is then traced once for all sizes.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """Items in memory.

    Attributes:
        inputs: [items, …], or these by the input's name. Doubles are read as single floats, as Keras does.
        targets: [items, …], or these by the output's name.
        weights: [items], what each counts in the loss; None: all the same.
    """

    inputs: Tree
    targets: Tree
    weights: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays aren't of the same items, or there are none."""
        shapes = {name: array.shape for name, array in self._named().items()}
        if not shapes or any(not shape for shape in shapes.values()) or len({shape[0] for shape in shapes.values()}) != 1 or not len(self):
            message = f"inputs, targets and weights: arrays [items, …] of the same items, one or more, not {shapes}"
            raise ValueError(message)

    def __len__(self) -> int:
        """How many items."""
        return len(next(iter(self._named().values())))

    def steps(self, batch_size: int) -> int:
        """How many batches an epoch has; the last may be smaller."""
        return math.ceil(len(self) / batch_size)

    def identity(self) -> str:
        """A digest of every name, type, shape and value."""
        digest = hashlib.blake2b(digest_size=16)
        for name, array in self._named().items():
            digest.update(repr((name, array.dtype.str, array.shape)).encode())
            # An object has no bytes of its own: texts of any length come as objects.
            digest.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
        return digest.hexdigest()

    def epoch(self, number: int, *, batch_size: int, seed: int | None, first: int = 0) -> "tf.data.Dataset":
        """An epoch's batches from batch `first` on, shuffled over all items by (seed, number)."""
        import tensorflow as tf  # noqa: PLC0415 - it takes seconds

        order = np.arange(len(self)) if seed is None else np.random.default_rng([seed, number]).permutation(len(self))
        with tf.device("CPU"):
            rows = tf.constant(order)
        tensors = self._tensors

        def batch(position: Any) -> Any:  # noqa: ANN401 - tensors
            chosen = rows[position * batch_size : (position + 1) * batch_size]
            return tf.nest.map_structure(lambda tensor: tf.gather(tensor, chosen), tensors)

        positions = tf.data.Dataset.range(first, self.steps(batch_size))
        return positions.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    @cached_property
    def _tensors(self) -> Any:  # noqa: ANN401 - a nest of tensors
        """Copied once for all epochs, and to the machine's own memory, where tf.data works."""
        import tensorflow as tf  # noqa: PLC0415

        def tensor(array: NDArray[Any]) -> Any:  # noqa: ANN401
            return tf.constant(array.astype(np.float32) if array.dtype == np.float64 else array)

        parts = (self.inputs, self.targets) if self.weights is None else (self.inputs, self.targets, self.weights)
        with tf.device("CPU"):
            return tuple({name: tensor(array) for name, array in part.items()} if isinstance(part, Mapping) else tensor(part) for part in parts)

    def _named(self) -> dict[str, NDArray[Any]]:
        named: dict[str, NDArray[Any]] = {}
        for kind, part in (("inputs", self.inputs), ("targets", self.targets), ("weights", self.weights)):
            if isinstance(part, Mapping):
                named |= {f"{kind}/{name}": array for name, array in part.items()}
            elif part is not None:
                named[kind] = part
        return named


class Read(Protocol):
    """Reads an epoch in batches, as `partial(training.streams.dataset.dataset, source)` does."""

    def __call__(self, *, batch_size: int, seed: int | None, epoch: int, start: int) -> "tf.data.Dataset":
        """The epoch's batches without its first `start` items, in an order that depends on seed and epoch alone; the items' own where it is None."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stream:
    """Items that are read while the fit runs.

    Attributes:
        name: tells these items from others, such as a reader's identity: nothing is read to find out.
        read: reads an epoch.
        parts: makes (inputs, targets), or (inputs, targets, weights), of a batch.
        items: how many there are, where somebody knows: the progress and a cosine schedule need it.
    """

    name: str
    read: Read
    parts: Callable[[Any], Any] | None = None
    items: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the name is empty or there are no items."""
        if not self.name or (self.items is not None and self.items < 1):
            message = f"a stream has a name, and items: 1 or more, or None; not {self.name!r} and {self.items}"
            raise ValueError(message)

    def steps(self, batch_size: int) -> int | None:
        """How many batches an epoch has."""
        return None if self.items is None else math.ceil(self.items / batch_size)

    def identity(self) -> str:
        """The name, and how many items."""
        return f"{self.name}, {self.items} items"

    def epoch(self, number: int, *, batch_size: int, seed: int | None, first: int = 0) -> "tf.data.Dataset":
        """An epoch's batches from batch `first` on."""
        batches = self.read(batch_size=batch_size, seed=seed, epoch=number, start=first * batch_size)
        return batches if self.parts is None else batches.map(self.parts)
