"""The versions that are there, and whether their folders are complete."""

import shutil
from pathlib import Path

import pytest

from modelserver.config import ModelConfig, VersionPolicy
from modelserver.source import Source, fingerprint, is_complete, published_versions


def source(base_path: Path, *, latest: int = 1, patience_seconds: float = 60.0) -> Source:
    return Source(ModelConfig(name="m", base_path=base_path, policy=VersionPolicy(latest=latest)), patience_seconds=patience_seconds)


def whole(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


def test_the_numbered_folders_are_the_versions(tmp_path: Path) -> None:
    for name in ("1", "00002", "10"):
        (tmp_path / name).mkdir()

    assert published_versions(tmp_path) == {1: tmp_path / "1", 2: tmp_path / "00002", 10: tmp_path / "10"}


@pytest.mark.parametrize("name", [".1.tmp", "v1", "1.5", "-1", "1a", "²", "٣", "9223372036854775808"])
def test_what_isnt_a_version_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    assert published_versions(tmp_path) == {}


def test_a_file_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "1").touch()

    assert published_versions(tmp_path) == {}


def test_of_two_folders_of_one_number_the_last_in_order_is_the_version(tmp_path: Path) -> None:
    """file_system_storage_path_source.cc, IndexChildrenByVersion."""
    for name in ("1", "01"):
        (tmp_path / name).mkdir()

    assert published_versions(tmp_path) == {1: tmp_path / "1"}


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_base_path_that_cant_be_read_says_nothing_about_versions(tmp_path: Path, kind: str) -> None:
    base_path = tmp_path / "base"
    if kind == "a file":
        base_path.touch()

    assert published_versions(base_path) is None
    assert source(base_path).look(()) is None


def test_the_policy_chooses_by_number_and_not_by_name(tmp_path: Path) -> None:
    for name in ("9", "10"):
        whole(tmp_path / name)

    found = source(tmp_path).look(())

    assert found is not None
    assert found.versions == {10: tmp_path / "10"}


def test_while_the_newest_is_being_copied_the_one_before_is_wanted(tmp_path: Path) -> None:
    whole(tmp_path / "1")
    (tmp_path / "2").mkdir()

    found = source(tmp_path).look(())

    assert found is not None
    assert (found.versions, found.unfinished) == ({1: tmp_path / "1"}, {2: tmp_path / "2"})


def test_a_folder_is_wanted_once_its_last_part_is_there(tmp_path: Path) -> None:
    whole(tmp_path / "1")
    watched = source(tmp_path)
    (tmp_path / "2").mkdir()
    watched.look(())

    (tmp_path / "2" / "saved_model.pb").touch()
    found = watched.look(())

    assert found is not None
    assert (found.versions, found.unfinished) == ({2: tmp_path / "2"}, {})


def test_what_stays_incomplete_is_taken_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "2").mkdir()
    watched = source(tmp_path, patience_seconds=1e-9)
    first = watched.look(())

    second = watched.look(())

    assert first is not None
    assert second is not None
    assert (first.unfinished, second.versions) == ({2: tmp_path / "2"}, {2: tmp_path / "2"})


def test_what_was_tried_already_isnt_looked_into(tmp_path: Path) -> None:
    (tmp_path / "2").mkdir()

    found = source(tmp_path).look({tmp_path / "2"})

    assert found is not None
    assert found.versions == {2: tmp_path / "2"}


PARTS = {
    "no graph": (["variables/variables.index", "variables/variables.data-00000-of-00001"], False),
    "a graph alone": (["saved_model.pb"], True),
    "a graph in text form": (["saved_model.pbtxt"], True),
    "an empty folder of variables": (["saved_model.pb", "variables/"], True),
    "all": (["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"], True),
    "an index without its data": (["saved_model.pb", "variables/variables.index"], False),
    "data without its index": (["saved_model.pb", "variables/variables.data-00000-of-00001"], False),
    "one of two parts": (["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00002"], False),
    "both of two parts": (
        ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00002", "variables/variables.data-00001-of-00002"],
        True,
    ),
}


@pytest.mark.parametrize(("files", "complete"), PARTS.values(), ids=PARTS.keys())
def test_a_folder_is_complete_with_its_graph_and_all_parts_of_its_variables(tmp_path: Path, files: list[str], complete: bool) -> None:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()

    assert is_complete(tmp_path) is complete


def test_real_models_are_complete(saved_models: Path) -> None:
    folders = [folder / "1" for folder in saved_models.iterdir() if (folder / "1").is_dir()]

    assert folders
    assert [folder for folder in folders if not is_complete(folder)] == []


def test_a_fingerprint_changes_with_a_files_size(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"half")
    before = fingerprint(tmp_path)
    (tmp_path / "variables" / "variables.index").write_bytes(b"whole one")

    assert fingerprint(tmp_path) != before


def test_a_fingerprint_stays_while_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    before = fingerprint(tmp_path)

    assert fingerprint(tmp_path) == before


def test_a_folder_that_is_gone_has_the_empty_fingerprint(tmp_path: Path) -> None:
    folder = whole(tmp_path / "1")
    shutil.rmtree(folder)

    assert fingerprint(folder) == ()
