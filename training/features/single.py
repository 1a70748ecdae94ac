"""Single floats, as a request brings them: what the libraries and the graph are both given, so that they differ by rounding only.

Both compute in float64 on values that were float32. A value closer to 0 than the smallest normal float32 counts as 0: TensorFlow's arithmetic may do
so anyway, and NumPy's doesn't. An infinite one is refused where a person can be told, and is missing in the graph, which can't refuse one item of a
batch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest normal float32."""
GREATEST = float(np.finfo(np.float32).max)
"""The greatest finite float32."""


def as_served(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values of any real type and shape as the graph will see them: rounded to float32. What is beyond its range is infinite; NaN stays."""
    with np.errstate(over="ignore"):
        rounded = np.asarray(values).astype(np.float32).astype(np.float64)
    return np.where(np.abs(rounded) < SMALLEST, 0.0, rounded)


def first_infinite(values: NDArray[Any]) -> tuple[int, ...] | None:
    """Where the first infinite value stands; None where there is none."""
    found = np.argwhere(np.isinf(values))
    return tuple(found[0].tolist()) if len(found) else None


def in_graph(ops: Any, values: Any) -> Any:  # noqa: ANN401 - Keras's operations, and tensors
    """The same in the graph, as float64; an infinite value is NaN."""
    given = ops.cast(values, "float64")
    given = ops.where(ops.isinf(given), np.nan, given)
    return ops.where(ops.abs(given) < SMALLEST, 0.0, given)
