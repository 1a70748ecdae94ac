"""From 8-bit pixels to the tensor that an image input takes: its channels, its shape, its type."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.manifest import ColorSpace, ImageInput, InputSpec
from gateway.preprocess.tensor import require_shape
from gateway.tensor import Tensor

# ITU-R BT.601 luma in 1/65536, the weights that Pillow's convert("L") uses: a PNG and its DICOM twin give the same grey.
_LUMA = (19595, 38470, 7471)


def to_tensor(pixels: NDArray[np.uint8], spec: InputSpec, medium: ImageInput, *, field: str) -> Tensor:
    """`pixels`, uint8 [rows, columns] or [rows, columns, 3], as the input's tensor [rows, columns, channels] of 0 to 255.

    Raises ShapeMismatch where the manifest fixes another size.
    """
    converted = _grey_of(pixels) if medium.color_space is ColorSpace.MONOCHROME else _rgb_of(pixels)
    require_shape(converted.shape, spec, field=field)
    return Tensor.of(converted.astype(spec.dtype.numpy, copy=False))


def to_bytes_range(values: NDArray[Any], maximum: int) -> NDArray[np.uint8]:
    """Unsigned integers from 0 to `maximum` as 0 to 255, rounded: the whole range is kept, and nothing is clipped."""
    if maximum == 255:  # noqa: PLR2004 - 8 bits as they are
        return values.astype(np.uint8, copy=False)
    # By a table of every value that can be: indexing 16-bit pixels is several times quicker than arithmetic on floats.
    table = np.rint(np.arange(maximum + 1, dtype=np.float64) * (255 / maximum)).astype(np.uint8)
    return np.take(table, values)


def _grey_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:  # noqa: PLR2004 - rows, columns
        return pixels[..., np.newaxis]
    red, green, blue = _LUMA
    luma = pixels[..., 0].astype(np.uint32) * red
    luma += pixels[..., 1].astype(np.uint32) * green
    luma += pixels[..., 2].astype(np.uint32) * blue
    luma += 0x8000
    luma >>= 16
    return luma.astype(np.uint8)[..., np.newaxis]


def _rgb_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=2)  # noqa: PLR2004 - rows, columns, channels
