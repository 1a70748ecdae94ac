"""MedMNIST's files (J. Yang et al., MedMNIST v2, Scientific Data 10, 41, 2023): an .npz with images and labels of three parts."""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason
from training.streams.source import Items, Shard, Spec, digest, require_counts

_BLOCK_BYTES = 1 << 20
_BAD = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError)


@dataclass(frozen=True, kw_only=True)
class MedMnist:
    """One part's images, an item each: `image`, uint8 of `shape`, and `label`, int64 [labels], as the file has it.

    An .npz is compressed and can't be begun with in its middle: the part is one shard, read from its first image on. Shuffled over the whole, shared
    among workers and resumed without being read again it is by its cache.

    Attributes:
        root: the .npz file.
        part: train, val or test.
        shape: of an image: rows, columns and, for colours, 3 channels; in 3D sets, slices, rows and columns.
        labels: how many an image has: 1, or as many as there are findings.
        buffer: how many items are held to be shuffled.
    """

    root: Path
    part: str
    shape: tuple[int, ...] = (28, 28)
    labels: int = 1
    buffer: int = 8192

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_counts(labels=self.labels, buffer=self.buffer)
        if self.part not in {"train", "val", "test"}:
            message = f"part: train, val or test, not {self.part!r}"
            raise ValueError(message)
        self.spec()

    def spec(self) -> Mapping[str, Spec]:
        """The image and its labels."""
        return {"image": Spec(dtype="uint8", shape=self.shape), "label": Spec(dtype="int64", shape=(self.labels,))}

    def identity(self) -> str:
        """Of the declaration and the file."""
        return digest(self, [self.root.name])

    def shards(self) -> Sequence[Shard]:
        """One. Only the arrays' headers are read."""
        return (self._shard,)

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """Blocks of about a mebibyte. What lies before `start` is decompressed and left."""
        if not shard.records:
            yield from shard.faults
        if start >= shard.records:
            return
        size = math.prod(self.shape)
        block = max(1, _BLOCK_BYTES // size)
        done = 0
        try:
            with zipfile.ZipFile(self.root) as archive, archive.open(f"{self.part}_images.npy") as file:
                labels = self._labels(archive)
                _header(file)
                _leave(file, start * size)
                done = start
                while done < shard.records:
                    count = min(block, shard.records - done)
                    content = _exactly(file, count * size)
                    yield {"image": np.frombuffer(content, np.uint8).reshape(count, *self.shape), "label": labels[done : done + count]}
                    done += count
                # The archive holds its checksum against what was read once its end is met.
                file.read(1)
        except _BAD:
            yield Fault(file=shard.file, row=done + 1 if done < shard.records else None, reason=Reason.DAMAGED)

    def _labels(self, archive: zipfile.ZipFile) -> NDArray[np.int64]:
        """All of them: a few bytes an image."""
        with archive.open(f"{self.part}_labels.npy") as file:
            return npy.read_array(file, allow_pickle=False).astype(np.int64).reshape(-1, self.labels)

    @cached_property
    def _shard(self) -> Shard:
        name = self.root.name
        if not self.root.stat().st_size:
            return Shard(file=name, faults=(Fault(file=name, reason=Reason.EMPTY_FILE),))
        found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        try:
            with zipfile.ZipFile(self.root) as archive:
                for column in (f"{self.part}_images", f"{self.part}_labels"):
                    if f"{column}.npy" not in archive.namelist():
                        return Shard(file=name, faults=(Fault(file=name, column=column, reason=Reason.COLUMN_MISSING),))
                    with archive.open(f"{column}.npy") as file:
                        found[column] = _header(file)
        except _BAD:
            return Shard(file=name, faults=(Fault(file=name, reason=Reason.DAMAGED),))
        (images, pixel), (labels, label) = found.values()
        faults = [Fault(file=name, column=column, reason=reason) for column, reason in self._wrong(images, pixel, labels, label)]
        if faults or not images[0]:
            return Shard(file=name, faults=tuple(faults) or (Fault(file=name, reason=Reason.NO_RECORDS),))
        return Shard(file=name, records=images[0])

    def _wrong(self, images: tuple[int, ...], pixel: np.dtype[Any], labels: tuple[int, ...], label: np.dtype[Any]) -> Iterator[tuple[str, Reason]]:
        if pixel != np.uint8:
            yield f"{self.part}_images", Reason.WRONG_TYPE
        if images[1:] != self.shape:
            yield f"{self.part}_images", Reason.WRONG_SIZE
        if label.kind not in "iu":
            yield f"{self.part}_labels", Reason.WRONG_TYPE
        if math.prod(labels) != (images[0] if images else 0) * self.labels:
            yield f"{self.part}_labels", Reason.WRONG_SIZE


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type. Raises ValueError where the array isn't in C's order, or has a dimension too few."""
    version = npy.read_magic(file)
    shape, is_fortran, dtype = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    if (is_fortran and len(shape) > 1) or not shape:
        message = "an array in C's order"
        raise ValueError(message)
    return shape, dtype


def _exactly(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        message = "the array ends before its end"
        raise EOFError(message)
    return content


def _leave(file: IO[bytes], size: int) -> None:
    while size > 0:
        size -= len(_exactly(file, min(size, _BLOCK_BYTES)))
