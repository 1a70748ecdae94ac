"""The drop-in's `Classify`, `Regress` and `MultiInference`: items of named features, which the gateway never reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.apis import classification_pb2, inference_pb2, model_pb2, regression_pb2

from gateway.call import Action, Call
from gateway.catalog import Catalog
from gateway.routing import Router
from gateway.rpc.serving import _parse_multi_inference

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.conftest import Peer, Running

# Field 15, a string, which no message of theirs has: a newer client's, for all that the gateway knows.
NEWER = bytes.fromhex("7a05") + b"newer"
# model_spec (1, 4 bytes): version (2, 2 bytes): value (1) is 1.
VERSION_1 = bytes.fromhex("0a04" + "1202" + "0801")
BARE = Call(method="/s/m", action=Action.INFER, request_id="r", authorization="", timeout_seconds=None, size_bytes=0)
REQUESTS: dict[str, type[Any]] = {
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
    "MultiInference": inference_pb2.MultiInferenceRequest,
}


def request_of(method: str, model: str = "record", *, version: int | None = None, labels: tuple[str, ...] = ("", ""), values: int = 3) -> Any:
    """A request with one item; a MultiInference has a task for each label, the others take the first."""
    request = REQUESTS[method]()
    specs = [request.model_spec] if method != "MultiInference" else [request.tasks.add(method_name=f"m/{label}").model_spec for label in labels]
    for spec, label in zip(specs, labels, strict=False):
        spec.name, spec.signature_name = model, f"signature {label}"
        if version is not None:
            spec.version.value = version
        if label:
            spec.version_label = label
    request.input.example_list.examples.add().features.feature["x"].float_list.value.extend([0.5] * values)
    return request


def call(gateway: Running, method: str, request: Any, key: str = "full") -> Any:
    return getattr(gateway.prediction, method)(request, metadata=gateway.metadata(key), timeout=60)


@pytest.mark.parametrize("selected", [{}, {"version": 1}, {"labels": ("theirs", "")}], ids=["none", "version", "label of the model server's"])
@pytest.mark.parametrize("method", REQUESTS)
def test_where_the_gateway_chooses_no_version_a_request_arrives_as_the_bytes_that_it_was_sent_as(
    gateway: Running, peer: Peer, method: str, selected: dict[str, Any]
) -> None:
    request = request_of(method, "digits", **selected)
    items = REQUESTS[method](input=request.input)
    request.ClearField("input")
    # In an order in which no stub would write it.
    content: Any = items.SerializeToString() + request.SerializeToString()
    peer.script[method] = lambda _, __: b""

    gateway.channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")(content, metadata=gateway.metadata(), timeout=60)

    assert peer.last(method) == content


@pytest.mark.parametrize("method", ["Classify", "Regress"])
def test_a_label_becomes_its_version_in_a_model_spec_behind_the_request(gateway: Running, peer: Peer, method: str) -> None:
    request = request_of(method, "digits", labels=("stable",))

    response = call(gateway, method, request)

    assert peer.last(method) == request.SerializeToString() + VERSION_1
    merged = REQUESTS[method].FromString(peer.last(method)).model_spec
    assert (merged.name, merged.WhichOneof("version_choice"), merged.signature_name) == ("digits", "version", "signature stable")
    assert response.model_spec.version.value == 1


def test_in_a_multi_inference_each_task_gets_the_version_of_its_label_and_all_else_is_kept(gateway: Running, peer: Peer) -> None:
    request = request_of("MultiInference", "digits", labels=("stable", "later", "theirs", ""))
    request.input.example_list_with_context.context.features.feature["age"].int64_list.value.append(70)
    for part in (request, request.tasks[0], request.tasks[1].model_spec):
        part.MergeFromString(NEWER)
    expected = inference_pb2.MultiInferenceRequest()
    expected.CopyFrom(request)
    expected.tasks[0].model_spec.version.value = 1
    expected.tasks[1].model_spec.version.value = 3

    call(gateway, "MultiInference", request)

    assert inference_pb2.MultiInferenceRequest.FromString(peer.last("MultiInference")) == expected
    assert peer.last("MultiInference").count(NEWER) == 3
    assert len(peer.last("MultiInference")) == expected.ByteSize()


def specs() -> st.SearchStrategy[model_pb2.ModelSpec]:
    """Any ModelSpec, with a label of ours, a label of theirs, a version, or none."""
    choices = st.one_of(
        st.just({}),
        st.builds(lambda label: {"version_label": label}, st.sampled_from(["stable", "next", "theirs", ""])),
        st.builds(lambda version: {"version": {"value": version}}, st.integers(-1, 3)),
    )
    names = st.sampled_from(["m", "other", ""])
    return st.builds(lambda name, signature, choice: model_pb2.ModelSpec(name=name, signature_name=signature, **choice), names, names, choices)


@given(tasks=st.lists(specs(), max_size=5), rest=st.binary(max_size=20))
def test_of_any_tasks_those_with_a_label_of_ours_get_its_version_and_nothing_else_changes(tasks: list[model_pb2.ModelSpec], rest: bytes) -> None:
    router = Router(Catalog(labels={"m": {"stable": 2, "next": 7}}))
    request = inference_pb2.MultiInferenceRequest(tasks=[inference_pb2.InferenceTask(model_spec=spec, method_name="r") for spec in tasks])
    request.input.example_list.examples.add().features.feature["x"].bytes_list.value.append(rest)
    expected = inference_pb2.MultiInferenceRequest.FromString(request.SerializeToString())
    for task in expected.tasks:
        version = {"stable": 2, "next": 7}.get(task.model_spec.version_label)
        if task.model_spec.name == "m" and version is not None:
            task.model_spec.version.value = version

    call, write = _parse_multi_inference(BARE, request.SerializeToString())
    sent = write([router.resolve_dropin(selector) for selector in call.selectors])

    assert [selector.model for selector in call.selectors] == [spec.name for spec in tasks]
    assert inference_pb2.MultiInferenceRequest.FromString(sent) == expected


def test_the_answer_of_every_task_comes_back(gateway: Running) -> None:
    response = call(gateway, "MultiInference", request_of("MultiInference", "digits", labels=("stable", "", "theirs")))

    assert [result.model_spec.version.value for result in response.results] == [1, 1, 1]
    assert [result.WhichOneof("result") for result in response.results] == ["regression_result"] * 3


@pytest.mark.parametrize("method", REQUESTS)
def test_twenty_megabytes_of_items_pass(gateway: Running, peer: Peer, method: str) -> None:
    request = request_of(method, "digits", labels=("stable", "stable"), values=5_000_000)

    call(gateway, method, request)

    assert REQUESTS[method].FromString(peer.last(method)).input == request.input


@pytest.mark.parametrize("method", REQUESTS)
def test_items_that_are_none_are_the_model_servers_to_refuse(gateway: Running, peer: Peer, method: str) -> None:
    request = request_of(method)
    # `input` is field 2; the last byte says that one more follows.
    items = bytes.fromhex("1203" + "0a0108")
    request.ClearField("input")

    with pytest.raises(grpc.RpcError) as caught:
        gateway.channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")(
            request.SerializeToString() + items, metadata=gateway.metadata(), timeout=60
        )

    error: Any = caught.value
    assert (error.code(), error.details(), error.trailing_metadata()) == (grpc.StatusCode.INTERNAL, "", ())
    assert peer.last(method).endswith(items)


@pytest.mark.parametrize("method", REQUESTS)
def test_the_audit_names_who_asked_what_and_which_version_answered_and_nothing_of_the_items(
    gateway: Running, method: str, poll: Callable[..., Any]
) -> None:
    request = request_of(method, "digits", labels=("stable", "stable"))
    request.input.example_list.examples[0].features.feature["name"].bytes_list.value.append(b"Doe^Jane")
    before = gateway.mark()

    call(gateway, method, request)

    (event,) = poll(lambda: gateway.audit[before:], "the call in the audit")
    assert (event["method"], event["action"], event["tenant"]) == (f"/tensorflow.serving.PredictionService/{method}", "infer", "ward")
    assert (event["model"], event["version"], event["label"], event["weights_digest"]) == ("digits", 1, "stable", "sha256:1")
    assert event["size_bytes"] == request.ByteSize()
    assert "Doe" not in gateway.written()


@pytest.mark.parametrize("method", REQUESTS)
def test_an_answer_that_does_not_say_who_answered_passes_and_is_audited_without(
    gateway: Running, peer: Peer, method: str, poll: Callable[..., Any]
) -> None:
    peer.script[method] = lambda _, __: b"\xff"
    before = gateway.mark()

    answer: Any = gateway.channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")(
        request_of(method).SerializeToString(), metadata=gateway.metadata(), timeout=60
    )

    (event,) = poll(lambda: gateway.audit[before:], "the call in the audit")
    assert answer == b"\xff"
    assert (event["code"], event["model"], "version" in event) == ("OK", "record", False)
