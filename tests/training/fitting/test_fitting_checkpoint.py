import errno
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.fitting import checkpoint
from training.fitting.checkpoint import NotThisFit, Snapshot

IDENTITY = {"plan": "p", "network": "n"}


def snapshot(step: int = 1, *, epoch: int = 0) -> Snapshot:
    arrays = {"model/0": np.array([0.1, np.nan, -0.0], np.float32), "model/1": np.array(2**40 + step), "seed": np.array([3, 4], np.uint32)}
    return Snapshot(identity=IDENTITY, epoch=epoch, step=step, state={"loss": 0.1 + 0.2}, arrays=arrays)


def newest(folder: Path, said: list[str] | None = None, identity: dict[str, str] = IDENTITY) -> Snapshot | None:
    return checkpoint.newest(folder, identity=identity, say=(said if said is not None else []).append)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_is_read_is_what_was_written_bit_for_bit(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "new", snapshot())

    read = newest(tmp_path / "new")

    assert read is not None
    assert (read.identity, read.epoch, read.step, read.state) == (IDENTITY, 0, 1, {"loss": 0.1 + 0.2})
    assert {name: (array.dtype, array.shape, array.tobytes()) for name, array in read.arrays.items()} == {
        name: (array.dtype, array.shape, array.tobytes()) for name, array in snapshot().arrays.items()
    }


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert newest(tmp_path / "no folder") is None


def test_the_newest_is_read_and_the_one_before_is_kept(tmp_path: Path) -> None:
    for epoch, step in ((0, 9), (0, 10), (1, 2), (10, 0)):
        checkpoint.write(tmp_path, snapshot(step, epoch=epoch))

    read = newest(tmp_path)

    assert read is not None
    assert (read.epoch, read.step) == (10, 0)
    assert len(files(tmp_path)) == 2


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_one_is_set_aside_with_a_word_and_the_one_before_is_used(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    for step in (1, 2):
        checkpoint.write(folder, snapshot(step))
    damaged = files(folder)[-1]
    content = bytearray(damaged.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    damaged.write_bytes(content)
    said: list[str] = []

    read = newest(folder, said)

    assert read is not None
    assert read.step == 1
    assert len(said) == 1
    assert said[0].startswith(f"checkpoint damaged: {damaged} isn't as it was written")
    assert not damaged.exists()
    assert damaged.with_name(f"{damaged.name}.damaged").exists()
    assert newest(folder, said) is not None
    assert len(said) == 1


def test_where_all_are_damaged_a_fit_begins_anew(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, snapshot(step))
    for path in files(tmp_path):
        path.write_bytes(b"")
    said: list[str] = []

    assert newest(tmp_path, said) is None
    assert len(said) == 2


def test_one_that_the_disk_cannot_give_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.write(tmp_path, snapshot())
    said: list[str] = []

    def broken(*_: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(hashlib, "file_digest", broken)

    assert newest(tmp_path, said) is None
    assert len(said) == 1


def test_one_that_may_not_be_read_is_nothing_to_set_aside(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-000000-000000001-x.npz").mkdir()

    with pytest.raises(IsADirectoryError):
        newest(tmp_path)


def test_one_of_another_fit_is_refused_with_what_differs_and_stays(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, snapshot())

    with pytest.raises(NotThisFit, match="is of another fit, which differs in network; give another folder"):
        newest(tmp_path, identity={"plan": "p", "network": "another"})

    assert newest(tmp_path) is not None


@pytest.mark.parametrize("stage", ["fsync", "rename"])
def test_a_disk_that_is_full_keeps_the_checkpoint_that_was_there_and_nothing_of_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    checkpoint.write(tmp_path, snapshot(1))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, stage, full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(tmp_path, snapshot(2))
    monkeypatch.undo()

    assert [re.sub("-[0-9a-f]{32}", "", path.name) for path in files(tmp_path)] == ["checkpoint-000000-000000001.npz"]


def test_half_a_checkpoint_that_a_kill_left_is_never_read_and_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint.new").write_bytes(b"half")

    assert newest(tmp_path) is None
    checkpoint.write(tmp_path, snapshot())

    assert newest(tmp_path) is not None
    assert len(files(tmp_path)) == 1


def test_clearing_removes_checkpoints_of_every_kind_and_nothing_else(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoint.write(tmp_path, snapshot(step))
    files(tmp_path)[-1].write_bytes(b"")
    newest(tmp_path)
    (tmp_path / ".checkpoint.new").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")

    checkpoint.clear(tmp_path)
    checkpoint.clear(tmp_path / "no folder")

    assert [path.name for path in files(tmp_path)] == ["notes.txt"]
