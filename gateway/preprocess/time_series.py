"""A time series to a tensor [samples, channels], with channels matched by name, units converted, and resampled where the manifest says how."""

import math
from collections.abc import Sequence
from typing import Never

import numpy as np
from numpy.typing import NDArray

from gateway.errors import (
    ChannelsMismatch,
    GapTooLong,
    InternalError,
    SamplingFrequencyMismatch,
    ShapeMismatch,
    TimesInvalid,
    UnitMismatch,
    ValueNotFinite,
)
from gateway.item import Channel, TimeSeries
from gateway.manifest import ChannelSpec, InputSpec, TimeSeriesInput
from gateway.preprocess import resampling
from gateway.preprocess.bounds import InputLimits, require_at_most
from gateway.preprocess.tensor import require_finite, require_shape
from gateway.reading import Caution
from gateway.tensor import Tensor
from gateway.units import Conversion, conversion, is_at_hand

# Two frequencies that differ by less drift apart by less than one sample in a million: the same clock, rounded.
_FREQUENCY_TOLERANCE = 1e-6

# Converting so many values takes about a millisecond, and so does making a grid of so many seconds at a thousand moments in each.
_LONG_VALUES = 10_000
_LONG_SECONDS = 10
# One conversion holds the interpreter from its start to its end, on whichever thread: so many values at a time, and others get their turn.
_BLOCK_SAMPLES = 10_000
# Of a long grid so much at a time: it takes ten numbers beside each moment to make it.
_BLOCK_MOMENTS = 1_000_000
# Sums of so many values stay below infinity.
_HEADROOM = 1e12
# 300 years. Beyond it a moment is no time but a mistake, and its arithmetic overflows.
_MAX_SECONDS = 1e10


def is_long(spec: InputSpec, series: TimeSeries) -> bool:
    """Whether a series takes long enough to convert that it belongs on a thread.

    It has many values, or is brought to a grid that may have; or a unit has to be read that isn't at hand.
    """
    if sum(len(channel.values) for channel in series.channels) + len(series.times_seconds) > _LONG_VALUES:
        return True
    units = {channel.name: channel.unit for channel in spec.medium.channels} if isinstance(spec.medium, TimeSeriesInput) else {}
    if any(channel.name in units and not is_at_hand(channel.unit, units[channel.name]) for channel in series.channels):
        return True
    if len(series.times_seconds):
        return not series.times_seconds[-1] - series.times_seconds[0] <= _LONG_SECONDS
    return any(len(channel.values) > _LONG_SECONDS * series.sampling_frequency_hz > 0 for channel in series.channels)


def prepare(spec: InputSpec, series: TimeSeries, limits: InputLimits) -> tuple[Tensor, tuple[Caution, ...]]:
    """The samples of every channel of the manifest, in its order, and what a reader should know of how they were made.

    Raises TooManyElements, ChannelsMismatch, UnitMismatch, SamplingFrequencyMismatch, TimesInvalid, GapTooLong, ShapeMismatch or ValueNotFinite.
    """
    medium = spec.medium
    if not isinstance(medium, TimeSeriesInput):
        message = "a time series is only prepared for a time series input"
        raise InternalError(message)
    field = f'inputs["{spec.name}"].time_series'
    values_in_all = sum(len(channel.values) for channel in series.channels) + len(series.times_seconds)
    require_at_most(limits.max_elements, [values_in_all], unit="values", field=f"{field}.channels")
    _require_channels(series, medium, field)
    channels = {channel.name: channel for channel in series.channels}
    conversions = [_conversion_of(channels[wanted.name], wanted, field) for wanted in medium.channels]
    if medium.max_gap_seconds is None:
        _require_as_it_is(series, medium, field)
        samples = len(series.channels[0].values)
        require_shape((samples, len(medium.channels)), spec, field=f"{field}.channels")
        values = _columns(channels, medium, conversions, samples)
        cautions: tuple[Caution, ...] = ()
    else:
        times = _times_of(series, field)
        samples = _samples_of(spec, medium, times, limits)
        came = _columns(channels, medium, conversions, len(times))
        _require_sizes(came, spec, medium, field)
        is_on_grid = not len(series.times_seconds) and math.isclose(
            series.sampling_frequency_hz, medium.sampling_frequency_hz, rel_tol=_FREQUENCY_TOLERANCE
        )
        is_as_it_is = is_on_grid and len(came) >= samples and not np.isnan(came).any()
        values = came[len(came) - samples :] if is_as_it_is else _resampled(medium, times, came, samples)
        if not spec.allows_missing and np.isnan(values).any():
            _refuse_gap(medium, values, times, came, field)
        cautions = _cautions_of(medium, values, times)
    # A value too large for the model's type becomes an infinity here, which is refused right below.
    with np.errstate(over="ignore"):
        tensor = Tensor.of(values.astype(spec.dtype.numpy, copy=False))
    for column, channel in enumerate(medium.channels):
        require_finite(tensor.array[:, column], spec, field=_values_field(field, channel))
    return tensor, cautions


def _values_field(field: str, channel: ChannelSpec) -> str:
    """Where a channel's values are in the request. The name is the manifest's, which the caller has repeated."""
    return f'{field}.channels["{channel.name}"].values'


def _columns(channels: dict[str, Channel], medium: TimeSeriesInput, conversions: list[Conversion], samples: int) -> NDArray[np.float64]:
    """The values in the manifest's units, [samples, channels]."""
    values = np.empty((samples, len(medium.channels)))
    for column, (wanted, convert) in enumerate(zip(medium.channels, conversions, strict=True)):
        _copy(channels[wanted.name].values, values[:, column])
        if convert != Conversion():
            # What becomes infinite is refused by whoever calls.
            with np.errstate(over="ignore"):
                values[:, column] = values[:, column] * convert.factor + convert.offset
    return values


def _copy(values: Sequence[float], into: NDArray[np.float64]) -> None:
    """Copies a message's values, [samples], so that other threads get their turn."""
    for start in range(0, len(into), _BLOCK_SAMPLES):
        block = slice(start, start + _BLOCK_SAMPLES)
        into[block] = values[block]


def _samples_of(spec: InputSpec, medium: TimeSeriesInput, times: NDArray[np.float64], limits: InputLimits) -> int:
    """How many samples the tensor has. Raises TooManyElements: two moments that lie a century apart make a grid that nobody has room for."""
    if spec.shape[0] >= 0:
        return spec.shape[0]
    samples = resampling.samples_of(times, medium.sampling_frequency_hz)
    require_at_most(limits.max_elements, [samples, len(medium.channels)], unit="values", field=f'inputs["{spec.name}"].time_series.times_seconds')
    return samples


def _require_sizes(values: NDArray[np.float64], spec: InputSpec, medium: TimeSeriesInput, field: str) -> None:
    is_too_large = (np.abs(values) > np.finfo(spec.dtype.numpy).max / _HEADROOM).any(axis=0)
    if is_too_large.any():
        message = "a value is infinite or too large for the model: send a number, or NaN where a value is missing"
        raise ValueNotFinite(message, field=_values_field(field, medium.channels[int(is_too_large.argmax())]))


def _resampled(medium: TimeSeriesInput, times: NDArray[np.float64], came: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """The values on the model's grid, [samples, channels]."""
    frequency_hz = medium.sampling_frequency_hz
    moments = resampling.grid(times, frequency_hz=frequency_hz, samples=samples)
    gap = medium.max_gap_seconds or 0.0
    values = np.empty((samples, came.shape[1]))
    for column in range(came.shape[1]):
        for start in range(0, samples, _BLOCK_MOMENTS):
            block = slice(start, start + _BLOCK_MOMENTS)
            values[block, column] = resampling.resample(times, came[:, column], moments[block], frequency_hz=frequency_hz, max_gap_seconds=gap)
    return values


def _cautions_of(medium: TimeSeriesInput, values: NDArray[np.float64], times: NDArray[np.float64]) -> tuple[Caution, ...]:
    """What there is to say of the resampled values."""
    samples, frequency_hz = len(values), medium.sampling_frequency_hz
    cautions = []
    if resampling.samples_of(times, frequency_hz) > samples:
        message = f"The series is longer than the model reads: its latest {samples / frequency_hz:g} s were read."
        cautions.append(Caution(reason="SERIES_CUT", message=message))
    missing = int(np.isnan(values).any(axis=1).sum())
    if missing:
        message = f"{missing} of {samples} samples lie in gaps that are too long to bridge, or outside of the series, and count as missing."
        cautions.append(Caution(reason="SERIES_GAPS", message=message))
    return tuple(cautions)


def _refuse_gap(medium: TimeSeriesInput, values: NDArray[np.float64], times: NDArray[np.float64], came: NDArray[np.float64], field: str) -> Never:
    """Raises GapTooLong, which says of the first channel that lacks a value where it does. `values` are on the model's grid, `came` at `times`."""
    samples, frequency_hz = len(values), medium.sampling_frequency_hz
    if resampling.samples_of(times, frequency_hz) < samples:
        wanted = f"{samples} samples at {frequency_hz:g} Hz, {samples / frequency_hz:g} s"
        message = f"the series is too short: the model takes {wanted}: send a longer one"
        raise GapTooLong(message, field=f"{field}.channels")
    column = int(np.isnan(values).any(axis=0).argmax())
    is_there = ~np.isnan(came[:, column])
    begin = times[-1] - (samples - 1) / frequency_hz + resampling.tolerance(times, frequency_hz)
    if not is_there.any():
        fault, wanted = "has no value", "send its values"
    elif not is_there[-1]:
        fault, wanted = "ends with a missing value", "send that value, or a series that ends before it"
    elif times[is_there.argmax()] > begin:
        fault, wanted = "begins with a missing value", "send that value, or a series that begins after it"
    else:
        fault, wanted = f"has no value for more than {medium.max_gap_seconds:g} s", "send a series without that gap"
    channel = medium.channels[column]
    message = f'channel "{channel.name}" {fault}, so that the series can\'t be brought to {frequency_hz:g} Hz: {wanted}'
    raise GapTooLong(message, field=_values_field(field, channel))


def _times_of(series: TimeSeries, field: str) -> NDArray[np.float64]:
    """When each sample was taken, in seconds. Raises TimesInvalid or SamplingFrequencyMismatch."""
    samples = len(series.channels[0].values)
    if not samples:
        message = "the series is empty: send the samples that there are"
        raise ShapeMismatch(message, field=f"{field}.channels")
    if not len(series.times_seconds):
        if not (0 < series.sampling_frequency_hz < math.inf):
            message = "neither a sampling frequency above 0 nor times came: say how often or when the series was sampled"
            raise SamplingFrequencyMismatch(message, field=f"{field}.sampling_frequency_hz")
        if samples > _MAX_SECONDS * series.sampling_frequency_hz:
            message = "at this sampling frequency the series would have taken centuries: give it in samples per second"
            raise SamplingFrequencyMismatch(message, field=f"{field}.sampling_frequency_hz")
        return np.arange(samples, dtype=np.float64) / series.sampling_frequency_hz
    if series.sampling_frequency_hz:
        message = "a sampling frequency and times came: send one of them"
        raise TimesInvalid(message, field=f"{field}.times_seconds")
    if len(series.times_seconds) != samples:
        message = "there are not as many times as values: send one for each sample"
        raise TimesInvalid(message, field=f"{field}.times_seconds")
    times = np.empty(samples)
    _copy(series.times_seconds, times)
    if not (np.abs(times) <= _MAX_SECONDS).all():
        message = "a time is no number, or centuries from 0: send seconds, not milliseconds or less"
        raise TimesInvalid(message, field=f"{field}.times_seconds")
    if not (np.diff(times) > 0).all():
        message = "a time isn't later than the one before: send the samples oldest first, each once"
        raise TimesInvalid(message, field=f"{field}.times_seconds")
    return times


def _conversion_of(channel: Channel, wanted: ChannelSpec, field: str) -> Conversion:
    found = conversion(channel.unit, wanted.unit)
    if found is None:
        message = f'the model takes channel "{wanted.name}" in "{wanted.unit}" (UCUM) or a unit of its kind, another came: convert the values'
        raise UnitMismatch(message, field=f'{field}.channels["{wanted.name}"].unit')
    return found


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
    lengths = {channel.name: len(channel.values) for channel in series.channels}
    first, *others = medium.channels
    for other in others:
        if lengths[other.name] != lengths[first.name]:
            message = f'channel "{other.name}" has not as many values as "{first.name}": send as many for each, NaN where one is missing'
            raise ChannelsMismatch(message, field=_values_field(field, other))


def _require_as_it_is(series: TimeSeries, medium: TimeSeriesInput, field: str) -> None:
    """Raises where the series would have to be resampled, which the manifest doesn't say how to."""
    if len(series.times_seconds):
        message = "the model takes evenly spaced samples and resamples nothing: leave out the times"
        raise TimesInvalid(message, field=f"{field}.times_seconds")
    wanted_hz = medium.sampling_frequency_hz
    if wanted_hz and not math.isclose(series.sampling_frequency_hz, wanted_hz, rel_tol=_FREQUENCY_TOLERANCE):
        message = f"the model takes {wanted_hz:g} Hz and resamples nothing: send the series at that rate, and say so"
        raise SamplingFrequencyMismatch(message, field=f"{field}.sampling_frequency_hz")
