"""What a version says of itself, as the stages read it.

The words and meanings are those of `medserve.v1.ModelManifest` (proto/medserve/v1/manifest.proto); `gateway/repository.py` reads the
file and builds these. A manifest is checked once, here, so that no stage meets a half-filled one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from gateway.tensor import DType


class ColorSpace(Enum):
    """The channels that an image input takes."""

    MONOCHROME = auto()
    RGB = auto()

    @property
    def channels(self) -> int:
        """How many numbers a pixel has."""
        return 1 if self is ColorSpace.MONOCHROME else 3


class Windowing(Enum):
    """How the grey values of a DICOM image become 8-bit pixels."""

    FROM_OBJECT = auto()
    FIXED = auto()
    FULL_RANGE = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageInput:
    """How an image becomes the input's pixels. `window_center` and `window_width` are in the units of the modality LUT's output."""

    color_space: ColorSpace
    windowing: Windowing = Windowing.FROM_OBJECT
    window_center: float = 0.0
    window_width: float = 0.0
    dicom_modalities: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raises ValueError for a fixed window without a width."""
        if self.windowing is Windowing.FIXED and not self.window_width >= 1:
            message = "image.window_width: a fixed window needs a width of 1 or more"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelSpec:
    """A channel's name and the UCUM unit of its values."""

    name: str
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSeriesInput:
    """The channels in the order of the tensor's last dimension; 0 Hz where the model counts samples whatever their spacing."""

    channels: tuple[ChannelSpec, ...]
    sampling_frequency_hz: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError for no channels, a name twice, or a negative frequency."""
        names = [channel.name for channel in self.channels]
        if not names or len(set(names)) != len(names):
            message = "time_series.channels: at least one, each with a name of its own"
            raise ValueError(message)
        if not self.sampling_frequency_hz >= 0:
            message = "time_series.sampling_frequency_hz: 0 or more"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSpec:
    """One input of the signature; `shape` is that of one item, -1 where any size will do."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    medium: ImageInput | TimeSeriesInput | None = None
    allows_missing: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where the medium can't fill the shape."""
        match self.medium:
            case ImageInput(color_space=color_space):
                if len(self.shape) != 3 or self.shape[2] not in {-1, color_space.channels}:  # noqa: PLR2004 - rows, columns, channels
                    message = f"inputs[{self.name!r}].shape: an image is [rows, columns, {color_space.channels}]"
                    raise ValueError(message)
                if self.dtype not in {DType.UINT8, DType.FLOAT32}:
                    message = f"inputs[{self.name!r}].data_type: an image is UINT8 or FLOAT32 (0 to 255)"
                    raise ValueError(message)
            case TimeSeriesInput(channels=channels):
                if len(self.shape) != 2 or self.shape[1] not in {-1, len(channels)}:  # noqa: PLR2004 - samples, channels
                    message = f"inputs[{self.name!r}].shape: a time series is [samples, {len(channels)}]"
                    raise ValueError(message)
                if not self.dtype.is_floating:
                    message = f"inputs[{self.name!r}].data_type: a time series is of a floating type"
                    raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coding:
    """A concept from a coding system."""

    system: str
    code: str
    display: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """One label of a classification, and the probability from which it is called present, if any."""

    code: Coding
    operating_point: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """An output that holds one probability for each label, in order of its last dimension."""

    exclusive: bool
    labels: tuple[Label, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSpec:
    """One output of the signature; `shape` is that of one item, -1 where it varies."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    classification: Classification | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where a classification's labels don't fit the shape."""
        if self.classification is not None and (not self.dtype.is_floating or self.shape != (len(self.classification.labels),)):
            message = f"outputs[{self.name!r}]: a classification is a floating vector with one element a label"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A version of a model.

    Attributes:
        name: the model's name.
        version: the version's number, 1 or more.
        signature_name: the signature to call.
        inputs: the signature's inputs by name, in the manifest's order.
        outputs: the signature's outputs by name, in the manifest's order.
        weights_digest: the digest of the SavedModel.
        demonstration_only: no patient's care may rest on it.
    """

    name: str
    version: int
    signature_name: str
    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, OutputSpec]
    weights_digest: str
    demonstration_only: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a manifest that can't be served."""
        if not self.name or self.version < 1 or not self.inputs or not self.outputs:
            message = "name, version, inputs and outputs: each has to be given"
            raise ValueError(message)
