"""A signature's inputs, and how each medium becomes one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.tensor import DType
from gateway.units import Conversion, is_unit
from gateway.units import conversion as conversion_of

# Of ultrasound at most; beyond it a moment can't be told from the next.
_MAX_FREQUENCY_HZ = 1e9


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
        """Raises ValueError for a fixed window without a width or a place."""
        if self.windowing is Windowing.FIXED and not 1 <= self.window_width < math.inf:
            message = "image.window_width: a fixed window needs a width of 1 or more"
            raise ValueError(message)
        if self.windowing is Windowing.FIXED and not math.isfinite(self.window_center):
            message = "image.window_center: a fixed window needs a center that is a number"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelSpec:
    """A channel's name and the UCUM unit of its values."""

    name: str
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSeriesInput:
    """A time series.

    Attributes:
        channels: in the order of the tensor's last dimension.
        sampling_frequency_hz: 0 where the model counts samples whatever their spacing.
        max_gap_seconds: the longest time without a value that is bridged where a series of other times is resampled; None where it is refused.
    """

    channels: tuple[ChannelSpec, ...]
    sampling_frequency_hz: float = 0.0
    max_gap_seconds: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for no channels, a name twice, what is no unit, a frequency that is none, or resampling without one."""
        names = [channel.name for channel in self.channels]
        if not names or len(set(names)) != len(names):
            message = "time_series.channels: at least one, each with a name of its own"
            raise ValueError(message)
        if not 0 <= self.sampling_frequency_hz <= _MAX_FREQUENCY_HZ:
            message = f"time_series.sampling_frequency_hz: from 0 to {_MAX_FREQUENCY_HZ:g}"
            raise ValueError(message)
        for channel in self.channels:
            _require_unit(channel.unit, f"time_series.channels[{channel.name!r}].unit")
        if self.max_gap_seconds is not None and not (self.max_gap_seconds > 0 and self.sampling_frequency_hz > 0):
            message = "time_series.resampling: a longest gap above 0 and a sampling frequency to resample to"
            raise ValueError(message)


class FeatureHandling(Enum):
    """What becomes of a feature that isn't as the model expects it."""

    REFUSE = auto()
    AS_MISSING = auto()
    CLAMP = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureSpec:
    """One feature of a record: a number in `unit`, or one of `categories`, by their codes, which travels as its place among them.

    Attributes:
        unit: in UCUM; empty for categories.
        other_units: what a number in a unit of another kind is multiplied by, and what is added then, by the unit.
        minimum, maximum: what is plausible, in `unit`, both included.
        categories: the codes; empty for a number.
        if_missing, if_out_of_range, if_unknown_category: what becomes of a feature that isn't there, or has such a value.
    """

    name: str
    unit: str = ""
    other_units: Mapping[str, Conversion] = field(default_factory=dict)
    minimum: float = -math.inf
    maximum: float = math.inf
    categories: tuple[str, ...] = ()
    if_missing: FeatureHandling = FeatureHandling.REFUSE
    if_out_of_range: FeatureHandling = FeatureHandling.REFUSE
    if_unknown_category: FeatureHandling = FeatureHandling.REFUSE

    def __post_init__(self) -> None:
        """Raises ValueError where it is neither a number with a unit nor categories, or a rule makes no sense for it."""
        where = f"record.features[{self.name!r}]"
        if not self.name:
            message = "record.features: each needs a name"
            raise ValueError(message)
        if self.categories:
            if self.unit or self.other_units or (self.minimum, self.maximum) != (-math.inf, math.inf):
                message = f"{where}: categories have neither unit nor range"
                raise ValueError(message)
            if len(set(self.categories)) != len(self.categories) or "" in self.categories:
                message = f"{where}.categories: each needs a code of its own"
                raise ValueError(message)
        else:
            _require_unit(self.unit, f"{where}.unit")
            for unit, conversion in self.other_units.items():
                _require_unit(unit, f"{where}.other_units")
                if conversion_of(unit, self.unit) is not None:
                    message = f"{where}.other_units[{unit!r}]: it is of the same kind as {self.unit!r}, and converted anyway: leave it out"
                    raise ValueError(message)
                if not (math.isfinite(conversion.factor) and conversion.factor and math.isfinite(conversion.offset)):
                    message = f"{where}.other_units[{unit!r}]: a factor that isn't 0, and a finite offset"
                    raise ValueError(message)
            if not self.minimum <= self.maximum or self.minimum == math.inf or self.maximum == -math.inf:
                message = f"{where}: the minimum is at most the maximum, and some number lies between them"
                raise ValueError(message)
        if FeatureHandling.CLAMP in {self.if_missing, self.if_unknown_category}:
            message = f"{where}: only a number that is out of its range has a nearest one"
            raise ValueError(message)

    @property
    def may_become_missing(self) -> bool:
        """Whether a value of it can end up as not-a-number."""
        return FeatureHandling.AS_MISSING in {self.if_missing, self.if_out_of_range, self.if_unknown_category}


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordInput:
    """The features by name, in the order of the tensor's only dimension; `unknown_features` says what becomes of any other."""

    features: Mapping[str, FeatureSpec]
    unknown_features: FeatureHandling = FeatureHandling.REFUSE

    def __post_init__(self) -> None:
        """Raises ValueError for no features, or a rule that makes no sense."""
        if not self.features:
            message = "record.features: at least one, each with a name of its own"
            raise ValueError(message)
        if self.unknown_features is FeatureHandling.CLAMP:
            message = "record.unknown_features: only a number that is out of its range has a nearest one"
            raise ValueError(message)


Medium = ImageInput | TimeSeriesInput | RecordInput


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSpec:
    """One input of the signature; `shape` is that of one item, -1 where any size will do."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    medium: Medium | None = None
    allows_missing: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a size that is none, or where the medium can't fill the shape."""
        # A tensor may be empty, an image or a series not.
        if any(size < (0 if self.medium is None else 1) and size != -1 for size in self.shape):
            message = f"inputs[{self.name!r}].shape: each size is 1 or more, or -1 for any"
            raise ValueError(message)
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
            case RecordInput(features=features):
                if self.shape != (len(features),) or not self.dtype.is_floating:
                    message = f"inputs[{self.name!r}]: a record is a floating vector with one element a feature, [{len(features)}]"
                    raise ValueError(message)
                if not self.allows_missing and any(feature.may_become_missing for feature in features.values()):
                    message = f"inputs[{self.name!r}].allows_missing: a feature may be missing, which the input doesn't allow"
                    raise ValueError(message)


def _require_unit(unit: str, field_: str) -> None:
    if not is_unit(unit):
        message = f"{field_}: not a unit of UCUM; `1` is that of a number without one"
        raise ValueError(message)
