"""What a figure of outcomes and scores needs before it means anything."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def of_the_same_items(is_case: NDArray[np.bool_], scores: NDArray[Any]) -> None:
    """Raises ValueError where `is_case` isn't bool [items], or `scores` not finite numbers of as many items."""
    if is_case.shape != scores.shape or is_case.ndim != 1 or is_case.dtype != np.bool_:
        message = f"is_case and scores: both [items], the first bool; they are {is_case.shape} {is_case.dtype} and {scores.shape}"
        raise ValueError(message)
    if not np.isfinite(scores).all():
        message = f"scores: item {int(np.flatnonzero(~np.isfinite(scores))[0])} has none that is a finite number"
        raise ValueError(message)


def of_both_kinds(is_case: NDArray[np.bool_], *, least: int = 1) -> None:
    """Raises ValueError where there are fewer than `least` cases, or fewer others."""
    cases = int(is_case.sum())
    if min(cases, len(is_case) - cases) < least:
        message = f"is_case: {least} or more of cases and of others each, not {cases} and {len(is_case) - cases}"
        raise ValueError(message)


def probabilities(name: str, given: NDArray[Any]) -> None:
    """Raises ValueError, with that name, where one isn't from 0 to 1."""
    wrong = ~((given >= 0) & (given <= 1))
    if wrong.any():
        message = f"{name}: item {int(np.argwhere(wrong)[0][0])} has one that isn't from 0 to 1"
        raise ValueError(message)
