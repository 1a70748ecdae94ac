"""What an item counts in the loss by its class, for sets in which some classes are rare."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.fitting.source import Arrays, Source


def weighted(source: Source, class_weights: Mapping[int, float] | Literal["balanced"] | None) -> Source:
    """The source with each item's weight, float32 [items], times that of its class. `balanced` is items / (classes × items of its class).

    Raises ValueError where the source is a stream or has several outputs, the targets are no labels, or a label has no weight.
    """
    if class_weights is None:
        return source
    if not isinstance(source, Arrays):
        message = "class_weights: a stream brings its items' weights itself, as a third part of each item"
        raise ValueError(message)  # noqa: TRY004 - of the plan's value for this source, not of a type alone
    labels = _labels(source.targets)
    present, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if class_weights == "balanced":
        of_class = len(labels) / (len(present) * counts)
    else:
        missing = sorted(set(present.tolist()) - set(class_weights))
        if missing:
            message = f"class_weights: no weight for the labels {missing}"
            raise ValueError(message)
        of_class = np.array([class_weights[label] for label in present.tolist()])
    weights = of_class[numbers].astype(np.float32)
    return replace(source, weights=weights if source.weights is None else weights * source.weights.astype(np.float32))


def _labels(targets: Any) -> NDArray[Any]:  # noqa: ANN401 - an array, or several by name
    """[items], from labels [items] or [items, 1], or from one-hot rows [items, classes]."""
    if isinstance(targets, np.ndarray):
        if targets.ndim == 2 and targets.shape[1] > 1:  # noqa: PLR2004 - rows
            if ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all():
                return targets.argmax(axis=1)
        elif targets.size == len(targets) and targets.dtype.kind in "iuf" and (targets == np.round(targets)).all() and (targets >= 0).all():
            return targets.reshape(-1).astype(np.int64)
    message = "class_weights: targets that are one array of labels from 0 on, or of one-hot rows"
    raise ValueError(message)
