"""Discrete-time survival: a network's chances of the event in one interval after the other, of those who have come to it.

After M. F. Gensheimer and B. Narasimhan, "A scalable discrete-time survival model for neural networks", PeerJ 7:e6257 (2019). Time is cut at
`edges_days`, and interval k runs from edge k to edge k+1, its end included; the first edge is 0.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

HEAD = "hazards"
"""The name of the last layer."""


def targets(time_days: NDArray[Any], event: NDArray[np.bool_], edges_days: NDArray[Any]) -> NDArray[np.float32]:
    """What `loss` compares with: [items, 2, intervals], who came through each interval, and who had the event in it.

    `time_days` is [items], when the event was seen or the watching ended; `event` [items], which of the two. Who was censored within an interval
    counts as having come through it from its middle on (Gensheimer and Narasimhan's equation 3). After the last edge everybody is censored.
    Raises ValueError where the edges don't rise from 0, or a time is before it.
    """
    edges, times = np.asarray(edges_days, np.float64), np.asarray(time_days, np.float64)
    if edges.ndim != 1 or len(edges) < 2 or edges[0] or not (np.diff(edges) > 0).all():  # noqa: PLR2004 - one interval
        message = "edges_days: at least two, rising from 0"
        raise ValueError(message)
    if not (times >= 0).all() or times.shape != np.shape(event):
        message = "time_days: 0 or more, and one for each event"
        raise ValueError(message)
    starts, ends = edges[:-1], edges[1:]
    # Who has the event at time 0 has it in the first interval.
    in_interval = (times[:, np.newaxis] <= ends) & ((times[:, np.newaxis] > starts) | ((starts == 0) & (times[:, np.newaxis] == 0)))
    had_event = in_interval & np.asarray(event, bool)[:, np.newaxis]
    reached = np.where(np.asarray(event, bool)[:, np.newaxis], ends, (starts + ends) / 2)
    came_through = (times[:, np.newaxis] >= reached) & ~had_event
    return np.stack([came_through, had_event], axis=1).astype(np.float32)


def loss(wanted: Any, hazards: Any) -> Any:  # noqa: ANN401 - tensors of whichever backend
    """The negative log-likelihood of each item, [items]: `wanted` as `targets` gives it, `hazards` [items, intervals] in (0, 1)."""
    from keras import ops  # noqa: PLC0415 - it takes seconds

    smallest = 1e-7
    hazards = ops.clip(hazards, smallest, 1 - smallest)
    came_through, had_event = wanted[:, 0], wanted[:, 1]
    return -ops.sum(came_through * ops.log1p(-hazards) + had_event * ops.log(hazards), axis=-1)


def head(intervals: int) -> "keras.Layer":
    """The last layer: hazards [items, intervals] from features [items, features]."""
    from keras import layers  # noqa: PLC0415

    return layers.Dense(intervals, activation="sigmoid", name=HEAD)


def survival(hazards: Any) -> Any:  # noqa: ANN401 - see above
    """The chance to be without the event at each interval's end, [items, intervals]: the product of 1 - hazard up to it."""
    from keras import ops  # noqa: PLC0415

    return ops.cumprod(1 - hazards, axis=-1)
