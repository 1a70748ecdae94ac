"""The drop-in's `HandleReloadConfigRequest`: for operators, passed on as it is, waited for, and recorded."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.conftest import Peer, Running

METHOD = "HandleReloadConfigRequest"
REFUSED = "1 model(s) did not become available: {{{name: bad version: 1} due to error: OUT_OF_RANGE: Read less bytes than requested}, }"


def request_of(*models: str) -> model_management_pb2.ReloadConfigRequest:
    request = model_management_pb2.ReloadConfigRequest(metric_names=[":some:counter"])
    for model in models:
        config = request.config.model_config_list.config.add(name=model, base_path=f"/srv/hidden/{model}", model_platform="tensorflow")
        config.version_labels["stable"] = 1
        config.logging_config.sampling_config.sampling_rate = 0.5
    return request


def reload(gateway: Running, request: Any, *, key: str = "operator", timeout: float = 30) -> Any:
    return gateway.models.HandleReloadConfigRequest(request, metadata=gateway.metadata(key), timeout=timeout)


def status(gateway: Running) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "record"
    return gateway.models.GetModelStatus(request, metadata=gateway.metadata(), timeout=60)


def test_a_list_arrives_as_the_bytes_that_it_was_sent_as_and_the_answer_comes_back(gateway: Running, peer: Peer) -> None:
    answer = model_management_pb2.ReloadConfigResponse()
    answer.metric.add(name=":some:counter", int64_value_increase=7)
    peer.script[METHOD] = lambda _, __: answer.SerializeToString()
    request = request_of("digits", "ecg")

    response = reload(gateway, request)

    assert peer.last(METHOD) == request.SerializeToString()
    assert response == answer


@pytest.mark.parametrize("content", [b"", bytes.fromhex("0a00"), bytes.fromhex("0a02" + "0a00"), bytes.fromhex("0a02" + "1200")], ids=bytes.hex)
def test_a_list_that_is_empty_or_none_is_the_model_servers_to_judge(gateway: Running, peer: Peer, content: Any) -> None:
    gateway.channel.unary_unary(f"/tensorflow.serving.ModelService/{METHOD}")(content, metadata=gateway.metadata("operator"), timeout=60)

    assert peer.last(METHOD) == content


@pytest.mark.parametrize("is_refused", [False, True], ids=["taken", "refused"])
def test_the_audit_says_who_sent_a_list_and_which_models_it_names_and_not_where_they_lie(
    gateway: Running, peer: Peer, poll: Callable[..., Any], is_refused: bool
) -> None:
    if is_refused:
        peer.script[METHOD] = lambda _, context: peer.refuse(context, grpc.StatusCode.UNKNOWN, REFUSED)
    before = gateway.mark()

    try:
        reload(gateway, request_of("digits", "not yet published", "new-model"))
    except grpc.RpcError as caught:
        error: Any = caught
        assert (error.code(), error.details(), error.trailing_metadata()) == (grpc.StatusCode.UNKNOWN, REFUSED, ())

    (event,) = poll(lambda: gateway.audit[before:], "the call in the audit")
    assert (event["method"], event["action"], event["tenant"]) == (f"/tensorflow.serving.ModelService/{METHOD}", "reload", "ward")
    assert event["key_id"] == gateway.keys["operator"].split("_")[1]
    assert (event["code"], event["models"]) == ("UNKNOWN" if is_refused else "OK", ["digits", "?", "new-model"])
    assert "model" not in event
    assert "hidden" not in gateway.written()


@pytest.mark.parametrize("key", ["full", "reader", "narrow operator", "revoked"])
def test_a_list_of_somebody_who_is_no_operator_reaches_neither_the_model_server_nor_the_audit(
    gateway: Running, peer: Peer, poll: Callable[..., Any], key: str
) -> None:
    before = gateway.mark()

    with pytest.raises(grpc.RpcError):
        reload(gateway, request_of("made-up"), key=key)

    (event,) = poll(lambda: gateway.audit[before:], "the call in the audit")
    assert "models" not in event
    assert METHOD not in {method for method, _ in peer.requests}
    assert "made-up" not in gateway.written()


class Waiting:
    """A model server that loads until nobody waits any more."""

    def __init__(self) -> None:
        self.reached, self.ended = Event(), Event()
        self.remaining_seconds = 0.0

    def __call__(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(self.ended.set)
        self.remaining_seconds = context.time_remaining()
        self.reached.set()
        self.ended.wait(60)
        return b""


def test_a_caller_that_goes_away_ends_the_wait_at_the_model_server_and_others_are_answered_meanwhile(
    gateway: Running, peer: Peer, poll: Callable[..., Any]
) -> None:
    peer.script[METHOD] = waiting = Waiting()
    call = gateway.models.HandleReloadConfigRequest.future(request_of("digits"), metadata=gateway.metadata("operator"), timeout=60)
    assert waiting.reached.wait(60)
    before = gateway.mark()

    assert status(gateway).model_version_status
    call.cancel()

    assert waiting.ended.wait(60)
    events = poll(lambda: [event for event in gateway.audit[before:] if event["code"] == "CANCELLED"], "the cancellation in the audit")
    assert [event["models"] for event in events] == [["digits"]]


@pytest.mark.parametrize(("asked_seconds", "most_seconds"), [(20, 20), (3600, 60)])
def test_the_callers_deadline_rules_up_to_the_gateways_longest(gateway: Running, peer: Peer, asked_seconds: float, most_seconds: float) -> None:
    peer.script[METHOD] = waiting = Waiting()

    call = gateway.models.HandleReloadConfigRequest.future(request_of("digits"), metadata=gateway.metadata("operator"), timeout=asked_seconds)
    assert waiting.reached.wait(60)
    call.cancel()

    # On the wire gRPC rounds a time up, to three figures.
    assert most_seconds - 10 < waiting.remaining_seconds < most_seconds + 1
    assert waiting.ended.wait(60)
