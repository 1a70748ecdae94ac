"""What a caller sends for one item, as it came: nothing of it is checked yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.tensor import DType


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredTensor:
    """A tensor as the caller declares it; nothing of it is checked yet. `dtype` None: the caller named no type that there is.

    Nothing changes `strings`, and they may be the message's own: two bytes on the wire make one, so they are counted before any is made.
    """

    dtype: DType | None
    shape: tuple[int, ...]
    content: bytes
    strings: Sequence[bytes] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedImage:
    """An image as a file holds it: PNG or JPEG."""

    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomObject:
    """A DICOM file (PS3.10)."""

    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One channel of a time series: `values` oldest first, NaN where missing. Nothing changes them, and they may be the message's own."""

    name: str
    unit: str
    values: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSeries:
    """A time series; 0 Hz where the caller doesn't know the sampling frequency, `times_seconds` where each sample has a time of its own."""

    channels: tuple[Channel, ...]
    sampling_frequency_hz: float
    times_seconds: Sequence[float] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A number and its unit in UCUM; NaN where it is missing."""

    value: float
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Clinical features by name: a quantity, the code of a category, or None where the caller says that it is missing."""

    features: Mapping[str, Quantity | str | None]


InputData = DeclaredTensor | EncodedImage | DicomObject | TimeSeries | Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """The inputs of one item by name. An input without a value is None."""

    inputs: Mapping[str, InputData | None]
