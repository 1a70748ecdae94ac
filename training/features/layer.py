"""A fitted recipe as a layer."""

import hashlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from training.features import single
from training.features.step import FittedStep


class Features(keras.Layer):  # type: ignore[misc] # Keras ships no types
    """float32 [items, columns in] to float32 [items, columns out], computed in float64 whatever the model's own precision is.

    What the steps have learnt are weights of float64 that no training changes, so that they are saved and restored with the model's.
    """

    def __init__(self, steps: Sequence[FittedStep], *, given: Sequence[str], name: str) -> None:
        super().__init__(name=name, dtype="float64", autocast=False, trainable=False)
        self._steps = tuple(steps)
        self._given = tuple(given)
        self._learnt = [
            {
                key: self.add_weight(name=f"step_{number}_{key}", shape=value.shape, dtype="float64", initializer=_constant(value), trainable=False)
                for key, value in ({} if step.part is None else step.part.weights()).items()
            }
            for number, step in enumerate(self._steps, start=1)
        ]

    def build(self, input_shape: Any) -> None:  # noqa: ANN401 - Keras's
        """Raises ValueError for another number of columns than the recipe was fitted to."""
        if len(input_shape) != 2 or input_shape[1] != len(self._given):  # noqa: PLR2004 - [items, columns]
            message = f"{self.name}: [items, {len(self._given)}] is expected, one column for each of the recipe's; it is {list(input_shape)}"
            raise ValueError(message)

    def call(self, records: Any) -> Any:  # noqa: ANN401 - tensors
        """[items, columns in]; NaN is a missing value, and so is what is infinite."""
        values = single.in_graph(ops, records)
        for step, learnt in zip(self._steps, self._learnt, strict=True):
            values = step.apply(ops, values, {key: ops.convert_to_tensor(value) for key, value in learnt.items()})
        return ops.cast(values, "float32")

    def compute_output_spec(self, records: Any) -> Any:  # noqa: ANN401 - Keras's
        """[items, columns out]."""
        return keras.KerasTensor((records.shape[0], len(self._steps[-1].columns)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """What tells this layer from another: its columns, its parts, and a digest of what they have learnt. Nothing can be made from it."""
        digest = hashlib.blake2b(digest_size=16)
        for learnt in self._learnt:
            for key, value in learnt.items():
                digest.update(key.encode() + np.ascontiguousarray(ops.convert_to_numpy(value)).tobytes())
        parts = [type(step.part).__name__ for step in self._steps]
        described = {"given": list(self._given), "columns": list(self._steps[-1].columns), "parts": parts, "learnt": digest.hexdigest()}
        return super().get_config() | described

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Features":
        """Raises NotImplementedError: a recipe is fitted, and `Fitted.as_layer` makes the layer."""
        message = f"{config['name']}: fit the recipe and take its layer by Fitted.as_layer"
        raise NotImplementedError(message)


def _constant(value: Any) -> Any:  # noqa: ANN401 - an initialiser
    return lambda shape, dtype: ops.reshape(ops.convert_to_tensor(value, dtype=dtype), shape)
