"""The versions that are there."""

from pathlib import Path

import pytest

from modelserver.config import ModelConfig, VersionPolicy
from modelserver.source import aspired_versions, fingerprint


def config(base_path: Path, *, latest: int = 9) -> ModelConfig:
    return ModelConfig(name="m", base_path=base_path, policy=VersionPolicy(latest=latest))


def test_the_numbered_folders_are_the_versions(tmp_path: Path) -> None:
    for name in ("1", "00002", "10"):
        (tmp_path / name).mkdir()

    aspired = aspired_versions(config(tmp_path))

    assert aspired == {1: tmp_path / "1", 2: tmp_path / "00002", 10: tmp_path / "10"}


@pytest.mark.parametrize("name", [".1.tmp", "v1", "1.5", "-1", "1a", "²", "٣", "9223372036854775808"])
def test_what_isnt_a_version_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    aspired = aspired_versions(config(tmp_path))

    assert aspired == {}


def test_a_file_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "1").touch()

    aspired = aspired_versions(config(tmp_path))

    assert aspired == {}


def test_two_folders_of_one_number_are_one_version(tmp_path: Path) -> None:
    for name in ("1", "01"):
        (tmp_path / name).mkdir()

    aspired = aspired_versions(config(tmp_path))

    assert aspired == {1: tmp_path / "01"}


def test_the_policy_chooses_by_number_and_not_by_name(tmp_path: Path) -> None:
    for name in ("9", "10"):
        (tmp_path / name).mkdir()

    aspired = aspired_versions(config(tmp_path, latest=1))

    assert aspired == {10: tmp_path / "10"}


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_base_path_that_cant_be_read_says_nothing_about_versions(tmp_path: Path, kind: str) -> None:
    base_path = tmp_path / "base"
    if kind == "a file":
        base_path.touch()

    aspired = aspired_versions(config(base_path))

    assert aspired is None


def test_a_fingerprint_changes_with_a_files_size(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"half")
    before = fingerprint(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"whole one")

    after = fingerprint(tmp_path)

    assert after != before


def test_a_fingerprint_stays_while_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    before = fingerprint(tmp_path)

    after = fingerprint(tmp_path)

    assert after == before


def test_a_folder_that_is_gone_has_the_empty_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "gone") == ()
