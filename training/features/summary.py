"""What a series is like in each of its windows: mean, deviation, slope, least and greatest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.measure import Measure, Series, check_rate

_NAMES = ("mean", "sd", "slope_per_second", "min", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary(Measure):
    """Mean, sample standard deviation, slope of the least squares line, least and greatest value of each window. Gaps are left out.

    Windows are counted from the end, so that the newest is whole; what is left over at the beginning is left out. A window of one value has no
    deviation and no slope, and one of none has nothing.

    Attributes:
        sampling_hz: samples per second, for the slope.
        window_samples: how long a window is; None for one window of the whole series.
    """

    sampling_hz: float
    window_samples: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where it declares nothing that can be measured."""
        check_rate(self.sampling_hz)
        if self.window_samples is not None and self.window_samples < 2:  # noqa: PLR2004 - a slope has two ends
            message = "window_samples: 2 or more"
            raise ValueError(message)

    def names(self, samples: int) -> tuple[str, ...]:
        """`mean` and so on; of several windows `mean_1`, `sd_1`, … with the oldest first. Raises ValueError where there are too few samples."""
        length = self._length(samples)
        if not 2 <= length <= samples:  # noqa: PLR2004
            message = f"window_samples: 2 to {samples}"
            raise ValueError(message)
        if (windows := samples // length) == 1:
            return _NAMES
        return tuple(f"{name}_{window}" for window in range(1, windows + 1) for name in _NAMES)

    def transform(self, series: Series) -> NDArray[np.float64]:
        """[items, samples, channels] to [items, channels, windows × 5]."""
        items, samples, channels = series.shape
        length = self._length(samples)
        kept = np.moveaxis(series[:, samples % length :], 1, 2).reshape(items, channels, -1, length)
        windows = np.ma.masked_invalid(kept)
        seconds = np.ma.array(np.broadcast_to(np.arange(length) / self.sampling_hz, kept.shape), mask=windows.mask)
        from_mean = seconds - seconds.mean(axis=-1, keepdims=True)
        spread = np.square(from_mean).sum(axis=-1)
        slope = (from_mean * (windows - windows.mean(axis=-1, keepdims=True))).sum(axis=-1) / np.ma.masked_equal(spread, 0)
        made = (windows.mean(axis=-1), windows.std(axis=-1, ddof=1), slope, windows.min(axis=-1), windows.max(axis=-1))
        return np.stack([np.ma.filled(part, np.nan) for part in made], axis=-1).reshape(items, channels, -1)

    def apply(self, ops: Any, series: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, samples, channels] to [items, channels, windows × 5]."""
        samples, channels = series.shape[1:]
        length = self._length(samples)
        windows = ops.reshape(ops.transpose(series[:, samples % length :], (0, 2, 1)), (-1, channels, samples // length, length))
        is_gap = ops.isnan(windows)
        here = ops.cast(ops.logical_not(is_gap), "float64")
        count = ops.sum(here, axis=-1)

        def mean(values: Any) -> Any:  # noqa: ANN401
            return ops.sum(ops.where(is_gap, 0.0, values), axis=-1) / ops.maximum(count, 1.0)

        middle = mean(windows)
        from_middle = ops.where(is_gap, 0.0, windows - ops.expand_dims(middle, -1))
        seconds = ops.convert_to_tensor(np.arange(length) / self.sampling_hz, dtype="float64")
        from_mean = (seconds - ops.expand_dims(mean(here * seconds), -1)) * here
        deviation = ops.sqrt(ops.sum(ops.square(from_middle), axis=-1) / ops.maximum(count - 1.0, 1.0))
        spread = ops.sum(ops.square(from_mean), axis=-1)
        slope = ops.sum(from_mean * from_middle, axis=-1) / ops.where(spread > 0, spread, 1.0)
        # With an initial value there may be no items at all.
        made = (
            ops.where(count > 0, middle, np.nan),
            ops.where(count > 1, deviation, np.nan),
            ops.where(count > 1, slope, np.nan),
            ops.where(count > 0, ops.min(ops.where(is_gap, np.inf, windows), axis=-1, initial=np.inf), np.nan),
            ops.where(count > 0, ops.max(ops.where(is_gap, -np.inf, windows), axis=-1, initial=-np.inf), np.nan),
        )
        return ops.reshape(ops.stack(made, axis=-1), (-1, channels, samples // length * len(made)))

    def _length(self, samples: int) -> int:
        return samples if self.window_samples is None else self.window_samples
