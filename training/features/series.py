"""Features of time series [items, samples, channels]: measures, each of every channel.

`transform` computes them by SciPy, PyWavelets and NumPy, `as_layer` in the graph. Both take samples as float32, as a request brings them, and compute
in float64. Their columns are a table, which a `Recipe` goes on from.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.features import gaps, single
from training.features.measure import Measure
from training.features.rhythm import HeartRateVariability
from training.features.spectrum import BandPower
from training.features.step import are_names
from training.features.summary import Summary
from training.features.wavelet import WaveletEnergy

if TYPE_CHECKING:
    import keras

__all__ = ["BandPower", "HeartRateVariability", "Measure", "SeriesFeatures", "Summary", "WaveletEnergy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesFeatures:
    """Measures of series of one length.

    Attributes:
        measures: in their order.
        channels: the channels' names in the order that they come in.
        samples: how many samples each has.
        fill_gaps: whether gaps are closed by straight lines first (`gaps.fill`). A measure says itself what it makes of a gap that isn't.
    """

    measures: tuple[Measure, ...]
    channels: tuple[str, ...]
    samples: int
    fill_gaps: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where nothing is measured, a measure can make nothing of so many samples, or two make one column."""
        if not self.measures:
            message = "measures: one or more"
            raise ValueError(message)
        if not are_names(self.channels):
            message = "channels: one name or more in a tuple, each once"
            raise ValueError(message)
        if self.samples < 1:
            message = "samples: 1 or more"
            raise ValueError(message)
        for column, count in Counter(self.columns).items():
            if count > 1:
                message = f"measures: column {column} is made by {count} of them"
                raise ValueError(message)

    @property
    def columns(self) -> tuple[str, ...]:
        """What comes out: channel by channel what each measure makes of it, `arterial_mean`. Raises ValueError as `Measure.names` does."""
        named: list[str] = []
        for number, measure in enumerate(self.measures, start=1):
            try:
                named.extend(measure.names(self.samples))
            except ValueError as error:
                message = f"measure {number}, {type(measure).__name__}: {error}"
                raise ValueError(message) from error
        return tuple(f"{channel}_{name}" for channel in self.channels for name in named)

    def transform(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """By the libraries: [items, samples, channels] of any real type, rounded to float32, to float64 [items, columns].

        Raises ValueError for another shape, and for an infinite value.
        """
        if np.ndim(values) != 3 or np.shape(values)[1:] != (self.samples, len(self.channels)):  # noqa: PLR2004 - [items, samples, channels]
            message = f"values: [items, {self.samples}, {len(self.channels)}] is expected; they are {list(np.shape(values))}"
            raise ValueError(message)
        series = single.as_served(values)
        if (infinite := single.first_infinite(series)) is not None:
            item, sample, channel = infinite
            message = (
                f"channel {self.channels[channel]}: a finite float32 is expected, or NaN in a gap; item {item}, sample {sample} has something else"
            )
            raise ValueError(message)
        if self.fill_gaps:
            series = gaps.fill(series)
        if not len(series):
            return np.zeros((0, len(self.columns)))
        return np.concatenate([measure.transform(series) for measure in self.measures], axis=-1).reshape(len(series), len(self.columns))

    def as_layer(self, name: str = "series_features") -> "keras.Layer":
        """The same as a layer of the model: float32 [items, samples, channels] to float32 [items, columns], within 1e-6 of `transform`.

        A graph can't refuse one item of a batch, so an infinite value is a gap there.
        """
        from training.features.series_layer import SeriesMeasures  # noqa: PLC0415 - it takes seconds

        return SeriesMeasures(self, name=name)
