"""In which order a set's items come: a function of the seed and the epoch alone.

The shards are shuffled and dealt to the workers in turn, so that each item goes to exactly one of them. A worker's items, shard after shard, fall
into windows of `Source.buffer`; each window is read, shuffled, and given. A window's order depends on its number and not on the windows before it,
so that it can be begun with.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault
from training.streams.quarantine import Quarantine
from training.streams.source import Items, Shard, Source, Spec, count_of
from training.streams.survey import Survey

_CHUNK_BYTES = 1 << 20
_WINDOW_BYTES = 128 << 20
_CHUNK_ITEMS = 8192
# Told apart from each other: what the shards are shuffled by, and what a window is.
_SHARDS, _WINDOW = 0, 1


class SetChanged(RuntimeError):
    """A file isn't what it was when the set was surveyed: survey it again, and begin the epoch anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One worker's items in one epoch.

    Attributes:
        source: the set.
        seed: of every random choice; None: the set's own order.
        epoch: from 0.
        worker: which of how many: (index, count), the index from 0.
        survey: how many items each shard has, where that is known.
    """

    source: Source
    seed: int | None
    epoch: int
    worker: tuple[int, int] = (0, 1)
    survey: Survey | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where seed or epoch is negative, there is no such worker, or the survey is another set's."""
        index, count = self.worker
        if (self.seed is not None and self.seed < 0) or self.epoch < 0:
            message = f"seed, epoch: 0 or more, not {self.seed} and {self.epoch}"
            raise ValueError(message)
        if not 0 <= index < count:
            message = f"worker: (index, count) with an index from 0 to count - 1, not {self.worker}"
            raise ValueError(message)
        if self.survey is not None and self.survey.identity != self.source.identity():
            message = "survey: of this set as it is now; it is another's, or a file has changed since"
            raise ValueError(message)

    def shards(self) -> tuple[tuple[Shard, int | None], ...]:
        """The worker's shards in the epoch's order, and how many items each has, where that is known.

        Raises ValueError where there are more workers than shards: one of them would have nothing to do.
        """
        shards = self.source.shards()
        index, count = self.worker
        if count > 1 and len(shards) < count:
            message = f"worker: {count} of them, and {len(shards)} shards: give smaller shards, or a cache"
            raise ValueError(message)
        order = range(len(shards)) if self.seed is None else np.random.default_rng([self.seed, self.epoch, _SHARDS]).permutation(len(shards))
        items = self.survey.items if self.survey is not None else (None,) * len(shards)
        return tuple((shards[place], items[place]) for place in list(order)[index::count])

    def items(self) -> int | None:
        """How many the worker has; None where the set wasn't surveyed."""
        counts = [count for _, count in self.shards()]
        return sum(count or 0 for count in counts) if self.survey is not None else None

    def chunks(self, start: int, quarantine: Quarantine) -> Generator[dict[str, NDArray[Any]], None, None]:
        """The items from the `start`th on, some at a time: one, where its shape is open. Raises OSError and SetChanged."""
        spec = self.source.spec()
        if self.seed is None:
            for block in _blocks(self.source, self.shards(), start, quarantine):
                yield from _pieces(block, spec)
            return
        # Whoever declares no buffer gets the reader's, which knows nothing of how large an item is.
        size = max(1, min(self.source.buffer, _WINDOW_BYTES // sum(one.item_bytes for one in spec.values())))
        number, seen = divmod(start, size)
        blocks = _blocks(self.source, self.shards(), number * size, quarantine)
        for window in _windows(blocks, spec, size):
            yield from window.shuffled([self.seed, self.epoch, _WINDOW, self.worker[0], number], seen)
            number, seen = number + 1, 0


def _windows(blocks: Iterator[Items], spec: Mapping[str, Spec], size: int) -> Iterator["_Window"]:
    """The blocks in windows, the last one not full; while one is given out, the next one is read."""
    filler = _Filler(blocks)
    full, empty = _Window(spec, size), _Window(spec, size)
    # A thread of its own: whoever learns from a window would wait for the next one otherwise.
    with ThreadPoolExecutor(1, "stream") as reader:
        try:
            reading = reader.submit(filler.fill, full)
            while (full := reading.result()).is_full:
                reading = reader.submit(filler.fill, empty)
                yield full
                full, empty = empty, full
            yield full
        finally:
            # Nobody wants the rest.
            filler.is_over = True


class _Filler:
    """Fills windows from blocks, one after the other."""

    def __init__(self, blocks: Iterator[Items]) -> None:
        self._blocks = blocks
        self._rest: Items | None = None
        self.is_over = False

    def fill(self, window: "_Window") -> "_Window":
        while not window.is_full and not self.is_over:
            block = self._rest if self._rest is not None else next(self._blocks, None)
            if block is None:
                break
            self._rest = window.take(block)
        return window


class _Window:
    """Room for so many items, used again and again: what comes out is a copy."""

    def __init__(self, spec: Mapping[str, Spec], size: int) -> None:
        self._spec, self._size, self._held = spec, size, 0
        self._room = {name: one.room(size) for name, one in spec.items()}

    @property
    def is_full(self) -> bool:
        return self._held == self._size

    def take(self, block: Items) -> Items | None:
        """Takes what there is room for, and returns the rest."""
        count = min(count_of(block), self._size - self._held)
        for name, room in self._room.items():
            if self._spec[name].is_open:
                for place in range(count):
                    room[self._held + place] = block[name][place]
            else:
                room[self._held : self._held + count] = block[name][:count]
        self._held += count
        return {name: array[count:] for name, array in block.items()} if count < count_of(block) else None

    def shuffled(self, seed: Sequence[int], seen: int) -> Iterator[dict[str, NDArray[Any]]]:
        """What it holds in the seed's order, without the first `seen`; then it is empty."""
        order = np.random.default_rng(seed).permutation(self._held)[seen:]
        step = _chunk_items(self._spec)
        for begin in range(0, len(order), step):
            chosen = order[begin : begin + step]
            yield {name: np.stack(list(room[chosen])) if self._spec[name].is_open else room[chosen] for name, room in self._room.items()}
        self._held = 0


def _blocks(source: Source, shards: Sequence[tuple[Shard, int | None]], skipped: int, quarantine: Quarantine) -> Iterator[Items]:
    """The shards' items without the first `skipped`; shards that lie before these whole aren't read where it is known how many items they have."""
    for shard, items in shards:
        if items is not None and 0 < skipped >= items:
            skipped -= items
            continue
        start = 0
        if items is not None and items == shard.records:
            # None of its records is bad, so that its items can be counted without them.
            start, skipped = skipped, 0
        read = start
        for block in source.read(shard, start):
            if isinstance(block, Fault):
                quarantine.add(block)
                continue
            count = count_of(block)
            read += count
            left_out = min(skipped, count)
            skipped -= left_out
            if left_out < count:
                yield {name: array[left_out:] for name, array in block.items()} if left_out else block
        if items is not None and read != items:
            message = f"{shard.file}: {read} items from record {shard.first + 1} on, where the survey found {items}"
            raise SetChanged(message)


def _pieces(block: Items, spec: Mapping[str, Spec]) -> Iterator[dict[str, NDArray[Any]]]:
    step = _chunk_items(spec)
    for begin in range(0, count_of(block), step):
        yield {name: block[name][begin : begin + step] for name in spec}


def _chunk_items(spec: Mapping[str, Spec]) -> int:
    """How many items are handed to tf.data at a time: enough for it to be quick, few enough to be small."""
    if any(one.is_open for one in spec.values()):
        return 1
    return max(1, min(_CHUNK_ITEMS, _CHUNK_BYTES // sum(one.item_bytes for one in spec.values())))
