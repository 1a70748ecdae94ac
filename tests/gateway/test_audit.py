"""The audit: one line a call, whole, in order, and nothing in it that says who the patient is."""

import errno
import hashlib
import hmac
import json
import os
import stat
import threading
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway import audit
from gateway.audit import AuditEvent, AuditLog
from gateway.call import Action, Call, Principal, PurposeOfUse, Route, Selector
from gateway.manifest import InputSpec, Manifest, OutputSpec
from gateway.tensor import DType

CALL = Call(
    method="/medserve.v1.InferenceService/Infer", action=Action.INFER, request_id="r-1", selectors=(Selector(model="digits"),),
    authorization="Bearer msk_secret", timeout_seconds=1.0, size_bytes=42, purpose_of_use=PurposeOfUse.TREATMENT,
    study_key="1.2.840.1", patient_key="Doe^Jane",
)  # fmt: skip
PRINCIPAL = Principal(key_id="key1", tenant="ward", models=frozenset(), actions=frozenset())
MANIFEST = Manifest(
    name="digits", version=3, signature_name="s", weights_digest="sha256:ab",
    inputs={"x": InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,))}, outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))},
)  # fmt: skip
ROUTE = Route(model="digits", version=3, label="stable", manifest=MANIFEST)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "audit.jsonl"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "secret.key"


def record(log: AuditLog, call: Call = CALL, **changes: Any) -> None:
    given: dict[str, Any] = {
        "principal": PRINCIPAL, "model": "digits", "route": ROUTE, "version": 3, "code": "OK", "reason": "", "duration_seconds": 0.0015,
    }  # fmt: skip
    log.record_call(call, **(given | changes))


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def numbered(number: int) -> Call:
    return replace(CALL, request_id=f"r-{number}")


def test_an_event_says_who_asked_what_of_which_weights_and_how_it_ended(file: Path, secret_file: Path) -> None:
    log = AuditLog(file, secret_file)
    record(log)
    log.close()

    (event,) = lines(file)
    secret = secret_file.read_bytes()
    when = datetime.fromisoformat(event.pop("time"))
    assert when.utcoffset() == timedelta(0)
    assert event == {
        "request_id": "r-1", "method": "/medserve.v1.InferenceService/Infer", "action": "infer", "code": "OK", "tenant": "ward", "key_id": "key1",
        "model": "digits", "version": 3, "label": "stable", "weights_digest": "sha256:ab", "purpose_of_use": "TREAT",
        "study": hmac.new(secret, b"1.2.840.1", hashlib.sha256).hexdigest(), "patient": hmac.new(secret, b"Doe^Jane", hashlib.sha256).hexdigest(),
        "size_bytes": 42, "duration_ms": 1.5,
    }  # fmt: skip
    assert msgspec.json.decode(file.read_bytes().splitlines()[0], type=AuditEvent).method == CALL.method


def test_neither_the_keys_of_the_patient_nor_that_of_the_caller_are_written(file: Path, secret_file: Path) -> None:
    log = AuditLog(file, secret_file)
    record(log)
    log.close()

    written = file.read_text()
    assert not any(text in written for text in ("Doe", "1.2.840", "msk_secret"))
    assert hashlib.sha256(b"Doe^Jane").hexdigest() not in written


def test_one_study_has_one_hash_across_restarts_and_another_under_another_secret(file: Path, secret_file: Path, tmp_path: Path) -> None:
    hashes = []
    for secret in (secret_file, secret_file, tmp_path / "other.key"):
        log = AuditLog(file, secret)
        record(log)
        log.close()
        hashes.append(lines(file)[-1]["study"])

    assert hashes[0] == hashes[1] != hashes[2]


def test_files_are_for_their_owner_alone(file: Path, secret_file: Path) -> None:
    AuditLog(file, secret_file).close()

    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, secret_file)} == {0o600}


def test_a_secret_that_is_none_stops_the_start(file: Path, secret_file: Path) -> None:
    secret_file.parent.mkdir()
    secret_file.write_bytes(b"")

    with pytest.raises(ValueError, match="32 bytes or more"):
        AuditLog(file, secret_file)


def test_two_that_start_at_once_share_one_secret(tmp_path: Path) -> None:
    secrets: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        secrets.append(audit._read_or_make_secret(tmp_path / "secret.key"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(secrets) == 8
    assert len(set(secrets)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_closing_writes_all_that_was_taken_on_in_order(file: Path, secret_file: Path) -> None:
    log = AuditLog(file, secret_file)
    for number in range(5000):
        record(log, numbered(number))

    log.close()

    assert [event["request_id"] for event in lines(file)] == [f"r-{number}" for number in range(5000)]


def test_a_full_disk_is_waited_for_and_nothing_is_lost(file: Path, secret_file: Path, monkeypatch: pytest.MonkeyPatch, log: StringIO) -> None:
    real, failures = os.write, [errno.ENOSPC, errno.ENOSPC, errno.EIO]

    def write(descriptor: int, content: bytes) -> int:
        if failures:
            raise OSError(failures.pop(), "no")
        # Half of it at a time: a disk that is nearly full takes what it can.
        return real(descriptor, bytes(content[: max(1, len(content) // 2)]))

    monkeypatch.setattr("gateway.audit._RETRY_SECONDS", 0.0)
    audited = AuditLog(file, secret_file)
    monkeypatch.setattr("gateway.audit.os.write", write)
    for number in range(3):
        record(audited, numbered(number))
    audited.close()

    assert [event["request_id"] for event in lines(file)] == ["r-0", "r-1", "r-2"]
    assert log.getvalue().count("audit not written: trying again") == 3


def test_a_disk_that_stays_full_ends_the_closing_and_is_said(file: Path, secret_file: Path, monkeypatch: pytest.MonkeyPatch, log: StringIO) -> None:
    def write(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr("gateway.audit._RETRY_SECONDS", 0.0)
    monkeypatch.setattr("gateway.audit._CLOSE_SECONDS", 0.0)
    audited = AuditLog(file, secret_file)
    monkeypatch.setattr("gateway.audit.os.write", write)
    record(audited)

    audited.close()

    assert "audit events lost" in log.getvalue()


def test_while_the_disk_is_far_behind_there_is_no_room_and_taking_on_never_waits(
    file: Path, secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, stalled, real = threading.Event(), threading.Event(), os.write

    def write(descriptor: int, content: bytes) -> int:
        reached.set()
        stalled.wait(60)
        return real(descriptor, content)

    monkeypatch.setattr("gateway.audit.MAX_QUEUED_EVENTS", 10)
    audited = AuditLog(file, secret_file)
    monkeypatch.setattr("gateway.audit.os.write", write)
    had_room = audited.has_room
    record(audited, numbered(0))
    # The disk has the first one in hand: the others wait behind it.
    assert reached.wait(60)
    for number in range(1, 50):
        record(audited, numbered(number))
    has_room = audited.has_room
    stalled.set()
    audited.close()

    assert (had_room, has_room) == (True, False)
    assert len(lines(file)) == 50


def test_a_line_that_a_killed_process_left_half_written_spoils_no_other(file: Path, secret_file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"request_id": "whole"}\n{"request_id": "ha')
    for number in range(2):
        log = AuditLog(file, secret_file)
        record(log, numbered(number))
        log.close()

    written = file.read_text().splitlines()
    assert written[:2] == ['{"request_id": "whole"}', '{"request_id": "ha']
    assert [json.loads(line)["request_id"] for line in written[2:]] == ["r-0", "r-1"]


@pytest.mark.parametrize(
    ("changes", "present", "absent"),
    [
        ({"principal": None, "model": "", "route": None, "version": None, "code": "UNAUTHENTICATED", "reason": "CREDENTIALS_MISSING"},
         {"code", "reason"}, {"tenant", "key_id", "model", "version", "label", "weights_digest"}),
        ({"route": Route(model="made up", version=None, label="made up"), "model": "", "version": None, "code": "NOT_FOUND"},
         {"tenant", "code"}, {"model", "label", "version", "reason", "weights_digest"}),
    ],
)  # fmt: skip
def test_what_is_not_known_is_not_written(file: Path, secret_file: Path, changes: dict[str, Any], present: set[str], absent: set[str]) -> None:
    log = AuditLog(file, secret_file)
    record(log, **changes)
    log.close()

    (event,) = lines(file)
    assert present <= event.keys()
    assert not absent & event.keys()
    assert "made up" not in file.read_text()
