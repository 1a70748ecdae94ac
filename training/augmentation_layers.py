"""Augmentation of series that Keras has no layer for."""

from typing import Any

import keras
from keras import ops


class RandomScale(keras.Layer):  # type: ignore[misc] # Keras ships no types
    """Multiplies each item by one number, drawn evenly from 1 - fraction to 1 + fraction, in training only."""

    def __init__(self, fraction: float, *, seed: int | None = None, **options: Any) -> None:  # noqa: ANN401 - a layer's own
        super().__init__(**options)
        if not 0 < fraction < 1:
            message = f"a fraction of {fraction} can turn a series to nothing: give one above 0 and below 1"
            raise ValueError(message)
        self.fraction = fraction
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, series: Any, *, training: bool = False) -> Any:  # noqa: ANN401 - tensors
        """[batch, ...] of floats, the same out."""
        if not training:
            return series
        shape = (ops.shape(series)[0],) + (1,) * (len(series.shape) - 1)
        factor = keras.random.uniform(shape, 1 - self.fraction, 1 + self.fraction, dtype=series.dtype, seed=self.seed_generator)
        return series * factor

    def compute_output_shape(self, input_shape: Any) -> Any:  # noqa: ANN401
        """As it came."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What the layer is made of."""
        return super().get_config() | {"fraction": self.fraction}


class RandomTimeShift(keras.Layer):  # type: ignore[misc] # Keras ships no types
    """Moves each item along its samples by a whole number of them, drawn evenly from -samples to samples, in training only.

    The samples that come in at an edge repeat the one that was there.
    """

    def __init__(self, samples: int, *, seed: int | None = None, **options: Any) -> None:  # noqa: ANN401 - a layer's own
        super().__init__(**options)
        if samples < 1:
            message = f"a shift of {samples} samples moves nothing: give 1 or more"
            raise ValueError(message)
        self.samples = samples
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, series: Any, *, training: bool = False) -> Any:  # noqa: ANN401 - tensors
        """[batch, samples, channels], the same out."""
        if not training:
            return series
        batch, length = ops.shape(series)[0], ops.shape(series)[1]
        shift = keras.random.randint((batch, 1), -self.samples, self.samples + 1, dtype="int32", seed=self.seed_generator)
        rows = ops.clip(ops.expand_dims(ops.arange(length, dtype="int32"), 0) - shift, 0, length - 1)
        return ops.take_along_axis(series, ops.expand_dims(rows, -1), axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:  # noqa: ANN401
        """As it came."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What the layer is made of."""
        return super().get_config() | {"samples": self.samples}
