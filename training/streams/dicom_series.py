"""Folders of DICOM files, of which each series is an item: a volume, with its slices in order.

A slice that is missing or out of place would make another body of the volume, so a series is taken whole or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from training.quality.fault import Fault, Reason
from training.streams import dicom_pixels
from training.streams.dicom_files import dicom_listing
from training.streams.dicom_pixels import Header
from training.streams.folder import Listing, shards_of
from training.streams.labels import Labels, files_of, spec_of
from training.streams.source import STRING, Items, Shard, Spec, digest, path_of, require_counts

# Directions that differ by less are the same: files have them with six digits or so.
_SAME = 1e-3
# A slice that is missing leaves twice the distance.
_UNEVEN = 1.5

Slices = tuple[tuple[str, Path, Header], ...]


@dataclass(frozen=True, kw_only=True)
class DicomSeries:
    """Volumes, an item each.

    It has `pixels`, float32 [slices, rows, columns], in the modality's own units; `label`, int64, where there are labels; and `file`, the name of the
    first slice's file. Slices are in order of their position along the normal of their plane (PS3.3 C.7.6.2.1.1), where each has one of its own and
    all planes are parallel; otherwise by Instance Number, where each has one of its own.

    Attributes:
        root: the folder. A series lies in one folder below it; two folders with one Series Instance UID are two series.
        shape: slices, rows and columns. A series of another size isn't taken; None for each that may differ.
        labels: gives the classes, by the names of the files or of their folder; None where there are none.
        may_be_uneven: whether slices may be apart from each other by different distances. Where one is missing, they are.
        max_pixels: of a volume.
        buffer: how many items are held to be shuffled.
    """

    root: Path
    shape: tuple[int | None, int | None, int | None] = (None, None, None)
    labels: Labels | None = None
    may_be_uneven: bool = False
    max_pixels: int = 256_000_000
    buffer: int = 4

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_counts(max_pixels=self.max_pixels, buffer=self.buffer)
        if len([*self.shape]) != 3:  # noqa: PLR2004 - as said
            message = f"shape: slices, rows and columns, not {self.shape}"
            raise ValueError(message)
        self.spec()

    def spec(self) -> Mapping[str, Spec]:
        """The volume, its class and its name."""
        return {"pixels": Spec(dtype="float32", shape=self.shape), **spec_of(self.labels), "file": Spec(dtype=STRING)}

    def identity(self) -> str:
        """Of the declaration, the files and the table of classes."""
        return digest(self, self._listing.names, files_of(self.labels))

    def shards(self) -> Sequence[Shard]:
        """One for each series. Each file's header is read once to find what belongs together; no pixel is."""
        return self._index[1]

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """The volume, or why not."""
        if start == 0:
            yield from shard.faults
        if start < shard.records:
            yield self._volume(self._index[0][shard.first])

    def _volume(self, slices: Slices) -> Items | Fault:
        ordered = _in_order(slices, may_be_uneven=self.may_be_uneven)
        if isinstance(ordered, Reason):
            return Fault(file=slices[0][0], reason=ordered)
        rows, columns = ordered[0][2].size or (0, 0)
        for name, _, header in ordered:
            if header.size is None:
                return Fault(file=name, reason=Reason.NO_PIXELS)
            if header.size != (rows, columns):
                return Fault(file=name, reason=Reason.TWO_SIZES)
        found = (len(ordered), rows, columns)
        if any(wanted not in {None, size} for wanted, size in zip(self.shape, found, strict=True)):
            return Fault(file=ordered[0][0], reason=Reason.WRONG_SIZE)
        if len(ordered) * rows * columns > self.max_pixels:
            return Fault(file=ordered[0][0], reason=Reason.TOO_LARGE)
        classes = {self._listing.labels[name] for name, _, _ in ordered} if self.labels is not None else set()
        if len(classes) > 1:
            return Fault(file=ordered[0][0], reason=Reason.CONFLICTING_LABEL)
        volume = np.empty(found, np.float32)
        for place, (name, path, _) in enumerate(ordered):
            image = dicom_pixels.pixels(path, size=(rows, columns), max_pixels=self.max_pixels)
            if isinstance(image, Reason):
                return Fault(file=name, reason=image)
            volume[place] = image
        label = {"label": np.array(list(classes), np.int64)} if classes else {}
        return {"pixels": volume[np.newaxis], **label, "file": np.array([ordered[0][0]], object)}

    @cached_property
    def _listing(self) -> Listing:
        return dicom_listing(self.root, self.labels)

    @cached_property
    def _index(self) -> tuple[tuple[Slices, ...], tuple[Shard, ...]]:
        """All series, and a shard for each."""
        series: dict[tuple[str, str], list[tuple[str, Path, Header]]] = {}
        faults = list(self._listing.faults)
        damaged: set[str] = set()
        for name in self._listing.names:
            path = path_of(self.root, name)
            header = dicom_pixels.header(path)
            if isinstance(header, Reason):
                faults.append(Fault(file=name, reason=header))
                damaged.add(_folder(name))
            else:
                series.setdefault((_folder(name), header.series), []).append((name, path, header))
        # Which series a damaged file was of, nobody knows. A file without a class may be of one as well.
        damaged |= {_folder(fault.file) for fault in self._listing.faults if fault.row is None}
        faults += [Fault(file=slices[0][0], reason=Reason.INCOMPLETE) for (folder, _), slices in series.items() if folder in damaged]
        whole = tuple(tuple(slices) for (folder, _), slices in series.items() if folder not in damaged)
        return whole, tuple(shards_of([slices[0][0] for slices in whole], 1, faults))


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _in_order(slices: Slices, *, may_be_uneven: bool) -> Slices | Reason:
    """From the first slice to the last, or why there is no such order."""
    places = _along_the_normal([header for _, _, header in slices])
    if places is None:
        numbers = [header.number for _, _, header in slices]
        if len(slices) > 1 and (None in numbers or len(set(numbers)) != len(numbers)):
            return Reason.NO_ORDER
        places = [float(number or 0) for number in numbers]
    elif len(places) > 1 and not may_be_uneven:
        apart = np.diff(sorted(places))
        if apart.max() > _UNEVEN * apart.min():
            return Reason.UNEVEN
    return tuple(one for _, one in sorted(zip(places, slices, strict=True), key=lambda pair: pair[0]))


def _along_the_normal(headers: Sequence[Header]) -> list[float] | None:
    """Each slice's position in mm along the normal of the first one's plane; None where it doesn't tell them apart."""
    orientations = [header.orientation for header in headers]
    positions = [header.position for header in headers]
    first = orientations[0]
    if first is None or any(one is None or not np.allclose(one, first, atol=_SAME) for one in orientations) or None in positions:
        return None
    normal = np.cross(first[:3], first[3:])
    places = [float(np.dot(normal, position)) for position in positions if position is not None]
    apart = np.diff(sorted(places))
    return places if not len(apart) or apart.min() > _SAME else None
