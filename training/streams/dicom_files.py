"""Folders of DICOM files, each an item of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from training.quality.fault import Fault, Reason
from training.streams import dicom_header, dicom_pixels
from training.streams.dicom_pixels import Window
from training.streams.folder import Listing, listing, shards_of
from training.streams.labels import Labels, files_of, spec_of
from training.streams.source import STRING, Items, Shard, Spec, digest, path_of, require_counts


@dataclass(frozen=True, kw_only=True)
class DicomFiles:
    """Images, an item each.

    It has `pixels`, float32 [rows, columns], in the modality's own units, or, in a window, uint8 [rows, columns, 1], as the gateway sends them to a
    model; `label`, int64, where there are labels; `patient`, the Patient ID, where it is asked for; and `file`.

    Attributes:
        root: the folder.
        shape: rows and columns. An image of another size isn't taken; None for both where each may have its own.
        labels: gives the classes; None where there are none.
        window: that of the manifest of a model which is to learn from them; None for what was measured.
        modalities: the `dicom_modalities` of the same manifest. An image of another isn't taken; empty for any.
        patients: whether items say whose they are. An image without a Patient ID isn't taken then.
        max_pixels: of an image.
        buffer: how many items are held to be shuffled.
        shard_files: how many files follow one another in the folder's order.
    """

    root: Path
    shape: tuple[int | None, int | None]
    labels: Labels | None = None
    window: Window | None = None
    modalities: tuple[str, ...] = ()
    patients: bool = False
    max_pixels: int = 64_000_000
    buffer: int = 64
    shard_files: int = 8

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_counts(max_pixels=self.max_pixels, buffer=self.buffer, shard_files=self.shard_files)
        dicom_pixels.require_modalities(self.modalities)
        if len([*self.shape]) != 2:  # noqa: PLR2004 - as said
            message = f"shape: rows and columns, not {self.shape}"
            raise ValueError(message)
        self.spec()

    def spec(self) -> Mapping[str, Spec]:
        """The image, its class, whose it is, and its name."""
        pixels = Spec(dtype="float32", shape=self.shape) if self.window is None else Spec(dtype="uint8", shape=(*self.shape, 1))
        patient = {"patient": Spec(dtype=STRING)} if self.patients else {}
        return {"pixels": pixels, **spec_of(self.labels), **patient, "file": Spec(dtype=STRING)}

    def identity(self) -> str:
        """Of the declaration, the files and the table of classes."""
        return digest(self, self._listing.names, files_of(self.labels))

    def shards(self) -> Sequence[Shard]:
        """So many files each. None of them is opened."""
        return self._shards

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """An image each. The files before `start` aren't opened."""
        if start == 0:
            yield from shard.faults
        for name in self._listing.names[shard.first + start : shard.first + shard.records]:
            path = path_of(self.root, name)
            image = dicom_pixels.pixels(path, size=self.shape, max_pixels=self.max_pixels, window=self.window, modalities=self.modalities)
            if isinstance(image, Reason):
                yield Fault(file=name, reason=image)
                continue
            patient = dicom_header.patient(path) if self.patients else None
            if patient == "":
                yield Fault(file=name, column="PatientID", reason=Reason.MISSING)
                continue
            whose = {} if patient is None else {"patient": np.array([patient], object)}
            yield {"pixels": image[np.newaxis], **self._listing.label_of([name]), **whose, "file": np.array([name], object)}

    @cached_property
    def _listing(self) -> Listing:
        return dicom_listing(self.root, self.labels)

    @cached_property
    def _shards(self) -> tuple[Shard, ...]:
        return tuple(shards_of(self._listing.names, self.shard_files, self._listing.faults))


def dicom_listing(root: Path, labels: Labels | None) -> Listing:
    """The folder's files, whatever they are called, but for directories of media and texts. Raises OSError."""
    return listing(root, dicom_pixels.PATTERNS, labels, leaves_out=dicom_pixels.is_directory)
