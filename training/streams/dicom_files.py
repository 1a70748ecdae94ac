"""Folders of DICOM files, each an item of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from training.quality.fault import Fault, Reason
from training.streams import dicom_pixels
from training.streams.folder import Listing, listing, shards_of
from training.streams.labels import Labels
from training.streams.source import STRING, Items, Shard, Spec, digest, path_of, require_counts


@dataclass(frozen=True, kw_only=True)
class DicomFiles:
    """Images, an item each: `pixels`, float32 [rows, columns], in the modality's own units; `label`, int64, where there are labels; and `file`.

    Attributes:
        root: the folder.
        shape: rows and columns. An image of another size isn't taken; None for both where each may have its own.
        labels: gives the classes; None where there are none.
        max_pixels: of an image.
        buffer: how many items are held to be shuffled.
        shard_files: how many files follow one another in the folder's order.
    """

    root: Path
    shape: tuple[int | None, int | None]
    labels: Labels | None = None
    max_pixels: int = 64_000_000
    buffer: int = 64
    shard_files: int = 8

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_counts(max_pixels=self.max_pixels, buffer=self.buffer, shard_files=self.shard_files)
        if len([*self.shape]) != 2:  # noqa: PLR2004 - as said
            message = f"shape: rows and columns, not {self.shape}"
            raise ValueError(message)
        self.spec()

    def spec(self) -> Mapping[str, Spec]:
        """The image, its class and its name."""
        label = {"label": Spec(dtype="int64")} if self.labels is not None else {}
        return {"pixels": Spec(dtype="float32", shape=self.shape), **label, "file": Spec(dtype=STRING)}

    def identity(self) -> str:
        """Of the declaration, the files and the table of classes."""
        return digest(self, self._listing.names, self.labels.files() if self.labels is not None else ())

    def shards(self) -> Sequence[Shard]:
        """So many files each. None of them is opened."""
        return self._shards

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """An image each. The files before `start` aren't opened."""
        if start == 0:
            yield from shard.faults
        for name in self._listing.names[shard.first + start : shard.first + shard.records]:
            image = dicom_pixels.pixels(path_of(self.root, name), size=self.shape, max_pixels=self.max_pixels)
            if isinstance(image, Reason):
                yield Fault(file=name, reason=image)
                continue
            label = {"label": np.array([self._listing.labels[name]], np.int64)} if self.labels is not None else {}
            yield {"pixels": image[np.newaxis], **label, "file": np.array([name], object)}

    @cached_property
    def _listing(self) -> Listing:
        return dicom_listing(self.root, self.labels)

    @cached_property
    def _shards(self) -> tuple[Shard, ...]:
        return tuple(shards_of(self._listing.names, self.shard_files, self._listing.faults))


def dicom_listing(root: Path, labels: Labels | None) -> Listing:
    """The folder's files, whatever they are called, but for directories of media and texts. Raises OSError."""
    return listing(root, dicom_pixels.PATTERNS, labels, leaves_out=dicom_pixels.is_directory)
