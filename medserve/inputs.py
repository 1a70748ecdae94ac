"""What a caller can send as an input, and how each becomes `medserve.v1.Input`.

None of these shows its content in its `repr`: it is a patient's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from medserve.tensors import to_tensor
from medserve.v1 import inference_pb2


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
        sampling_frequency_hz: how often each was sampled; 0 where that isn't known, which only a model that counts samples takes.
    """

    channels: Sequence[Channel]
    sampling_frequency_hz: float = 0.0

    @classmethod
    def from_json(cls, content: bytes | str) -> Self:
        """Reads `{"channels": [{"name": "II", "unit": "mV", "values": [0.1, null]}], "sampling_frequency_hz": 250}`; null where a value is missing.

        Raises ValueError, which names the place, for anything else.
        """
        try:
            document = msgspec.json.decode(content, type=_Document)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"not a time series: {error}"
            raise ValueError(message) from None
        channels = [
            Channel(name=channel.name, unit=channel.unit, values=[math.nan if value is None else value for value in channel.values])
            for channel in document.channels
        ]
        return cls(channels=tuple(channels), sampling_frequency_hz=document.sampling_frequency_hz)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """Reads a JSON file, as `from_json`. Raises OSError or ValueError."""
        return cls.from_json(Path(path).read_bytes())


class _ChannelDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    unit: str
    values: list[float | None]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    channels: list[_ChannelDocument]
    sampling_frequency_hz: float = 0.0


InputValue = NDArray[Any] | EncodedImage | Dicom | TimeSeries


def to_input(value: object) -> inference_pb2.Input:
    """The message of one `InputValue`. An array is the model's own tensor, without the batch dimension.

    Raises TypeError for a value of any other type and for an array that can't travel, ValueError for a channel that is no series.
    """
    match value:
        case EncodedImage(content=content):
            return inference_pb2.Input(image=inference_pb2.EncodedImage(content=content))
        case Dicom(content=content):
            return inference_pb2.Input(dicom=inference_pb2.DicomObject(content=content))
        case TimeSeries():
            channels = [_channel_message(channel) for channel in value.channels]
            series = inference_pb2.TimeSeries(channels=channels, sampling_frequency_hz=value.sampling_frequency_hz)
            return inference_pb2.Input(time_series=series)
        case np.ndarray():
            return inference_pb2.Input(tensor=to_tensor(value))
        case _:
            message = f"a {type(value).__name__} is no input: send a numpy array, EncodedImage, Dicom or TimeSeries"
            raise TypeError(message)


def to_inputs(values: Mapping[str, InputValue]) -> dict[str, inference_pb2.Input]:
    """The messages of all inputs by name. Raises TypeError or ValueError, which name the input."""
    inputs = {}
    for name, value in values.items():
        try:
            inputs[name] = to_input(value)
        except (TypeError, ValueError) as error:
            message = f'inputs["{name}"]: {error}'
            raise type(error)(message) from None
    return inputs


def _channel_message(channel: Channel) -> inference_pb2.Channel:
    values = np.asarray(channel.values, dtype=np.float64)
    if values.ndim != 1:
        message = f'channel "{channel.name}" has {values.ndim} dimensions: its values are one series'
        raise ValueError(message)
    return inference_pb2.Channel(name=channel.name, unit=channel.unit, values=values.tolist())
