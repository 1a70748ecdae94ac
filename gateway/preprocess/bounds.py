"""How much an input may declare. Everything is held against these before anything of its size is allocated."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import TooManyElements


@dataclass(frozen=True, kw_only=True, slots=True)
class InputLimits:
    """The most that one input may hold.

    Attributes:
        max_elements: numbers or strings in a tensor or a time series.
        max_pixels: pixels of an image (rows x columns); of a DICOM object, samples (rows x columns x samples a pixel x frames).
    """

    max_elements: int
    max_pixels: int

    def __post_init__(self) -> None:
        """Raises ValueError for a limit that lets nothing through."""
        if self.max_elements < 1 or self.max_pixels < 1:
            message = "max_elements, max_pixels: 1 or more"
            raise ValueError(message)


def require_at_most(limit: int, sizes: Iterable[int], *, unit: str, field: str) -> None:
    """Raises TooManyElements where the product of `sizes` (each 0 or more) is above `limit`.

    A dimension of zero counts as one: numpy refuses huge dimensions beside an empty one as well. Stops at the first size that is too
    much, so that a thousand huge dimensions cost no long arithmetic.
    """
    product = 1
    for size in sizes:
        product *= max(size, 1)
        if product > limit:
            message = f"declares too many {unit}: at most {limit} are taken, so send less at once"
            raise TooManyElements(message, field=field)
