"""The models that are measured, untrained: their weights don't matter here.

python -m benchmarks.modelserver.models FOLDER
"""

import sys
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

SHAPES = {"small": (28, 28, 1), "large": (64, 64, 3)}
"""The shape of an image of each convolutional model."""


def _small() -> keras.Model:
    stack = [keras.Input(SHAPES["small"], name="images")]
    for filters in (32, 64):
        stack += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(10, activation="softmax", name="probabilities")])


def _large() -> keras.Model:
    return keras.applications.ResNet50(weights=None, input_tensor=keras.Input(SHAPES["large"], name="images"), classes=10)


def _identity() -> tf.Module:
    """`x` float [-1] → `y`, the same."""
    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    return module


def write_all(root: Path) -> None:
    """Saves each model as its version 1: `small`, a network of a fraction of a millisecond; `large`, ResNet50 at 10 to 20 ms; `identity`."""
    _small().export(str(root / "small" / "1"), verbose=False)
    _large().export(str(root / "large" / "1"), verbose=False)
    module = _identity()
    tf.saved_model.save(module, str(root / "identity" / "1"), signatures={"serving_default": module.serve})


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
