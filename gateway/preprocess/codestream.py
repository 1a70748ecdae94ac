"""The pixel data of a DICOM object to stored values: which decoder for which transfer syntax, and how much it may be made to allocate.

A compressed frame names its own size, and a decoder allocates by that and not by Rows and Columns. So the frame's header is read and held
against the object's before anything is decoded.
"""

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from gateway.errors import DicomNotSupported, DicomUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable

# The header of a run-length encoded run that stands for nothing: below it come literal bytes, above it a repeated one (PS3.5 G.3.2).
_RLE_NOTHING = 128
# JPEG-LS (ISO/IEC 14495-1 C.1.1): what a marker starts with, start of frame, start of scan.
_MARKER = 0xFF
_SOF55 = 0xF7
_SOS = 0xDA
_SOC_SIZ = b"\xff\x4f\xff\x51"

Size = tuple[int, int]


def decode(dataset: FileDataset, field: str) -> tuple[NDArray[Any], str]:
    """The one frame's stored values, and the photometric interpretation that they have now (YBR becomes RGB).

    Returns an integer array [rows, columns] or [rows, columns, 3]. Raises DicomNotSupported for a transfer syntax that nothing here
    decodes, DicomUnreadable where the frame contradicts the object; whatever a decoder raises passes through.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    plugin = ""
    if syntax not in _NATIVE:
        if syntax not in _DECODERS or (syntax == uid.JPEGExtended12Bit and int(dataset.BitsStored) != 8):  # noqa: PLR2004
            # Pillow's JPEG has 8 bits.
            message = "the transfer syntax isn't taken: send the object uncompressed, or as RLE, 8-bit JPEG, JPEG-LS or JPEG 2000"
            raise DicomNotSupported(message, field=field)
        plugin, size_of = _DECODERS[syntax]
        size = size_of(get_frame(dataset.PixelData, 0, number_of_frames=1), dataset)
        if size != (int(dataset.Rows), int(dataset.Columns)):
            message = "the compressed image has another size than the object says: export and send it again"
            raise DicomUnreadable(message, field=field)
    array, properties = get_decoder(syntax).as_array(dataset, index=0, decoding_plugin=plugin)
    return array, str(properties["photometric_interpretation"])


def _pillow_size(frame: bytes, _dataset: FileDataset) -> Size:
    with Image.open(BytesIO(frame), formats=("JPEG",)) as image:
        return image.height, image.width


def _jpeg_2000_size(frame: bytes, dataset: FileDataset) -> Size:
    """The size in SIZ (ISO/IEC 15444-1 A.5.1), which comes first in a codestream; DICOM takes no file around it (PS3.5 A.4.4).

    Read here: Pillow reads a size from such a file, while its decoder allocates by SIZ. Raises ValueError for another start or other
    components, each of which would take as much memory again.
    """
    if not frame.startswith(_SOC_SIZ) or int.from_bytes(frame[40:42]) != int(dataset.SamplesPerPixel):
        message = "no codestream of the object's components"
        raise ValueError(message)
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    return bottom - top, right - left


def _jpeg_ls_size(frame: bytes, _dataset: FileDataset) -> Size:
    """The size in the one start of frame before the scan. CharLS has no public way to be asked.

    Raises ValueError where there isn't exactly one, IndexError where the frame ends before its scan.
    """
    sizes: list[Size] = []
    offset = 2
    while (code := frame[offset + 1]) != _SOS:
        if frame[offset] != _MARKER:
            message = "no marker where one should be"
            raise ValueError(message)
        if code == _MARKER:  # fill
            offset += 1
            continue
        if code == _SOF55:
            sizes.append((int.from_bytes(frame[offset + 5 : offset + 7]), int.from_bytes(frame[offset + 7 : offset + 9])))
        offset += 2 + int.from_bytes(frame[offset + 2 : offset + 4])
    (size,) = sizes
    return size


def _rle_size(frame: bytes, dataset: FileDataset) -> Size:
    """RLE names no size: every segment has to unpack to one byte for each pixel (PS3.5 G.2 to G.5). Raises ValueError otherwise.

    pydicom cuts off what is too much and goes on, which shears the image where Columns is wrong; and it unpacks before it counts.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    count = int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8
    declared, *offsets = struct.unpack_from("<16L", frame)
    ends = [*offsets[1:count], len(frame)]
    segments = [frame[start:end] for start, end in zip(offsets, ends, strict=False)]
    if declared != count or any(_rle_unpacked(segment, rows * columns) != rows * columns for segment in segments):
        message = "the segments aren't the object's pixels"
        raise ValueError(message)
    return rows, columns


def _rle_unpacked(segment: bytes, enough: int) -> int:
    """To how many bytes a segment unpacks, up to `enough`; -1 where more than its padding is left behind them."""
    offset = unpacked = 0
    while offset < len(segment) and unpacked < enough:
        header = segment[offset]
        if header < _RLE_NOTHING:
            unpacked += header + 1
            offset += header + 2
        elif header > _RLE_NOTHING:
            unpacked += 257 - header
            offset += 2
        else:
            offset += 1
    return unpacked if len(segment) - offset in {0, 1} else -1


_NATIVE = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
}
# The quickest by measurement that stay alive: what comes from outside may be damaged on purpose, and the gateway decodes it in its own
# process. Damaged JPEG Lossless makes GDCM read beyond its memory (seen within seconds of random damage), and pylibjpeg-rle (0.7 ms where
# pydicom takes 3.9) panics past every `except`; pylibjpeg-libjpeg is under the GPL. So JPEG Lossless isn't taken.
_DECODERS: "dict[str, tuple[str, Callable[[bytes, FileDataset], Size]]]" = {
    uid.JPEGBaseline8Bit: ("pillow", _pillow_size),
    uid.JPEGExtended12Bit: ("pillow", _pillow_size),
    uid.JPEGLSLossless: ("pyjpegls", _jpeg_ls_size),
    uid.JPEGLSNearLossless: ("pyjpegls", _jpeg_ls_size),
    uid.JPEG2000Lossless: ("pillow", _jpeg_2000_size),
    uid.JPEG2000: ("pillow", _jpeg_2000_size),
    uid.RLELossless: ("pydicom", _rle_size),
}
