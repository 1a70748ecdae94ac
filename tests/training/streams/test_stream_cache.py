"""A local copy of a set: the same items, read without the set, and never half of them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.quality.fault import Fault
from training.streams.cache import Cached, cached
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.dataset import dataset
from training.streams.image_folder import ImageFolder
from training.streams.quarantine import Quarantine
from training.streams.source import Items, Shard
from training.streams.survey import survey

PARTS = (Part(name="x", columns=("a", "b")), Part(name="id", columns="id", kind=Kind.STRING))


@pytest.fixture
def source(tmp_path: Path) -> CsvFiles:
    """300 records in several shards, two of them bad."""
    rows = [f"{row},{row / 4},é{row}" for row in range(300)]
    rows[7] = rows[250] = "1,2"
    (tmp_path / "set.csv").write_text("a,b,id\n" + "\n".join(rows), "utf-8")
    return CsvFiles(root=tmp_path / "set.csv", parts=PARTS, shard_bytes=500, buffer=50)


def read_again(source: CsvFiles) -> CsvFiles:
    """As another process would: nothing is remembered of the files."""
    return CsvFiles(root=source.root, parts=source.parts, shard_bytes=source.shard_bytes, buffer=source.buffer)


def test_a_copy_has_the_sets_items_and_tells_of_its_faults(read: Any, source: CsvFiles, tmp_path: Path) -> None:
    expected, faults = read(source)

    copy = cached(source, tmp_path / "cache")

    assert read(copy)[0] == expected
    assert list(map(str, copy.faults)) == faults
    assert copy.spec() == source.spec()
    assert copy.buffer == source.buffer


def test_nobody_else_may_read_a_copy_and_it_does_not_outlive_its_use(source: CsvFiles, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    old = cached(source, folder).folder
    (folder / "notes").mkdir()
    month = 31 * 24 * 3600
    for path in (old, folder / "notes"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - month))
    with source.root.open("a") as file:
        file.write("1,2,x\n")

    new = cached(read_again(source), folder).folder

    assert new.stat().st_mode & 0o077 == 0
    assert {path.name for path in folder.iterdir()} == {".lock", "notes", new.name}


def test_a_copy_that_is_read_is_kept(source: CsvFiles, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    old = cached(source, folder).folder
    os.utime(old, (old.stat().st_atime, old.stat().st_mtime - 31 * 24 * 3600))

    cached(source, folder)
    cached(CsvFiles(root=source.root, parts=source.parts[:1], shard_bytes=500), folder)

    assert old.is_dir()


def test_a_copy_of_items_of_open_shape_keeps_their_shapes(read: Any, tmp_path: Path) -> None:
    for rows in (3, 5):
        pixels = np.random.default_rng(rows).integers(0, 256, (rows, rows + 1, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{rows}.png")
    images = ImageFolder(root=tmp_path, shape=(None, None, 3))

    copy = cached(images, tmp_path / "cache")

    assert read(copy)[0] == read(images)[0]


def test_only_the_copy_is_read_once_it_is_there(numbers: Any, tmp_path: Path) -> None:
    source = numbers(good=[[True, False, True]] * 5)
    first = list(dataset(source, batch_size=2, seed=0, epoch=0, cache=tmp_path))
    source.read_of.clear()
    told = Quarantine()

    second = list(dataset(source, batch_size=2, seed=0, epoch=0, cache=tmp_path, quarantine=told))

    assert source.read_of == []
    assert [batch["number"].numpy().tolist() for batch in first] == [batch["number"].numpy().tolist() for batch in second]
    assert sorted(number for batch in second for number in batch["number"].numpy().tolist()) == source.good_numbers
    assert told.count == 5


def test_a_resumed_epoch_reads_only_the_rest_of_the_copy(read: Any, source: CsvFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.streams.cache._BLOCK_BYTES", 160)
    monkeypatch.setattr("training.streams.cache._LEAST_BLOCK_BYTES", 160)
    copy = cached(source, tmp_path / "cache")
    assert len(copy.shards()) == 30
    assert {shard.records for shard in copy.shards()} == {10, 8}
    read_of = []

    def spied(self: Cached, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        read_of.append(shard.begin)
        return real(self, shard, start)

    real = Cached.read
    monkeypatch.setattr(Cached, "read", spied)
    rest = list(dataset(source, batch_size=8, seed=0, epoch=0, start=280, cache=tmp_path / "cache"))

    assert sum(len(batch["id"]) for batch in rest) == 18
    # The window begins at the 250th item; a window is five blocks.
    assert len(read_of) <= 6
    assert len(read(copy)[0]["id"]) == 298


def test_a_set_that_changed_is_copied_anew(read: Any, source: CsvFiles, tmp_path: Path) -> None:
    before = cached(source, tmp_path / "cache")
    source.root.write_text("a,b,id\n1,2,x\n")

    after = cached(read_again(source), tmp_path / "cache")

    assert after.identity() != before.identity()
    assert read(after)[0]["id"] == ["x"]


@pytest.mark.parametrize("where", ["items", "survey", "rename"])
def test_a_copy_that_was_killed_is_never_read(read: Any, source: CsvFiles, tmp_path: Path, where: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    killed = subprocess.run([sys.executable, Path(__file__).with_name("killed_copy.py"), tmp_path, where], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    (left,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert left.name.startswith(".")

    killed_source = CsvFiles(root=source.root, parts=(Part(name="x", columns=("a", "b")),), shard_bytes=100)
    copy = cached(killed_source, tmp_path / "cache")

    assert read(copy)[0] == read(killed_source)[0]
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == [copy.folder]


def test_a_copy_that_fails_leaves_nothing(numbers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.streams.cache.flush", full)

    with pytest.raises(OSError, match="No space left"):
        cached(numbers(good=[[True]]), tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_two_that_copy_at_once_make_one_copy(source: CsvFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = Path.rename

    def counted(self: Path, target: Path) -> Path:
        made.append(target)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", counted)
    copies: list[Cached] = []
    threads = [threading.Thread(target=lambda: copies.append(cached(read_again(source), tmp_path / "cache"))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 1
    assert len({copy.folder for copy in copies}) == 1
    assert len(copies) == 4


def test_a_copys_survey_is_of_the_copy(source: CsvFiles, tmp_path: Path) -> None:
    copy = cached(source, tmp_path / "cache")

    assert survey(copy).items == copy.survey.items
    assert len(copy.survey) == len(survey(source)) == 298
    assert copy.survey.share_quarantined == pytest.approx(2 / 300)


def test_an_epoch_of_a_copy_mixes_a_set_that_is_sorted_by_class(tmp_path: Path) -> None:
    classes, each, buffer = 8, 1024, 2048
    path = tmp_path / "sorted.csv"
    path.write_text("\n".join(["label,x0", *(f"{number // each},{number}" for number in range(classes * each)), ""]))
    parts = (Part(name="x", columns="x0"), Part(name="label", columns="label", kind=Kind.INT64))

    batches = dataset(
        CsvFiles(root=path, parts=parts, buffer=buffer), batch_size=buffer, seed=0, epoch=0, cache=tmp_path / "cache"
    ).as_numpy_iterator()

    # A window of many blocks that are drawn at random has items of most classes, and not of two that lie beside each other.
    shares = [np.bincount(batch["label"], minlength=classes) / buffer for batch in batches]
    assert len(shares) == classes * each / buffer
    assert min(np.count_nonzero(share) for share in shares) >= 6
    assert np.max(shares) < 0.4
