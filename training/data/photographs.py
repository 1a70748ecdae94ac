"""Patches of two real photographs, a temple and a flower, which install with scikit-learn: images that are of no job's kind."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# How a grey value is made of red, green and blue (ITU-R BT.601, 2.5.1).
_LUMA = (0.299, 0.587, 0.114)


def load_patches(side: int) -> NDArray[Any]:
    """Every whole patch that lies beside the one before it, grey: uint8 [items, side, side, 1]; 660 of 28 pixels.

    Those of one photograph are more alike than as many photographs would be. Raises ValueError where a photograph is smaller than a patch.
    """
    from sklearn.datasets import load_sample_images  # noqa: PLC0415 - slow to import

    found = []
    for image in load_sample_images().images:
        grey = np.rint(np.asarray(image, np.float64) @ _LUMA).astype(np.uint8)
        rows, columns = (size // side for size in grey.shape)
        if not rows or not columns:
            message = f"side: at most {min(grey.shape)}, not {side}"
            raise ValueError(message)
        cut = grey[: rows * side, : columns * side].reshape(rows, side, columns, side)
        found.append(cut.swapaxes(1, 2).reshape(-1, side, side, 1))
    return np.concatenate(found)
