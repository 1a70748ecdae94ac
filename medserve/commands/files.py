"""From a file to an input, by what the file holds: its name says only what someone believed."""

from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np

from medserve.commands.failure import UsageError
from medserve.inputs import Dicom, EncodedImage, InputValue, Record, TimeSeries, without_mark

# PS3.10 7.1: a preamble of 128 bytes, whatever they are, and a prefix.
_DICOM_PREFIX, _DICOM_OFFSET = b"DICM", 128
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_NPY = b"\x93NUMPY"


def read_input(path: Path) -> InputValue:
    """The input in a file: DICOM, PNG, JPEG, `.npy`, or a time series or a record in JSON. Raises UsageError or OSError."""
    content = path.read_bytes()
    # A DICOM preamble may hold the head of another format: DICOM first.
    if content[_DICOM_OFFSET : _DICOM_OFFSET + len(_DICOM_PREFIX)] == _DICOM_PREFIX:
        return Dicom(content)
    if content.startswith(_IMAGES):
        return EncodedImage(content)
    try:
        if content.startswith(_NPY):
            # Never pickled: that would run what the file says.
            array: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = np.load(BytesIO(content), allow_pickle=False)
            return array
        if without_mark(content).lstrip().startswith(b"{"):
            return _read_json(content)
    except (ValueError, EOFError, MemoryError, OSError) as error:
        message = f"{path}: {'not a numeric .npy array, or cut short' if content.startswith(_NPY) else error}"
        raise UsageError(message) from None
    message = f"{path}: neither PNG, JPEG, DICOM (with its preamble), .npy nor a time series or a record in JSON"
    raise UsageError(message)


def _read_json(content: bytes) -> Record | TimeSeries:
    """Tells the two apart by their outermost keys: a channel or a feature may have any name. Raises ValueError."""
    try:
        keys = msgspec.json.decode(without_mark(content), type=dict[str, msgspec.Raw]).keys()
    except msgspec.DecodeError as error:
        message = f"not JSON: {error}"
        raise ValueError(message) from None
    if "features" in keys:
        return Record.from_json(content)
    if "channels" in keys:
        return TimeSeries.from_json(content)
    message = 'neither a record, which has "features", nor a time series, which has "channels"'
    raise ValueError(message)
