"""Grey values to 8 bits: modality LUT, VOI LUT or window, and MONOCHROME1 (PS3.3 C.11.1, C.11.2; PS3.4 N.2).

Everything is computed once for each value that can occur, on a ramp from the smallest to the largest, and the pixels are then looked up
in the result: a radiograph has millions of pixels and at most 65,536 values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from gateway.errors import DicomUnreadable
from gateway.manifest import ImageInput, Windowing
from gateway.preprocess.pixels import to_bytes_range

_WHITE = 255.0
# More than any stored value has (PS3.5 8.1.1: 16 bits), and more than any measured value.
_MOST_STORED = 65536
_MOST_MEASURED = float(np.finfo(np.float32).max)
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class LookupTable:
    """A table as DICOM holds it: the first stored value that it maps, and `entries` up to `maximum`.

    Own code: pydicom's `apply_voi` takes no floats (which a rescale gives) and indexes with the table's type, so that 8-bit tables wrap.
    """

    first: int
    entries: NDArray[np.uint16]
    maximum: int

    @classmethod
    def of(cls, descriptor: Sequence[int], data: bytes | Sequence[int], *, is_little_endian: bool) -> "LookupTable":
        """From LUT Descriptor (count, first value, bits) and LUT Data (PS3.3 C.11.1.1.1). Raises ValueError where they contradict."""
        count, first, bits = (int(value) for value in descriptor)
        count = count or 65536  # 65,536 doesn't fit the 16 bits of the descriptor
        order = "<" if is_little_endian else ">"
        if not isinstance(data, bytes):
            # US, read as numbers; 8-bit entries may be packed two to a word, so back to bytes they go.
            data = np.atleast_1d(np.asarray(data)).astype(f"{order}u2").tobytes()
        packed = bits <= 8 and len(data) in {count, count + 1}  # noqa: PLR2004 - one byte an entry, padded to an even length
        entries = np.frombuffer(data, dtype=np.uint8 if packed else f"{order}u2").astype(np.uint16)[:count]
        maximum = 2**bits - 1
        if not 1 <= bits <= 16 or len(entries) != count or int(entries.max()) > maximum:  # noqa: PLR2004 - the descriptor's range
            message = "the table isn't what its descriptor says"
            raise ValueError(message)
        return cls(first=first, entries=entries, maximum=maximum)

    @classmethod
    def of_item(cls, item: Dataset, *, is_little_endian: bool) -> "LookupTable":
        """From an item of a Modality or VOI LUT Sequence."""
        return cls.of(item.LUTDescriptor, item["LUTData"].value, is_little_endian=is_little_endian)

    def look_up(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """The entries for `values` (any shape, numbers); below the first and beyond the last, the first and the last."""
        index = np.rint(values).astype(np.int64) - self.first
        entries: NDArray[np.uint16] = self.entries.take(index, mode="clip")
        return entries


def is_little_endian(dataset: FileDataset) -> bool:
    """The order of the bytes in the object's tables."""
    return bool(dataset.original_encoding[1])


def to_display(stored: NDArray[Any], dataset: FileDataset, medium: ImageInput, *, field: str) -> NDArray[np.uint8]:
    """Stored values, integers [rows, columns], as the manifest wants to see them: uint8 [rows, columns], 0 black and 255 white.

    Padding (PS3.3 C.7.5.1.1.2) is black, whatever the interpretation, and counts for no range. Raises DicomUnreadable for a window or
    a rescale that the standard doesn't allow; whatever else is wrong with the object's elements raises as it comes.
    """
    padding = _padding_of(stored, dataset)
    present = stored if padding is None else stored[~padding]
    if present.size == 0:
        return np.zeros(stored.shape, dtype=np.uint8)
    # Padding lies outside of the values present, as a rule. It is clipped to them for the look-up, and blackened in the end.
    lowest, highest = int(present.min()), int(present.max())
    ramp = np.arange(lowest, highest + 1, dtype=np.int64)
    shades = _shades(_rescale(ramp, dataset, field), dataset, medium, field)
    # Once, and here only: Presentation LUT Shape INVERSE says the same of the same object (PS3.3 C.8.11.3.1.2), and isn't read.
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shades = (255 - shades).astype(np.uint8)
    if padding is None and lowest >= 0:
        # Unsigned values index as they are: no copy of the pixels.
        table = np.zeros(highest + 1, dtype=np.uint8)
        table[lowest:] = shades
        return np.take(table, stored)
    display = shades[np.clip(stored.astype(np.int32) - lowest, 0, highest - lowest)]
    if padding is not None:
        display[padding] = 0
    return display


def _padding_of(stored: NDArray[Any], dataset: FileDataset) -> NDArray[np.bool_] | None:
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    first, last = sorted(_as_stored(int(end), dataset) for end in (value, value if limit is None else limit))
    mask = (stored >= first) & (stored <= last)
    return mask if mask.any() else None


def _as_stored(value: int, dataset: FileDataset) -> int:
    """Some devices write a signed padding value with the VR of an unsigned one: 63536 is -2000."""
    return value - 65536 if int(dataset.PixelRepresentation) == 1 and value > 32767 else value  # noqa: PLR2004 - 16-bit two's complement


def _rescale(ramp: NDArray[np.int64], dataset: FileDataset, field: str) -> Values:
    """The modality LUT: stored values to what they measure (PS3.3 C.11.1), for example Hounsfield units."""
    if dataset.get("ModalityLUTSequence"):
        table = LookupTable.of_item(dataset.ModalityLUTSequence[0], is_little_endian=is_little_endian(dataset))
        return table.look_up(ramp).astype(np.float64)
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None and intercept is None:
        return ramp.astype(np.float64)
    if slope is None or intercept is None:
        missing = "Rescale Slope (0028,1053)" if slope is None else "Rescale Intercept (0028,1052)"
        message = f"{missing} is missing, and its counterpart isn't (PS3.3 C.11.1): export and send the object again"
        raise DicomUnreadable(message, field=field)
    slope, intercept = float(slope), float(intercept)
    # By a slope of 0 nothing is measured. The negation is for what is no number.
    if slope == 0 or not abs(slope) * _MOST_STORED + abs(intercept) <= _MOST_MEASURED:
        message = "Rescale Slope (0028,1053) is 0, or it or Rescale Intercept (0028,1052) isn't finite: export and send the object again"
        raise DicomUnreadable(message, field=field)
    return ramp.astype(np.float64) * slope + intercept


def _shades(values: Values, dataset: FileDataset, medium: ImageInput, field: str) -> NDArray[np.uint8]:
    """The VOI LUT: what the values measure to 0 to 255."""
    if medium.windowing is Windowing.FIXED:
        return _rounded(linear(values, medium.window_center, medium.window_width))
    if medium.windowing is Windowing.FROM_OBJECT:
        if dataset.get("VOILUTSequence"):
            table = LookupTable.of_item(dataset.VOILUTSequence[0], is_little_endian=is_little_endian(dataset))
            return to_bytes_range(table.look_up(values), table.maximum)
        center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
        if center is not None and width is not None:
            return _rounded(_windowed(values, center, width, str(dataset.get("VOILUTFunction") or "LINEAR"), field))
    return _rounded(_stretched(values))


def _first(value: Any) -> float | None:  # noqa: ANN401 - a DS element is a number, several, or empty
    """The first of an element's values: the others are alternative views."""
    if value is None or isinstance(value, str):
        return None
    values = list(value) if isinstance(value, Sequence) else [value]
    return float(values[0]) if values else None


def _windowed(values: Values, center: float, width: float, function: str, field: str) -> Values:
    formula, least_width = _FUNCTIONS.get(function, (None, 0.0))
    if formula is None or not np.isfinite([center, width]).all() or width < least_width or width <= 0:
        message = "the window's width or function isn't what the standard allows (PS3.3 C.11.2.1): export and send the object again"
        raise DicomUnreadable(message, field=field)
    return formula(values, center, width)


def linear(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.2.1, LINEAR: `values` of any shape to 0 to 255; `width` is 1 or more."""
    if width == 1:
        return np.where(values <= center - 0.5, 0.0, _WHITE)
    return (((values - (center - 0.5)) / (width - 1) + 0.5) * _WHITE).clip(0, _WHITE)


def linear_exact(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.3.2, LINEAR_EXACT: `values` of any shape to 0 to 255; `width` is above 0."""
    return (((values - center) / width + 0.5) * _WHITE).clip(0, _WHITE)


def sigmoid(values: Values, center: float, width: float) -> Values:
    """PS3.3 C.11.2.1.3.1, SIGMOID: `values` of any shape to 0 to 255; `width` is above 0."""
    # exp overflows to infinity far below the window, where the answer is 0 as it should be.
    with np.errstate(over="ignore"):
        return _WHITE / (1 + np.exp(-4 * (values - center) / width))


def _stretched(values: Values) -> Values:
    """The smallest value to 0 and the largest to 255; an image of one value is black."""
    lowest, highest = values.min(), values.max()
    return (values - lowest) / (highest - lowest) * _WHITE if highest > lowest else np.zeros_like(values)


def _rounded(shades: Values) -> NDArray[np.uint8]:
    if not np.isfinite(shades).all():
        message = "the values aren't finite"
        raise ValueError(message)
    return np.rint(shades).astype(np.uint8)


# The formula of each VOI LUT Function and the least width that it allows (PS3.3 C.11.2.1.2.1, C.11.2.1.3).
_FUNCTIONS: dict[str, tuple[Callable[[Values, float, float], Values], float]] = {
    "LINEAR": (linear, 1.0),
    "LINEAR_EXACT": (linear_exact, 0.0),
    "SIGMOID": (sigmoid, 0.0),
}
