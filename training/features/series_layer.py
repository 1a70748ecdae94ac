"""Measures of series as a layer."""

from typing import Any

import keras
from keras import ops

from training.features import gaps, single
from training.features.series import SeriesFeatures


class SeriesMeasures(keras.Layer):  # type: ignore[misc] # Keras ships no types
    """float32 [items, samples, channels] to float32 [items, columns], computed in float64 whatever the model's own precision is."""

    def __init__(self, features: SeriesFeatures, *, name: str) -> None:
        super().__init__(name=name, dtype="float64", autocast=False, trainable=False)
        self._features = features

    def build(self, input_shape: Any) -> None:  # noqa: ANN401 - Keras's
        """Raises ValueError for series of another length or of other channels."""
        wanted = (self._features.samples, len(self._features.channels))
        if tuple(input_shape[1:]) != wanted:
            message = f"{self.name}: [items, {wanted[0]}, {wanted[1]}] is expected; it is {list(input_shape)}"
            raise ValueError(message)

    def call(self, series: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, samples, channels]; NaN is a gap, and so is what is infinite."""
        values = single.in_graph(ops, series)
        if self._features.fill_gaps:
            values = gaps.fill_in_graph(ops, values)
        made = ops.concatenate([measure.apply(ops, values) for measure in self._features.measures], axis=-1)
        return ops.cast(ops.reshape(made, (-1, len(self._features.columns))), "float32")

    def compute_output_spec(self, series: Any) -> Any:  # noqa: ANN401 - Keras's
        """[items, columns]."""
        return keras.KerasTensor((series.shape[0], len(self._features.columns)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """What tells this layer from another: its measures. Nothing can be made from it."""
        features = self._features
        described = {"measures": [repr(measure) for measure in features.measures], "channels": list(features.channels)}
        return super().get_config() | described | {"samples": features.samples, "fill_gaps": features.fill_gaps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeriesMeasures":
        """Raises NotImplementedError: `SeriesFeatures.as_layer` makes the layer."""
        message = f"{config['name']}: declare the measures and take their layer by SeriesFeatures.as_layer"
        raise NotImplementedError(message)
