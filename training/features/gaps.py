"""Gaps in a series closed by straight lines."""

from typing import Any

import numpy as np

from training.features.measure import Series


def fill(series: Series) -> Series:
    """[items, samples, channels], as `numpy.interp` closes gaps: between two values on a line, before the first and after the last held at it.

    A channel without any value stays without.
    """
    filled = series.copy()
    for item, channel in np.argwhere(np.isnan(series).any(axis=1)):
        given = np.flatnonzero(~np.isnan(series[item, :, channel]))
        if given.size:
            filled[item, :, channel] = np.interp(np.arange(series.shape[1]), given, series[item, given, channel])
    return filled


def fill_in_graph(ops: Any, series: Any) -> Any:  # noqa: ANN401 - tensors
    """The same in the graph: each sample looks for the nearest value on either side."""
    samples = series.shape[1]
    is_gap = ops.isnan(series)
    given = ops.where(is_gap, 0.0, series)
    numbers = np.arange(samples, dtype=np.int32)[np.newaxis, :, np.newaxis]
    before = _greatest_so_far(ops, ops.where(is_gap, -1, numbers))
    after = -ops.flip(_greatest_so_far(ops, ops.flip(ops.where(is_gap, -samples, -numbers), axis=1)), axis=1)
    # At the ends there is a value on one side only, and both neighbours are that one.
    left, right = ops.where(before < 0, after, before), ops.where(after == samples, before, after)
    start, end = (ops.take_along_axis(given, ops.clip(side, 0, samples - 1), axis=1) for side in (left, right))
    steps = ops.cast(ops.maximum(right - left, 1), "float64")
    line = start + (end - start) / steps * ops.cast(numbers - left, "float64")
    filled = ops.where(is_gap, ops.where(right > left, line, start), series)
    return ops.where(ops.all(is_gap, axis=1, keepdims=True), np.nan, filled)


def _greatest_so_far(ops: Any, numbers: Any) -> Any:  # noqa: ANN401 - tensors
    """[items, samples, channels], of each sample the greatest from the first up to it, in as many steps as their number has binary digits.

    Not `ops.associative_scan`: it loses the shape where the number of items is free, and takes seconds to trace.
    """
    reach = 1
    while reach < numbers.shape[1]:
        moved = ops.concatenate([numbers[:, :reach], numbers[:, :-reach]], axis=1)
        numbers, reach = ops.maximum(numbers, moved), 2 * reach
    return numbers
