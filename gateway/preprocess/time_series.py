"""Time series: channels by name, in the manifest's order and units."""

import math
from collections import Counter

import numpy as np

from gateway.call import TimeSeries
from gateway.errors import ChannelsMismatch, SamplingFrequencyMismatch, UnitMismatch
from gateway.manifest import InputSpec, TimeSeriesInput
from gateway.preprocess.bounds import InputLimits, check_elements, check_shape
from gateway.preprocess.tensor import check_finite
from gateway.tensor import Tensor

_FREQUENCY_TOLERANCE = 1e-6


def prepare_time_series(spec: InputSpec, medium: TimeSeriesInput, series: TimeSeries, limits: InputLimits, field: str) -> Tensor:
    """The series as [samples, channels], in the manifest's order of channels.

    Raises:
        ChannelsMismatch: a channel is missing, unknown, named twice, or of another length than the others.
        UnitMismatch: a channel's unit isn't the manifest's.
        SamplingFrequencyMismatch: the frequency is unknown or isn't the manifest's; resampling comes in a later release.
        ShapeMismatch, ValueNotFinite, TooManyElements.
    """
    field = f"{field}.time_series"
    wanted = {channel.name: channel.unit for channel in medium.channels}
    counts = Counter(channel.name for channel in series.channels)
    if set(counts) != set(wanted) or max(counts.values(), default=0) > 1:
        missing, extra = sorted(set(wanted) - set(counts)), len(set(counts) - set(wanted))
        message = f"the model takes the channels {', '.join(wanted)}, each once; missing: {', '.join(missing) or 'none'}; unknown: {extra}"
        raise ChannelsMismatch(message, field=f"{field}.channels")
    channels = {channel.name: channel for channel in series.channels}
    for name, unit in wanted.items():
        if channels[name].unit != unit:
            message = f"the channel {name} has to be in the unit '{unit}' (UCUM)"
            raise UnitMismatch(message, field=f'{field}.channels["{name}"].unit')
    lengths = {len(channel.values) for channel in series.channels}
    if len(lengths) != 1:
        message = f"the channels have from {min(lengths)} to {max(lengths)} values; all have to have as many"
        raise ChannelsMismatch(message, field=f"{field}.channels")
    _check_frequency(medium, series, field)
    shape = (lengths.pop(), len(medium.channels))
    check_elements(shape, limits, f"{field}.channels")
    check_shape(spec, shape, f"{field}.channels")
    columns = [np.asarray(channels[name].values, dtype=np.float64) for name in wanted]
    with np.errstate(over="ignore"):  # what is too large for the model's type becomes infinite, and is refused below
        tensor = Tensor.of(np.stack(columns, axis=1).astype(spec.dtype.numpy))
    check_finite(spec, tensor, f"{field}.channels")
    return tensor


def _check_frequency(medium: TimeSeriesInput, series: TimeSeries, field: str) -> None:
    wanted = medium.sampling_frequency_hz
    if wanted and not math.isclose(series.sampling_frequency_hz, wanted, rel_tol=_FREQUENCY_TOLERANCE):
        message = f"the model takes {wanted:g} samples a second: say so if yours are, or resample them"
        raise SamplingFrequencyMismatch(message, field=f"{field}.sampling_frequency_hz")
