"""All of MNIST from Keras's file, which this test writes from the 5,000 real images: no comparison of both sets may leak, whichever way it goes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training import __main__ as command_line
from training.data.at_hand import NotAtHand
from training.data.mnist import load_mnist, load_mnist_5k
from training.dataset import Dataset
from training.jobs import JOBS
from training.quality.fault import Refused

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def small() -> Dataset:
    return load_mnist_5k()


@pytest.fixture(scope="module")
def arrays(small: Dataset) -> Arrays:
    """As Keras has them; in both parts there are images that the set of 5,000 learns from, and others that it holds out."""
    parts = (small.training, small.validation, small.held_out)
    images, labels = (np.concatenate(each) for each in ([part.inputs[..., 0] for part in parts], [part.targets.astype(np.uint8) for part in parts]))
    order = np.random.default_rng(1).permutation(len(images))
    learnt, tested = order[:4000], order[4000:]
    return {"x_train": images[learnt], "y_train": labels[learnt], "x_test": images[tested], "y_test": labels[tested]}


@pytest.fixture(scope="module")
def full(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    home = tmp_path_factory.mktemp("keras")
    _write(home, arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(home))
        return load_mnist()


def _write(home: Path, arrays: Arrays) -> Path:
    (home / "datasets").mkdir()
    np.savez(home / "datasets" / "mnist.npz", **arrays)
    return home / "datasets" / "mnist.npz"


def _pairs(inputs: NDArray[Any], labels: NDArray[Any]) -> set[tuple[bytes, int]]:
    return {(image.tobytes(), int(label)) for image, label in zip(inputs, labels, strict=True)}


def _learnt(data: Dataset) -> set[tuple[bytes, int]]:
    return _pairs(data.training.inputs, data.training.targets) | _pairs(data.validation.inputs, data.validation.targets)


def _held_out(data: Dataset) -> set[tuple[bytes, int]]:
    return _pairs(data.held_out.inputs, data.held_out.targets)


def test_neither_set_learns_from_what_the_other_one_or_itself_holds_out(full: Dataset, small: Dataset) -> None:
    for learning in (full, small):
        for testing in (full, small):
            assert not _learnt(learning) & _held_out(testing)


def test_nothing_else_is_left_out_and_each_image_keeps_its_label(full: Dataset, small: Dataset, arrays: Arrays) -> None:
    assert _learnt(full) == _pairs(arrays["x_train"], arrays["y_train"]) - _held_out(small)
    assert _held_out(full) == _pairs(arrays["x_test"], arrays["y_test"]) - _learnt(small)
    assert 0 < len(_held_out(full)) < len(arrays["x_test"])


def test_a_tenth_validates_and_has_every_digit(full: Dataset) -> None:
    assert len(full.validation) == round((len(full.training) + len(full.validation)) / 10)
    assert np.bincount(full.validation.targets, minlength=10).min() >= 10
    assert full.training.inputs.shape[1:] == (28, 28, 1)
    assert (full.training.inputs.dtype.name, full.training.targets.dtype.name) == ("uint8", "int64")


def test_the_baseline_of_the_full_set_reads_most_digits(full: Dataset) -> None:
    task: Any = JOBS["digits"].on("full").task
    learnt, tested = full.training.of(slice(500)), full.held_out.of(slice(200))

    said = task.baseline.probabilities(learnt.inputs, learnt.targets, tested.inputs, classes=10)

    assert (said.argmax(axis=1) == tested.targets).mean() > 0.8


def _labels(arrays: Arrays) -> Arrays:
    labels = arrays["y_train"].copy()
    labels[[6, 9]] = 10
    return {**arrays, "y_train": labels}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda arrays: {name: arrays[name] for name in arrays if name != "x_train"}, "mnist.npz, x_train: column missing"),
        (lambda arrays: {**arrays, "x_test": arrays["x_test"].astype(np.float32)}, "mnist.npz, x_test: wrong type"),
        (lambda arrays: {**arrays, "x_train": arrays["x_train"][:, :27]}, "mnist.npz, x_train: wrong size"),
        (lambda arrays: {**arrays, "y_test": arrays["y_test"][:-1]}, "mnist.npz, y_test: wrong size"),
        (
            _labels,
            (
                "2 of 20 items (10.0%) aren't as declared, and up to 5% may be: are its classes coded otherwise?; "
                "mnist.npz, record 7, y_train: unknown category; mnist.npz, record 10, y_train: unknown category"
            ),
        ),
    ],
)
def test_a_file_that_is_not_as_keras_writes_it_is_refused_with_the_array_that_is_wrong(
    arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, why: str
) -> None:
    _write(tmp_path, spoil({name: array[:20] for name, array in arrays.items()}))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    with pytest.raises(Refused) as caught:
        load_mnist()

    assert str(caught.value) == f"refused: {why}"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_half_a_file_is_refused(arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    file = _write(tmp_path, {name: array[:20] for name, array in arrays.items()})
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    with pytest.raises(Refused, match=r"mnist\.npz: cut short or damaged"):
        load_mnist()


def test_where_the_file_is_not_at_hand_it_is_said_where_it_belongs_and_how_it_gets_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(NotAtHand) as caught:
        load_mnist()

    assert f"there is no {tmp_path}/.keras/datasets/mnist.npz: `keras.datasets.mnist.load_data()` puts it there" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("digits", "--data", "full"), "all of MNIST isn't at hand: there is no "),
        (("digits", "--data", "half"), "digits has no data set half: it has full; leave --data out for its own\n"),
        (("tumour", "--data", "full"), "tumour has no data set full: it has one set only; leave --data out for its own\n"),
    ],
)
def test_a_run_on_data_that_there_is_not_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Without the seconds that TensorFlow takes to start.
    monkeypatch.setattr(command_line, "run", lambda job, *_, **__: job.load())
    monkeypatch.setattr(sys, "argv", ["training", "run", *arguments, "--repository", str(tmp_path / "R")])

    status = command_line.main()

    assert status == 2
    assert capsys.readouterr().err.startswith(f"python -m training: {why}")
