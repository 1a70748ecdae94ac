"""A real process, killed by SIGKILL within steps and within the writing of checkpoints, and begun again in the same folder."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("killed_fit.py")


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder with what came out of each way, and what was said."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_deaths_were_real_and_each_run_went_on_from_a_later_point(ends: tuple[Path, str]) -> None:
    said = ends[1]

    killed = int(signal.SIGKILL)
    assert f"killed {killed} {killed} {killed} 0" in said
    points = [tuple(map(int, found)) for found in re.findall(r"going on from the checkpoint of epoch (\d+), after step (\d+)", said)]
    assert points == [(1, 2), (2, 1), (8, 1)]


def test_the_weights_and_every_figure_are_those_of_a_fit_that_was_never_disturbed_bit_for_bit(ends: tuple[Path, str]) -> None:
    wanted, got = (dict(np.load(ends[0] / f"{way}.npz")) for way in ("undisturbed", "killed"))

    assert wanted.keys() == got.keys()
    assert {name for name, array in wanted.items() if array.tobytes() != got[name].tobytes()} == set()


def test_the_rate_fell_and_the_fit_stopped_early_at_weights_from_before_the_last_death(ends: tuple[Path, str]) -> None:
    folder, said = ends
    came_out: dict[str, Any] = dict(np.load(folder / "killed.npz"))

    assert "learning rate reduced to 0.025" in said
    assert len(came_out["val_loss"]) < 10
    assert came_out["epoch"] == came_out["val_loss"].argmin() + 1 < len(came_out["val_loss"])
