"""A DICOM file to what its pixels measure: stored values through the modality LUT (PS3.3 C.11.1), for example Hounsfield units.

Only the elements named here and in `dicom_header` are ever read, and none of those named here says who the patient is. pydicom's exceptions, warnings
and log messages quote values of the object, so none of them leaves these two files.
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config, uid
from pydicom.pixels.decoders.base import get_decoder

from training.quality.fault import Reason

# All of this is for the process and set once, at import: `warnings.catch_warnings` and temporary log levels aren't safe among threads.
config.settings.reading_validation_mode = config.IGNORE
for _library in ("pydicom", "jpeg_ls"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)
    logging.getLogger(_library).propagate = False
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")

PATTERNS = ("*",)
_NAMES = [
    "Modality", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ModalityLUTSequence", "RescaleIntercept", "RescaleSlope",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "FloatPixelData", "DoubleFloatPixelData", "PixelData",
]  # fmt: skip
_INVERTED = "MONOCHROME1"
_GREY = {_INVERTED, "MONOCHROME2"}
_MOST_BITS = 16
_WHITE = 255.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A window on what is measured, as a manifest's `WINDOWING_FIXED` has it.

    Attributes:
        center: in the modality's own units.
        width: in the same; 1 or more.
    """

    center: float
    width: float

    def __post_init__(self) -> None:
        """Raises ValueError where a number isn't finite, or the width is below 1."""
        if not np.isfinite([self.center, self.width]).all() or self.width < 1:
            message = f"center, width: finite, and a width of 1 or more, not {self.center} and {self.width}"
            raise ValueError(message)

    def of(self, measured: NDArray[Any]) -> NDArray[np.float64]:
        """What is measured, of any shape, as 0 to 255: PS3.3 C.11.2.1.2.1, LINEAR."""
        if self.width == 1:
            return np.where(measured <= self.center - 0.5, 0.0, _WHITE)
        return (((measured - (self.center - 0.5)) / (self.width - 1) + 0.5) * _WHITE).clip(0, _WHITE)


def is_directory(name: str) -> bool:
    """Whether it is a directory of a medium (PS3.10), and so no image; or a text beside the images."""
    last = name.rsplit("/", 1)[-1]
    return last.startswith("DICOMDIR") or last.lower().endswith((".txt", ".csv", ".json", ".md", ".xml", ".html", ".pdf"))


def require_modalities(modalities: Sequence[str]) -> None:
    """Raises ValueError where they aren't names in a tuple."""
    if not isinstance(modalities, tuple) or not all(modalities):
        message = f"modalities: a tuple of Modality (0008,0060), such as ('CT',), not {modalities!r}"
        raise ValueError(message)


def pixels(
    path: Path, *, size: tuple[int | None, int | None], max_pixels: int, window: Window | None = None, modalities: Sequence[str] = ()
) -> NDArray[Any] | Reason:
    """One frame of grey values, or why it can't be had: float32 [rows, columns] in the modality's own units; or in a window, which is for display.

    In a window it is uint8 [rows, columns, 1], as `gateway/preprocess/grey.py` makes it: MONOCHROME1 is inverted, and padding is black. Without one
    MONOCHROME1 stays as it is. Where there are `modalities`, it is of one of them. Raises OSError where the disk refuses.
    """
    if not path.stat().st_size:
        return Reason.EMPTY_FILE
    try:
        dataset = pydicom.dcmread(path, specific_tags=_NAMES)
        if modalities and dataset.get("Modality") not in modalities:
            return Reason.OTHER_MODALITY
        reason = _refused(dataset, size, max_pixels)
        if reason is not None:
            return reason
        stored = dataset.pixel_array
        measured = _measured(stored, dataset)
        return measured.astype(np.float32) if window is None else _shown(window.of(measured), stored, dataset)
    except Exception as error:  # noqa: BLE001 - as above, and so do the decoders
        return reason_of(error)


def _refused(dataset: Any, size: tuple[int | None, int | None], max_pixels: int) -> Reason | None:  # noqa: ANN401 - a pydicom dataset
    if "PixelData" not in dataset:
        return Reason.NOT_SUPPORTED if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset else Reason.NO_PIXELS
    if "Rows" not in dataset or "Columns" not in dataset:
        return Reason.NO_PIXELS
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if int(dataset.get("NumberOfFrames") or 1) != 1 or int(dataset.get("SamplesPerPixel") or 1) != 1:
        return Reason.NOT_SUPPORTED
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    # As in the gateway: pydicom would take the lowest bits, whatever the highest one is.
    if dataset.PhotometricInterpretation not in _GREY or allocated not in {8, _MOST_BITS} or int(dataset.get("HighBit", bits - 1)) != bits - 1:
        return Reason.NOT_SUPPORTED
    syntax = dataset.file_meta.TransferSyntaxUID
    if not get_decoder(syntax).is_available or (syntax == uid.JPEGExtended12Bit and bits != 8):  # noqa: PLR2004 - Pillow's JPEG has 8
        return Reason.NOT_SUPPORTED
    if rows * columns > max_pixels:
        return Reason.TOO_LARGE
    return None if all(wanted in {None, found} for wanted, found in zip(size, (rows, columns), strict=True)) else Reason.WRONG_SIZE


def _shown(shades: NDArray[np.float64], stored: NDArray[Any], dataset: Any) -> NDArray[np.uint8]:  # noqa: ANN401
    """[rows, columns, 1], 0 black and 255 white; padding (PS3.3 C.7.5.1.1.2) is black, whatever the interpretation."""
    display = np.rint(shades).astype(np.uint8)
    if dataset.PhotometricInterpretation == _INVERTED:
        display = (255 - display).astype(np.uint8)
    value, limit = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if value is not None:
        is_signed = int(dataset.PixelRepresentation) == 1
        # Some devices write a signed padding value with the VR of an unsigned one: 63536 is -2000.
        ends = [int(end) - 65536 if is_signed and int(end) > 32767 else int(end) for end in (value, value if limit is None else limit)]  # noqa: PLR2004
        display[(stored >= min(ends)) & (stored <= max(ends))] = 0
    return display[..., np.newaxis]


def _measured(stored: NDArray[Any], dataset: Any) -> NDArray[np.float64]:  # noqa: ANN401
    """The modality LUT. Own code for tables: pydicom's takes none of 12 bits, and wraps below a table's first value."""
    if dataset.get("ModalityLUTSequence"):
        item = dataset.ModalityLUTSequence[0]
        count, first, bits = (int(value) for value in item.LUTDescriptor)
        data = item["LUTData"].value
        order = "<" if dataset.original_encoding[1] else ">"
        entries = np.frombuffer(data, f"{order}u2") if isinstance(data, bytes) else np.asarray(data)
        count = count or 65536  # 65,536 doesn't fit the 16 bits of the descriptor
        # PS3.3 C.11.1.1.1: 8 or 16 bits; others are met. A packed table of 8 bits has another length, and is refused.
        if len(entries) < count or not 1 <= bits <= _MOST_BITS:
            message = "the table isn't what its descriptor says"
            raise ValueError(message)
        return entries[:count].astype(np.float64).take(stored.astype(np.int64) - first, mode="clip")
    slope, intercept = number(dataset.get("RescaleSlope")), number(dataset.get("RescaleIntercept"))
    if slope is None and intercept is None:
        return stored.astype(np.float64)
    # PS3.3 C.11.1: one is required where the other is. By a slope of 0 nothing is measured; and beyond float32 nothing is held, whatever is stored.
    if slope is None or intercept is None or slope == 0 or not abs(slope) * 2**_MOST_BITS + abs(intercept) <= np.finfo(np.float32).max:
        message = "the rescale isn't what the standard allows"
        raise ValueError(message)
    return stored.astype(np.float64) * slope + intercept


def number(value: Any) -> float | None:  # noqa: ANN401 - an element's value
    """The element's number; None where it is empty or isn't there. Raises ValueError or TypeError where it is none."""
    return None if value is None else float(value)


def reason_of(error: Exception) -> Reason:
    """Why nothing can be had of an object. An error that the operating system numbered is no fault of the data, and passes."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return Reason.NOT_SUPPORTED if isinstance(error, NotImplementedError) else Reason.DAMAGED
