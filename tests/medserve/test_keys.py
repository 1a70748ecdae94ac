"""The key file: who may read it, what a crash or a second writer does to it, and what is refused."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from medserve.keys import KeysFileError, create_key, hash_secret, parse_key, read_keys, revoke_key, write_secret

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def create(path: Path, **changes: Any) -> str:
    arguments: dict[str, Any] = {"tenant": "radiology", "models": ["digits"], "actions": ["infer"]} | changes
    return create_key(path, **arguments)[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "api_keys.json"


def test_a_key_is_kept_as_a_hash_in_a_file_that_only_its_owner_may_read(file: Path) -> None:
    text = create(file)

    parsed = parse_key(text)
    assert parsed is not None
    key_id, secret = parsed
    (key,) = read_keys(file)
    assert (key.key_id, key.secret_sha256, key.tenant, key.models, key.actions) == (
        key_id, hash_secret(secret), "radiology", ("digits",), ("infer",)
    )  # fmt: skip
    assert secret not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_umask_lets_others_in(file: Path) -> None:
    before = os.umask(0)
    try:
        create(file)
        write_secret(file.parent / "secret", "text")
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o077 for path in file.parent.iterdir()} == {0}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    create(file)
    file.chmod(mode)

    with pytest.raises(KeysFileError, match="chmod 600"):
        read_keys(file)


@pytest.mark.parametrize(
    "text",
    ["", "msk_", "msk_" + "a" * 12 + "_" + "b" * 42, "msk_" + "A" * 12 + "_" + "b" * 43, " msk_" + "a" * 12 + "_" + "b" * 43,
     "msk_" + "a" * 12 + "_" + "b" * 43 + "\n", "msk_" + "٣" * 12 + "_" + "b" * 43],
)  # fmt: skip
def test_what_is_no_key_is_not_taken_for_one(text: str) -> None:
    assert parse_key(text) is None


def test_every_key_is_another(file: Path) -> None:
    texts = {create(file) for _ in range(5)}

    assert len(texts) == 5
    assert {f"msk_{key.key_id}" for key in read_keys(file)} == {text[:16] for text in texts}


def test_a_revoked_key_stays_in_the_file_and_is_not_valid(file: Path) -> None:
    create(file)
    create(file)
    first, second = read_keys(file)

    revoked = revoke_key(file, first.key_id)

    assert read_keys(file) == (revoked, second)
    assert not revoked.is_valid_at(NOW)
    assert second.is_valid_at(NOW)


def test_a_key_that_is_revoked_twice_keeps_its_first_time(file: Path) -> None:
    create(file)
    key_id = read_keys(file)[0].key_id

    assert revoke_key(file, key_id) == revoke_key(file, key_id)


def test_a_key_that_there_is_not_cannot_be_revoked(file: Path) -> None:
    create(file)

    with pytest.raises(KeysFileError, match="no key nobody"):
        revoke_key(file, "nobody")


def test_revoking_in_a_file_that_there_is_not_makes_none(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        revoke_key(file, "nobody")

    assert not file.parent.exists()


def test_a_key_is_valid_until_it_expires(file: Path) -> None:
    create(file, expire_time=NOW)
    (key,) = read_keys(file)

    assert key.is_valid_at(NOW - timedelta(microseconds=1))
    assert not key.is_valid_at(NOW)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"actions": []}, "actions"),
        ({"actions": ["infer", "delete"]}, "delete"),
        ({"models": []}, "models"),
        ({"actions": ["reload"], "models": ["digits"]}, "every model"),
        ({"models": [""]}, "models"),
        ({"tenant": ""}, "tenant"),
        ({"expire_time": datetime(2026, 11, 24)}, "time zone"),  # noqa: DTZ001 - the fault
    ],
)
def test_a_key_that_allows_nothing_or_is_unclear_is_not_made(file: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(KeysFileError, match=named):
        create(file, **changes)

    assert not file.exists()


def _document(file: Path) -> dict[str, Any]:
    create(file)
    document: dict[str, Any] = json.loads(file.read_text())
    return document


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda _: b"", "not a key file"),
        (lambda _: b"\xff\xfe", "not a key file"),
        (lambda _: b"[]", "not a key file"),
        (lambda document: document | {"version": 2}, "version"),
        (lambda document: {"keys": [{**document["keys"][0], "secret_sha256": "é" * 64}]}, "secret_sha256"),
        (lambda document: {"keys": [{**document["keys"][0], "create_time": "2026-11-24T12:00:00"}]}, "create_time"),
        (lambda document: {"keys": [{**document["keys"][0], "models": "digits"}]}, "models"),
        (lambda document: {"keys": [{**document["keys"][0], "scope": "all"}]}, "scope"),
        (lambda document: {"keys": document["keys"] * 2}, "one id"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(file: Path, change: Callable[[dict[str, Any]], Any], named: str) -> None:
    changed = change(_document(file))
    file.write_bytes(changed if isinstance(changed, bytes) else json.dumps(changed).encode())

    with pytest.raises(KeysFileError, match=named) as caught:
        read_keys(file)

    assert str(file) in str(caught.value)


def test_a_damaged_file_is_not_overwritten(file: Path) -> None:
    create(file)
    file.write_bytes(b"half a fi")

    with pytest.raises(KeysFileError):
        create(file)

    assert file.read_bytes() == b"half a fi"


_WRITER = """
import sys
from pathlib import Path
from medserve.keys import create_key
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    create_key(Path(sys.argv[1]), tenant="t", models=["*"], actions=["read"], note=sys.argv[3])
"""


def _writer(file: Path, count: int, note: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _WRITER, file, str(count), note], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_two_writers_at_once_lose_nothing(file: Path) -> None:
    writers = [_writer(file, 20, note) for note in "ab"]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"

    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()

    assert sorted(key.note for key in read_keys(file)) == ["a"] * 20 + ["b"] * 20


def test_a_writer_that_is_killed_leaves_a_whole_file(file: Path) -> None:
    create(file)
    most = 0
    for _ in range(5):
        with _writer(file, 100_000, "x") as writer:
            assert writer.stdout is not None
            assert writer.stdin is not None
            writer.stdout.readline()
            writer.stdin.write(b"go\n")
            writer.stdin.flush()
            start = len(read_keys(file))
            # Whole at every moment before the kill as well: each of these would fail on half a file.
            while len(read_keys(file)) < start + 3:
                assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
        most = max(most, len(read_keys(file)))

    create(file)
    assert len(read_keys(file)) > most >= 15


def test_a_write_that_fails_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(file)
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        create(file)

    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == [".api_keys.json.lock", "api_keys.json"]


def test_a_secret_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret"

    write_secret(file, "text\n")

    assert (file.read_text(), file.stat().st_mode & 0o777) == ("text\n", 0o600)
    with pytest.raises(FileExistsError):
        write_secret(file, "other")
    assert file.read_text() == "text\n"


def test_a_secret_that_cannot_be_written_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_secret(tmp_path / "secret", "text")

    assert list(tmp_path.iterdir()) == []


def test_a_file_of_this_release_is_read(file: Path) -> None:
    key = {
        "key_id": "abcdefghijk1", "secret_sha256": "0" * 64, "tenant": "radiology", "models": ["*"], "actions": ["infer", "read"],
        "create_time": "2026-11-24T12:00:00Z", "expire_time": "2026-11-24T13:00:00+01:00",
    }  # fmt: skip
    write_secret(file, json.dumps({"keys": [key]}))

    (read,) = read_keys(file)

    assert (read.create_time, read.expire_time, read.revoke_time, read.note) == (NOW, NOW, None, "")
