"""A DICOM object to pixels: what it is, whether it is taken, and its way to 8 bits.

    read the header → bound it → decode one frame (codestream.py) → grey values through the LUTs (grey.py), or colours → pixels.py

Only the elements named here are ever read, and none of them says who the patient is. pydicom's exceptions, warnings and log messages
quote values of the object, so none of them leaves this file.
"""

import logging
import warnings
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config, uid
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset

from gateway.errors import DicomNotSupported, DicomUnreadable, DicomWithoutPixels, InternalError, MedserveError, TooManyElements
from gateway.item import DicomObject
from gateway.manifest import ImageInput, InputSpec
from gateway.preprocess import codestream, grey
from gateway.preprocess.bounds import InputLimits, require_at_most
from gateway.preprocess.pixels import to_bytes_range, to_tensor
from gateway.tensor import Tensor

# All of this is for the process and set once, at import: `warnings.catch_warnings` and temporary log levels aren't safe among threads.
config.settings.reading_validation_mode = config.IGNORE
for _library in ("pydicom", "jpeg_ls"):
    # Both: a level alone can be changed from elsewhere, and `disabled` would not reach the loggers below this one.
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)
    logging.getLogger(_library).propagate = False
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")

_PREAMBLE_BYTES = 132
_META_GROUP = 0x0002
_TAGS = [
    "SOPClassUID", "Modality",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ModalityLUTSequence", "RescaleIntercept", "RescaleSlope",
    "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "FloatPixelData", "DoubleFloatPixelData", "PixelData",
]  # fmt: skip
_PALETTES = ("Red", "Green", "Blue")
_MONOCHROME = {"MONOCHROME1", "MONOCHROME2"}
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
# What a deflated header may grow to besides its pixels: private elements can be large, but not like this.
_HEADER_BYTES = 16 * 1024 * 1024


def prepare(spec: InputSpec, dicom: DicomObject, limits: InputLimits) -> Tensor:
    """The object's one frame in the manifest's colour space, windowed as it says: [rows, columns, channels] from 0 to 255.

    Raises DicomUnreadable, DicomWithoutPixels, DicomNotSupported, TooManyElements or ShapeMismatch.
    """
    if not isinstance(spec.medium, ImageInput):
        message = "a DICOM object is only prepared for an image input"
        raise InternalError(message)
    field = f'inputs["{spec.name}"].dicom.content'
    try:
        pixels = _pixels_of(dicom.content, spec.medium, limits, field)
    except MedserveError:
        raise
    except Exception:  # noqa: BLE001 - pydicom and the decoders raise all kinds, and their messages quote the object
        message = "the DICOM object can't be read: it is damaged, cut short or breaks the standard, so export and send it again"
        raise DicomUnreadable(message, field=field) from None
    return to_tensor(pixels, spec, spec.medium, field=field)


def _pixels_of(content: bytes, medium: ImageInput, limits: InputLimits, field: str) -> NDArray[np.uint8]:
    """uint8 [rows, columns] or [rows, columns, 3]."""
    content = _inflated(content, limits, field)
    header = pydicom.dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=_TAGS)
    _require_supported(header, medium, limits, field)
    # A second pass for the pixels: a copy of them is made only once the header allows it.
    dataset = pydicom.dcmread(BytesIO(content), specific_tags=_TAGS)
    if "PixelData" not in dataset:
        if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
            message = "the pixels are floating-point numbers: send integers (Pixel Data)"
            raise DicomNotSupported(message, field=field)
        raise _without_pixels(field)
    stored, photometric_interpretation = codestream.decode(dataset, field)
    if photometric_interpretation == "PALETTE COLOR":
        if "RedPaletteColorLookupTableData" not in dataset:
            message = "the palette is segmented (PS3.3 C.7.9.2) or missing: send the object with plain palettes, or as RGB"
            raise DicomNotSupported(message, field=field)
        return _palette_colours(stored, dataset)
    if photometric_interpretation in _MONOCHROME:
        return grey.to_display(stored, dataset, medium, field=field)
    # Windows are for grey values only (PS3.3 C.11.2.1.2): colours are what they are.
    return to_bytes_range(stored, 2 ** int(dataset.BitsStored) - 1)


def _require_supported(header: FileDataset, medium: ImageInput, limits: InputLimits, field: str) -> None:
    if medium.dicom_modalities and header.get("Modality") not in medium.dicom_modalities:
        message = f"the model was made for {', '.join(sorted(medium.dicom_modalities))}: send an object of such a modality"
        raise DicomNotSupported(message, field=field)
    if "Rows" not in header or "Columns" not in header:
        raise _without_pixels(field)
    rows, columns, samples = int(header.Rows), int(header.Columns), int(header.get("SamplesPerPixel", 1))
    frames = int(header.get("NumberOfFrames") or 1)
    if min(rows, columns, samples, frames) < 1:
        message = "rows, columns, samples or frames are none: export and send the object again"
        raise DicomUnreadable(message, field=field)
    require_at_most(limits.max_pixels, (rows, columns, samples, frames), unit="pixels", field=field)
    if frames > 1:
        message = "the object has several frames: send one frame as an object of its own"
        raise DicomNotSupported(message, field=field)
    photometric_interpretation = header.PhotometricInterpretation
    colours = photometric_interpretation in _COLOUR
    if not colours and photometric_interpretation not in _MONOCHROME | {"PALETTE COLOR"}:
        message = "the photometric interpretation isn't taken: send MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR"
        raise DicomNotSupported(message, field=field)
    allocated, stored, high_bit = int(header.BitsAllocated), int(header.BitsStored), int(header.get("HighBit", header.BitsStored - 1))
    if allocated not in {8, 16} or not 1 <= stored <= allocated or high_bit != stored - 1:
        message = "a sample has to have 8 or 16 bits allocated, and its highest bit one below the bits stored: convert the object"
        raise DicomNotSupported(message, field=field)
    if samples != (3 if colours else 1) or (colours and int(header.PixelRepresentation) != 0):
        message = "the samples a pixel, or their sign, don't go with the photometric interpretation: convert the object"
        raise DicomNotSupported(message, field=field)


def _palette_colours(stored: NDArray[Any], dataset: FileDataset) -> NDArray[np.uint8]:
    """Stored values through the red, green and blue palettes (PS3.3 C.7.6.3.1.5): uint8 [rows, columns, 3].

    Own code: pydicom's `apply_color_lut` indexes with the palette's type, so that 8-bit palettes wrap for 16-bit pixels.
    """
    tables = [
        grey.LookupTable.of(
            dataset[f"{colour}PaletteColorLookupTableDescriptor"].value,
            dataset[f"{colour}PaletteColorLookupTableData"].value,
            is_little_endian=grey.is_little_endian(dataset),
        )
        for colour in _PALETTES
    ]
    lowest, highest = int(stored.min()), int(stored.max())
    ramp = np.arange(lowest, highest + 1, dtype=np.int64)
    palette = np.stack([to_bytes_range(table.look_up(ramp), table.maximum) for table in tables], axis=-1)
    return palette[stored.astype(np.int32) - lowest]


def _inflated(content: bytes, limits: InputLimits, field: str) -> bytes:
    """The object as it is, or, where it is deflated (PS3.5 A.5), inflated up to a bound: pydicom inflates whatever comes."""
    if len(content) < _PREAMBLE_BYTES or content[_PREAMBLE_BYTES - 4 : _PREAMBLE_BYTES] != b"DICM":
        message = "this is no DICOM file (PS3.10): send the whole file, with preamble and file meta information"
        raise DicomUnreadable(message, field=field)
    file = BytesIO(content)
    file.seek(_PREAMBLE_BYTES)
    meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag.group != _META_GROUP)
    if "TransferSyntaxUID" not in meta:
        message = "the file meta information names no transfer syntax (0002,0010): export and send the object again"
        raise DicomUnreadable(message, field=field)
    if meta.TransferSyntaxUID != uid.DeflatedExplicitVRLittleEndian:
        return content
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    # Two bytes are the most that a sample takes.
    plain = inflate.decompress(content[file.tell() :], 2 * limits.max_pixels + _HEADER_BYTES)
    if inflate.unconsumed_tail:
        message = "the object inflates to more than is taken: send a smaller image"
        raise TooManyElements(message, field=field)
    # Little endian explicit is what a deflated object is once inflated; its UID has an odd length, so a null byte follows.
    syntax = uid.ExplicitVRLittleEndian.encode("ascii")
    syntax += b"\0" * (len(syntax) % 2)
    return content[:_PREAMBLE_BYTES] + b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax + plain


def _without_pixels(field: str) -> DicomWithoutPixels:
    return DicomWithoutPixels("the object holds no pixels: send an image", field=field)
