"""What the documents name is there: targets, files, folders and commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_target_that_is_named_is_in_the_makefile() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b(?=`|\s*(?:#|$))", README, re.MULTILINE))

    assert {"run", "demo", "test", "lint", "gen"} <= named
    assert named <= TARGETS


def test_every_file_on_the_requests_path_exists() -> None:
    start = ARCHITECTURE.index("## One request's path")
    path = ARCHITECTURE[start : ARCHITECTURE.index("## Decisions")]
    folders = ("", "gateway", "gateway/preprocess", "gateway/backend", "modelserver")
    named = set(re.findall(r"`([a-z_/0-9]+\.py)`", path))

    missing = [name for name in sorted(named) if not any((ROOT / folder / name).exists() for folder in folders)]

    assert len(named) > 15
    assert missing == []


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_folder_of_the_readme_exists() -> None:
    listing = README[README.index("## Where things are") :]
    folders = re.findall(r"^    ([a-z_]+/) ", listing, re.MULTILINE)

    assert len(folders) == 9
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize("command", [["models"], ["infer"], ["health"], ["keys", "create"], ["keys", "list"], ["keys", "revoke"]])
def test_every_command_of_medserve_explains_itself(command: list[str]) -> None:
    result = subprocess.run([sys.executable, "-m", "medserve", *command, "--help"], capture_output=True, text=True, check=False, timeout=250)

    assert result.returncode == 0
    assert "usage: medserve" in result.stdout
