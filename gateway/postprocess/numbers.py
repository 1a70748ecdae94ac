"""Outputs as numbers that can be what the manifest says they are."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Interval
from gateway.reading import IntervalEnds
from gateway.tensor import Tensor

# A softmax or sigmoid in float32 strays from [0, 1] by rounding, some 1e-7; in float16 by some 5e-4.
_PROBABILITY_TOLERANCE = 1e-3

# Reads the output of a name as numbers that can be what the manifest says.
NumbersOf = Callable[[str, Mapping[str, Tensor]], NDArray[np.float64]]
# The lower and the upper ends, each of the outputs' shape, and the confidence level.
Ends = tuple[NDArray[np.float64], NDArray[np.float64], float]


def probabilities_of(name: str, outputs: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """The output `name` as float64, clipped to [0, 1]. Raises BackendAnswerInvalid where a number is further out than rounding leads."""
    values = outputs[name].array.astype(np.float64)
    # NaN compares false, so it fails as well.
    if not ((values >= -_PROBABILITY_TOLERANCE) & (values <= 1 + _PROBABILITY_TOLERANCE)).all():
        message = f'output "{name}" holds numbers that are no probabilities: the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    return values.clip(0, 1)


def finite_of(name: str, outputs: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """The output `name` as float64. Raises BackendAnswerInvalid where a number is NaN or infinite."""
    values = outputs[name].array.astype(np.float64)
    if not np.isfinite(values).all():
        message = f'output "{name}" holds numbers that aren\'t finite: the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    return values


def ends_of(interval: Interval | None, outputs: Mapping[str, Tensor], numbers_of: NumbersOf = finite_of) -> Ends | None:
    """The lower and the upper ends, as `numbers_of` reads their outputs; None where there is no interval.

    Raises BackendAnswerInvalid where `numbers_of` does, which names the output, or a lower end is above its upper one.
    """
    if interval is None:
        return None
    lower, upper = numbers_of(interval.lower_output, outputs), numbers_of(interval.upper_output, outputs)
    if (lower > upper).any():
        message = f'output "{interval.lower_output}" is above "{interval.upper_output}": the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    return lower, upper, interval.confidence_level


def interval_ends(ends: Ends | None, place: Any = ...) -> IntervalEnds | None:  # noqa: ANN401 - an index
    """The ends at `place` of the outputs, flat."""
    if ends is None:
        return None
    lower, upper, confidence_level = ends
    return IntervalEnds(
        lower=tuple(np.atleast_1d(lower[place]).tolist()), upper=tuple(np.atleast_1d(upper[place]).tolist()), confidence_level=confidence_level
    )
