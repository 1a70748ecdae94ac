"""The energy of a series at each scale of a discrete wavelet transform."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.measure import Measure, Series


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveletEnergy(Measure):
    """Sums of squared coefficients: of the details of each level, the finest first, and of what they leave (S. Mallat, IEEE PAMI 11:674, 1989).

    The series goes on from its end at its beginning (PyWavelets' mode `periodization`), so that with an orthogonal wavelet and a number of samples
    that halves evenly at each level the energies add up to the series' own. A series with a gap has none; `SeriesFeatures.fill_gaps` closes it.

    Attributes:
        wavelet: one of PyWavelets' discrete wavelets, such as `db4`.
        levels: how many times the series is halved.
        relative: whether the shares of all energy are made. A series of noughts has no shares.
    """

    wavelet: str = "db4"
    levels: int = 4
    relative: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where there is no such wavelet or level."""
        import pywt  # noqa: PLC0415 - slow to import

        if self.wavelet not in pywt.wavelist(kind="discrete"):
            message = "wavelet: one of PyWavelets' discrete ones"
            raise ValueError(message)
        if self.levels < 1:
            message = "levels: 1 or more"
            raise ValueError(message)

    def names(self, samples: int) -> tuple[str, ...]:
        """`energy_d1`, …, `energy_a4`, or `energy_share_…`. Raises ValueError where every coefficient of a level would be made of both ends."""
        import pywt  # noqa: PLC0415

        if self.levels > (most := pywt.dwt_max_level(samples, self.wavelet)):
            message = f"levels: at most {most} of {samples} samples with {self.wavelet}"
            raise ValueError(message)
        parts = [*(f"d{level}" for level in range(1, self.levels + 1)), f"a{self.levels}"]
        return tuple(f"energy_{'share_' if self.relative else ''}{part}" for part in parts)

    def transform(self, series: Series) -> NDArray[np.float64]:
        """[items, samples, channels] to [items, channels, levels + 1]."""
        import pywt  # noqa: PLC0415

        approximation, *details = pywt.wavedec(series, self.wavelet, mode="periodization", level=self.levels, axis=1)
        energies = np.stack([np.square(part).sum(axis=1) for part in (*reversed(details), approximation)], axis=-1)
        # What is made of a gap differs with the way that the library sums.
        energies[np.isnan(series).any(axis=1)] = np.nan
        if not self.relative:
            return energies
        total = energies.sum(axis=-1, keepdims=True)
        return np.divide(energies, total, out=np.full_like(energies, np.nan), where=total > 0)

    def apply(self, ops: Any, series: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, samples, channels] to [items, channels, levels + 1]: both filters are one convolution that moves on by two samples."""
        import pywt  # noqa: PLC0415

        wavelet = pywt.Wavelet(self.wavelet)
        # A layer's convolution doesn't turn the filter round, a mathematician's does.
        filters = np.array([wavelet.dec_lo[::-1], wavelet.dec_hi[::-1]]).T[:, np.newaxis, :]
        samples, channels = series.shape[1:]
        has_gap = ops.any(ops.isnan(series), axis=1)
        given = ops.where(ops.isnan(series), 0.0, series)
        left = ops.reshape(ops.transpose(given, (0, 2, 1)), (-1, samples, 1))
        energies = []
        for _ in range(self.levels):
            parts = ops.conv(
                ops.take(left, _around(left.shape[1], len(filters)), axis=1), filters, strides=2, padding="valid", data_format="channels_last"
            )
            left, detail = parts[:, :, :1], parts[:, :, 1:]
            energies.append(ops.sum(ops.square(detail), axis=(1, 2)))
        energies.append(ops.sum(ops.square(left), axis=(1, 2)))
        made = ops.reshape(ops.stack(energies, axis=-1), (-1, channels, self.levels + 1))
        if self.relative:
            total = ops.sum(made, axis=-1, keepdims=True)
            made = ops.where(total > 0, made / ops.where(total > 0, total, 1.0), np.nan)
        return ops.where(ops.expand_dims(has_gap, -1), np.nan, made)


def _around(samples: int, taps: int) -> NDArray[np.int32]:
    """Which samples the filter runs over: beyond either end by half of it, which is the other end; of an odd number the last one twice."""
    even = samples + samples % 2
    return np.minimum(np.arange(1 - taps // 2, even + taps // 2 - 1) % even, samples - 1).astype(np.int32)
