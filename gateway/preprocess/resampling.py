"""A series that was sampled at any times, brought to a grid of one frequency."""

import numpy as np
from numpy.typing import NDArray

# Two moments that differ by less than this share of a grid interval are the same, rounded.
_SAME_MOMENT = 1e-6


def grid(times_seconds: NDArray[np.float64], *, frequency_hz: float, samples: int) -> NDArray[np.float64]:
    """The moments in seconds of `samples` samples, the last of them at the end of the series."""
    return float(times_seconds[-1]) - np.arange(samples - 1, -1, -1, dtype=np.float64) / frequency_hz


def samples_of(times_seconds: NDArray[np.float64], frequency_hz: float) -> int:
    """How many samples of a frequency a series is long."""
    return int(np.floor((times_seconds[-1] - times_seconds[0]) * frequency_hz + _SAME_MOMENT)) + 1


def resample(
    times_seconds: NDArray[np.float64],
    values: NDArray[np.float64],
    moments_seconds: NDArray[np.float64],
    *,
    frequency_hz: float,
    max_gap_seconds: float,
) -> NDArray[np.float64]:
    """The values at `moments_seconds`, [moments]; NaN before the first and after the last value, and in a gap that is longer than may be bridged.

    `times_seconds` and `values` are [samples], the times rising and finite; NaN values count as not there. Between two values the series is a
    straight line. Where it was sampled more densely than the moments are, each gets the mean of that line over its interval, of 1 / frequency
    around it: what is faster than the grid would otherwise turn up as something slower (aliasing).
    """
    is_there = ~np.isnan(values)
    times, known = times_seconds[is_there], values[is_there]
    if not known.size:
        return np.full(len(moments_seconds), np.nan)
    tolerance = _SAME_MOMENT / frequency_hz
    spacing = np.diff(times)
    is_dense = spacing.size > 0 and float(np.median(spacing)) < (1 - _SAME_MOMENT) / frequency_hz
    found = _means(times, known, moments_seconds, 0.5 / frequency_hz) if is_dense else np.interp(moments_seconds, times, known)
    found[(moments_seconds < times[0] - tolerance) | (moments_seconds > times[-1] + tolerance)] = np.nan
    # The values on either side: the last at or before the moment, and the first at or after it.
    before = np.clip(np.searchsorted(times, moments_seconds + tolerance, side="right") - 1, 0, None)
    after = np.clip(np.searchsorted(times, moments_seconds - tolerance, side="left"), None, len(times) - 1)
    found[times[after] - times[before] > max_gap_seconds + tolerance] = np.nan
    return found


def _means(times: NDArray[np.float64], values: NDArray[np.float64], moments: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """The mean of the line through the values over [moment - reach, moment + reach], as far as there is a line."""
    # From the middle value on, so that a large constant doesn't cancel the digits of what it carries.
    middle = float(np.median(values))
    around = values - middle
    areas = np.concatenate([[0.0], np.cumsum(0.5 * (around[1:] + around[:-1]) * np.diff(times))])

    def area_until(moment: NDArray[np.float64]) -> NDArray[np.float64]:
        place = np.clip(np.searchsorted(times, moment, side="right") - 1, 0, len(times) - 2)
        into = moment - times[place]
        slope = (around[place + 1] - around[place]) / (times[place + 1] - times[place])
        return areas[place] + around[place] * into + 0.5 * slope * into**2

    start, end = np.clip(moments - reach, times[0], times[-1]), np.clip(moments + reach, times[0], times[-1])
    width = end - start
    means: NDArray[np.float64] = np.divide(area_until(end) - area_until(start), width, out=np.full(len(moments), np.nan), where=width > 0)
    return middle + means
