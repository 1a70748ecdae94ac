"""What a declaration's fields may hold."""

import math
from typing import Any


def is_count(value: Any, least: int = 1) -> bool:  # noqa: ANN401 - what a caller gave
    """Whether it is a whole number from `least` on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: Any, *, least: float = -math.inf, above: float = -math.inf) -> bool:  # noqa: ANN401 - what a caller gave
    """Whether it is a finite number from `least` on, above `above`."""
    return isinstance(value, int | float) and math.isfinite(value) and value >= least and value > above


def require(right: bool, field: str, wanted: str, given: Any) -> None:  # noqa: ANN401, FBT001 - what a caller gave
    """Raises ValueError, which names the field, where it isn't right."""
    if not right:
        message = f"{field}: {wanted}, not {given!r}"
        raise ValueError(message)
