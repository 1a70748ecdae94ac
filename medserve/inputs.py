"""What a caller can send as an input, and how each becomes `medserve.v1.Input`.

None of these shows its content in its `repr`: it is a patient's.
"""

import codecs
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from medserve.tensors import to_tensor
from medserve.v1 import input_pb2


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A PNG or JPEG image: the bytes of its file."""

    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Reads a file. Raises OSError."""
        return cls(Path(path).read_bytes())


@dataclass(frozen=True, slots=True)
class Dicom:
    """A DICOM object with one frame: the bytes of its file (PS3.10), preamble and file meta information included."""

    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Reads a file. Raises OSError."""
        return cls(Path(path).read_bytes())


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One channel of a time series.

    Attributes:
        name: the channel's name in the manifest.
        unit: the unit of the values in UCUM, for example `mV`.
        values: the values, oldest first; NaN where one is missing. One dimension.
    """

    name: str
    unit: str
    values: Sequence[float] | NDArray[Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSeries:
    """Measurements of one or more channels at the same times.

    Attributes:
        channels: the channels, in any order.
        sampling_frequency_hz: how often each was sampled; 0 where that isn't known, which only a model that counts samples takes, or where
            `times_seconds` says it.
        times_seconds: when each sample was taken, in seconds after any moment, rising; for a model that resamples. Empty where evenly spaced.
    """

    channels: Sequence[Channel]
    sampling_frequency_hz: float = 0.0
    times_seconds: Sequence[float] | NDArray[Any] = field(default=(), repr=False)

    @classmethod
    def from_json(cls, content: bytes | str) -> Self:
        """Reads `{"channels": [{"name": "II", "unit": "mV", "values": [0.1, null]}], "sampling_frequency_hz": 250}`; null where a value is missing.

        `"times_seconds": [0, 0.5, 1.5]` stands in for the frequency. Raises ValueError, which names the place, for anything else.
        """
        document = _decoded(content, _SeriesDocument, "a time series")
        channels = [
            Channel(name=channel.name, unit=channel.unit, values=[math.nan if value is None else value for value in channel.values])
            for channel in document.channels
        ]
        return cls(channels=tuple(channels), sampling_frequency_hz=document.sampling_frequency_hz, times_seconds=document.times_seconds)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Reads a JSON file, as `from_json`. Raises OSError or ValueError."""
        return cls.from_json(Path(path).read_bytes())


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit in UCUM, for example `Quantity(1.2, "mg/dL")`; NaN or None: missing."""

    value: float | None = field(repr=False)
    unit: str


@dataclass(frozen=True, slots=True)
class Record:
    """Clinical features of one patient by their names in the manifest.

    Each is a `Quantity`, a number without a unit, the code of a category, or None where it is missing, as is what isn't there.
    """

    features: Mapping[str, Quantity | float | str | None] = field(repr=False)

    @classmethod
    def from_json(cls, content: bytes | str) -> Self:
        """Reads `{"features": {"creatinine": {"value": 1.2, "unit": "mg/dL"}, "score": 3, "sex": "female", "weight": null}}`.

        Raises ValueError, which names the feature as the document has it and never a value, for anything else.
        """
        document = _decoded(content, _RecordDocument, "a record")
        return cls({name: _feature_of(name, feature) for name, feature in document.features.items()})

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Reads a JSON file, as `from_json`. Raises OSError or ValueError."""
        return cls.from_json(Path(path).read_bytes())


class _ChannelDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    unit: str
    values: list[float | None]


class _SeriesDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    channels: list[_ChannelDocument]
    sampling_frequency_hz: float = 0.0
    times_seconds: list[float] = []


class _QuantityDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: float
    unit: str = ""


class _RecordDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    # One by one: msgspec says of a fault below a key that it is at `features[...]`.
    features: dict[str, msgspec.Raw]


_FEATURE: msgspec.json.Decoder[_QuantityDocument | float | str | None] = msgspec.json.Decoder(_QuantityDocument | float | str | None)


def _feature_of(name: str, content: msgspec.Raw) -> Quantity | float | str | None:
    try:
        feature = _FEATURE.decode(content)
    except msgspec.DecodeError as error:
        message = f"not a record: feature {json.dumps(name, ensure_ascii=False)}: {error}"
        raise ValueError(message) from None
    return Quantity(feature.value, feature.unit) if isinstance(feature, _QuantityDocument) else feature


Document = TypeVar("Document")


def without_mark(content: bytes) -> bytes:
    """A text without the byte order mark that some editors begin UTF-8 with, and that JSON has no place for (RFC 8259 §8.1)."""
    return content.removeprefix(codecs.BOM_UTF8)


def _decoded(content: bytes | str, kind: type[Document], what: str) -> Document:
    try:
        plain = without_mark(content.encode() if isinstance(content, str) else content)
        document = msgspec.json.decode(plain, type=kind)
        # msgspec takes the last of two values without a word.
        json.loads(plain, object_pairs_hook=_require_once)
    except (msgspec.DecodeError, ValueError) as error:
        message = f"not {what}: {error}"
        raise ValueError(message) from None
    return document


def _require_once(pairs: list[tuple[str, object]]) -> None:
    """Raises ValueError for a key that comes twice in one object."""
    seen = set()
    for key, _ in pairs:
        if key in seen:
            message = f"the key {json.dumps(key, ensure_ascii=False)} comes twice: which of its values is meant?"
            raise ValueError(message)
        seen.add(key)


InputValue = NDArray[Any] | EncodedImage | Dicom | TimeSeries | Record


def to_input(value: object) -> input_pb2.Input:
    """The message of one `InputValue`. An array is the model's own tensor, without the batch dimension.

    Raises TypeError for a value of any other type and for an array that can't travel, ValueError for a channel that is no series.
    """
    match value:
        case EncodedImage(content=content):
            return input_pb2.Input(image=input_pb2.EncodedImage(content=content))
        case Dicom(content=content):
            return input_pb2.Input(dicom=input_pb2.DicomObject(content=content))
        case TimeSeries():
            channels = [_channel_message(channel) for channel in value.channels]
            times = _numbers(value.times_seconds, "the times")
            series = input_pb2.TimeSeries(channels=channels, sampling_frequency_hz=value.sampling_frequency_hz, times_seconds=times)
            return input_pb2.Input(time_series=series)
        case Record(features=features):
            return input_pb2.Input(record=input_pb2.Record(features={name: _feature_message(name, feature) for name, feature in features.items()}))
        case np.ndarray():
            return input_pb2.Input(tensor=to_tensor(value))
        case _:
            message = f"a {type(value).__name__} is no input: send a numpy array, EncodedImage, Dicom, TimeSeries or Record"
            raise TypeError(message)


def to_inputs(values: Mapping[str, InputValue]) -> dict[str, input_pb2.Input]:
    """The messages of all inputs by name. Raises TypeError or ValueError, which name the input."""
    inputs = {}
    for name, value in values.items():
        try:
            inputs[name] = to_input(value)
        except (TypeError, ValueError) as error:
            message = f'inputs["{name}"]: {error}'
            raise type(error)(message) from None
    return inputs


def _channel_message(channel: Channel) -> input_pb2.Channel:
    return input_pb2.Channel(name=channel.name, unit=channel.unit, values=_numbers(channel.values, f'channel "{channel.name}"'))


def _numbers(values: Sequence[float] | NDArray[Any], what: str) -> list[float]:
    if isinstance(values, np.ma.MaskedArray):
        message = f"{what} is a masked array, whose hidden values would be sent: fill it with NaN, `values.filled(np.nan)`"
        raise TypeError(message)
    found = np.asarray(values)
    # An object holds a None, or numbers of several types. A datetime would become nanoseconds, a timedelta whatever its unit is, a bool 0 or 1.
    if found.dtype.kind not in "iufO" or (found.dtype.kind == "O" and not all(_is_number(each) or each is None for each in found.ravel().tolist())):
        message = f"{what} holds something else than numbers: send numbers, NaN or None where one is missing"
        raise TypeError(message)
    try:
        array = found.astype(np.float64)
    except OverflowError:
        message = f"{what} holds a number that is too large for a double"
        raise ValueError(message) from None
    if array.ndim != 1:
        message = f"{what} has {array.ndim} dimensions: its values are one series"
        raise ValueError(message)
    return cast("list[float]", array.tolist())


def _is_number(value: object) -> bool:
    """A bool is a number to Python, and may be either category to a model; a masked value is a 0 to numpy, and isn't there."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _double(name: str, value: Any) -> float:  # noqa: ANN401 - a number of Python's or numpy's
    try:
        return float(value)
    except OverflowError:
        message = f'feature "{name}" is too large for a double'
        raise ValueError(message) from None


def _feature_message(name: str, feature: object) -> input_pb2.Feature:
    match feature:
        case None:
            return input_pb2.Feature()
        # To protobuf a None is a field that isn't set, and so 0.
        case Quantity(value=None):
            return input_pb2.Feature()
        case Quantity(value=value, unit=str() as unit) if _is_number(value):
            return input_pb2.Feature(quantity=input_pb2.Quantity(value=_double(name, value), unit=unit))
        case str():
            return input_pb2.Feature(category=feature)
        case _ if _is_number(feature):
            return input_pb2.Feature(quantity=input_pb2.Quantity(value=_double(name, feature)))
        case Quantity():
            message = f'feature "{name}": a Quantity takes a number and its unit as a str'
            raise TypeError(message)
        case _:
            message = f'feature "{name}" is a {type(feature).__name__}: send a Quantity, a number without a unit, a category as a str, or None'
            raise TypeError(message)
