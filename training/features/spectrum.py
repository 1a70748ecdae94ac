"""The power of a series in bands of frequency."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.measure import Measure, Series, check_rate

# A series is flat where its power is below this share of its mean square: above what rounding leaves of a constant, below a float32's last digit.
_FLAT = 1e-24


@dataclass(frozen=True, kw_only=True, slots=True)
class BandPower(Measure):
    """Power in bands, from Welch's periodogram (P. D. Welch, IEEE Trans. Audio Electroacoust. 15:70, 1967), as `scipy.signal.welch` has it.

    Segments overlap by half, and each is moved to mean 0 and weighted by Hann's window. A segment with a gap is left out; where each has one, there
    is no power. What the last segment doesn't reach is left out.

    Attributes:
        sampling_hz: samples per second.
        bands: of each its ends in hertz; the lower one belongs to it and the upper one doesn't.
        segment_samples: how long a segment is; None for one segment of the whole series. The longer, the finer the frequencies.
        relative: whether a band's share of a segment's power at all frequencies is made, and not its power in the squared unit of the series. A flat
            segment has no shares, and is left out as well.
    """

    sampling_hz: float
    bands: tuple[tuple[float, float], ...]
    segment_samples: int | None = None
    relative: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where it declares nothing that can be measured."""
        check_rate(self.sampling_hz)
        if not self.bands or any(not 0 <= low < high for low, high in self.bands):
            message = "bands: one or more, each from 0 or more hertz to more"
            raise ValueError(message)
        if self.segment_samples is not None and self.segment_samples < 2:  # noqa: PLR2004 - one sample has no frequency
            message = "segment_samples: 2 or more"
            raise ValueError(message)

    def names(self, samples: int) -> tuple[str, ...]:
        """`power_0.04_to_0.15_hz` or `share_…` of each band. Raises ValueError where no frequency that can be told apart is in a band."""
        length = self._length(samples)
        if not 2 <= length <= samples:  # noqa: PLR2004
            message = f"segment_samples: 2 to {samples}"
            raise ValueError(message)
        for (low, high), bins in zip(self.bands, self._bins(length), strict=True):
            if not bins.any():
                message = f"bands: {length} samples at {self.sampling_hz:g} Hz tell apart no frequency from {low:g} to {high:g} Hz"
                raise ValueError(message)
        return tuple(f"{'share' if self.relative else 'power'}_{low:g}_to_{high:g}_hz" for low, high in self.bands)

    def transform(self, series: Series) -> NDArray[np.float64]:
        """[items, samples, channels] to [items, channels, bands]."""
        from scipy.signal import periodogram  # noqa: PLC0415 - slow to import

        segments = np.moveaxis(series, 1, 2)[:, :, self._segments(series.shape[1])]
        has_gap = np.any(np.isnan(segments), axis=-1)
        whole = np.where(has_gap[..., np.newaxis], 0.0, segments)
        density = periodogram(whole, self.sampling_hz, window="hann", detrend="constant", scaling="density", axis=-1)[1]
        power = density @ self._bins(segments.shape[-1]).T * self._resolution_hz(segments.shape[-1])
        if self.relative:
            total = density[..., 1:].sum(axis=-1, keepdims=True) * self._resolution_hz(segments.shape[-1])
            is_flat = total <= _FLAT * np.square(whole).mean(axis=-1, keepdims=True)
            has_gap |= is_flat[..., 0]
            power = power / np.where(is_flat, 1.0, total)
        counted = ~has_gap[..., np.newaxis]
        mean = np.full((*power.shape[:2], power.shape[-1]), np.nan)
        return np.divide(np.where(counted, power, 0.0).sum(axis=2), counted.sum(axis=2), out=mean, where=counted.any(axis=2))

    def apply(self, ops: Any, series: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, samples, channels] to [items, channels, bands], by the fast Fourier transform."""
        positions = self._segments(series.shape[1])
        length = positions.shape[1]
        segments = ops.take(ops.transpose(series, (0, 2, 1)), positions, axis=2)
        has_gap = ops.any(ops.isnan(segments), axis=-1)
        whole = ops.where(ops.expand_dims(has_gap, -1), 0.0, segments)
        window = _hann(length)
        real, imaginary = ops.rfft((whole - ops.mean(whole, axis=-1, keepdims=True)) * window)
        density = (ops.square(real) + ops.square(imaginary)) * _sides(length) / (self.sampling_hz * np.square(window).sum())
        power = ops.matmul(density, self._bins(length).T.astype(np.float64)) * self._resolution_hz(length)
        if self.relative:
            total = ops.sum(density[..., 1:], axis=-1, keepdims=True) * self._resolution_hz(length)
            is_flat = total <= _FLAT * ops.mean(ops.square(whole), axis=-1, keepdims=True)
            has_gap = ops.logical_or(has_gap, is_flat[..., 0])
            power /= ops.where(is_flat, 1.0, total)
        counted = ops.cast(ops.expand_dims(ops.logical_not(has_gap), -1), "float64")
        segments_counted = ops.sum(counted, axis=2)
        return ops.where(segments_counted > 0, ops.sum(power * counted, axis=2) / ops.maximum(segments_counted, 1.0), np.nan)

    def _length(self, samples: int) -> int:
        return samples if self.segment_samples is None else self.segment_samples

    def _segments(self, samples: int) -> NDArray[np.int32]:
        """[segments, samples of each]: which samples each segment is made of."""
        length = self._length(samples)
        starts = np.arange(0, samples - length + 1, length - length // 2, dtype=np.int32)
        return np.add.outer(starts, np.arange(length, dtype=np.int32))

    def _bins(self, length: int) -> NDArray[np.bool_]:
        """[bands, frequencies]: which of a segment's frequencies are in which band."""
        frequencies = np.fft.rfftfreq(length, 1 / self.sampling_hz)
        return np.array([(frequencies >= low) & (frequencies < high) for low, high in self.bands])

    def _resolution_hz(self, length: int) -> float:
        return self.sampling_hz / length


def _hann(length: int) -> NDArray[np.float64]:
    from scipy.signal import get_window  # noqa: PLC0415 - slow to import

    return get_window("hann", length)


def _sides(length: int) -> NDArray[np.float64]:
    """How often each frequency counts: those below 0 are folded on to the others, but 0 itself and half of the rate have none."""
    sides = np.full(length // 2 + 1, 2.0)
    sides[0] = 1
    if length % 2 == 0:
        sides[-1] = 1
    return sides
