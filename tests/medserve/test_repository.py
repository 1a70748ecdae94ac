"""The repository as a library: layout, digests, what verify finds, and which version may go."""

import errno
import hashlib
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from google.protobuf import json_format

from medserve import repository
from medserve.repository import InUse, RepositoryError, RetirementRefused
from medserve.repository_check import check, golden_items
from medserve.repository_digests import DIGESTS, write_digests
from medserve.v1 import manifest_input_pb2, manifest_output_pb2, manifest_pb2, tensor_pb2

GOLDEN = "medserve_golden_predictions"
CHANGED = "model/1: changed since it was published: assets.extra/{}"
OTHER_MANIFEST = CHANGED.format("medserve_manifest.json")


def _record(content: bytes) -> bytes:
    """As a TFRecord file has it; who only counts doesn't read the checksums."""
    return struct.pack("<QI", len(content), 0) + content + struct.pack("<I", 0)


def _publish(root: Path, version: int, model: str = "model") -> Path:
    folder = root / model / str(version)
    for name, content in (("saved_model.pb", b"graph"), ("variables/variables.index", b"index"), (f"assets.extra/{GOLDEN}", _record(b"golden") * 3)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    manifest = manifest_pb2.ModelManifest(
        name=model, version=version, task=manifest_pb2.TASK_DIAGNOSIS,
        inputs=[manifest_input_pb2.InputSpec(name="x", data_type=tensor_pb2.DATA_TYPE_FLOAT32)],
        outputs=[manifest_output_pb2.OutputSpec(name="y", data_type=tensor_pb2.DATA_TYPE_FLOAT32)], weights_digest=repository.weights_digest(folder),
    )  # fmt: skip
    (folder / "assets.extra" / "medserve_manifest.json").write_text(json_format.MessageToJson(manifest))
    write_digests(folder)
    (folder.parent / ".last_version").write_text(str(version))
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _found(root: Path, *versions: int) -> list[str]:
    return [f"{finding.place.relative_to(root).as_posix()}: {finding.what}" for finding in check(root, "model", versions)]


def test_the_digest_is_that_of_sha256sum_over_all_but_the_extras(tmp_path: Path) -> None:
    folder = _publish(tmp_path, 1)

    lines = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("saved_model.pb", b"graph"), ("variables/variables.index", b"index"))
    )
    assert repository.weights_digest(folder) == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def test_models_without_a_version_are_none(tmp_path: Path) -> None:
    _publish(tmp_path, 3)
    (tmp_path / "model" / "11").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden" / "1").mkdir(parents=True)

    assert repository.models(tmp_path) == ["model"]
    assert repository.versions(tmp_path, "model") == [3, 11]


def test_a_version_is_found_whatever_zeros_stand_before_its_number(tmp_path: Path) -> None:
    (tmp_path / "model" / "0007").mkdir(parents=True)

    assert repository.version_folder(tmp_path, "model", 7).name == "0007"
    with pytest.raises(RepositoryError, match="there is no version 8; it has 7"):
        repository.version_folder(tmp_path, "model", 8)


@pytest.mark.parametrize("name", ["", "..", ".staging", "a/b", "/etc", "a\0"])
def test_a_name_that_leads_out_of_the_repository_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RepositoryError, match="no model's name"):
        repository.version_folder(tmp_path, name, 1)


def test_a_whole_version_has_no_findings(tmp_path: Path) -> None:
    folder = _publish(tmp_path, 1)

    assert _found(tmp_path, 1) == []
    assert golden_items(folder) == 3


def _flip(folder: Path) -> None:
    (folder / "variables" / "variables.index").write_bytes(b"indey")


def _link(folder: Path) -> None:
    (folder / "saved_model.pb").rename(folder.parent.parent / "elsewhere")
    (folder / "saved_model.pb").symlink_to(folder.parent.parent / "elsewhere")


def _add(folder: Path) -> None:
    (folder / "assets").mkdir(mode=0o755)
    (folder / "assets" / "words").touch(mode=0o644)


def _cut(folder: Path) -> None:
    file = folder / "assets.extra" / GOLDEN
    file.write_bytes(file.read_bytes()[:-1])


def _edit(old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "assets.extra" / "medserve_manifest.json"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return edit


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (_edit('"x"', '"z"'), [OTHER_MANIFEST]),
        (lambda folder: (folder / "assets.extra" / "more").touch(mode=0o644), [CHANGED.format("more")]),
        (
            lambda folder: (folder / "assets.extra" / DIGESTS).unlink(),
            ["model/1: there are no digests of its files, so a manifest that was changed doesn't show"],
        ),
        (lambda folder: (folder / "assets.extra" / DIGESTS).write_bytes(b"\xff"), [f"model/1/assets.extra/{DIGESTS}: not a list of digests"]),
        (_flip, ["model/1: changed since it was published: variables/variables.index"]),
        (_add, ["model/1: changed since it was published: assets/words"]),
        (
            _edit("sha256:", "sha256:0"),
            ["model/1: the files aren't those that were published: their digest isn't the manifest's", OTHER_MANIFEST],
        ),
        (_link, ["model/1/saved_model.pb: a link, which may lead out of the version"]),
        (lambda folder: os.mkfifo(folder / "assets.extra" / "pipe", 0o644), ["model/1/assets.extra/pipe: neither a file nor a folder"]),
        (_cut, [CHANGED.format(GOLDEN), f"model/1/assets.extra/{GOLDEN}: cut short in record 3"]),
        (
            lambda folder: (folder / "assets.extra" / GOLDEN).write_bytes(b"short"),
            [CHANGED.format(GOLDEN), f"model/1/assets.extra/{GOLDEN}: cut short in record 0"],
        ),
        (
            lambda folder: (folder / "assets.extra" / GOLDEN).unlink(),
            [CHANGED.format(GOLDEN), "model/1: there are no golden predictions, so nobody can tell whether it still answers as it did"],
        ),
        (
            lambda folder: (folder / "assets.extra" / "medserve_manifest.json").unlink(),
            ["model/1: there is no manifest, so the gateway leaves it out", OTHER_MANIFEST],
        ),
        (
            _edit('"model"', '"other"'),
            ["model/1: the manifest is of other version 1, so the gateway leaves it out", OTHER_MANIFEST],
        ),
        (_edit("TASK_DIAGNOSIS", "TASK_UNSPECIFIED"), ["model/1: the manifest lacks task", OTHER_MANIFEST]),
        (
            lambda folder: (folder / "saved_model.pb").chmod(0o666),
            ["model/1/saved_model.pb: others than its owner may change it (mode 666)"],
        ),
        (lambda folder: (folder.parent / ".staging").mkdir(), ["model/.staging: half a version: of a publisher that is at work, or that died"]),
        (lambda folder: (folder.parent / ".last_version").write_text("x"), ["model/.last_version: not a number"]),
        (
            lambda folder: (folder.parent / ".last_version").unlink(),
            ["model/.last_version: says that 0 is the greatest number so far, and there is version 1"],
        ),
        (lambda folder: (folder.parent / "2").touch(), ["model/2: has a version's name and is no folder"]),
        (lambda folder: (folder.parent / "01").mkdir(), ["model/01: is version 1 as well, so readers take one or the other"]),
        (lambda folder: (folder.parent / ".retired" / "1").mkdir(parents=True), ["model/1: was retired, and its number is in use again"]),
    ],
)
def test_what_is_not_as_it_was_published_is_found(tmp_path: Path, damage: Callable[[Path], Any], found: list[str]) -> None:
    damage(_publish(tmp_path, 1))

    # `01` sorts before `1`, and is the same number: only the folder with the files is looked at here.
    assert [what for what in _found(tmp_path, 1) if not what.startswith("model/01: there")] == found


def test_a_link_to_nothing_a_damaged_manifest_and_a_missing_graph_are_found(tmp_path: Path) -> None:
    folder = _publish(tmp_path, 1)
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pb").symlink_to("nowhere")
    (folder / "assets.extra" / "medserve_manifest.json").write_text("{")

    found = _found(tmp_path, 1)

    assert found[:2] == ["model/1: there is no SavedModel", "model/1/saved_model.pb: a link to what isn't there"]
    assert "the manifest can't be read" in found[2]


def test_a_manifest_that_is_too_large_is_refused(tmp_path: Path) -> None:
    folder = _publish(tmp_path, 1)
    (folder / "assets.extra" / "medserve_manifest.json").write_bytes(b" " * (repository.MAX_MANIFEST_BYTES + 1))

    with pytest.raises(RepositoryError, match="which the gateway doesn't read"):
        repository.read_manifest(folder)


def _in_use(*, labels: dict[str, int] | None = None, serving: tuple[int, ...] = (1, 2, 3), coming: tuple[int, ...] = (), default: int = 0) -> InUse:
    return InUse(labels=labels or {}, serving=frozenset(serving), coming=frozenset(coming), default=default)


@pytest.mark.parametrize(
    ("version", "in_use", "why"),
    [
        (1, _in_use(labels={"stable": 1}), "has the label stable"),
        (2, _in_use(labels={"approved": 2, "canary": 2}), "has the label approved, canary"),
        (3, _in_use(), "is the newest that answers"),
        (2, _in_use(serving=(1, 2), coming=(3,)), "is the newest that answers"),
        (2, _in_use(default=2), "is the newest that is no trial"),
        (1, _in_use(serving=(1,)), "no other version of model answers"),
        (1, _in_use(serving=()), "no other version of model answers"),
        (3, _in_use(serving=(1, 2), coming=(3,)), "may still come to answer"),
    ],
)
def test_a_version_that_somebody_may_need_stays(tmp_path: Path, version: int, in_use: InUse, why: str) -> None:
    for number in (1, 2, 3):
        _publish(tmp_path, number)

    with pytest.raises(RetirementRefused, match=why):
        repository.retire(tmp_path, "model", version, in_use=in_use)

    assert repository.versions(tmp_path, "model") == [1, 2, 3]
    assert not (tmp_path / "model" / ".retired").exists()


@pytest.mark.parametrize(
    ("version", "in_use"),
    [(1, _in_use(labels={"stable": 2})), (2, _in_use(labels={"stable": 1})), (3, _in_use(serving=(1, 2))), (1, _in_use(serving=(2, 3), coming=(1,)))],
)
def test_a_version_that_nobody_needs_goes_as_a_whole(tmp_path: Path, version: int, in_use: InUse) -> None:
    for number in (1, 2, 3):
        _publish(tmp_path, number)
    digest = repository.weights_digest(tmp_path / "model" / str(version))

    place = repository.retire(tmp_path, "model", version, in_use=in_use)

    assert place == tmp_path / "model" / ".retired" / str(version)
    assert repository.weights_digest(place) == digest
    assert repository.versions(tmp_path, "model") == [number for number in (1, 2, 3) if number != version]
    assert (tmp_path / "model" / ".last_version").read_text() == "3"
    with pytest.raises(RepositoryError, match=f"there is no version {version}"):
        repository.retire(tmp_path, "model", version, in_use=in_use)


def test_what_was_retired_before_is_not_overwritten(tmp_path: Path) -> None:
    for number in (1, 2):
        _publish(tmp_path, number)
    (tmp_path / "model" / ".retired" / "1").mkdir(parents=True)

    with pytest.raises(RepositoryError, match="exists already"):
        repository.retire(tmp_path, "model", 1, in_use=_in_use())

    assert repository.versions(tmp_path, "model") == [1, 2]


def test_a_model_that_is_not_there_has_nothing_to_retire(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="there is no such model"):
        repository.retire(tmp_path, "model", 1, in_use=_in_use())


_STEPS = {"open", "write", "flush", "fsync", "close", "mkdir", "rename", "replace", "flock"}


def _retire_failing_at(root: Path, fatal: int) -> bool:
    """Retires version 1 on a disk that is full at one step; whether that step came."""
    steps = 0

    def hook(_: FrameType, event: str, called: Any) -> None:
        nonlocal steps
        if event == "c_call" and called.__name__ in _STEPS:
            steps += 1
            if steps == fatal:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        with suppress(OSError):
            repository.retire(root, "model", 1, in_use=_in_use(serving=(1, 2)))
    finally:
        sys.setprofile(before)
    return steps >= fatal


def test_a_disk_that_fails_at_any_step_of_retiring_leaves_every_version_whole_in_one_place(tmp_path: Path) -> None:
    fatal = 1
    while True:
        root = tmp_path / str(fatal)
        for number in (1, 2):
            _publish(root, number)
        (root / "model" / ".last_version").unlink()
        digest = repository.weights_digest(root / "model" / "1")

        failed = _retire_failing_at(root, fatal)

        places = [path for path in (root / "model" / "1", root / "model" / ".retired" / "1") if path.exists()]
        assert [repository.weights_digest(place) for place in places] == [digest]
        assert 2 in repository.versions(root, "model")
        if not failed:
            break
        fatal += 1

    # The lock, the folder, the number that is spent, the rename, and what is flushed.
    assert fatal > 10
