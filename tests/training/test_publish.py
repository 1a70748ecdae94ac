import signal
import subprocess
import sys
from pathlib import Path

import pytest

from training import publish

PUBLISHER = Path(__file__).with_name("publisher.py")
NEVER = 0
# More than a publication has; so many steps without a survivor mean that the publisher never ends.
MOST_STEPS = 200


def _start(root: Path, fatal_step: int = NEVER) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, PUBLISHER, root, str(fatal_step)], stdout=subprocess.PIPE, text=True)


def _publish(root: Path, fatal_step: int = NEVER) -> int | None:
    """The number that was published; None where the publisher was killed."""
    with _start(root, fatal_step) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode in {0, -signal.SIGKILL}, output
    return int(output) if output else None


def _visible(root: Path) -> list[int]:
    """The versions that a reader sees, each of which must be whole."""
    numbers = publish.versions(root, "model")
    for number in numbers:
        folder = root / "model" / str(number)
        files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
        whole = f"{number}\n" * 20_000
        assert files == {"saved_model.pb": whole, "variables/data": whole, "manifest": whole}
    return numbers


def _write(folder: Path, version: int) -> None:
    (folder / "saved_model.pb").write_text(str(version))


def test_a_publisher_killed_at_any_step_shows_nothing_or_a_whole_version_and_the_next_one_succeeds(tmp_path: Path) -> None:
    seen: list[int] = []
    killed, survived = 0, False
    for fatal_step in range(1, MOST_STEPS):
        survived = _publish(tmp_path, fatal_step) is not None
        after = _visible(tmp_path)
        assert after[: len(seen)] == seen
        following = _publish(tmp_path)
        assert following is not None
        assert following not in after
        assert following > max([0, *after])
        seen = _visible(tmp_path)
        assert seen[-1] == following
        if survived:
            break
        killed += 1

    assert survived
    # Three files opened, written twice and flushed, the number, the rename, the folders: were it fewer, the hook would have missed some.
    assert killed >= 40


def test_the_first_publisher_of_a_model_may_be_killed_at_any_step(tmp_path: Path) -> None:
    survived = False
    for fatal_step in range(1, MOST_STEPS):
        root = tmp_path / str(fatal_step)
        survived = _publish(root, fatal_step) is not None
        before = _visible(root)

        following = _publish(root)

        assert following is not None
        assert _visible(root) == [*before, following]
        if survived:
            break

    assert survived


def test_publishers_at_the_same_time_never_take_the_same_number(tmp_path: Path) -> None:
    processes = [_start(tmp_path) for _ in range(6)]

    numbers = [int(process.communicate(timeout=60)[0]) for process in processes]

    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert _visible(tmp_path) == [1, 2, 3, 4, 5, 6]


def test_a_publisher_waits_for_the_one_before_it_and_leaves_its_folder_alone(tmp_path: Path) -> None:
    second: list[subprocess.Popen[str]] = []

    def slow(folder: Path, version: int) -> None:
        _write(folder, version)
        second.append(_start(tmp_path))
        # It can't get past the lock; were there none, it would end while this one still writes.
        with pytest.raises(subprocess.TimeoutExpired):
            second[0].wait(1)
        assert (folder / "saved_model.pb").exists()

    first = publish.publish(tmp_path, "model", slow)

    assert first == 1
    assert second[0].communicate(timeout=60)[0].strip() == "2"


def test_numbers_begin_at_1_and_grow_by_1(tmp_path: Path) -> None:
    numbers = [publish.publish(tmp_path, "model", _write) for _ in range(3)]

    assert numbers == publish.versions(tmp_path, "model") == [1, 2, 3]


def test_a_number_is_not_used_again_after_the_newest_version_was_removed(tmp_path: Path) -> None:
    publish.publish(tmp_path, "model", _write)
    newest = publish.publish(tmp_path, "model", _write)
    (tmp_path / "model" / str(newest) / "saved_model.pb").unlink()
    (tmp_path / "model" / str(newest)).rmdir()

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
