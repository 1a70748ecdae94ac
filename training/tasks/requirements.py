"""What a classification needs of its data and of its network: asked for before an hour of fitting, and in words that name what is wrong."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Refused

if TYPE_CHECKING:
    import keras

    from training.dataset import Dataset


def require_labels(data: "Dataset", classes: int) -> None:
    """Raises Refused where a target isn't the place of one of the classes, from 0 on; of a stream, where one of its sample isn't."""
    for name, part in (("to train on", data.training), ("to validate", data.validation), ("held out", data.held_out)):
        labels = part.targets
        is_label = np.isin(labels, np.arange(classes)) if labels.dtype.kind in "iuf" and labels.ndim == 1 else np.zeros(len(labels), bool)
        if not is_label.all():
            why = f"{int((~is_label).sum())} of {len(labels)} items {name} have a label that is none of the {classes} classes, counted from 0"
            raise Refused(why=why)


def of_width(model: "keras.Model", classes: int) -> "keras.Model":
    """The network. Raises Refused where it doesn't say a probability for each class."""
    shape = getattr(model, "output_shape", None)
    if shape is None or tuple(shape) != (None, classes):
        why = f"build: the network ends in {shape if shape is None else list(shape[1:])}, and there are {classes} classes: one probability for each"
        raise Refused(why=why)
    return model


def require_numbers(said: NDArray[Any]) -> NDArray[Any]:
    """What was said, [items, …]. Raises Refused where one isn't a finite number."""
    is_number = np.isfinite(said).reshape(len(said), -1).all(axis=1)
    if not is_number.all():
        why = f"of {int((~is_number).sum())} of {len(said)} items the network says no number: is a value missing that it needs?"
        raise Refused(why=why)
    return said
