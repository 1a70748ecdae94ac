"""A series that was sampled at any times, brought to a grid of one frequency."""

import numpy as np
from numpy.typing import NDArray

# Two moments that differ by less than this share of a grid interval are the same, rounded.
_SAME_MOMENT = 1e-6
# The same in units of the last place: a time and a moment of the grid are rounded, and the difference of two is.
_ROUNDINGS = 4
# A series of less than this many intervals of the grid between its samples is more dense than the grid; one of a little less is of another clock.
_DENSE = 0.95


def grid(times_seconds: NDArray[np.float64], *, frequency_hz: float, samples: int) -> NDArray[np.float64]:
    """The moments in seconds of `samples` samples, the last of them at the end of the series."""
    return float(times_seconds[-1]) - np.arange(samples - 1, -1, -1, dtype=np.float64) / frequency_hz


def tolerance(times_seconds: NDArray[np.float64], frequency_hz: float) -> float:
    """By how many seconds two moments may differ and be the same: in seconds since 1970, a float64 tells a quarter of a microsecond apart."""
    return max(_SAME_MOMENT / frequency_hz, _ROUNDINGS * float(np.spacing(max(abs(times_seconds[0]), abs(times_seconds[-1])))))


def samples_of(times_seconds: NDArray[np.float64], frequency_hz: float) -> int:
    """How many samples of a frequency a series is long."""
    span = float(times_seconds[-1] - times_seconds[0]) + tolerance(times_seconds, frequency_hz)
    return int(np.floor(span * frequency_hz)) + 1


def resample(
    times_seconds: NDArray[np.float64],
    values: NDArray[np.float64],
    moments_seconds: NDArray[np.float64],
    *,
    frequency_hz: float,
    max_gap_seconds: float,
) -> NDArray[np.float64]:
    """The values at `moments_seconds`, [moments]; NaN before the first and after the last value, and in a gap that is longer than may be bridged.

    `times_seconds` and `values` are [samples], the times rising and finite; NaN values count as not there. The moments are of `grid`, or a stretch
    of it. Between two values the series is a straight line. Where it was sampled more densely than the moments are, each gets the mean of that line
    over its interval, of 1 / frequency around it and without gaps that are too long: what is faster than the grid would otherwise turn up as
    something slower (aliasing).
    """
    is_there = ~np.isnan(values)
    times, known = times_seconds[is_there], values[is_there]
    if not known.size:
        return np.full(len(moments_seconds), np.nan)
    same = tolerance(times_seconds, frequency_hz)
    longest = max_gap_seconds + same
    if _spacing(times) < _DENSE / frequency_hz:
        found = _means(times, known, moments_seconds, frequency_hz, longest)
    else:
        found = np.interp(moments_seconds, times, known)
    found[(moments_seconds < times[0] - same) | (moments_seconds > times[-1] + same)] = np.nan
    # The values on either side: the last at or before the moment, and the first at or after it.
    before = np.clip(np.searchsorted(times, moments_seconds + same, side="right") - 1, 0, None)
    after = np.clip(np.searchsorted(times, moments_seconds - same, side="left"), None, len(times) - 1)
    found[times[after] - times[before] > longest] = np.nan
    return found


def _spacing(times: NDArray[np.float64]) -> float:
    """The seconds between two samples, as a rule; infinite for one sample.

    Not the mean, which a gap makes longer, nor the median, which is 3 of the 3, 3 and 4 milliseconds that 300 Hz are when they are rounded.
    """
    spacing = np.diff(times)
    return float(spacing[spacing <= 2 * np.median(spacing)].mean()) if spacing.size else np.inf


def _means(
    times: NDArray[np.float64], values: NDArray[np.float64], moments: NDArray[np.float64], frequency_hz: float, longest: float
) -> NDArray[np.float64]:
    """The mean of the line through the values over the interval around each moment, as far as there is a line that no gap above `longest` breaks."""
    # From the middle value on, so that a large constant doesn't cancel the digits of what it carries.
    middle = float(np.median(values))
    around = values - middle
    reach = 0.5 / frequency_hz
    ends = np.append(moments - reach, moments[-1] + reach)
    # The line in pieces, each of one interval and between two values. Summed by interval: a wild value spoils no other's sum.
    nodes = np.union1d(times, ends)
    nodes = nodes[(nodes >= max(times[0], ends[0])) & (nodes <= min(times[-1], ends[-1]))]
    centers = 0.5 * (nodes[1:] + nodes[:-1])
    is_bridged = (np.diff(times) <= longest)[np.clip(np.searchsorted(times, centers, side="right") - 1, 0, len(times) - 2)]
    widths = np.diff(nodes) * is_bridged
    line = np.interp(nodes, times, around)
    places = np.clip(np.searchsorted(ends, centers, side="right") - 1, 0, len(moments) - 1)
    areas = np.bincount(places, 0.5 * (line[1:] + line[:-1]) * widths, minlength=len(moments))
    covered = np.bincount(places, widths, minlength=len(moments))
    # A value with a gap on either side is its own mean.
    means: NDArray[np.float64] = np.divide(areas, covered, out=np.interp(moments, times, around), where=covered > 0)
    return middle + means
