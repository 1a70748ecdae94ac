"""Heart-rate variability, from the intervals between heartbeats.

Task Force of the European Society of Cardiology and the North American Society of Pacing and Electrophysiology, "Heart rate variability: standards of
measurement, physiological interpretation and clinical use", Circulation 93:1043 (1996), table 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.measure import Measure, Series

_NAMES = ("mean_rr_ms", "sdnn_ms", "rmssd_ms", "pnn50_percent")
_NN50_MS = 50.0


@dataclass(frozen=True, kw_only=True, slots=True)
class HeartRateVariability(Measure):
    """Measures in the time domain, of a series whose samples are the intervals between one R wave and the next, in milliseconds.

    The mean interval; SDNN, their standard deviation; RMSSD, the root mean square of the differences from one to the next; and pNN50, the share of
    these differences that are over 50 ms. A gap stands for a beat that wasn't normal, wasn't found, or isn't there, as at the end of a shorter
    recording; no difference is taken across it. A series with no two neighbouring beats has no RMSSD and no pNN50.

    Attributes:
        plausible_ms: intervals outside of these are gaps too: 300 ms is 200 beats a minute, 2,000 ms is 30.
    """

    plausible_ms: tuple[float, float] = (300.0, 2000.0)

    def __post_init__(self) -> None:
        """Raises ValueError where no interval would be left."""
        least, greatest = self.plausible_ms
        if not 0 <= least < greatest:
            message = "plausible_ms: from 0 or more to more"
            raise ValueError(message)

    def names(self, samples: int) -> tuple[str, ...]:
        """`mean_rr_ms`, `sdnn_ms`, `rmssd_ms`, `pnn50_percent`. Raises ValueError where there are too few samples for a difference."""
        if samples < 2:  # noqa: PLR2004 - a difference is of two
            message = f"samples: 2 intervals or more are needed, there are {samples}"
            raise ValueError(message)
        return _NAMES

    def transform(self, series: Series) -> NDArray[np.float64]:
        """[items, intervals, channels] to [items, channels, 4]."""
        least, greatest = self.plausible_ms
        intervals = np.ma.masked_invalid(series)
        intervals = np.ma.masked_outside(intervals, least, greatest)
        differences = np.abs(intervals[:, 1:] - intervals[:, :-1])
        over = np.ma.array(differences > _NN50_MS, dtype=np.float64)
        made = (intervals.mean(axis=1), intervals.std(axis=1, ddof=1), np.ma.sqrt(np.square(differences).mean(axis=1)), 100 * over.mean(axis=1))
        return np.stack([np.ma.filled(part, np.nan) for part in made], axis=-1)

    def apply(self, ops: Any, series: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, intervals, channels] to [items, channels, 4]."""
        least, greatest = self.plausible_ms
        is_beat = ops.logical_and(series >= least, series <= greatest)
        intervals = ops.where(is_beat, series, 0.0)
        beat = ops.cast(is_beat, "float64")
        count = ops.sum(beat, axis=1)
        mean = ops.sum(intervals, axis=1) / ops.maximum(count, 1.0)
        from_mean = (intervals - ops.expand_dims(mean, 1)) * beat
        deviation = ops.sqrt(ops.sum(ops.square(from_mean), axis=1) / ops.maximum(count - 1.0, 1.0))
        both = beat[:, 1:] * beat[:, :-1]
        differences = ops.abs(intervals[:, 1:] - intervals[:, :-1]) * both
        pairs = ops.sum(both, axis=1)
        square = ops.sum(ops.square(differences), axis=1) / ops.maximum(pairs, 1.0)
        over = ops.sum(ops.cast(differences > _NN50_MS, "float64"), axis=1) / ops.maximum(pairs, 1.0)
        made = (
            ops.where(count > 0, mean, np.nan),
            ops.where(count > 1, deviation, np.nan),
            ops.where(pairs > 0, ops.sqrt(square), np.nan),
            ops.where(pairs > 0, 100.0 * over, np.nan),
        )
        return ops.stack(made, axis=-1)
