"""Recurrent networks on time series of one length."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

Cell = Literal["LSTM", "GRU"]
HEAD = "head"
"""The name of the last layer."""

# Added to the variance of a series before it is divided by. An electrocardiogram has a variance of some 0.1 in mV and 1e-7 in V: with 1e-6 here, one
# in V would be brought to three tenths of its spread.
_NOTHING = 1e-12


def stacked(cell: Cell, *, name: str, samples: int, channels: int, classes: int, units: int = 64, depth: int = 3) -> "keras.Model":
    """`depth` layers of `units` cells each and a softmax: float32 `series` [samples, channels] to probabilities [classes].

    A series may come in any unit: each channel of each item is brought to mean 0 and variance 1 over its samples first.
    """
    import keras  # noqa: PLC0415 - listing jobs must not take the seconds that TensorFlow's import takes
    from keras import layers  # noqa: PLC0415

    recurrent = {"LSTM": layers.LSTM, "GRU": layers.GRU}[cell]
    return keras.Sequential(
        [
            keras.Input((samples, channels), dtype="float32", name="series"),
            layers.LayerNormalization(axis=1, center=False, scale=False, epsilon=_NOTHING),
            *(recurrent(units, return_sequences=True) for _ in range(depth - 1)),
            recurrent(units),
            layers.Dense(classes, activation="softmax", name=HEAD),
        ],
        name=name,
    )
