"""What the tests of the streams share: a set read through, and one that lies in memory and says what was read of it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason
from training.streams.source import Items, Shard, Source, Spec

Read = Callable[..., tuple[dict[str, list[Any]], list[str]]]


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Shards of numbers that count on from 0 through all of them; in these lists False is a record that is bad."""

    good: Sequence[Sequence[bool]]
    buffer: int = 4
    read_of: list[int] = field(default_factory=list, compare=False)
    """The numbers that were read, good or bad."""

    def spec(self) -> Mapping[str, Spec]:
        return {"number": Spec(dtype="int64"), "twice": Spec(dtype="float32", shape=(2,))}

    def identity(self) -> str:
        return hashlib.blake2b(repr(self.good).encode(), digest_size=16).hexdigest()

    def shards(self) -> Sequence[Shard]:
        firsts = np.cumsum([0, *map(len, self.good)]).tolist()
        return [Shard(file=str(number), first=first, records=len(one)) for number, (first, one) in enumerate(zip(firsts, self.good, strict=False))]

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        good = self.good[int(shard.file)]
        for begin in range(start, len(good), 3):
            places = range(begin, min(begin + 3, len(good)))
            self.read_of.extend(shard.first + place for place in places)
            yield from (Fault(file=shard.file, row=place + 1, reason=Reason.DAMAGED) for place in places if not good[place])
            numbers = shard.first + np.array([place for place in places if good[place]], np.int64)
            if len(numbers):
                yield {"number": numbers, "twice": np.stack([numbers, numbers], axis=1).astype(np.float32)}

    @property
    def good_numbers(self) -> list[int]:
        return [number for number, is_good in enumerate(one for shard in self.good for one in shard) if is_good]


@pytest.fixture(scope="session")
def read() -> Read:
    """All items of a source by name, as lists, and its faults as people read them; with `start`, of the first shard that has records only."""

    def run(source: Source, start: int = 0) -> tuple[dict[str, list[Any]], list[str]]:
        items: dict[str, list[NDArray[Any]]] = {name: [] for name in source.spec()}
        faults = []
        for shard in source.shards():
            for block in source.read(shard, start):
                if isinstance(block, Fault):
                    faults.append(str(block))
                    continue
                lengths = {len(array) for array in block.values()}
                assert len(lengths) == 1
                assert lengths != {0}
                for name, spec in source.spec().items():
                    assert block[name].dtype == spec.numpy
                    assert all(wanted in {None, size} for wanted, size in zip(spec.shape, block[name].shape[1:], strict=True))
                    items[name].append(block[name])
        return {name: [one for array in arrays for one in array.tolist()] for name, arrays in items.items()}, faults

    return run


@pytest.fixture(scope="session")
def numbers() -> type[Numbers]:
    return Numbers
