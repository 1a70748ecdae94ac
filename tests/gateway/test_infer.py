"""One item's way through the pipeline: on which thread, within which time, and what is recorded of it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pytest
from msgspec.structs import replace

from gateway.admission import Admission, AdmissionLimits
from gateway.audit import AuditLog
from gateway.authenticate import Authenticator
from gateway.call import Action, Call, Route, Selector
from gateway.catalog import Catalog, PublishedVersion, VersionState
from gateway.errors import DeadlineExceeded, InternalError, VersionNotReady
from gateway.item import Item, Quantity, Record
from gateway.manifest import FeatureSpec, InputSpec, Manifest, OutputSpec, RecordInput
from gateway.metrics import Metrics
from gateway.pipeline import Inference, Pipeline
from gateway.preprocess import InputLimits, Prepared, Preprocessor
from gateway.tensor import DType, Tensor
from medserve.keys import create_key

LIMITS = AdmissionLimits(
    max_request_bytes=100, max_elements=1000, max_calls=9, max_calls_per_tenant=9,
    default_timeout_seconds=60.0, max_timeout_seconds=60.0, min_timeout_seconds=0.002,
)  # fmt: skip
MANIFEST = Manifest(
    name="m", version=1, signature_name="serving_default", weights_digest="sha256:1",
    inputs={
        "x": InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,), medium=RecordInput(features={"a": FeatureSpec(name="a", unit="mg/dL")})),
    },
    outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))},
)  # fmt: skip


class Watched(Preprocessor):
    """A real one that says on which threads it prepared, and waits where it is told to."""

    def __init__(self) -> None:
        super().__init__(InputLimits(max_elements=10, max_pixels=1))
        self.threads: list[str] = []
        self.go = threading.Event()
        self.go.set()

    def prepare(self, manifest: Manifest, item: Item) -> Prepared:
        self.threads.append(threading.current_thread().name)
        self.go.wait(60)
        return super().prepare(manifest, item)


class Backend:
    """Answers with one number, unless it is told otherwise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()
        self.ended: list[str] = []

    async def predict(self, _: Route, __: Mapping[str, Tensor], ___: float) -> dict[str, Tensor]:
        if self.error is not None:
            raise self.error
        self.asked.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        return {"y": Tensor.of(np.zeros(1, np.float32))}

    async def refresh(self, _: str) -> None:
        """Asks where the versions stand, which takes for ever."""
        await asyncio.sleep(3600)


class Bench:
    """A pipeline of real stages in front of a model server that isn't."""

    def __init__(self, folder: Path) -> None:
        _, key = create_key(folder / "keys.json", tenant="ward", models=["m"], actions=["infer"])
        self.call = Call(method="/s/m", action=Action.INFER, request_id="r", authorization=f"Bearer {key}", timeout_seconds=None, size_bytes=1)
        self.file = folder / "audit.jsonl"
        self.audit = AuditLog(self.file, folder / "secret.key")
        self.admission = Admission(LIMITS)
        self.preprocessor, self.backend = Watched(), Backend()
        published = {"m": {1: PublishedVersion(manifest=MANIFEST, document=b"")}}
        catalog = Catalog(labels={}, published=published, states={"m": MappingProxyType({1: VersionState.AVAILABLE})})
        self.pipeline = Pipeline(
            authenticator=Authenticator(folder / "keys.json"), admission=self.admission, catalog=catalog, preprocessor=self.preprocessor,
            backend=cast("Any", self.backend), status_watch=cast("Any", self.backend), audit=self.audit, metrics=Metrics(), decoding_threads=1,
        )  # fmt: skip

    async def infer(
        self, unit: str = "mg/dL", *, timeout_seconds: float | None = None, write: Callable[[Inference], bytes] = lambda _: b"answer"
    ) -> bytes:
        def parse(call: Call) -> tuple[Call, Item]:
            return replace(call, selectors=(Selector(model="m"),)), Item(inputs={"x": Record(features={"a": Quantity(value=1, unit=unit)})})

        return await self.pipeline.infer(replace(self.call, timeout_seconds=timeout_seconds), parse, write)

    def events(self) -> list[tuple[str, str]]:
        self.pipeline.close()
        self.audit.close()
        return [(event["code"], event.get("reason", "")) for event in map(json.loads, self.file.read_text().splitlines())]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("gateway.units._found", {})
    made = Bench(tmp_path)
    yield made
    made.preprocessor.go.set()
    made.pipeline.close()


def test_a_unit_is_read_on_a_thread_of_its_own_and_known_on_the_event_loops(bench: Bench) -> None:
    async def ask() -> None:
        for unit in ("mg/dL", "g/L", "g/L"):
            await bench.infer(unit)

    asyncio.run(ask())

    here = threading.current_thread().name
    assert bench.preprocessor.threads == [here, "decode_0", here]


def test_a_call_that_waits_for_a_thread_ends_at_its_deadline_and_its_item_is_not_prepared(bench: Bench) -> None:
    bench.preprocessor.go.clear()

    async def ask() -> bytes:
        first = asyncio.create_task(bench.infer("g/L"))
        # It takes the only thread.
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await bench.infer("g/mL", timeout_seconds=0.05)
        bench.preprocessor.go.set()
        return await first

    assert asyncio.run(ask()) == b"answer"
    assert len(bench.preprocessor.threads) == 1
    assert bench.admission.in_flight == 0
    assert bench.events() == [("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"), ("OK", "")]


def test_a_call_that_finds_its_version_gone_waits_for_news_no_longer_than_its_deadline(bench: Bench) -> None:
    bench.backend.error = VersionNotReady("gone")

    with pytest.raises(DeadlineExceeded):
        asyncio.run(bench.infer(timeout_seconds=0.05))

    assert bench.events() == [("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")]


def test_a_caller_that_goes_away_ends_the_model_servers_work(bench: Bench) -> None:
    bench.backend.go.clear()

    async def ask() -> None:
        call = asyncio.create_task(bench.infer())
        await bench.backend.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(ask())

    assert bench.backend.ended == ["cancelled"]
    assert bench.admission.in_flight == 0
    assert bench.events() == [("CANCELLED", "")]


def test_an_answer_that_can_not_be_written_is_recorded_as_what_the_caller_gets(bench: Bench) -> None:
    def fail(_: Inference) -> bytes:
        message = "larger than a message can be"
        raise ValueError(message)

    with pytest.raises(InternalError):
        asyncio.run(bench.infer(write=fail))

    assert bench.events() == [("INTERNAL", "INTERNAL")]
