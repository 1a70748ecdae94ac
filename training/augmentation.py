"""Layers that change an item at random in training, and leave it alone everywhere else.

Keras has them for images, and noise for series; scaling and shifting in time are here because it has neither for series. All of them draw
from Keras's seed generators, whose state a checkpoint keeps.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

Layers = Callable[[], Sequence["keras.Layer"]]
"""Makes layers that are active in training only."""


def image_augmentation(*, rotation_degrees: float = 10.0, shift_fraction: float = 0.1, zoom_fraction: float = 0.1) -> Layers:
    """For images [batch, rows, columns, channels]: turned, moved and zoomed by up to so much either way, each drawn evenly.

    What comes into view at the edges is the edge's pixels. Nothing is mirrored: a heart lies on the left.
    """

    def make() -> Sequence["keras.Layer"]:
        from keras import layers  # noqa: PLC0415 - it takes seconds

        return [
            layers.RandomRotation(rotation_degrees / 360, fill_mode="nearest"),
            layers.RandomTranslation(shift_fraction, shift_fraction, fill_mode="nearest"),
            layers.RandomZoom(zoom_fraction, zoom_fraction, fill_mode="nearest"),
        ]

    return make


def series_augmentation(*, jitter: float = 0.0, scale_fraction: float = 0.0, shift_samples: int = 0) -> Layers:
    """For series [batch, samples, channels]: moved in time, scaled, and with noise.

    `jitter` is the noise's standard deviation in the series' own unit; `scale_fraction` how much greater or smaller an item may become;
    `shift_samples` how far it may move, the samples at the edge repeated.
    """

    def make() -> Sequence["keras.Layer"]:
        from keras import layers  # noqa: PLC0415

        from training.augmentation_layers import RandomScale, RandomTimeShift  # noqa: PLC0415

        made: list[keras.Layer] = []
        if shift_samples:
            made.append(RandomTimeShift(shift_samples))
        if scale_fraction:
            made.append(RandomScale(scale_fraction))
        if jitter:
            made.append(layers.GaussianNoise(jitter))
        return made

    return make
