"""Parquet files: one, or all in a folder. A row group is read for itself, a few thousand rows at a time.

What Arrow says of a damaged file or a cell can quote it, so none of its messages leaves this file.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.quality.fault import Fault, Reason
from training.streams.columns import Part, columns_of, items_of, require_parts
from training.streams.source import Items, Shard, Spec, count_of, digest, names_of, path_of, require_counts

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BLOCK_ROWS = 8192
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ParquetFiles:
    """Tables of one kind, in one order of items.

    Attributes:
        root: the file, or the folder that holds them.
        parts: what an item has. Where a column has texts, and numbers are wanted, these are read from the texts.
        pattern: the files' names, where `root` is a folder, in small letters or capitals.
        buffer: how many items are held to be shuffled.
    """

    root: Path
    parts: tuple[Part, ...]
    pattern: str = "*.parquet"
    buffer: int = 65_536

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_parts(self.parts)
        require_counts(buffer=self.buffer)

    def spec(self) -> Mapping[str, Spec]:
        """The parts'."""
        return {part.name: part.spec() for part in self.parts}

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files' names."""
        return (self.pattern,)

    def identity(self) -> str:
        """Of the declaration and the files."""
        return digest(self, self._names)

    def shards(self) -> Sequence[Shard]:
        """One for each row group; `begin` is its number. Of each file only the footer is read."""
        return self._shards

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """Blocks of a few thousand rows. The rows before `start` are decoded, for a page can't be begun with in its middle, and left.

        Where a row group is found to be damaged, the record that couldn't be read stands for it and for all behind it.
        """
        if not shard.records:
            yield from shard.faults
        if start >= shard.records:
            return
        done = 0
        names = list(columns_of(self.parts))
        try:
            with _opened(path_of(self.root, shard.file)) as file:
                batches = file.iter_batches(_BLOCK_ROWS, row_groups=[shard.begin], columns=names, use_threads=False)
                for batch in batches:
                    first, done = done, done + len(batch)
                    if done <= start:
                        continue
                    left_out = max(0, start - first)
                    yield from self._items(batch.slice(left_out), shard, first + left_out)
        except Exception as error:  # noqa: BLE001 - Arrow raises all kinds of a damaged file, and quotes it
            _raise_if_the_disks(error)
            yield Fault(file=shard.file, row=shard.first + done + 1, reason=Reason.DAMAGED)

    def _items(self, batch: "pa.RecordBatch", shard: Shard, first: int) -> Iterator[Items | Fault]:
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        rows = shard.first + first + np.arange(1, len(batch) + 1)
        items, faults = items_of(pa.Table.from_batches([batch]), self.parts, file=shard.file, rows=rows)
        yield from faults
        if count_of(items):
            yield items

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return names_of(self.root, *self.patterns)

    @cached_property
    def _shards(self) -> tuple[Shard, ...]:
        shards: list[Shard] = []
        for name in self._names:
            shards += self._shards_of(name, path_of(self.root, name))
        return tuple(shards) or (Shard(file=self.root.name, faults=(Fault(file=self.root.name, reason=Reason.NO_FILES),)),)

    def _shards_of(self, name: str, path: Path) -> list[Shard]:
        if not path.stat().st_size:
            return [Shard(file=name, faults=(Fault(file=name, reason=Reason.EMPTY_FILE),))]
        try:
            with _opened(path) as file:
                groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
                faults = self._faults_of(name, file.schema_arrow)
        except Exception as error:  # noqa: BLE001 - as above
            _raise_if_the_disks(error)
            return [Shard(file=name, faults=(Fault(file=name, reason=Reason.DAMAGED),))]
        if faults:
            return [Shard(file=name, faults=tuple(faults))]
        firsts = np.cumsum([0, *groups]).tolist()
        shards = [Shard(file=name, first=firsts[number], records=rows, begin=number) for number, rows in enumerate(groups) if rows]
        return shards or [Shard(file=name, faults=(Fault(file=name, reason=Reason.NO_RECORDS),))]

    def _faults_of(self, file: str, schema: "pa.Schema") -> Iterator[Fault] | list[Fault]:
        times = Counter(schema.names)
        found = {name: Reason.COLUMN_MISSING for name in columns_of(self.parts) if name not in times}
        found |= {name: Reason.COLUMN_TWICE for name in columns_of(self.parts) if times[name] > 1}
        for part in self.parts:
            types = {name: schema.field(name).type for name in part.names if name not in found}
            found |= {name: Reason.WRONG_TYPE for name, type_ in types.items() if not _fits(type_, is_text=name in part.texts)}
        return [Fault(file=file, column=name, reason=reason) for name, reason in found.items()]


def _opened(path: Path) -> "pq.ParquetFile":
    """Read as a stream, and never mapped into memory: a row group can be larger than what there is. Checksums are held against the pages."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

    return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, memory_map=False, page_checksum_verification=True)


def _fits(type_: "pa.DataType", *, is_text: bool) -> bool:
    """Whether the column's cells can be what is wanted, each by itself."""
    import pyarrow.types as types  # noqa: PLC0415, PLR0402 - slow to import

    if types.is_dictionary(type_):
        type_ = type_.value_type
    texts = types.is_string(type_) or types.is_large_string(type_) or types.is_binary(type_) or types.is_large_binary(type_)
    whole = types.is_integer(type_) or types.is_boolean(type_)
    return texts or whole or (not is_text and (types.is_floating(type_) or types.is_decimal(type_)))


def _raise_if_the_disks(error: Exception) -> None:
    """An error that the operating system numbered is no fault of the data."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
