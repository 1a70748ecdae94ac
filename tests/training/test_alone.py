"""Two runs of one job in one repository: real processes, one of which is killed."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.alone import AtWork, alone


@pytest.fixture
def at_work(tmp_path: Path) -> Any:
    """A run of `tumour` in the folder R that would go on for days, as soon as it holds its folder."""
    arguments = ["run", "tumour", "--repository", str(tmp_path / "R"), "--epochs", "1000000"]
    with subprocess.Popen([sys.executable, "-m", "training", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "tumour: starting TensorFlow\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_at_once_and_one_that_was_killed_leaves_the_folder_free(command: Any, at_work: Any, tmp_path: Path) -> None:
    refused = command("run", "tumour", "--repository", tmp_path / "R")
    at_work.send_signal(signal.SIGKILL)
    at_work.wait(timeout=250)
    with alone(tmp_path / "R" / "tumour" / ".run.lock", who="this test"):
        is_free = True

    assert (refused.returncode, refused.stdout) == (2, "")
    where = f"{tmp_path}/R/tumour"
    wait = "wait until it has ended, or give another folder"
    assert refused.stderr == f"python -m training: another run of tumour is at work here: {where}; {wait}\n"
    assert is_free


def test_who_comes_second_is_told_where_and_who_comes_later_finds_the_folder_free(tmp_path: Path) -> None:
    with (
        alone(tmp_path / "lock", who="this test"),
        pytest.raises(AtWork, match="another is at work here") as caught,
        alone(tmp_path / "lock", who="another"),
    ):
        pass

    with alone(tmp_path / "lock", who="a third"):
        pass
    assert caught.value.filename == str(tmp_path)
