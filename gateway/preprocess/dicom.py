"""DICOM objects with one frame: from the stored values to the pixels that a reader would see (PS3.4 N.2, the grayscale pipeline).

    stored value → modality LUT or rescale → VOI LUT or window → MONOCHROME1 inverted → 0 to 255

Each step depends on the stored value alone, so it is worked out once for every stored value that can be (a ramp) and looked up for each pixel:
for a radiograph that is several times quicker than doing it pixel by pixel.
"""

import io
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gateway.call import DicomObject
from gateway.errors import DicomNotSupported, DicomUnreadable, DicomWithoutPixels
from gateway.manifest import ImageInput, InputSpec, Windowing
from gateway.preprocess.bounds import InputLimits, check_pixels
from gateway.preprocess.pixels import tensor_of_pixels, to_uint8
from gateway.tensor import Tensor

if TYPE_CHECKING:
    from pydicom import Dataset

# pydicom's messages quote the values that they complain of.
logging.getLogger("pydicom").disabled = True

_MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR"})
_MAX_BITS_OF_A_RAMP = 16


def prepare_dicom(spec: InputSpec, medium: ImageInput, dicom: DicomObject, limits: InputLimits, field: str) -> Tensor:
    """Decodes a DICOM file with one frame into the manifest's pixels.

    Raises:
        DicomUnreadable: it isn't a DICOM file, or is damaged.
        DicomWithoutPixels: it holds no pixels.
        DicomNotSupported: its modality, frames, photometric interpretation or transfer syntax isn't taken.
        TooManyElements, ShapeMismatch.
    """
    field = f"{field}.dicom.content"
    # Importing pydicom takes a fifth of a second: a gateway that meets no DICOM object doesn't.
    from pydicom import dcmread  # noqa: PLC0415

    try:
        dataset = dcmread(io.BytesIO(dicom.content))
        _check(dataset, medium, limits, field)
        pixels = _pixels(dataset, medium, field)
    except (DicomUnreadable, DicomWithoutPixels, DicomNotSupported):
        raise
    except NotImplementedError:
        raise _not_supported("its transfer syntax can't be decoded here", field) from None
    except RuntimeError:
        # pydicom raises it where no plugin decodes the transfer syntax, and where one fails on damaged data.
        raise _unreadable(field) from None
    except Exception as error:
        if type(error).__module__.startswith("gateway."):
            raise
        # pydicom raises nearly anything for a damaged object; the text of what it raises quotes values.
        raise _unreadable(field) from None
    return tensor_of_pixels(spec, medium, pixels, field)


def _unreadable(field: str) -> DicomUnreadable:
    return DicomUnreadable("the DICOM object can't be read: send a whole file with preamble and file meta information (PS3.10)", field=field)


def _not_supported(why: str, field: str) -> DicomNotSupported:
    return DicomNotSupported(f"this DICOM object isn't taken: {why}", field=field)


def _check(dataset: "Dataset", medium: ImageInput, limits: InputLimits, field: str) -> None:
    """What the header says is checked before a pixel is decoded."""
    if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        message = "the DICOM object holds no pixels: send an image"
        raise DicomWithoutPixels(message, field=field)
    if "PixelData" not in dataset:
        raise _not_supported("its pixels are floating-point numbers", field)
    frames = int(dataset.get("NumberOfFrames") or 1)
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1))
    if min(frames, rows, columns, samples) < 1:
        raise _unreadable(field)
    check_pixels(rows * columns * samples * frames, limits, field)
    if frames > 1:
        raise _not_supported(f"it has {frames} frames; send one", field)
    if medium.dicom_modalities and str(dataset.get("Modality", "")) not in medium.dicom_modalities:
        raise _not_supported(f"the model was made for the modalities {', '.join(sorted(medium.dicom_modalities))}", field)
    interpretation = str(dataset.PhotometricInterpretation)
    if interpretation not in _MONOCHROME | _COLOUR:
        raise _not_supported("its photometric interpretation is unknown or retired", field)


def _pixels(dataset: "Dataset", medium: ImageInput, field: str) -> NDArray[np.uint8]:
    """[rows, columns] or [rows, columns, 3], uint8."""
    from pydicom.pixels import apply_color_lut, pixel_array  # noqa: PLC0415

    # The decoder has turned YBR into RGB.
    stored = pixel_array(dataset)
    interpretation = str(dataset.PhotometricInterpretation)
    if interpretation == "PALETTE COLOR":
        coloured = apply_color_lut(stored, dataset)
        return to_uint8(coloured, 0, np.iinfo(coloured.dtype).max)
    if interpretation in _COLOUR:
        return stored if stored.dtype == np.uint8 else to_uint8(stored, 0, (1 << int(dataset.BitsStored)) - 1)
    if int(dataset.BitsAllocated) > _MAX_BITS_OF_A_RAMP:
        raise _not_supported("its grey values have more than 16 bits", field)
    return _grey(dataset, medium, stored)


def _grey(dataset: "Dataset", medium: ImageInput, stored: NDArray[Any]) -> NDArray[np.uint8]:
    lowest, highest = int(stored.min()), int(stored.max())
    ramp = np.arange(lowest, highest + 1)
    shown = _shown(dataset, medium, ramp, _present(dataset, stored, ramp))
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        shown = 255 - shown
    return shown[stored.astype(np.int64) - lowest]


def _present(dataset: "Dataset", stored: NDArray[Any], ramp: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of the ramp are of the patient and not padding (PS3.3 C.7.5.1.1.2)."""
    present = np.isin(ramp, stored)
    padding = dataset.get("PixelPaddingValue")
    if padding is not None:
        limit = dataset.get("PixelPaddingRangeLimit")
        ends = sorted((int(padding), int(padding if limit is None else limit)))
        inside = ~((ramp >= ends[0]) & (ramp <= ends[1]))
        if (present & inside).any():
            present &= inside
    return present


def _shown(dataset: "Dataset", medium: ImageInput, ramp: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The 8-bit value of each stored value of the ramp."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut  # noqa: PLC0415

    values = apply_modality_lut(ramp, dataset)
    match medium.windowing:
        case Windowing.FIXED:
            return _window_linear(values, medium.window_center, medium.window_width)
        case Windowing.FROM_OBJECT if dataset.get("VOILUTSequence"):
            # A VOI LUT is indexed by whole numbers; a rescale that gives floats breaks pydicom's own look-up.
            looked_up = apply_voi_lut(np.rint(values).astype(np.int64), dataset, prefer_lut=True)
            bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
            return to_uint8(looked_up, 0, (1 << bits) - 1)
        case Windowing.FROM_OBJECT if dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
            center, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
            function = str(dataset.get("VOILUTFunction") or "LINEAR")
            return _WINDOWS[function](values, center, width)
    return to_uint8(values, float(values[present].min()), float(values[present].max()))


def _first(value: Any) -> float:  # noqa: ANN401 - a DICOM value of one or of many
    """The first of the windows that an object offers: which is the one that it was stored to be seen with."""
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def _window_linear(values: NDArray[Any], center: float, width: float) -> NDArray[np.uint8]:
    """PS3.3 C.11.2.1.2.1, LINEAR, on to 0 to 255."""
    if width <= 1:
        return np.where(values > center - 0.5, 255, 0).astype(np.uint8)
    return to_uint8(values, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)


def _window_linear_exact(values: NDArray[Any], center: float, width: float) -> NDArray[np.uint8]:
    """PS3.3 C.11.2.1.3.2, LINEAR_EXACT, on to 0 to 255."""
    return to_uint8(values, center - width / 2, center + width / 2)


def _window_sigmoid(values: NDArray[Any], center: float, width: float) -> NDArray[np.uint8]:
    """PS3.3 C.11.2.1.3.1, SIGMOID, on to 0 to 255."""
    exponent = np.clip(-4 * (values.astype(np.float64) - center) / width, -700, 700)
    return np.rint(255 / (1 + np.exp(exponent))).astype(np.uint8)


_WINDOWS = {"LINEAR": _window_linear, "LINEAR_EXACT": _window_linear_exact, "SIGMOID": _window_sigmoid}
