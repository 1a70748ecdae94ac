"""Folders of DICOM files, of which each series is an item: a volume, with its slices in order.

A slice that is missing, out of place or of another origin would make another body of the volume, so a series is taken whole or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from training.quality.fault import Fault, Reason
from training.streams import dicom_header, dicom_pixels
from training.streams.dicom_files import dicom_listing
from training.streams.dicom_header import Header
from training.streams.dicom_pixels import Window
from training.streams.folder import Listing, shards_of
from training.streams.labels import Labels, files_of, spec_of
from training.streams.source import STRING, Items, Shard, Spec, digest, path_of, require_counts

# Slices that are less apart, in mm, are at one place.
_SAME = 1e-3
# A slice that is missing leaves twice the distance.
_UNEVEN = 1.5

Slices = tuple[tuple[str, Path, Header], ...]


@dataclass(frozen=True, kw_only=True)
class DicomSeries:
    """Volumes, an item each.

    It has `pixels`, float32 [slices, rows, columns], in the modality's own units, or, in a window, uint8 [slices, rows, columns, 1]; `label`, int64,
    where there are labels; and `file`, the name of the first slice's file. Slices are in order of their position along the normal of their plane
    (PS3.3 C.7.6.2.1.1), where they have positions, each another; otherwise by Instance Number, where each has one of its own. A series isn't taken
    where two of its slices differ in what they have to share, such as patient, spacing or orientation: `Header.difference`.

    Attributes:
        root: the folder. A series lies in one folder below it; two folders with one Series Instance UID are two series.
        shape: slices, rows and columns. A series of another size isn't taken; None for each that may differ.
        labels: gives the classes, by the names of the files or of their folder; None where there are none.
        window: for all slices, as images have it; None for what was measured.
        modalities: a series of another isn't taken; empty for any.
        may_be_uneven: whether slices may be apart from each other by different distances. Where one is missing, they are.
        may_differ_in_rescale: whether each slice of a CT may be on a scale of its own. Those of other modalities may; each is read by its own.
        max_pixels: of a volume.
        buffer: how many items are held to be shuffled.
    """

    root: Path
    shape: tuple[int | None, int | None, int | None] = (None, None, None)
    labels: Labels | None = None
    window: Window | None = None
    modalities: tuple[str, ...] = ()
    may_be_uneven: bool = False
    may_differ_in_rescale: bool = False
    max_pixels: int = 256_000_000
    buffer: int = 4

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_counts(max_pixels=self.max_pixels, buffer=self.buffer)
        dicom_pixels.require_modalities(self.modalities)
        if len([*self.shape]) != 3:  # noqa: PLR2004 - as said
            message = f"shape: slices, rows and columns, not {self.shape}"
            raise ValueError(message)
        self.spec()

    def spec(self) -> Mapping[str, Spec]:
        """The volume, its class and its name."""
        pixels = Spec(dtype="float32", shape=self.shape) if self.window is None else Spec(dtype="uint8", shape=(*self.shape, 1))
        return {"pixels": pixels, **spec_of(self.labels), "file": Spec(dtype=STRING)}

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
        ordered = self._stranger(slices) or _in_order(slices, may_be_uneven=self.may_be_uneven)
        if isinstance(ordered, Fault):
            return ordered
        rows, columns = ordered[0][2].size or (0, 0)
        found = (len(ordered), rows, columns)
        if any(wanted not in {None, size} for wanted, size in zip(self.shape, found, strict=True)):
            return Fault(file=ordered[0][0], reason=Reason.WRONG_SIZE)
        if len(ordered) * rows * columns > self.max_pixels:
            return Fault(file=ordered[0][0], reason=Reason.TOO_LARGE)
        classes = {self._listing.labels[name] for name, _, _ in ordered} if self.labels is not None else set()
        if len(classes) > 1:
            return Fault(file=ordered[0][0], reason=Reason.CONFLICTING_LABEL)
        volume = np.empty(found if self.window is None else (*found, 1), self.spec()["pixels"].numpy)
        for place, (name, path, _) in enumerate(ordered):
            image = dicom_pixels.pixels(path, size=(rows, columns), max_pixels=self.max_pixels, window=self.window, modalities=self.modalities)
            if isinstance(image, Reason):
                return Fault(file=name, reason=image)
            volume[place] = image
        label = {"label": np.array(list(classes), np.int64)} if classes else {}
        return {"pixels": volume[np.newaxis], **label, "file": np.array([ordered[0][0]], object)}

    def _stranger(self, slices: Slices) -> Fault | None:
        """The slice that isn't of the same kind as the others, where there is one."""
        own, _, first = slices[0]
        for name, _, header in slices:
            if header.size is None:
                return Fault(file=name, reason=Reason.NO_PIXELS)
            if header.size != first.size:
                return Fault(file=name, reason=Reason.TWO_SIZES)
        found = [(name, header.difference(first, may_differ_in_rescale=self.may_differ_in_rescale)) for name, _, header in slices]
        keyword = next((keyword for _, keyword in found if keyword is not None), None)
        if keyword is None:
            return None
        names = [name for name, other in found if other == keyword]
        # Where most differ from the first, it is the first that is strange.
        return Fault(file=own if 2 * len(names) > len(slices) else names[0], column=keyword, reason=Reason.MIXED_SERIES)

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
            header = dicom_header.header(path)
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


def _in_order(slices: Slices, *, may_be_uneven: bool) -> Slices | Fault:
    """From the first slice to the last, or why there is no such order."""
    places = _along_the_normal([header for _, _, header in slices])
    if places is None:
        numbers = [header.number for _, _, header in slices]
        if len(slices) > 1 and (None in numbers or len(set(numbers)) != len(numbers)):
            return Fault(file=slices[0][0], reason=Reason.NO_ORDER)
        return tuple(sorted(slices, key=lambda one: one[2].number or 0))
    order = np.argsort(places, kind="stable")
    apart = np.diff(np.array(places)[order])
    if len(apart) and apart.min() <= _SAME:
        return Fault(file=slices[order[1 + int(apart.argmin())]][0], reason=Reason.SAME_PLACE)
    if len(apart) and apart.max() > _UNEVEN * apart.min() and not may_be_uneven:
        return Fault(file=slices[0][0], reason=Reason.UNEVEN)
    return tuple(slices[one] for one in order)


def _along_the_normal(headers: Sequence[Header]) -> list[float] | None:
    """Each slice's position in mm along the normal of the first one's plane, which all are parallel to; None where they have none."""
    orientation = headers[0].orientation
    positions = [header.position for header in headers if header.position is not None]
    if orientation is None or len(positions) < len(headers):
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    return [float(np.dot(normal, position)) for position in positions]
