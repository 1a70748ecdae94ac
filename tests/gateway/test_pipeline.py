"""The ends that every call passes: who is asked first, what is recorded, and what a defect leaves behind."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from msgspec.structs import replace

from gateway.admission import Admission, AdmissionLimits
from gateway.audit import AuditLog
from gateway.authenticate import Authenticator
from gateway.call import Action, Call, Principal, Selector
from gateway.catalog import Catalog
from gateway.errors import CredentialsMissing, InternalError, MedserveError, ModelNotAllowed, RequestTooLarge, TooManyCalls
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.preprocess import InputLimits, Preprocessor
from medserve.keys import create_key

SECRET = "Doe^Jane"
LIMITS = AdmissionLimits(
    max_request_bytes=100, max_elements=1000, max_calls=3, max_calls_per_tenant=2,
    default_timeout_seconds=10.0, max_timeout_seconds=60.0, min_timeout_seconds=0.002,
)  # fmt: skip


class Bench:
    """A pipeline of real stages without a model server."""

    def __init__(self, folder: Path) -> None:
        _, key = create_key(folder / "keys.json", tenant="ward", models=["digits"], actions=["read"])
        self.call = Call(method="/s/m", action=Action.READ, request_id="bare", authorization=f"Bearer {key}", timeout_seconds=None, size_bytes=1)
        self.file = folder / "audit.jsonl"
        self.audit = AuditLog(self.file, folder / "secret.key")
        self.admission = Admission(LIMITS)
        self.metrics = Metrics()
        self.pipeline = Pipeline(
            authenticator=Authenticator(folder / "keys.json"), admission=self.admission, catalog=Catalog(labels={}),
            preprocessor=Preprocessor(InputLimits(max_elements=1, max_pixels=1)), backend=cast("Any", None), status_watch=cast("Any", None),
            audit=self.audit, metrics=self.metrics, decoding_threads=1,
        )  # fmt: skip

    def read(self, call: Call, parse: Callable[[Call], tuple[Call, None]], look_up: Callable[..., str]) -> str:
        return asyncio.run(self.pipeline.read(call, parse, look_up))

    def events(self) -> list[dict[str, Any]]:
        self.pipeline.close()
        self.audit.close()
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.pipeline.close()


def as_named(call: Call) -> tuple[Call, None]:
    return replace(call, request_id="named", selectors=(Selector(model="digits"),)), None


def answer(_: Principal, __: Catalog, ___: None) -> str:
    return "answer"


def defect(_: Principal, __: Catalog, ___: None) -> NoReturn:
    raise ValueError(SECRET)


def broken(_: Principal, __: Catalog, ___: None) -> NoReturn:
    raise InternalError("two and two are four")


def cancelled(_: Principal, __: Catalog, ___: None) -> NoReturn:
    raise asyncio.CancelledError


def never(_: Call) -> NoReturn:
    message = "parsed before its sender was known"
    raise AssertionError(message)


def test_a_message_is_parsed_only_once_its_sender_is_known(bench: Bench) -> None:
    with pytest.raises(CredentialsMissing):
        bench.read(replace(bench.call, authorization=""), never, answer)

    assert [(event["code"], event["reason"]) for event in bench.events()] == [("UNAUTHENTICATED", "CREDENTIALS_MISSING")]


def other_model(call: Call) -> tuple[Call, None]:
    return replace(call, selectors=(Selector(model="ecg"),)), None


@pytest.mark.parametrize(
    ("change", "parse", "error"),
    [
        ({"authorization": ""}, as_named, CredentialsMissing),
        ({"size_bytes": 101}, other_model, ModelNotAllowed),
        ({"size_bytes": 101}, as_named, RequestTooLarge),
    ],
)
def test_the_stages_come_in_their_order(
    bench: Bench, change: dict[str, Any], parse: Callable[[Call], tuple[Call, None]], error: type[MedserveError]
) -> None:
    with pytest.raises(error) as caught:
        bench.read(replace(bench.call, **change), parse, answer)

    assert [event["reason"] for event in bench.events()] == [error.reason]
    assert caught.value.request_id in {"bare", "named"}


@pytest.mark.parametrize(
    ("look_up", "raised", "code"),
    [(answer, None, "OK"), (defect, InternalError, "INTERNAL"), (cancelled, asyncio.CancelledError, "CANCELLED")],
)
def test_however_a_call_ends_its_place_is_free_and_one_event_is_written(
    bench: Bench, log: StringIO, look_up: Callable[..., str], raised: type[BaseException] | None, code: str
) -> None:
    if raised is None:
        bench.read(bench.call, as_named, look_up)
    else:
        with pytest.raises(raised):
            bench.read(bench.call, as_named, look_up)

    assert bench.admission.in_flight == 0
    assert [(event["request_id"], event["code"], event["tenant"]) for event in bench.events()] == [("named", code, "ward")]
    assert SECRET not in log.getvalue()


def test_a_defect_is_told_to_the_caller_by_the_id_that_the_log_has_and_by_nothing_else(bench: Bench, log: StringIO) -> None:
    with pytest.raises(InternalError) as caught:
        bench.read(bench.call, as_named, defect)

    (line,) = [json.loads(line) for line in log.getvalue().splitlines() if "defect" in line]
    assert caught.value.request_id == line["request_id"] == "named"
    assert line["exception"][0]["type"] == "ValueError"
    assert SECRET not in caught.value.message


def test_an_invariant_that_does_not_hold_is_named_in_the_log_and_not_to_the_caller(bench: Bench, log: StringIO) -> None:
    told = []
    for look_up in (broken, defect):
        with pytest.raises(InternalError) as caught:
            bench.read(bench.call, as_named, look_up)
        told.append(caught.value.message)

    lines = [json.loads(line) for line in log.getvalue().splitlines() if "defect" in line]
    assert [line.get("invariant") for line in lines] == ["two and two are four", None]
    assert told == [told[0]] * 2
    assert "two and two" not in told[0]


def test_while_nothing_can_be_recorded_no_call_is_taken_on_and_nobody_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    go, real = threading.Event(), os.write

    def write(descriptor: int, content: bytes) -> int:
        go.wait(60)
        return real(descriptor, content)

    monkeypatch.setattr("gateway.audit.MAX_QUEUED_EVENTS", 3)
    monkeypatch.setattr("gateway.audit.os.write", write)
    answered: list[str] = []
    with pytest.raises(TooManyCalls, match="try again"):
        answered += (bench.read(bench.call, as_named, answer) for _ in range(20))
    go.set()

    assert len(answered) >= 3
    assert [event["code"] for event in bench.events()] == ["OK"] * len(answered)
