"""Recalibrated hazards as a layer that gives a curve and its interval."""

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from training.evidence.recalibration import SMALLEST

if TYPE_CHECKING:
    from training.evidence.recalibration import Recalibration

SURVIVAL, LOWER, UPPER = "survival", "survival_lower", "survival_upper"


class Recalibrated(keras.Layer):  # type: ignore[misc] # Keras ships no types
    """Hazards [items, intervals] and features [items, features] to curves of the hazards' shape, by name, float32.

    It is computed in float64 whatever the model's own precision is. What was learnt are weights of float64 that no training changes. Without draws it
    takes hazards alone, and gives a curve without an interval.
    """

    def __init__(self, learnt: "Recalibration", *, confidence_level: float, name: str) -> None:
        super().__init__(name=name, dtype="float64", autocast=False, trainable=False)
        self._tail = (1 - confidence_level) / 2
        self._has_interval = bool(len(learnt.draws))
        self._coefficients = self._weight("coefficients", learnt.coefficients[None])
        if self._has_interval:
            self._centre, self._axes = self._weight("centre", learnt.centre), self._weight("axes", learnt.axes)
            self._draws = self._weight("draws", learnt.draws)

    def build(self, hazards_shape: Any, features_shape: Any = None) -> None:  # noqa: ANN401 - Keras's
        """Raises ValueError where features are missing, or there is another number of them than was learnt from."""
        if self._has_interval and (features_shape is None or features_shape[1] != self._centre.shape[0]):
            message = f"{self.name}: [items, {self._centre.shape[0]}] features are expected beside hazards {list(hazards_shape)}"
            raise ValueError(message)

    def call(self, hazards: Any, features: Any = None) -> dict[str, Any]:  # noqa: ANN401 - tensors
        """[items, intervals] and [items, features]."""
        kept = ops.clip(ops.cast(hazards, "float64"), SMALLEST, 1 - SMALLEST)
        given = ops.log(kept) - ops.log1p(-kept)
        coefficients = ops.convert_to_tensor(self._coefficients)
        if not self._has_interval:
            return {SURVIVAL: ops.cast(_curves(coefficients, given, None)[0], "float32")}
        components = ops.matmul(ops.cast(features, "float64") - self._centre, ops.convert_to_tensor(self._axes))
        middle = _curves(coefficients, given, components)[0]
        drawn = _curves(ops.convert_to_tensor(self._draws), given, components)
        lower, upper = (ops.quantile(drawn, tail, axis=0) for tail in (self._tail, 1 - self._tail))
        found = {SURVIVAL: middle, LOWER: ops.minimum(lower, middle), UPPER: ops.maximum(upper, middle)}
        return {name: ops.cast(curve, "float32") for name, curve in found.items()}

    def compute_output_spec(self, hazards: Any, features: Any = None) -> dict[str, Any]:  # noqa: ANN401, ARG002 - Keras's
        """[items, intervals] each."""
        names = (SURVIVAL, LOWER, UPPER) if self._has_interval else (SURVIVAL,)
        return {name: keras.KerasTensor(hazards.shape, dtype="float32") for name in names}

    def _weight(self, name: str, value: Any) -> Any:  # noqa: ANN401 - an array and a variable
        def learnt(shape: Any, dtype: Any) -> Any:  # noqa: ANN401 - an initialiser
            return ops.reshape(ops.convert_to_tensor(value, dtype=dtype), shape)

        return self.add_weight(name=name, shape=value.shape, dtype="float64", initializer=learnt, trainable=False)


def _curves(coefficients: Any, given: Any, components: Any) -> Any:  # noqa: ANN401 - tensors
    """[coefficients, items, intervals]."""
    odds = coefficients[:, 0, None, None] + coefficients[:, 1, None, None] * given[None]
    if components is not None:
        odds += ops.matmul(coefficients[:, 2:], ops.transpose(components))[:, :, None]
    return ops.exp(-ops.cumsum(ops.softplus(odds), axis=-1))
