"""Three parts of a set that is larger than memory: what is learnt from, what sets thresholds and ends the fit, and what is held out.

A table in memory is cut by `training.quality.split`, which knows all patients and balances the parts. Here nobody is remembered: a keyed hash of the
patient's ID says which part an item is of, so that a patient is in the same part in every file, in every process, and when the set has grown.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from training.quality import cells
from training.quality.fault import Fault, Reason
from training.streams.cache import cached
from training.streams.source import STRING, Items, Located, Shard, Source, Spec, count_of, located
from training.streams.survey import Survey
from training.streams.thinned import Thinned

Name = Literal["training", "validation", "held_out"]
NAMES: tuple[Name, ...] = ("training", "validation", "held_out")


Tell = Callable[[Name | None, Fault], None]
"""Is told of a fault, and of the part that it is met in where that is known."""


class Block(NamedTuple):
    """Some items as they were read.

    Attributes:
        source: whose: a place among `Parts.sources`.
        place: of their shard among the source's.
        items: all of the block, those that are of no part included.
        parts: int8 [items], of which part each is, a place among `NAMES`; or -1.
    """

    source: int
    place: int
    items: Items
    parts: NDArray[np.int8]


class Parts(Protocol):
    """Where three parts come from; `ByPatient` and `Given`."""

    @property
    def sources(self) -> "tuple[tuple[Name | None, Source], ...]":
        """The sets, in the order in which they are read; each with the part that it is, where it is one."""

    @property
    def patients(self) -> "Patients | None":
        """What says whose an item is; None where each is somebody else's."""

    @property
    def may_leak(self) -> bool:
        """Whether a patient may be in two parts, and items say whose they are."""

    def hashes(self, block: Items) -> NDArray[np.int64]:
        """[items], a number for each patient; where items say whose they are."""

    def part(self, name: Name) -> Source:
        """One of them."""

    def read(self, tell: "Tell") -> Iterator[Block]:
        """All items once; `tell` is told what is wrong. Where a patient may be in two parts, what is learnt from comes last."""

    def without(self, skipped: Sequence[Mapping[int, NDArray[np.int64]]]) -> Self:
        """The same parts without some items: for each of `sources`, and by the place of a shard, their places among the shard's."""

    def copied(self, folder: Path) -> tuple[Self, tuple[tuple[Name | None, Survey], ...]]:
        """The same parts of copies in that folder (`cache.cached`), and what was found when these were made, of a part where that is known.

        Raises OSError.
        """


def text_of(value: Any) -> str:  # noqa: ANN401 - an item of an array
    """A text, or a number as one; a TFRecord has its texts as bytes."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patients:
    """What says whose an item is.

    Attributes:
        array: the array of the patients' IDs: integers, or texts, of which blanks around them don't count and `17.0` is `17` (`quality.cells.text`):
            so pandas writes whole numbers in a column with gaps. Texts of no length are of one patient.
        pattern: a regular expression that is looked for in the text, such as a file's name; its first group is the ID. None: the whole text.
    """

    array: str
    pattern: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the array has no name, or the pattern is none with a group."""
        try:
            groups = 1 if self.pattern is None else re.compile(self.pattern).groups
        except re.error:
            groups = 0
        if not self.array or not groups:
            message = f"array, pattern: a name, and a regular expression with a group, or None; not {self.array!r} and {self.pattern!r}"
            raise ValueError(message)

    def require_of(self, spec: Mapping[str, Spec]) -> None:
        """Raises ValueError where items have no such array, or one of another kind."""
        one = spec.get(self.array)
        if one is None or one.shape or not (one.dtype == STRING or (one.numpy.kind in "iu" and self.pattern is None)):
            message = f"patients: {self.array}: an array [items] of texts, or of integers and without a pattern, among {', '.join(spec)}"
            raise ValueError(message)

    def hashes(self, items: Items, seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """[items], 64 bits of BLAKE2b of each one's patient, keyed with the seed; and [items], whether there is an ID.

        Of a million patients two have the same number once in 40 million times.
        """
        key = seed.to_bytes(8, "little")
        found = [self._id(text_of(value)) for value in items[self.array].tolist()]
        digests = (hashlib.blake2b((text or "").encode("utf-8", "surrogateescape"), digest_size=8, key=key).digest() for text in found)
        return np.frombuffer(b"".join(digests), "<i8").astype(np.int64), np.array([text is not None for text in found], bool)

    def _id(self, text: str) -> str | None:
        if self.pattern is None:
            return cells.text(text)
        match = re.search(self.pattern, text)
        return None if match is None or match[1] is None else cells.text(match[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class ByPatient:
    """Parts of one set: all items of a patient are in one of them, whichever files they lie in.

    The parts have their shares of the patients to within chance: of n patients a part with the share p misses it by about the square root of
    p(1 - p)/n. Another validation share moves nobody into or out of what is held out.

    Attributes:
        source: the set.
        patients: what says whose an item is; for items that are each somebody else's, what tells them apart, such as `Patients(array="file")`.
        validation, held_out: shares of the patients.
        seed: of the split. It is part of the data: another one holds out other patients.
    """

    source: Source
    patients: Patients
    validation: float = 0.1
    held_out: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        if not (self.validation > 0 and self.held_out > 0 and self.validation + self.held_out < 1):
            message = f"validation, held_out: shares above 0 that leave something to learn from, not {self.validation} and {self.held_out}"
            raise ValueError(message)
        if not 0 <= self.seed < 2**64:
            message = f"seed: from 0 to 2^64 - 1, not {self.seed}"
            raise ValueError(message)
        self.patients.require_of(self.source.spec())

    @property
    def may_leak(self) -> bool:
        """No: the hash says which part a patient is in."""
        return False

    def hashes(self, block: Items) -> NDArray[np.int64]:
        """By the split's seed."""
        return self.patients.hashes(block, self.seed)[0]

    def part(self, name: Name) -> Source:
        """The set without the items of the other parts."""
        return _Kept(parts=self, name=name)

    @property
    def sources(self) -> tuple[tuple[Name | None, Source], ...]:
        """The one."""
        return ((None, self.source),)

    def read(self, tell: Tell) -> Iterator[Block]:
        """In one pass."""
        for place, shard in enumerate(self.source.shards()):
            for block in located(self.source, shard):
                if isinstance(block, Fault):
                    tell(None, block)
                    continue
                numbers, faults = self.numbers(block)
                for fault in faults:
                    tell(None, fault)
                yield Block(0, place, block.items, numbers)

    def without(self, skipped: Sequence[Mapping[int, NDArray[np.int64]]]) -> Self:
        """The set without them."""
        return replace(self, source=_thinned(self.source, skipped[0]))

    def copied(self, folder: Path) -> tuple[Self, tuple[tuple[Name | None, Survey], ...]]:
        """The whole set is copied once."""
        copy = cached(self.source, folder)
        return replace(self, source=copy), ((None, copy.survey),)

    def numbers(self, block: Located) -> tuple[NDArray[np.int8], list[Fault]]:
        """[items], the place of each item's part among `NAMES`, or -1 where the patient isn't known, and a fault for each of these."""
        hashes, known = self.patients.hashes(block.items, self.seed)
        # 53 bits, as many as a float has: a number from 0 to below 1.
        drawn = (hashes.view(np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        numbers = np.where(drawn < self.held_out, 2, np.where(drawn < self.held_out + self.validation, 1, 0))
        faults = []
        for item in np.flatnonzero(~known).tolist():
            file, row = block.place(item)
            faults.append(Fault(file=file, row=row, column=self.patients.array, reason=Reason.MISSING))
        return np.where(known, numbers, -1).astype(np.int8), faults


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Parts that come as sets of their own, such as three folders.

    Attributes:
        training, validation, held_out: the sets, whose items have the same arrays.
        patients: what says whose an item is; None where each is somebody else's.
    """

    training: Source
    validation: Source
    held_out: Source
    patients: Patients | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the sets' items differ in their arrays, or have none of patients."""
        if any(dict(self.part(name).spec()) != dict(self.training.spec()) for name in NAMES):
            message = "training, validation, held_out: sets whose items have the same arrays"
            raise ValueError(message)
        if self.patients is not None:
            self.patients.require_of(self.training.spec())

    @property
    def may_leak(self) -> bool:
        """Whoever made the parts may have put a patient into two."""
        return self.patients is not None

    def hashes(self, block: Items) -> NDArray[np.int64]:
        """The same in all parts. Items whose patient isn't known are of one, for they might be."""
        return np.zeros(0, np.int64) if self.patients is None else self.patients.hashes(block, 0)[0]

    def part(self, name: Name) -> Source:
        """The set of that name."""
        return {"training": self.training, "validation": self.validation, "held_out": self.held_out}[name]

    @property
    def sources(self) -> tuple[tuple[Name | None, Source], ...]:
        """What is held out first, and what is learnt from last."""
        return tuple((name, self.part(name)) for name in reversed(NAMES))

    def read(self, tell: Tell) -> Iterator[Block]:
        """One set after the other."""
        for number, name in enumerate(reversed(NAMES)):
            source = self.part(name)
            for place, shard in enumerate(source.shards()):
                for block in source.read(shard):
                    if isinstance(block, Fault):
                        tell(name, block)
                    else:
                        yield Block(number, place, block, np.full(count_of(block), NAMES.index(name), np.int8))

    def without(self, skipped: Sequence[Mapping[int, NDArray[np.int64]]]) -> Self:
        """Each set without its own."""
        held_out, validation, training = (_thinned(source, some) for (_, source), some in zip(self.sources, skipped, strict=True))
        return replace(self, training=training, validation=validation, held_out=held_out)

    def copied(self, folder: Path) -> tuple[Self, tuple[tuple[Name | None, Survey], ...]]:
        """A copy of each."""
        copies = [cached(self.part(name), folder) for name in NAMES]
        training, validation, held_out = copies
        surveys = tuple((name, copy.survey) for name, copy in zip(NAMES, copies, strict=True))
        return replace(self, training=training, validation=validation, held_out=held_out), surveys


def _thinned(source: Source, skipped: Mapping[int, NDArray[np.int64]]) -> Source:
    return Thinned(source=source, skipped=skipped) if skipped else source


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """One part of a set: its shards are the set's, and their records those of all parts."""

    parts: ByPatient
    name: Name

    @property
    def buffer(self) -> int:
        return self.parts.source.buffer

    def spec(self) -> Mapping[str, Spec]:
        return self.parts.source.spec()

    def identity(self) -> str:
        """Of the set, and of which items are kept. A copy has another order than what it is of."""
        parts = self.parts
        of = (type(parts.source).__name__, parts.source.identity(), self.name, parts.patients, parts.validation, parts.held_out, parts.seed)
        return hashlib.blake2b(repr(of).encode(), digest_size=16).hexdigest()

    def shards(self) -> Sequence[Shard]:
        return self.parts.source.shards()

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        for block in located(self.parts.source, shard, start):
            if isinstance(block, Fault):
                yield block
                continue
            numbers, faults = self.parts.numbers(block)
            yield from faults
            if (rows := numbers == NAMES.index(self.name)).any():
                yield {key: array[rows] for key, array in block.items.items()}
