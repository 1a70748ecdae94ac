"""What is kept of each item of a set that is read through, to find items that are equal when all have gone by: numbers, and none of its values."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason
from training.streams.columns import out_of_bounds
from training.streams.parts import NAMES, Block, Parts
from training.streams.source import count_of, located

_TRAINING, _, _HELD_OUT = range(len(NAMES))
_CHUNK = 1 << 16
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LeftOut:
    """Items that aren't used, by their numbers in the order in which all were read.

    Attributes:
        items: these numbers, from 0, rising.
        parts: [items], of which part each is: a place among `parts.NAMES`.
        reasons: why.
    """

    items: NDArray[np.int64]
    parts: NDArray[np.int8]
    reasons: tuple[Reason, ...]


class Ledger:
    """Of each item 13 bytes: a hash of its inputs, one of its label, and its part. While equal ones are looked for, it takes as much again."""

    def __init__(self, records: int, *, looks_for_copies: bool, classes: int | None = None) -> None:
        """Room for so many items; for nothing but how many there are, where nobody looks for copies. `classes` is how many are known."""
        room = records if looks_for_copies else 0
        self._looks = looks_for_copies
        self._keys, self._labels, self._parts = np.empty(room, np.uint64), np.empty(room, np.uint32), np.empty(room, np.int8)
        self._last_class = None if classes is None else classes - 1
        # Items of no class, and of which part they are.
        self._without_class: list[tuple[NDArray[np.int64], NDArray[np.int8], Reason]] = []
        # How many items each shard of each source has, in the order in which they were read.
        self._counts: dict[tuple[int, int], int] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many items there are."""
        return self._count

    def add(self, block: Block, inputs: str, targets: Sequence[str]) -> NDArray[np.int64]:
        """Takes a block in, and returns its items' numbers. A class below 0 is none, nor is one beyond the last."""
        found = count_of(block.items)
        items = np.arange(self._count, self._count + found)
        labels = [block.items[name] for name in targets]
        if len(labels) == 1 and labels[0].dtype.kind == "i":
            for reason, is_wrong in out_of_bounds(labels[0].reshape(found, -1), 0, self._last_class).items():
                if (wrong := is_wrong.any(axis=1) & (block.parts >= 0)).any():
                    self._without_class.append((items[wrong], block.parts[wrong], reason))
        if self._looks:
            rows = slice(self._count, self._count + found)
            values = block.items[inputs]
            self._keys[rows] = hashes(values)
            self._labels[rows] = np.bitwise_xor.reduce(
                [_of_few(array) * np.uint64(2 * place + 1) for place, array in enumerate(labels)]
            ) >> np.uint64(32)
            # Of items of which nothing is known nobody knows that they are equal.
            self._parts[rows] = np.where(_are_empty(values), -1, block.parts)
        of = block.source, block.place
        self._counts[of] = self._counts.get(of, 0) + found
        self._count += found
        return items

    def left_out(self) -> LeftOut:
        """Items of no class; and, of the others, those that equal others, as `quality.arrays` has it of items in memory.

        None of those that are equal and have other labels is used, for nobody knows which is right. Of those with one label the first that is held
        out stays; or, where none is, the first to validate; or else the first to train on.
        """
        none = np.zeros(0, np.int64)
        found = [(none, np.zeros(0, np.int8), list[Reason]())]
        found += [(items, parts, [reason] * len(items)) for items, parts, reason in self._without_class]
        items = self._not_alone(np.concatenate([items for items, *_ in found])) if self._looks else none
        if len(items):
            # Equal ones beside each other, and those that stay first.
            items = items[np.lexsort((items, -self._parts[items], self._keys[items]))]
            keys, labels, parts = self._keys[items], self._labels[items], self._parts[items]
            is_first = np.concatenate([[True], keys[1:] != keys[:-1]])
            firsts, group = np.flatnonzero(is_first), np.cumsum(is_first) - 1
            is_contradicted = np.logical_or.reduceat(labels != labels[firsts][group], firsts)[group]
            is_held_out_too = (parts[firsts][group] == _HELD_OUT) & (parts != _HELD_OUT)
            wrong = is_contradicted | ~is_first
            reasons = np.where(is_contradicted, Reason.CONFLICTING_LABEL, np.where(is_held_out_too, Reason.ALSO_HELD_OUT, Reason.DUPLICATE_ROW))
            found.append((items[wrong], parts[wrong], [Reason(each) for each in reasons[wrong].tolist()]))
        items, parts = (np.concatenate([each[place] for each in found]) for place in range(2))
        reasons_of = [reason for *_, some in found for reason in some]
        order = np.argsort(items)
        return LeftOut(items=items[order], parts=parts[order], reasons=tuple(reasons_of[place] for place in order.tolist()))

    def _not_alone(self, without: NDArray[np.int64]) -> NDArray[np.int64]:
        """The items of a part whose inputs have the hash of another's."""
        keys = np.sort(self._keys[: self._count])
        twice = np.unique(keys[1:][keys[1:] == keys[:-1]])
        del keys
        if not len(twice):
            return np.zeros(0, np.int64)
        found = []
        for begin in range(0, self._count, _CHUNK):
            some = slice(begin, min(begin + _CHUNK, self._count))
            found.append(begin + np.flatnonzero(np.isin(self._keys[some], twice) & (self._parts[some] >= 0)))
        items = np.concatenate(found)
        return items[~np.isin(items, without)] if len(without) else items

    def by_shard(self, items: NDArray[np.int64]) -> Iterator[tuple[tuple[int, int], NDArray[np.int64]]]:
        """(source, place of the shard) and the places of these items among the shard's, for each shard that has some. `items` are rising."""
        begin = 0
        ends = np.cumsum([*self._counts.values()])
        borders = np.searchsorted(items, ends)
        for of, end, first, last in zip(self._counts, ends.tolist(), [0, *borders[:-1].tolist()], borders.tolist(), strict=True):
            if last > first:
                yield of, items[first:last] - begin
            begin = end

    def skipped(self, items: NDArray[np.int64], sources: int) -> list[dict[int, NDArray[np.int64]]]:
        """The same for each source, as `Parts.without` takes it."""
        found: list[dict[int, NDArray[np.int64]]] = [{} for _ in range(sources)]
        for (source, place), some in self.by_shard(items):
            found[source][place] = some
        return found

    def where(self, items: NDArray[np.int64], parts: Parts) -> Iterator[tuple[int, str, int | None]]:
        """Source, file, and record, from 1, of each of these items; no record where it is a file of its own. Their shards are read again."""
        for (number, place), some in self.by_shard(items):
            source, at = parts.sources[number][1], 0
            for block in located(source, source.shards()[place]):
                if isinstance(block, Fault):
                    continue
                for item in some[(some >= at) & (some < at + len(block.rows))].tolist():
                    yield number, *block.place(item - at)
                at += len(block.rows)


def hashes(values: NDArray[Any]) -> NDArray[np.uint64]:
    """[items], 64 bits of BLAKE2b of each item's values; 0 and -0 are equal, and so is all that is no number.

    Of two million items two that differ have the same once in nine million sets.
    """
    rows = values.reshape(len(values), -1)
    if rows.dtype == object:
        digests = [hashlib.blake2b(repr(row).encode("utf-8", "surrogateescape"), digest_size=8).digest() for row in rows.tolist()]
        return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
    # A piece at a time: a volume is hundreds of mebibytes, and is copied here.
    width = max(1, min(rows.shape[1], _PIECE_BYTES // rows.dtype.itemsize))
    digests = []
    for row in range(0, len(rows), step := max(1, _PIECE_BYTES // (width * rows.dtype.itemsize))):
        found = [hashlib.blake2b(digest_size=8) for _ in rows[row : row + step]]
        for column in range(0, rows.shape[1], width):
            piece = np.ascontiguousarray(rows[row : row + step, column : column + width])
            if piece.dtype.kind == "f":
                piece = piece + np.zeros((), piece.dtype)
                piece[np.isnan(piece)] = np.nan
            for one, part in zip(found, piece, strict=True):
                one.update(part)
        digests += [one.digest() for one in found]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _of_few(labels: NDArray[Any]) -> NDArray[np.uint64]:
    """`hashes` of values of which a few are all there are."""
    if labels.ndim > 1 or labels.dtype == object:
        return hashes(labels)
    values, places = np.unique(labels, return_inverse=True)
    return hashes(values)[places]


def _are_empty(values: NDArray[Any]) -> NDArray[np.bool_]:
    """[items], whether no number is known."""
    return np.isnan(values.reshape(len(values), -1)).all(axis=1) if values.dtype.kind == "f" else np.zeros(len(values), bool)
