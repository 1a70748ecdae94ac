"""The process: how it starts, how it refuses to, and how it ends without losing an answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from medserve.v1 import catalog_pb2, inference_pb2, tensor_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.conftest import Peer, Running

ROOT = Path(__file__).parents[2]


def infer_request(model: str = "record", request_id: str = "") -> inference_pb2.InferRequest:
    request = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name=model))
    request.context.request_id = request_id
    request.inputs["x"].tensor.CopyFrom(
        tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[3], content=np.zeros(3, np.float32).tobytes())
    )
    return request


def start_and_fail(folder: Path, *settings: str) -> tuple[int, str]:
    """Runs a gateway that should not start; its status and what it says to who started it."""
    given = ("backend.address=127.0.0.1:1", "listen.port=0", "metrics.port=0", *settings)
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *(part for setting in given for part in ("--set", setting))],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, "\n".join(line for line in done.stderr.splitlines() if not line.startswith("{"))


@pytest.fixture
def taken() -> Any:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


# Starting.


def test_it_starts_without_a_model_server_and_finds_it_when_it_comes(
    start_gateway: Callable[..., Running], gone_peer: Peer, poll: Callable[..., Any]
) -> None:
    gateway = start_gateway(gone_peer.address)
    health: Any = health_pb2_grpc.HealthStub(gateway.channel)

    def serves(name: str) -> bool:
        reply = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=60)
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    assert not serves("")
    assert not serves("record")
    assert "medserve_gateway_backend_up 0.0" in gateway.metrics
    listed = gateway.catalog.ListModels(catalog_pb2.ListModelsRequest(), metadata=gateway.metadata(), timeout=60)
    assert [(model.name, model.ready) for model in listed.models] == [(name, False) for name in ("bedside", "clinic", "digits", "ecg", "record")]

    gone_peer.start()

    poll(lambda: serves("") and serves("record"), "the model server is found")
    assert gateway.inference.Infer(infer_request(), metadata=gateway.metadata(), timeout=60).findings
    assert "medserve_gateway_backend_up 1.0" in gateway.metrics


def test_it_starts_though_the_model_server_answers_nonsense(start_gateway: Callable[..., Running], peer: Peer) -> None:
    peer.script["GetModelStatus"] = lambda _, __: b"\xff\xff\xff\xff"

    gateway = start_gateway(peer.address)

    health: Any = health_pb2_grpc.HealthStub(gateway.channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=60).status == health_pb2.HealthCheckResponse.SERVING
    assert health.Check(health_pb2.HealthCheckRequest(service="record"), timeout=60).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert gateway.inference.Infer(infer_request(), metadata=gateway.metadata(), timeout=60).findings


def test_what_is_published_later_is_served_with_no_restart(
    start_gateway: Callable[..., Running], peer: Peer, poll: Callable[..., Any], tmp_path: Path
) -> None:
    gateway = start_gateway(peer.address)
    source, target = tmp_path / "var/models/record", tmp_path / "var/models/fresh"
    manifest = (source / "1/assets.extra/medserve_manifest.json").read_text().replace('"record"', '"fresh"')
    peer.versions["fresh"] = [1]

    (target / "1/assets.extra").mkdir(parents=True)
    (target / "1/assets.extra/.new").write_text(manifest)
    (target / "1/assets.extra/.new").rename(target / "1/assets.extra/medserve_manifest.json")

    def answered() -> Any:
        try:
            return gateway.inference.Infer(infer_request("fresh"), metadata=gateway.metadata(), timeout=60).findings
        except grpc.RpcError:
            return None

    assert poll(answered, "the new model answers")


def test_a_port_that_is_taken_is_said_and_ends_with_2(tmp_path: Path, taken: int) -> None:
    status, said = start_and_fail(tmp_path, f"listen.port={taken}")

    assert status == 2
    # gRPC's own core writes a line as well.
    assert said.endswith(
        f"gateway: listen: can't listen on 127.0.0.1:{taken}: another process may hold the port; choose one with --set listen.port=0"
    )


def test_a_metrics_port_that_is_taken_is_said_and_ends_with_2(tmp_path: Path, taken: int) -> None:
    status, said = start_and_fail(tmp_path, f"metrics.port={taken}")

    assert status == 2
    assert said == f"gateway: metrics: can't listen on 127.0.0.1:{taken} (Address already in use): choose another with --set metrics.port=0"


def a_file(folder: Path) -> None:
    (folder / "file").write_text("not what it should be")


def a_short_secret(folder: Path) -> None:
    (folder / "file").write_bytes(b"short")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["listen.tls.enabled=false", "listen.host=0.0.0.0"], "listen.tls.enabled: false is for loopback"),
        (["audit_file=file/audit.jsonl"], "audit_file"),
        (["audit_secret_file=file"], "audit_secret_file"),
        (["listen.tls.development_ca_folder=file"], "listen.tls.development_ca_folder"),
        (["listen.tls.certificate_file=absent.pem", "listen.tls.private_key_file=absent.pem"], "absent.pem: can't be read"),
        (["listen.tls.certificate_file=file", "listen.tls.private_key_file=file"], "both PEM"),
        (["log_level=LOUD"], "log_level"),
        (["metrics.host=no.such.host.invalid"], "metrics: can't listen on no.such.host.invalid:0"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_ends_with_2(tmp_path: Path, settings: list[str], named: str) -> None:
    a_file(tmp_path)
    if "audit_secret_file=file" in settings:
        a_short_secret(tmp_path)

    status, said = start_and_fail(tmp_path, *settings)

    assert status == 2
    assert named in said
    assert "Traceback" not in said


# Ending.


class Slow:
    """A model server's answer that waits until it is let go."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.reached, self.go = Event(), Event()

    def __call__(self, _: bytes, __: grpc.ServicerContext) -> bytes:
        self.reached.set()
        self.go.wait(60)
        return self.peer.answer([0.25, 0.75])


@pytest.fixture
def slow(peer: Peer) -> Any:
    script = Slow(peer)
    peer.script["Predict"] = script
    yield script
    script.go.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_accepted_call_is_answered_and_audited_and_a_new_one_is_sent_elsewhere(
    start_gateway: Callable[..., Running], peer: Peer, slow: Slow, poll: Callable[..., Any], number: int
) -> None:
    gateway = start_gateway(peer.address)
    health: Any = health_pb2_grpc.HealthStub(gateway.channel)
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(gateway.inference.Infer, infer_request(request_id="accepted"), metadata=gateway.metadata(), timeout=60)
        assert slow.reached.wait(60)

        gateway.process.send_signal(number)

        def is_stopping() -> bool:
            reply = health.Check(health_pb2.HealthCheckRequest(), timeout=60)
            return bool(reply.status == health_pb2.HealthCheckResponse.NOT_SERVING)

        poll(is_stopping, "health says that it is stopping")
        with pytest.raises(grpc.RpcError) as caught:
            gateway.inference.Infer(infer_request(request_id="late"), metadata=gateway.metadata(), timeout=60)
        slow.go.set()
        assert accepted.result(60).findings
    assert gateway.process.wait(60) == 0

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert {event["request_id"]: (event["code"], event.get("reason")) for event in gateway.audit} == {
        "late": ("UNAVAILABLE", "SHUTTING_DOWN"),
        "accepted": ("OK", None),
    }


def test_many_calls_under_way_are_all_answered_when_it_is_told_to_stop(start_gateway: Callable[..., Running], peer: Peer) -> None:
    gateway = start_gateway(peer.address)
    sent, enough = 0, Event()

    def count(_: bytes, __: grpc.ServicerContext) -> bytes:
        nonlocal sent
        sent += 1
        if sent >= 100:
            enough.set()
        return peer.answer([0.25, 0.75])

    def call(number: int) -> str:
        try:
            gateway.inference.Infer(infer_request(request_id=f"r-{number}"), metadata=gateway.metadata(), timeout=60)
        except grpc.RpcError as error:
            failed: Any = error
            return str(failed.code().name)
        return "OK"

    peer.script["Predict"] = count
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call, number) for number in range(2000)]
        assert enough.wait(60)
        gateway.process.send_signal(signal.SIGTERM)
        codes = [future.result() for future in calls]
    assert gateway.process.wait(60) == 0

    answered = codes.count("OK")
    # gRPC's core answers CANCELLED to what comes between the end of listening and the caller's hearing of it. None of those was accepted.
    assert set(codes) <= {"OK", "UNAVAILABLE", "CANCELLED"}
    assert answered >= 100
    assert [event["code"] for event in gateway.audit].count("OK") == answered
    assert {event["code"] for event in gateway.audit} <= {"OK", "UNAVAILABLE"}
    assert len({event["request_id"] for event in gateway.audit}) == len(gateway.audit)


def test_a_call_that_takes_longer_than_the_draining_is_cut_off_and_audited(start_gateway: Callable[..., Running], peer: Peer, slow: Slow) -> None:
    gateway = start_gateway(peer.address, "drain_seconds=0")
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(gateway.inference.Infer, infer_request(request_id="cut"), metadata=gateway.metadata(), timeout=60)
        assert slow.reached.wait(60)

        assert gateway.terminate() == 0
        slow.go.set()
        assert isinstance(cut.exception(60), grpc.RpcError)

    assert [(event["request_id"], event["code"]) for event in gateway.audit] == [("cut", "CANCELLED")]
    assert '"calls cut off"' in gateway.log


def test_whoever_watches_health_does_not_hold_it_up(start_gateway: Callable[..., Running], peer: Peer) -> None:
    gateway = start_gateway(peer.address)
    health: Any = health_pb2_grpc.HealthStub(gateway.channel)
    watch = health.Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING

    assert gateway.terminate() == 0


def test_stopping_leaves_no_log_of_a_defect(start_gateway: Callable[..., Running], peer: Peer) -> None:
    gateway = start_gateway(peer.address)
    gateway.inference.Infer(infer_request(), metadata=gateway.metadata(), timeout=60)

    assert gateway.terminate() == 0

    assert not [line for line in gateway.log.splitlines() if '"info"' not in line and "development certificate" not in line]
