import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from medserve.repository import EXTRA, RepositoryError
from medserve.repository_digests import DIGESTS, changed_files
from training import publish

PUBLISHER = Path(__file__).with_name("publisher.py")
NEVER = 0
# More than a publication has; so many steps without a survivor mean that the publisher never ends.
MOST_STEPS = 200

Publishers = Callable[..., list[str]]


@pytest.fixture(scope="module")
def publishers() -> Iterator[Publishers]:
    """Runs publishers side by side, one for each (root, how, step); what became of each."""
    with subprocess.Popen([sys.executable, PUBLISHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def run(*asked: tuple[Path, str, int]) -> list[str]:
            stdin.write("".join(f"{root} {how} {step}\n" for root, how, step in asked) + "\n")
            stdin.flush()
            return stdout.readline().split()

        yield run
        stdin.close()


def _publish(publishers: Publishers, root: Path, how: str = "kill", step: int = NEVER) -> str:
    """The number that was published, with a `!` where the fault did no harm; or `killed`, or `failed`."""
    (word,) = publishers((root, how, step))
    assert word.strip("!").isdecimal() or word == {"kill": "killed", "fail": "failed"}[how]
    return word


def _visible(root: Path) -> list[int]:
    """The versions that a reader sees, each of which must be whole; those of long ago were looked at before."""
    numbers = publish.versions(root, "model")
    for number in numbers[-10:]:
        folder = root / "model" / str(number)
        files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
        whole = f"{number}\n" * 20_000
        assert files.pop(f"{EXTRA}/{DIGESTS}").count("\n") == 3
        assert changed_files(folder) == []
        assert files == {"saved_model.pb": whole, "variables/data": whole, "manifest": whole}
    return numbers


def _write(folder: Path, version: int) -> None:
    (folder / "saved_model.pb").write_text(str(version))


@pytest.mark.parametrize("how", ["kill", "fail"])
def test_a_publisher_killed_or_failing_at_any_step_shows_nothing_or_a_whole_version_and_the_next_one_succeeds(
    publishers: Publishers, tmp_path: Path, how: str
) -> None:
    seen: list[int] = []
    used: set[int] = set()
    hurt, word = 0, ""
    for step in range(1, MOST_STEPS):
        word = _publish(publishers, tmp_path, how, step)
        after = _visible(tmp_path)
        assert after[: len(seen)] == seen
        if word == "failed":
            # Who is told that it failed finds nothing published, and nothing half written.
            assert after == seen
            assert not (tmp_path / "model" / ".staging").exists()
        assert used.isdisjoint(after[len(seen) :])
        used |= set(after)
        following = int(_publish(publishers, tmp_path))
        assert following not in used
        assert following > max([0, *used])
        seen = _visible(tmp_path)
        used |= set(seen)
        assert seen[-1] == following
        if word.isdecimal():
            break
        hurt += 1

    assert word.isdecimal()
    # Three files opened, written twice and flushed, the number, the rename, the folders: were it fewer, the hook would have missed some.
    assert hurt >= 40


@pytest.mark.parametrize("how", ["kill", "fail"])
def test_the_first_publisher_of_a_model_may_be_killed_or_fail_at_any_step(publishers: Publishers, tmp_path: Path, how: str) -> None:
    word = ""
    for step in range(1, MOST_STEPS):
        root = tmp_path / str(step)
        word = _publish(publishers, root, how, step)
        before = _visible(root)

        following = int(_publish(publishers, root))

        assert _visible(root) == [*before, following]
        if word.isdecimal():
            break

    assert word.isdecimal()


def test_a_publisher_may_be_killed_at_any_step_of_clearing_up_after_another_one(publishers: Publishers, tmp_path: Path) -> None:
    word = ""
    for step in range(1, MOST_STEPS):
        root = tmp_path / str(step)
        left = root / "model" / ".staging" / "variables"
        left.mkdir(parents=True)
        (left / "data").write_text("half")
        (root / "model" / ".last_version").write_text("7")
        word = _publish(publishers, root, "kill", step)
        before = _visible(root)

        following = int(_publish(publishers, root))

        assert following > max([7, *before])
        assert _visible(root) == [*before, following]
        if word.isdecimal():
            break

    assert word.isdecimal()


def test_publishers_at_the_same_time_never_take_the_same_number_though_some_are_killed(publishers: Publishers, tmp_path: Path) -> None:
    shown: list[int] = []
    for first in range(1, 60, 12):
        words = publishers(*((tmp_path, "kill", step) for step in (NEVER, first, NEVER, first + 4, NEVER, first + 8)))

        numbers = [int(word) for word in words if word.isdecimal()]
        assert len(words) == 6
        assert len(set(numbers)) == len(numbers) >= 3
        # A publisher that was killed after its rename has published all the same.
        visible = _visible(tmp_path)
        assert set(numbers) <= set(visible) - set(shown)
        shown = visible


def test_a_publisher_waits_for_the_one_before_it_and_leaves_its_folder_alone(publishers: Publishers, tmp_path: Path) -> None:
    second: list[subprocess.Popen[str]] = []
    program = (
        f"import sys; sys.path[:0] = [{str(PUBLISHER.parent)!r}]; import publisher; from pathlib import Path; "
        f"print(publisher.publish(Path({str(tmp_path)!r}), 'model', publisher.write))"
    )

    def slow(folder: Path, version: int) -> None:
        _write(folder, version)
        second.append(subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True))
        # It can't get past the lock; were there none, it would end while this one still writes.
        with pytest.raises(subprocess.TimeoutExpired):
            second[0].wait(2)
        assert (folder / "saved_model.pb").exists()

    first = publish.publish(tmp_path, "model", slow)

    assert first == 1
    assert second[0].communicate(timeout=250)[0].strip() == "2"
    assert _publish(publishers, tmp_path) == "3"


def test_a_number_is_on_the_disk_before_a_reader_can_see_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps what was flushed: so the number's file, and the folder that names it, are flushed before the rename."""
    model = tmp_path / "model"
    told: list[str] = []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(descriptor: int) -> None:
        told.append(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path).as_posix())
        fsync(descriptor)

    def watched_rename(source: Path, target: Path) -> None:
        told.append(f"rename to {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)

    publish.publish(tmp_path, model.name, _write)

    digests, weights = (f"model/.staging/{name}" for name in (f"{EXTRA}/{DIGESTS}", "saved_model.pb"))
    of_version = [digests, f"model/.staging/{EXTRA}", weights, "model/.staging"]
    assert told == [".", *of_version, "model/.last_version.new", "model", "rename to 1", "model"]


def test_none_but_their_owner_may_change_what_is_published_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        publish.publish(tmp_path, "model", _write)
    finally:
        os.umask(umask)

    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "model" / "1", tmp_path / "model" / "1" / "saved_model.pb")] == [0o755, 0o644]


def test_a_version_whose_name_the_disk_does_not_confirm_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if (tmp_path / "model" / "1").exists():
            raise OSError(errno.EIO, "scripted")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="scripted"):
            publish.publish(tmp_path, "model", _write)

    assert publish.versions(tmp_path, "model") == []
    assert publish.publish(tmp_path, "model", _write) == 2


def test_a_folder_that_cannot_be_flushed_since_it_cannot_be_read_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def failing(path: Any) -> Any:
        # Clearing up goes by descriptors.
        if not isinstance(path, int) and Path(path).name == "variables":
            raise OSError(errno.EIO, "scripted")
        return scandir(path)

    def write(folder: Path, version: int) -> None:
        _write(folder, version)
        (folder / "variables").mkdir()

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        with pytest.raises(OSError, match="scripted"):
            publish.publish(tmp_path, "model", write)

    assert publish.versions(tmp_path, "model") == []


def test_what_stands_in_the_place_by_then_is_neither_overwritten_nor_taken_away(tmp_path: Path) -> None:
    def overtaken(folder: Path, version: int) -> None:
        _write(folder, version)
        other = folder.parent / str(version)
        other.mkdir()
        (other / "saved_model.pb").write_text("another's")

    with pytest.raises(OSError, match="not empty"):
        publish.publish(tmp_path, "model", overtaken)

    assert (tmp_path / "model" / "1" / "saved_model.pb").read_text() == "another's"
    assert publish.publish(tmp_path, "model", _write) == 2


def test_a_damaged_count_of_numbers_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    publish.publish(tmp_path, "model", _write)
    (tmp_path / "model" / ".last_version").write_text("1\x00")

    with pytest.raises(RepositoryError, match=r"\.last_version: not a number; write the greatest"):
        publish.publish(tmp_path, "model", _write)

    assert publish.versions(tmp_path, "model") == [1]
    assert not (tmp_path / "model" / ".staging").exists()


def test_numbers_begin_at_1_and_grow_by_1(tmp_path: Path) -> None:
    numbers = [publish.publish(tmp_path, "model", _write) for _ in range(3)]

    assert numbers == publish.versions(tmp_path, "model") == [1, 2, 3]


def test_a_number_is_not_used_again_after_the_newest_version_was_removed(tmp_path: Path) -> None:
    publish.publish(tmp_path, "model", _write)
    newest = publish.publish(tmp_path, "model", _write)
    shutil.rmtree(tmp_path / "model" / str(newest))

    following = publish.publish(tmp_path, "model", _write)

    assert following == 3
    assert publish.versions(tmp_path, "model") == [1, 3]


def test_a_version_that_something_else_put_there_counts(tmp_path: Path) -> None:
    (tmp_path / "model" / "00041").mkdir(parents=True)

    assert publish.publish(tmp_path, "model", _write) == 42


def test_versions_are_in_the_order_of_their_numbers_and_nothing_else_is_one(tmp_path: Path) -> None:
    for name in ("10", "9", ".staging", "latest", "-1", "1.0", "\N{ARABIC-INDIC DIGIT THREE}"):
        (tmp_path / "model" / name).mkdir(parents=True)
    (tmp_path / "model" / "11").touch()

    assert publish.versions(tmp_path, "model") == [9, 10]


def test_a_model_that_nobody_published_has_no_versions(tmp_path: Path) -> None:
    assert publish.versions(tmp_path, "model") == []


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_a_writer_that_fails_publishes_nothing_and_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    publish.publish(tmp_path, "model", _write)

    def failing(folder: Path, version: int) -> None:
        _write(folder, version)
        raise error

    with pytest.raises(error):
        publish.publish(tmp_path, "model", failing)

    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [".last_version", ".publish.lock", "1"]
    assert publish.publish(tmp_path, "model", _write) == 2


def test_preparing_shows_no_version_and_takes_no_number(tmp_path: Path) -> None:
    publish.prepare(tmp_path / "new", "model")

    assert publish.versions(tmp_path / "new", "model") == []
    assert publish.publish(tmp_path / "new", "model", _write) == 1


def test_preparing_refuses_a_repository_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotADirectoryError):
        publish.prepare(tmp_path / "file", "model")


def _in_use(**changes: Any) -> publish.InUse:
    return publish.InUse(**({"labels": {}, "serving": frozenset({1, 2}), "coming": frozenset()} | changes))


def test_a_retired_version_is_out_of_sight_and_its_number_stays_spent(tmp_path: Path) -> None:
    for _ in range(2):
        publish.publish(tmp_path, "model", _write)

    place = publish.retire(tmp_path, "model", 1, in_use=_in_use())

    assert publish.versions(tmp_path, "model") == [2]
    assert (place / "saved_model.pb").read_text() == "1"
    assert publish.publish(tmp_path, "model", _write) == 3


def test_a_newest_version_that_does_not_serve_may_go_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        publish.publish(tmp_path, "model", _write)
    # As where something else put the versions there.
    (tmp_path / "model" / ".last_version").unlink()

    publish.retire(tmp_path, "model", 2, in_use=_in_use(serving=frozenset({1})))

    assert publish.versions(tmp_path, "model") == [1]
    assert publish.publish(tmp_path, "model", _write) == 3
