"""A time series to a tensor [samples, channels], with channels matched by name."""

import math

import numpy as np

from gateway.call import TimeSeries
from gateway.errors import ChannelsMismatch, InternalError, SamplingFrequencyMismatch, UnitMismatch
from gateway.manifest import InputSpec, TimeSeriesInput
from gateway.preprocess.bounds import InputLimits, require_at_most
from gateway.preprocess.tensor import require_finite, require_shape
from gateway.tensor import Tensor

# Two frequencies that differ by less drift apart by less than one sample in a million: the same clock, rounded.
_FREQUENCY_TOLERANCE = 1e-6

# Converting so many values takes about a millisecond.
_LONG_VALUES = 10_000
# One conversion holds the interpreter from its start to its end, on whichever thread: so many values at a time, and others get their turn.
_BLOCK_SAMPLES = 10_000


def is_long(series: TimeSeries) -> bool:
    """Whether a series takes long enough to convert that it belongs on a thread."""
    return sum(len(channel.values) for channel in series.channels) > _LONG_VALUES


def prepare(spec: InputSpec, series: TimeSeries, limits: InputLimits) -> Tensor:
    """The samples of every channel of the manifest, in its order.

    Raises TooManyElements, ChannelsMismatch, UnitMismatch, SamplingFrequencyMismatch, ShapeMismatch or ValueNotFinite.
    """
    medium = spec.medium
    if not isinstance(medium, TimeSeriesInput):
        message = "a time series is only prepared for a time series input"
        raise InternalError(message)
    field = f'inputs["{spec.name}"].time_series'
    values_in_all = sum(len(channel.values) for channel in series.channels)
    require_at_most(limits.max_elements, [values_in_all], unit="values", field=f"{field}.channels")
    _require_channels(series, medium, field)
    _require_frequency(series.sampling_frequency_hz, medium.sampling_frequency_hz, f"{field}.sampling_frequency_hz")
    channels = {channel.name: channel for channel in series.channels}
    for wanted in medium.channels:
        if channels[wanted.name].unit != wanted.unit:
            message = f'the model takes channel "{wanted.name}" in "{wanted.unit}" (UCUM), another unit came: convert the values'
            raise UnitMismatch(message, field=f'{field}.channels["{wanted.name}"].unit')
    samples = len(series.channels[0].values)
    require_shape((samples, len(medium.channels)), spec, field=f"{field}.channels")
    values = np.empty((samples, len(medium.channels)), dtype=spec.dtype.numpy)
    # A value too large for the model's type becomes an infinity here, which is refused right below.
    with np.errstate(over="ignore"):
        for column, wanted in enumerate(medium.channels):
            for start in range(0, samples, _BLOCK_SAMPLES):
                block = slice(start, start + _BLOCK_SAMPLES)
                values[block, column] = channels[wanted.name].values[block]
    tensor = Tensor.of(values)
    require_finite(tensor, spec, field=f"{field}.channels")
    return tensor


def _require_channels(series: TimeSeries, medium: TimeSeriesInput, field: str) -> None:
    came = [channel.name for channel in series.channels]
    wanted = {channel.name for channel in medium.channels}
    faults = {
        "is missing": not wanted <= set(came),
        "is unknown": not set(came) <= wanted,
        "came twice": len(set(came)) != len(came),
    }
    for fault, found in faults.items():
        if found:
            # The names that came aren't repeated: a channel may have been named after a patient.
            message = f"a channel {fault}: the model takes each of {', '.join(channel.name for channel in medium.channels)} once"
            raise ChannelsMismatch(message, field=f"{field}.channels")
    if len({len(channel.values) for channel in series.channels}) != 1:
        message = "the channels differ in length: send as many values for each, NaN where one is missing"
        raise ChannelsMismatch(message, field=f"{field}.channels")


def _require_frequency(came_hz: float, wanted_hz: float, field: str) -> None:
    if wanted_hz and not math.isclose(came_hz, wanted_hz, rel_tol=_FREQUENCY_TOLERANCE):
        message = f"the model takes {wanted_hz:g} Hz and resamples nothing: send the series at that rate, and say so"
        raise SamplingFrequencyMismatch(message, field=field)
