"""A local copy of a set: its items as they were read, in one Arrow file from which any part can be read at once.

A copy is written beside its place, flushed to the disk and renamed: a folder that bears the set's identity is whole, whatever was killed. One process
a folder makes copies; the others wait for it.

A copy holds patients' data, IDs included: nobody but its owner may read it, and it doesn't outlive its use. When a set has changed, who was taken out
of it is still in the copy of what it was: copies that nobody has read for 30 days are removed when another is made.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.repository import flush
from training.quality.fault import Fault
from training.streams.quarantine import Quarantine
from training.streams.source import STRING, Items, Shard, Source, Spec, count_of, files_of
from training.streams.survey import Survey

if TYPE_CHECKING:
    import pyarrow as pa

_ITEMS, _SURVEY, _LOCK = "items.arrow", "survey.json", ".lock"
_BLOCK_BYTES = 1 << 20
# Blocks are what an epoch's order is made of: a window that holds few of them is of few classes, where the set is sorted by class.
_BLOCKS_A_WINDOW = 64
_LEAST_BLOCK_BYTES = 1 << 10
_SHAPE = ".shape"
_KEPT_SECONDS = 30 * 24 * 3600.0
_IDENTITY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Cached:
    """A set's copy, which is a set itself.

    Attributes:
        folder: where it lies.
        specs: what the set's items are.
        buffer: the set's.
        survey: of the copy: its items are all good, and its faults are those of the set.
    """

    folder: Path
    specs: Mapping[str, Spec]
    buffer: int
    survey: Survey

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What was wrong with the set, the first ones."""
        return self.survey.faults

    def spec(self) -> Mapping[str, Spec]:
        """The set's."""
        return self.specs

    def identity(self) -> str:
        """The set's, when it was copied."""
        return self.survey.identity

    def shards(self) -> Sequence[Shard]:
        """One for each block of the file."""
        return self._shards

    @cached_property
    def _shards(self) -> tuple[Shard, ...]:
        first = 0
        shards: list[Shard] = []
        is_of_files = not self.survey.files and "file" in self.specs
        for count in self.survey.items:
            shards.append(Shard(file=_ITEMS, first=first, records=count, begin=len(shards), of_files=is_of_files))
            first += count
        return tuple(shards)

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """The shard's items from the `start`th on. Raises OSError."""
        if start >= shard.records:
            return
        reader, lock = self._opened
        with lock:
            batch = reader.get_batch(shard.begin)
        yield {name: _array(batch, name, spec)[start:] for name, spec in self.specs.items()}

    @cached_property
    def _opened(self) -> "tuple[pa.RecordBatchFileReader, Lock]":
        """Once: the table of the blocks is read when the file is opened, and would be with each block."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        # Not memory-mapped: pages of the file would count as this process's memory for as long as there is room for them.
        return pa.ipc.open_file(pa.OSFile(str(self.folder / _ITEMS))), Lock()


def cached(source: Source, folder: Path) -> Cached:
    """The copy of the set in `folder`, which is made where there is none of the set as it is now. Raises OSError."""
    identity = source.identity()
    place = folder / identity
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Somebody else may have made it in the meantime.
            if not place.is_dir():
                _copy(source, identity, folder, place)
                _prune(folder)
    # By this time others are told from what nobody reads any more.
    os.utime(place)
    survey = Survey.of_json((place / _SURVEY).read_text("utf-8"))
    return Cached(folder=place, specs=dict(source.spec()), buffer=source.buffer, survey=survey)


def _copy(source: Source, identity: str, folder: Path, place: Path) -> None:
    staging = folder / f".{identity}.new"
    # Left by somebody who died, since the lock is ours.
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    try:
        (staging / _SURVEY).write_text(_write(staging / _ITEMS, source, identity).as_json(), "utf-8")
        for path in (staging / _ITEMS, staging / _SURVEY, staging):
            flush(path)
        staging.rename(place)
        flush(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _prune(folder: Path) -> None:
    """Removes what nobody has read for long; nothing that isn't a copy."""
    for old in folder.iterdir():
        if _IDENTITY.fullmatch(old.name) and time.time() - old.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, source: Source, identity: str) -> Survey:
    """Writes all items, and returns how many there are in each block of the file, and what was left out."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    spec, quarantine, shards = source.spec(), Quarantine(), source.shards()
    counts: list[int] = []
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema(_fields(spec))) as writer:
        for items in _in_blocks(source, shards, quarantine):
            writer.write_batch(_batch(items, spec))
            counts.append(count_of(items))
    files, lost = files_of(shards)
    return Survey(
        identity=identity,
        items=tuple(counts),
        records=sum(shard.records for shard in shards),
        faults=quarantine.faults,
        faults_found=quarantine.count,
        files=files,
        files_lost=lost,
    )


def _in_blocks(source: Source, shards: Sequence[Shard], quarantine: Quarantine) -> Iterator[dict[str, NDArray[Any]]]:
    """All items, as many at a time as an epoch's order is made of; one by one, where they differ in shape."""
    spec = source.spec()
    size = 1 if any(one.is_open for one in spec.values()) else _block_items(source.buffer, sum(one.item_bytes for one in spec.values()))
    held: list[Items] = []
    count = 0
    for shard in shards:
        for block in source.read(shard):
            if isinstance(block, Fault):
                quarantine.add(block)
                continue
            found = count_of(block)
            begin = 0
            while begin < found:
                taken = min(size - count, found - begin)
                held.append({name: block[name][begin : begin + taken] for name in spec})
                begin, count = begin + taken, count + taken
                if count == size:
                    yield _joined(held)
                    held, count = [], 0
    if held:
        yield _joined(held)


def _block_items(buffer: int, item_bytes: int) -> int:
    """So few that a window holds many blocks, and at most a mebibyte; but not so few that reading them is all that is done."""
    return max(1, _LEAST_BLOCK_BYTES // item_bytes, min(_BLOCK_BYTES // item_bytes, buffer // _BLOCKS_A_WINDOW))


def _joined(blocks: Sequence[Items]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _fields(spec: Mapping[str, Spec]) -> "Iterator[pa.Field]":
    """A column for each array, and one for its shape where that is open."""
    import pyarrow as pa  # noqa: PLC0415

    for name, one in spec.items():
        plain = pa.string() if one.dtype == STRING else pa.from_numpy_dtype(one.numpy)
        if one.is_open:
            yield pa.field(name, pa.large_list(plain))
            yield pa.field(name + _SHAPE, pa.list_(pa.int64()))
        else:
            yield pa.field(name, pa.list_(plain, one.size) if one.shape else plain)


def _batch(items: Items, spec: Mapping[str, Spec]) -> "pa.RecordBatch":
    import pyarrow as pa  # noqa: PLC0415

    columns = []
    for field in _fields(spec):
        name = field.name
        if name not in spec:
            columns.append(pa.array([items[name.removesuffix(_SHAPE)].shape[1:]], field.type))
            continue
        array, one = items[name], spec[name]
        flat = pa.array(array.reshape(-1), pa.string() if one.dtype == STRING else None)
        if one.is_open:
            columns.append(pa.LargeListArray.from_arrays(pa.array([0, len(flat)], pa.int64()), flat))
        else:
            columns.append(pa.FixedSizeListArray.from_arrays(flat, one.size) if one.shape else flat)
    return pa.record_batch(columns, schema=pa.schema(_fields(spec)))


def _array(batch: "pa.RecordBatch", name: str, spec: Spec) -> NDArray[Any]:
    """[items, …] of one column."""
    column = batch.column(name)
    if spec.is_open:
        return column.flatten().to_numpy(zero_copy_only=False).reshape((1, *batch.column(name + _SHAPE)[0].as_py()))
    flat = column.flatten() if spec.shape else column
    return flat.to_numpy(zero_copy_only=False).reshape((len(batch), *spec.shape))
