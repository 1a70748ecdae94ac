"""`medserve repository` as a process: what it prints and refuses, beside a real gateway where it asks one."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from medserve.repository import weights_digest
from medserve.repository_digests import write_digests

if TYPE_CHECKING:
    from tests.medserve.conftest import Stack

Medserve = Callable[..., "subprocess.CompletedProcess[str]"]


def _publish(root: Path, version: int, *, accuracy: float, seed: int) -> Path:
    folder = root / "digits" / str(version)
    extra = folder / "assets.extra"
    extra.mkdir(parents=True)
    (folder / "saved_model.pb").write_text(f"graph {version}")
    # One empty TFRecord.
    (extra / "medserve_golden_predictions").write_bytes(bytes(16))
    manifest: dict[str, Any] = {
        "name": "digits",
        "version": str(version),
        "task": "TASK_DIAGNOSIS",
        "displayName": "Handwritten digits",
        "intendedUse": {"purpose": "To show \x1b[31mred", "notFor": ["care"]},
        "inputs": [{"name": "images", "dataType": "DATA_TYPE_UINT8", "shape": ["-1", "-1", "1"]}],
        "outputs": [{"name": "probabilities", "dataType": "DATA_TYPE_FLOAT32", "shape": ["10"]}],
        "metrics": [{"name": "accuracy", "value": accuracy, "lower": accuracy - 0.01, "upper": accuracy + 0.01, "confidenceLevel": 0.95}],
        "provenance": {"createTime": "2026-11-24T12:00:00Z", "job": "digits", "seed": str(seed), "trial": version == 1},
        "weightsDigest": weights_digest(folder),
    }
    (extra / "medserve_manifest.json").write_text(json.dumps(manifest))
    write_digests(folder)
    (root / "digits" / ".last_version").write_text(str(version))
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _publish(tmp_path, 1, accuracy=0.95, seed=1)
    _publish(tmp_path, 2, accuracy=0.97, seed=2)
    return tmp_path


def test_versions_are_listed_newest_first(medserve: Medserve, root: Path) -> None:
    (root / "digits" / "3").mkdir()

    shown = medserve("repository", "list", root, environment={"COLUMNS": "150"}).stdout.splitlines()
    documents = json.loads(medserve("repository", "list", root, "digits", "--json").stdout)["versions"]

    assert [line.split()[:2] for line in shown[1:]] == [["digits", "3"], ["digits", "2"], ["digits", "1"]]
    assert "manifest can't be read" in shown[1]
    assert "2026-11-24 12:00Z  accuracy 0.9700 (0.9600 to 0.9800)  Handwritten digits" in shown[2]
    assert "a TRIAL: Handwritten digits" in shown[3]
    assert [each.get("trial") for each in documents] == [None, False, True]
    assert [(each["version"], each["readable"]) for each in documents] == [(3, False), (2, True), (1, True)]
    assert documents[1]["createTime"] == "2026-11-24T12:00:00Z"


def test_a_version_is_shown_the_newest_unless_one_is_named(medserve: Medserve, root: Path) -> None:
    newest = medserve("repository", "show", root, "digits", environment={"COLUMNS": "150"}).stdout
    first = medserve("repository", "show", root, "digits", 1, "--json").stdout

    assert newest.startswith("digits version 2: Handwritten digits\n")
    assert "images uint8 [any, any, 1]" in newest
    assert "golden predictions  1" in newest
    # What a manifest says can't move the cursor or change colours.
    assert "\x1b" not in newest
    assert json.loads(first)["version"] == "1"


def test_two_versions_are_told_apart(medserve: Medserve, root: Path) -> None:
    shown = medserve("repository", "diff", root, "digits", 1, 2, environment={"COLUMNS": "200"}).stdout
    differences = json.loads(medserve("repository", "diff", root, "digits", 1, 2, "--json").stdout)["differences"]
    same = medserve("repository", "diff", root, "digits", 2, 2).stdout

    assert differences.keys() == {"job", "accuracy", "weights digest", "trial"}
    assert differences["job"] == {"from": "digits, seed 1", "to": "digits, seed 2"}
    assert "+0.0200" in shown
    assert same == "Versions 2 and 2 say the same of themselves.\n"


def test_a_damaged_version_is_found_and_ends_with_1(medserve: Medserve, root: Path) -> None:
    whole = medserve("repository", "verify", root)
    (root / "digits" / "1" / "saved_model.pb").write_text("graph 9")

    damaged = medserve("repository", "verify", root)
    other = medserve("repository", "verify", root, "digits", 2)
    document = json.loads(medserve("repository", "verify", root, "digits", "--json").stdout)

    assert (whole.returncode, whole.stdout) == (0, "2 versions: all whole\n")
    assert damaged.returncode == 1
    assert damaged.stdout.startswith(f"{root}/digits/1: changed since it was published: saved_model.pb")
    assert damaged.stdout.endswith("2 versions: 1 thing found\n")
    assert (other.returncode, other.stdout) == (0, "1 version: all whole\n")
    assert [finding["place"] for finding in document["findings"]] == [f"{root}/digits/1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "nowhere"), "No such file or directory"),
        (("list", ".", "ecg"), "there is no such model"),
        (("show", ".", "digits", "9"), "there is no version 9; it has 1, 2"),
        (("show", ".", "../digits"), "no model's name"),
        (("diff", ".", "digits", "1", "9"), "there is no version 9"),
        (("verify", ".", "ecg"), "there is no such model"),
        (("retire", ".", "digits", "9"), "there is no version 9"),
        (("show", ".", "digits", "3"), "it has no manifest"),
    ],
)
def test_what_is_not_there_ends_with_2(medserve: Medserve, root: Path, arguments: tuple[str, ...], said: str) -> None:
    if said == "it has no manifest":
        (root / "digits" / "3").mkdir()

    done = medserve("repository", *arguments, cwd=root)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def _copy(stack: "Stack", root: Path) -> Path:
    return shutil.copytree(stack.folder / "var" / "models", root / "models")


def _retire(medserve: Medserve, stack: "Stack", *arguments: object) -> "subprocess.CompletedProcess[str]":
    return medserve("repository", "retire", *arguments, environment=stack.environment)


def test_a_broken_upload_is_retired_beside_the_version_that_answers(stack: "Stack", medserve: Medserve, tmp_path: Path) -> None:
    root = _copy(stack, tmp_path)
    (root / "echo" / "2").mkdir()

    done = _retire(medserve, stack, root, "echo", 2)

    assert (done.returncode, done.stdout) == (0, f"echo version 2 is in {root}/echo/.retired/2\n")
    assert sorted(path.name for path in (root / "echo").iterdir() if not path.name.startswith(".")) == ["1"]


def test_what_the_gateway_needs_or_has_not_seen_stays(stack: "Stack", medserve: Medserve, tmp_path: Path) -> None:
    root = _copy(stack, tmp_path)
    manifest = root / "echo" / "1" / "assets.extra" / "medserve_manifest.json"
    second = root / "echo" / "2" / "assets.extra" / manifest.name
    second.parent.mkdir(parents=True)
    second.write_text(manifest.read_text().replace('"version": "1"', '"version": "2"'))

    labelled = _retire(medserve, stack, root, "digits", 1)
    alone = _retire(medserve, stack, root, "echo", 1)
    unseen = _retire(medserve, stack, root, "echo", 2, "--json")
    manifest.write_text(manifest.read_text().replace("sha256:00", "sha256:11"))
    another = _retire(medserve, stack, root, "echo", 2)

    assert [done.returncode for done in (labelled, alone, unseen, another)] == [1, 1, 1, 1]
    assert "has the label approved, stable" in labelled.stdout
    assert "no other version of echo answers" in alone.stdout
    assert "may still come to answer" in json.loads(unseen.stdout)["why"]
    assert "isn't the one in" in another.stdout
    assert not list(root.glob("*/.retired"))


def test_without_a_gateway_nothing_is_retired(medserve: Medserve, root: Path) -> None:
    done = medserve("repository", "retire", root, "digits", 1, "--target", "127.0.0.1:1", "--timeout-seconds", "60")

    assert done.returncode == 1
    assert "UNAVAILABLE" in done.stderr
    assert (root / "digits" / "1").exists()
