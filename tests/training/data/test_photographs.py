import numpy as np
import pytest

from training.data.photographs import load_patches


def test_patches_are_what_stands_at_their_place_of_each_photograph_in_grey() -> None:
    from sklearn.datasets import load_sample_images  # noqa: PLC0415 - slow to import

    patches = load_patches(28)

    assert patches.shape == (660, 28, 28, 1)
    assert patches.dtype == np.uint8
    temple = load_sample_images().images[0]
    # The first of the second row of patches: 22 stand beside each other.
    expected = temple[28:56, :28].astype(float) @ (0.299, 0.587, 0.114)
    assert np.abs(patches[22, :, :, 0] - expected).max() <= 0.5


def test_a_patch_that_no_photograph_has_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="side: at most 427, not 500"):
        load_patches(500)
