"""A set without some of its items, such as copies: which these are is known once all have been read."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault
from training.streams.source import Items, Shard, Source, Spec, count_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Thinned:
    """The set's shards and records, and fewer items.

    Attributes:
        source: the set.
        skipped: by the place of a shard among the set's, the places of the items among the shard's that are left out, rising.
    """

    source: Source
    skipped: Mapping[int, NDArray[np.int64]]

    @property
    def buffer(self) -> int:
        """The set's."""
        return self.source.buffer

    def spec(self) -> Mapping[str, Spec]:
        """The set's."""
        return self.source.spec()

    def identity(self) -> str:
        """Of the set, and of what is left out. A copy has another order than what it is of."""
        found = hashlib.blake2b(f"{type(self.source).__name__} {self.source.identity()}".encode(), digest_size=16)
        for place in sorted(self.skipped):
            found.update(np.array([place, *self.skipped[place]], "<i8").tobytes())
        return found.hexdigest()

    def shards(self) -> Sequence[Shard]:
        """The set's."""
        return self.source.shards()

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """Without the items that are left out. A shard that has some and is begun with in its middle is read thrice, to count its items."""
        skipped = self._by_shard.get(shard)
        if skipped is None:
            yield from self.source.read(shard, start)
            return
        at = self._items(shard) - self._items(shard, start) if start else 0
        for block in self.source.read(shard, start):
            if isinstance(block, Fault):
                yield block
                continue
            is_kept = ~np.isin(np.arange(at, at + count_of(block)), skipped)
            at += len(is_kept)
            if is_kept.any():
                yield block if is_kept.all() else {name: array[is_kept] for name, array in block.items()}

    def _items(self, shard: Shard, start: int = 0) -> int:
        return sum(count_of(block) for block in self.source.read(shard, start) if not isinstance(block, Fault))

    @cached_property
    def _by_shard(self) -> Mapping[Shard, NDArray[np.int64]]:
        shards = self.source.shards()
        return {shards[place]: items for place, items in self.skipped.items()}
