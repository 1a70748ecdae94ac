"""What a DICOM file says of itself without its pixels: which series it is a slice of, where in it, and whether it belongs there.

Only the elements named here are ever read. One of them says who the patient is, the Patient ID: it is read where somebody asks whose an image is, and
to tell a slice of somebody else in a series, and is never shown.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from training.quality.fault import Reason
from training.streams.dicom_pixels import number, reason_of

# What is the same text in all slices of a series.
_TEXTS = ("PatientID", "FrameOfReferenceUID", "PhotometricInterpretation", "RescaleType", "Units")
_NAMES = [
    "SeriesInstanceUID", "Modality", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    *_TEXTS, "ModalityLUTSequence", "RescaleIntercept", "RescaleSlope",
]  # fmt: skip
_CT = "CT"
# Directions, and spacings for their size, that differ by less are the same: files have them with six digits or so.
_SAME = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a series is put in order by, and what its slices have in common.

    Attributes:
        series: which one it is of.
        modality: Modality (0008,0060).
        size: rows and columns; None for an object without pixels.
        number: Instance Number (0020,0013).
        position: Image Position (Patient) (0020,0032), in mm.
        orientation: Image Orientation (Patient) (0020,0037), direction cosines of a row and of a column.
        spacing: Pixel Spacing (0028,0030), in mm, of rows and of columns.
        texts: whose it is, in which units, and so on; never shown.
        slope: Rescale Slope (0028,1053).
        intercept: Rescale Intercept (0028,1052).
        has_table: whether there is a Modality LUT Sequence (0028,3000).
    """

    series: str
    modality: str
    size: tuple[int, int] | None
    number: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    texts: tuple[str, ...] = field(repr=False)
    slope: float | None
    intercept: float | None
    has_table: bool

    def difference(self, other: "Header", *, may_differ_in_rescale: bool) -> str | None:
        """The keyword of an element in which two slices of one series can't differ, but do; None where there is none.

        A series is of one modality and one frame of reference (PS3.3 A.1.2.3), and so of one patient; a volume is one grid in one unit. Slices with a
        rescale and slices without one are no volume either. The rescale itself is each image's own (PS3.3 C.11.1): a PET has another slope in each
        slice (C.8.9.4). Another one in a CT, which is on Hounsfield's scale (C.8.2.1), is lawful too, and met (ITK-Wasm issue 1248). But nothing
        asks for it there, so it may as well be a slice of another origin: it is a difference unless `may_differ_in_rescale`.
        """
        is_same_scale = _is_equal if self.modality == _CT and not may_differ_in_rescale else _is_there_in_both
        alike = {
            "Modality": self.modality == other.modality,
            **{keyword: one == another for keyword, one, another in zip(_TEXTS, self.texts, other.texts, strict=True)},
            "PixelSpacing": _is_close(self.spacing, other.spacing, relative=_SAME),
            "ImageOrientationPatient": _is_close(self.orientation, other.orientation, absolute=_SAME),
            "ImagePositionPatient": _is_there_in_both(self.position, other.position),
            "ModalityLUTSequence": self.has_table == other.has_table,
            "RescaleSlope": is_same_scale(self.slope, other.slope),
            "RescaleIntercept": is_same_scale(self.intercept, other.intercept),
        }
        return next((keyword for keyword, is_alike in alike.items() if not is_alike), None)


def header(path: Path) -> Header | Reason:
    """Without the pixels; or why it can't be had. Raises OSError where the disk refuses."""
    if not path.stat().st_size:
        return Reason.EMPTY_FILE
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_NAMES)
        modality = str(dataset.get("Modality") or "")
        has_size = "Rows" in dataset and "Columns" in dataset
        return Header(
            series=str(dataset.get("SeriesInstanceUID") or ""),
            modality=modality,
            size=(int(dataset.Rows), int(dataset.Columns)) if has_size else None,
            number=int(dataset.InstanceNumber) if dataset.get("InstanceNumber") is not None else None,
            position=_numbers(dataset.get("ImagePositionPatient"), 3),
            orientation=_numbers(dataset.get("ImageOrientationPatient"), 6),
            spacing=_numbers(dataset.get("PixelSpacing"), 2),
            texts=_texts(dataset, modality),
            slope=number(dataset.get("RescaleSlope")),
            intercept=number(dataset.get("RescaleIntercept")),
            has_table=bool(dataset.get("ModalityLUTSequence")),
        )
    except Exception as error:  # noqa: BLE001 - pydicom raises all kinds, and its messages quote the object
        return reason_of(error)


def patient(path: Path) -> str:
    """Patient ID (0010,0020), without the blanks around it; empty where there is none, or the object is none."""
    try:
        return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"]).get("PatientID") or "").strip()
    except Exception as error:  # noqa: BLE001 - as above
        reason_of(error)
        return ""


def _texts(dataset: Any, modality: str) -> tuple[str, ...]:  # noqa: ANN401 - a pydicom dataset
    """`_TEXTS` without the blanks around them; empty where there are none. A CT is in Hounsfield units unless it says otherwise (PS3.3 C.8.2.1)."""
    found = {keyword: str(dataset.get(keyword) or "").strip() for keyword in _TEXTS}
    if modality == _CT:
        found["RescaleType"] = found["RescaleType"] or "HU"
    # One copy for all slices: there may be a million.
    return tuple(map(sys.intern, found.values()))


def _is_equal(one: object, another: object) -> bool:
    return one == another


def _is_there_in_both(one: object, another: object) -> bool:
    """Or in none."""
    return (one is None) == (another is None)


def _is_close(one: Sequence[float] | None, another: Sequence[float] | None, *, relative: float = 0.0, absolute: float = 0.0) -> bool:
    if one is None or another is None:
        return one is another
    return all(math.isclose(*pair, rel_tol=relative, abs_tol=absolute) for pair in zip(one, another, strict=True))


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:  # noqa: ANN401 - an element's value
    """So many finite numbers, or None."""
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    numbers = tuple(float(one) for one in value)
    return numbers if np.isfinite(numbers).all() else None
