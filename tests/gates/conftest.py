"""A copy of the tree to plant violations in, and the commands that should find them."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("gateway", "local", "medserve", "modelserver", "proto", "tfserving", "training")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "buf.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def run(tree: Path) -> Run:
    """Runs a command of this environment in the tree; its own modules come before the installed ones."""

    def command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        executable = Path(sys.executable).parent / name
        return subprocess.run([executable, *arguments], cwd=tree, capture_output=True, text=True, check=False, timeout=250)

    return command
