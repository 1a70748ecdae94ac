"""Mahalanobis' distance as a layer."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

if TYPE_CHECKING:
    from training.evidence.novelty import Novelty


class Distance(keras.Layer):  # type: ignore[misc] # Keras ships no types
    """[items, features] to float32 [items, 1], computed in float64 whatever the model's own precision is.

    What was learnt are weights of float64 that no training changes. A missing feature makes the distance infinite, which is above any threshold.
    """

    def __init__(self, novelty: "Novelty", *, name: str) -> None:
        super().__init__(name=name, dtype="float64", autocast=False, trainable=False)
        parts = {"scale": novelty.scale, "means": novelty.means, "whiten": novelty.whiten}
        self._learnt = {
            key: self.add_weight(name=key, shape=value.shape, dtype="float64", initializer=_constant(value), trainable=False)
            for key, value in parts.items()
        }

    def build(self, input_shape: Any) -> None:  # noqa: ANN401 - Keras's
        """Raises ValueError for another number of features than was learnt."""
        features = self._learnt["scale"].shape[0]
        if len(input_shape) != 2 or input_shape[1] != features:  # noqa: PLR2004 - items and features
            message = f"{self.name}: [items, {features}] is expected, not {list(input_shape)}"
            raise ValueError(message)

    def call(self, features: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, features]."""
        scaled = ops.cast(features, "float64") / self._learnt["scale"]
        # [items, classes, features]: a mean each.
        whitened = ops.matmul(scaled[:, None] - self._learnt["means"][None], ops.convert_to_tensor(self._learnt["whiten"]))
        distance = ops.sqrt(ops.sum(ops.square(whitened), axis=-1))
        nearest = ops.min(ops.where(ops.isnan(distance), np.inf, distance), axis=-1, keepdims=True)
        return ops.cast(nearest, "float32")

    def compute_output_spec(self, features: Any) -> Any:  # noqa: ANN401 - Keras's
        """[items, 1]."""
        return keras.KerasTensor((features.shape[0], 1), dtype="float32")


def _constant(value: Any) -> Any:  # noqa: ANN401 - an initialiser
    return lambda shape, dtype: ops.reshape(ops.convert_to_tensor(value, dtype=dtype), shape)
