"""Bounds and shapes that every medium shares."""

from dataclasses import dataclass
from math import prod

from gateway.errors import ShapeMismatch, TooManyElements
from gateway.manifest import InputSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class InputLimits:
    """How large an input may be, checked before anything is allocated for it.

    Attributes:
        max_elements: of one tensor or one time series.
        max_pixels: of one image, rows × columns × samples a pixel × frames.
    """

    max_elements: int
    max_pixels: int


def check_elements(shape: tuple[int, ...], limits: InputLimits, field: str) -> None:
    """Raises ShapeMismatch for a negative size, TooManyElements for a shape that is too large."""
    if any(size < 0 for size in shape):
        message = f"the shape is {list(shape)}: a size is 0 or more"
        raise ShapeMismatch(message, field=field)
    if prod(shape) > limits.max_elements:
        message = f"{prod(shape)} elements are declared; at most {limits.max_elements} are taken"
        raise TooManyElements(message, field=field)


def check_pixels(pixels: int, limits: InputLimits, field: str) -> None:
    """Raises TooManyElements for an image that declares too many pixels."""
    if pixels > limits.max_pixels:
        message = f"the image declares {pixels} pixels; at most {limits.max_pixels} are taken"
        raise TooManyElements(message, field=field)


def check_shape(spec: InputSpec, shape: tuple[int, ...], field: str) -> None:
    """Raises ShapeMismatch where one item's shape isn't what the manifest asks for; -1 there takes any size but none."""
    fits = len(shape) == len(spec.shape) and all(size == wanted or (wanted < 0 < size) for size, wanted in zip(shape, spec.shape, strict=True))
    if not fits:
        message = f"the shape is {list(shape)}; the model takes one item of {list(spec.shape)}, without a batch dimension (-1: any size)"
        raise ShapeMismatch(message, field=field)
