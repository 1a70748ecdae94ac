"""What images and DICOM objects share: 8-bit pixels become the tensor that the manifest asks for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.manifest import ColorSpace, ImageInput, InputSpec
from gateway.preprocess.bounds import check_shape
from gateway.tensor import Tensor


def tensor_of_pixels(spec: InputSpec, medium: ImageInput, pixels: NDArray[np.uint8], field: str) -> Tensor:
    """The pixels (uint8, [rows, columns] or [rows, columns, 3]) in the manifest's colour space and dtype; floats keep the range 0 to 255.

    Grey becomes three equal channels; colour becomes luma (ITU-R BT.601, as in DICOM's YBR_FULL, PS3.3 C.7.6.3.1.2).
    Raises ShapeMismatch: resizing is the model's own.
    """
    if medium.color_space is ColorSpace.MONOCHROME:
        grey = pixels if pixels.ndim == 2 else _luma(pixels)  # noqa: PLR2004 - rows and columns
        shaped: NDArray[Any] = grey[:, :, np.newaxis]
    else:
        shaped = np.repeat(pixels[:, :, np.newaxis], 3, axis=2) if pixels.ndim == 2 else pixels  # noqa: PLR2004
    check_shape(spec, shaped.shape, field)
    return Tensor.of(shaped.astype(spec.dtype.numpy, copy=False))


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def to_uint8(values: NDArray[Any], lowest: float, highest: float) -> NDArray[np.uint8]:
    """Values from `lowest` to `highest` on to 0 to 255, linearly, clipped; all 0 where the two are equal."""
    if highest <= lowest:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float64) - lowest) * (255.0 / (highest - lowest))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
