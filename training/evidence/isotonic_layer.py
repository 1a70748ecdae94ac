"""Isotonic curves as a layer."""

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from training.evidence.isotonic import Isotonic


class Curves(keras.Layer):  # type: ignore[misc] # Keras ships no types
    """[items, classes] to float32 of that shape, computed in float64 whatever the model's own precision is.

    The knots are weights of float64 that no training changes.
    """

    def __init__(self, isotonic: "Isotonic", *, name: str) -> None:
        super().__init__(name=name, dtype="float64", autocast=False, trainable=False)
        self._classes = isotonic.classes
        self._knots = [
            tuple(self._weight(f"{part}_{number}", values) for part, values in (("given", curve.given), ("wanted", curve.wanted)))
            for number, curve in enumerate(isotonic.curves)
        ]

    def build(self, input_shape: Any) -> None:  # noqa: ANN401 - Keras's
        """Raises ValueError for another number of classes than was learnt."""
        if len(input_shape) != 2 or input_shape[1] not in self._classes:  # noqa: PLR2004 - items and classes
            message = f"{self.name}: [items, {' or '.join(map(str, self._classes))}] is expected, not {list(input_shape)}"
            raise ValueError(message)

    def call(self, probabilities: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, classes]."""
        given = ops.cast(probabilities, "float64")
        if len(self._knots) == 1:
            held = self._at(0, given[:, -1])[:, None]
            return ops.cast(held if given.shape[1] == 1 else ops.concatenate([1 - held, held], axis=1), "float32")
        held = ops.stack([self._at(place, given[:, place]) for place in range(len(self._knots))], axis=1)
        total = ops.sum(held, axis=1, keepdims=True)
        return ops.cast(ops.where(total > 0, held / ops.where(total > 0, total, 1.0), given), "float32")

    def compute_output_spec(self, probabilities: Any) -> Any:  # noqa: ANN401 - Keras's
        """[items, classes]."""
        return keras.KerasTensor(probabilities.shape, dtype="float32")

    def _weight(self, name: str, values: Any) -> Any:  # noqa: ANN401 - an array and a variable
        def learnt(shape: Any, dtype: Any) -> Any:  # noqa: ANN401 - an initialiser
            return ops.reshape(ops.convert_to_tensor(values, dtype=dtype), shape)

        return self.add_weight(name=name, shape=values.shape, dtype="float64", initializer=learnt, trainable=False)

    def _at(self, place: int, given: Any) -> Any:  # noqa: ANN401 - tensors
        """The curve at [items], on the line between the knots on both sides."""
        knots, wanted = (ops.convert_to_tensor(part) for part in self._knots[place])
        inside = ops.clip(given, knots[0], knots[-1])
        after = ops.clip(ops.searchsorted(knots, inside, side="right"), 1, knots.shape[0] - 1)
        low, high = ops.take(knots, after - 1), ops.take(knots, after)
        from_, to = ops.take(wanted, after - 1), ops.take(wanted, after)
        return from_ + (to - from_) / (high - low) * (inside - low)
