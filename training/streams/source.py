"""What every reader has in common: a set in shards, each read for itself, from any of its records on."""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault

Items = Mapping[str, NDArray[Any]]
"""One or more items: arrays [items, …] by name. Texts are arrays of `object`."""

STRING = "string"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One array of an item.

    Attributes:
        dtype: numpy's name of the type, or `string`.
        shape: of one item; None where it differs from item to item.
    """

    dtype: str
    shape: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where the type isn't one, or a dimension isn't positive."""
        try:
            known = self.dtype == STRING or np.dtype(self.dtype).kind in "iuf"
        except TypeError:
            known = False
        if not known:
            message = f"dtype: an integer or floating-point type of numpy, or {STRING}, not {self.dtype!r}"
            raise ValueError(message)
        if any(size is not None and size < 1 for size in self.shape):
            message = f"shape: dimensions of 1 or more, or None, not {self.shape}"
            raise ValueError(message)

    @property
    def is_open(self) -> bool:
        """Whether items differ in shape."""
        return None in self.shape

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of the array."""
        return np.dtype(object if self.dtype == STRING else self.dtype)

    @property
    def size(self) -> int:
        """How many numbers or texts an item has; the least, where its shape is open."""
        return math.prod(dimension or 1 for dimension in self.shape)

    @property
    def item_bytes(self) -> int:
        """What an item takes; at least, where its shape is open or it is a text."""
        return self.size * self.numpy.itemsize

    def room(self, items: int) -> NDArray[Any]:
        """An array for so many items, with nothing in it; of objects, where the shape is open."""
        return np.empty((items, *map(int, self.shape)), self.numpy) if not self.is_open else np.empty(items, object)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A part of a set that is read for itself: records that follow one another in one file, or files that follow one another in a folder.

    Attributes:
        file: the file's name below the set's folder; the first of several.
        first: the number of its first record, from 0: in the file, or among the folder's files.
        records: how many there are, good or bad.
        begin, end: the bytes of the file that hold them, where the reader goes by bytes; otherwise 0.
        faults: what is known to be wrong before it is read. A shard with faults and no records is a file that isn't taken.
        of_files: whether each record is a file of its own, whose name is the item's `file`.
    """

    file: str
    first: int = 0
    records: int = 0
    begin: int = 0
    end: int = 0
    faults: tuple[Fault, ...] = ()
    of_files: bool = False


class Source(Protocol):
    """A set of items that is read while a network learns from it; a frozen dataclass.

    Reading raises OSError where the disk or the network refuses. What is wrong with the data is no error: it comes as a `Fault`.
    """

    @property
    def buffer(self) -> int:
        """How many items are shuffled at a time; fewer, where they would take more than 128 mebibytes.

        Twice as many are held, for the next ones are read meanwhile.
        """

    def spec(self) -> Mapping[str, Spec]:
        """An item's arrays, by name."""

    def identity(self) -> str:
        """Tells this set from others, and from itself before a file changed: by names, sizes and times. No content is read.

        32 hexadecimal digits.
        """

    def shards(self) -> Sequence[Shard]:
        """All of them, in the set's own order; the same in every process, as long as no file changes."""

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """The shard's items in their own order, in blocks of one or more, without its first `start` records; and what is wrong, where it is met."""


def count_of(items: Items) -> int:
    """How many there are."""
    return len(next(iter(items.values())))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Located:
    """Items that were read, and where.

    Attributes:
        items: one or more.
        shard: that they are of.
        rows: int64 [items], the numbers of their records in the shard's file, or of their files among the folder's, from 1.
    """

    items: Items
    shard: Shard
    rows: NDArray[np.int64]

    def place(self, item: int) -> tuple[str, int | None]:
        """The file of one of them, and the number of its record there; None where the record is a file of its own."""
        return (self.items["file"][item], None) if self.shard.of_files else (self.shard.file, int(self.rows[item]))


def located(source: Source, shard: Shard, start: int = 0) -> Iterator[Located | Fault]:
    """What `Source.read` gives, and where each item is from. Raises OSError."""
    bad: set[int] = set()
    row = shard.first + start
    for block in source.read(shard, start):
        if isinstance(block, Fault):
            # What is wrong with a record comes before the items behind it.
            bad.add(block.row or 0)
            yield block
            continue
        found = count_of(block)
        rows = np.arange(row + 1, row + 1 + found + len(bad))
        rows = rows[~np.isin(rows, list(bad))][:found] if bad else rows
        row = int(rows[-1])
        yield Located(items=block, shard=shard, rows=rows)


def files_of(shards: Iterable[Shard]) -> tuple[int, int]:
    """How many files of many records there are, and how many of these aren't taken at all."""
    whole = [shard for shard in shards if not shard.of_files]
    return len({shard.file for shard in whole}), len({shard.file for shard in whole if shard.faults and not shard.records})


def names_of(root: Path, *patterns: str) -> tuple[str, ...]:
    """The file `root`, or the files below it whose names match one of the patterns: sorted names below `root`, without hidden ones.

    `2.CSV` matches `*.csv`. A link to a file is one, and a link to a folder isn't followed, for it may lead back: `passed_over` counts it.
    Names and no paths, which are several times as large: there may be millions.
    Raises FileNotFoundError where `root`, or what such a file is a link to, isn't there, and OSError where a folder can't be read.
    """
    if root.is_file():
        return (root.name,)
    if not root.is_dir():
        message = f"{root}: no such file or folder"
        raise FileNotFoundError(message)
    return _found_in(root, patterns)[0]


def passed_over(sources: Iterable[Any]) -> Counter[str]:
    """What lies in the readers' folders, isn't hidden, and is of none of them: how many files by suffix, and links to folders. Raises OSError.

    A reader has its folder as `root`, and the names that it takes as `patterns`; where it has none, it takes all.
    """
    patterns: dict[Path, set[str]] = {}
    for source in sources:
        root = getattr(source, "root", None)
        if isinstance(root, Path) and root.is_dir():
            # Several sets can lie in one folder.
            patterns.setdefault(root, set()).update(getattr(source, "patterns", ("*",)))
    return sum((_found_in(root, tuple(some))[1] for root, some in patterns.items()), Counter[str]())


def _found_in(root: Path, patterns: Sequence[str]) -> tuple[tuple[str, ...], Counter[str]]:
    """`names_of` a folder, and `passed_over`."""
    lower = [pattern.lower() for pattern in patterns]
    names: list[str] = []
    others: Counter[str] = Counter()
    folders = [""]
    while folders:
        below = folders.pop()
        with os.scandir(root / below) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                is_link = entry.is_symlink()
                if not is_link and entry.is_dir():
                    folders.append(f"{below}{entry.name}/")
                    continue
                if is_link and Path(entry.path).is_dir():
                    others["a folder that is a link"] += 1
                elif not any(fnmatchcase(entry.name.lower(), pattern) for pattern in lower):
                    others[Path(entry.name).suffix.lower() or "without a suffix"] += 1
                elif is_link and not Path(entry.path).exists():
                    message = f"{entry.path}: a link to what isn't there"
                    raise FileNotFoundError(message)
                else:
                    names.append(below + entry.name)
    return tuple(sorted(names)), others


def path_of(root: Path, name: str) -> Path:
    """Where one of `names_of` is."""
    return root if root.is_file() else root / name


def digest(source: Any, names: Iterable[str], also: Iterable[Path] = ()) -> str:  # noqa: ANN401 - any reader
    """Of a reader's declaration, but for where it lies, and of its files' names, sizes and times: 32 hexadecimal digits.

    `also` are files that lie elsewhere. Raises OSError.
    """
    root = source.root
    declared = [(field.name, getattr(source, field.name)) for field in fields(source) if field.name != "root"]
    found = hashlib.blake2b(repr((type(source).__name__, declared)).encode(), digest_size=16)
    for name, path in chain(((name, path_of(root, name)) for name in names), ((path.name, path) for path in also)):
        state = path.stat()
        found.update(f"\n{name}\0{state.st_size}\0{state.st_mtime_ns}".encode())
    return found.hexdigest()


def require_counts(**counts: int) -> None:
    """Raises ValueError, which names the field, where one is below 1."""
    for name, count in counts.items():
        if count < 1:
            message = f"{name}: 1 or more, not {count}"
            raise ValueError(message)
