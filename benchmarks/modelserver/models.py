"""The models that are measured, untrained: their weights don't matter here.

python -m benchmarks.modelserver.models FOLDER
"""

import sys
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

SHAPES = {"small": (28, 28, 1), "large": (128, 128, 3)}
"""The shape of an image of each convolutional model."""


def _network(shape: tuple[int, int, int], blocks: tuple[int, ...], convolutions: int, padding: str) -> keras.Model:
    stack = [keras.Input(shape, name="images")]
    for filters in blocks:
        stack += [layers.Conv2D(filters, 3, padding=padding, activation="relu") for _ in range(convolutions)]
        stack.append(layers.MaxPooling2D())
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(10, activation="softmax", name="probabilities")])


def _identity() -> tf.Module:
    """`x` float [-1] → `y`, the same."""
    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    return module


def write_all(root: Path) -> None:
    """Saves each model as its version 1: `small`, a convolutional network of a fraction of a millisecond; `large`, one of 10 to 20 ms; `identity`."""
    _network(SHAPES["small"], (32, 64), 1, "valid").export(str(root / "small" / "1"), verbose=False)
    _network(SHAPES["large"], (32, 64, 128, 128), 2, "same").export(str(root / "large" / "1"), verbose=False)
    module = _identity()
    tf.saved_model.save(module, str(root / "identity" / "1"), signatures={"serving_default": module.serve})


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
