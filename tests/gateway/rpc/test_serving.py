"""The drop-in: a client that was written for TensorFlow Serving, with its own stubs, an address, a CA and a key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.conftest import Peer, Running

QUEUE_FULL = "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and max_enqueued_batches is 2"
LABELS_NULL = "Model labels does not init yet.stable"
RECORD = model_pb2.ModelSpec(name="record")
# A request of every method that the drop-in passes on, and the stub that sends it.
REQUESTS: dict[str, tuple[str, Any]] = {
    "Classify": ("prediction", classification_pb2.ClassificationRequest(model_spec=RECORD)),
    "Regress": ("prediction", regression_pb2.RegressionRequest(model_spec=RECORD)),
    "Predict": ("prediction", predict_pb2.PredictRequest(model_spec=RECORD)),
    "MultiInference": ("prediction", inference_pb2.MultiInferenceRequest(tasks=[inference_pb2.InferenceTask(model_spec=RECORD)])),
    "GetModelMetadata": ("prediction", get_model_metadata_pb2.GetModelMetadataRequest(model_spec=RECORD)),
    "GetModelStatus": ("models", get_model_status_pb2.GetModelStatusRequest(model_spec=RECORD)),
    "HandleReloadConfigRequest": ("models", model_management_pb2.ReloadConfigRequest()),
}


def predict_request(model: str = "record", *, version: int | None = None, label: str = "", floats: int = 3) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    tensor = request.inputs["x"]
    tensor.dtype = 1
    for size in (1, floats):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = np.arange(floats, dtype=np.float32).tobytes()
    return request


def test_a_request_arrives_as_the_bytes_that_it_was_sent_as(gateway: Running, peer: Peer) -> None:
    request = predict_request(version=1)

    response = gateway.prediction.Predict(request, metadata=gateway.metadata(), timeout=60)

    assert peer.last() == request.SerializeToString()
    assert list(response.outputs["probabilities"].float_val) == [0.25, 0.75]


def test_where_nobody_named_a_version_the_model_server_chooses(gateway: Running, peer: Peer) -> None:
    request = predict_request("digits")

    response = gateway.prediction.Predict(request, metadata=gateway.metadata(), timeout=60)

    assert peer.last() == request.SerializeToString()
    assert response.model_spec.version.value == 2


def test_a_label_becomes_its_version_in_a_model_spec_behind_the_request(gateway: Running, peer: Peer) -> None:
    request = predict_request("digits", label="stable")

    response = gateway.prediction.Predict(request, metadata=gateway.metadata(), timeout=60)

    # model_spec (1, 4 bytes): version (2, 2 bytes): value (1) is 1.
    assert peer.last() == request.SerializeToString() + bytes.fromhex("0a04" + "1202" + "0801")
    merged = predict_pb2.PredictRequest.FromString(peer.last())
    assert merged.model_spec.name == "digits"
    assert merged.model_spec.WhichOneof("version_choice") == "version"
    assert response.model_spec.version.value == 1


def test_twenty_megabytes_pass_both_ways(gateway: Running, peer: Peer) -> None:
    request = predict_request("unpublished", floats=5_000_000)
    peer.script["Predict"] = lambda _, __: peer.answer(request.inputs["x"].tensor_content and [1.0] * 5_000_000)

    response = gateway.prediction.Predict(request, metadata=gateway.metadata(), timeout=60)

    assert peer.last() == request.SerializeToString()
    assert len(response.outputs["probabilities"].float_val) == 5_000_000


def test_a_model_without_a_manifest_can_be_called(gateway: Running, peer: Peer) -> None:
    response = gateway.prediction.Predict(predict_request("unpublished"), metadata=gateway.metadata(), timeout=60)

    assert response.model_spec.version.value == max(peer.versions["unpublished"])


def test_metadata_and_status_pass(gateway: Running, peer: Peer) -> None:
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "digits"
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "digits"

    described = gateway.prediction.GetModelMetadata(metadata, metadata=gateway.metadata("reader"), timeout=60)
    stands = gateway.models.GetModelStatus(status, metadata=gateway.metadata("reader"), timeout=60)

    assert (described.model_spec.name, described.model_spec.version.value) == ("digits", 2)
    assert peer.last("GetModelMetadata") == metadata.SerializeToString()
    assert [(version.version, version.state) for version in stands.model_version_status] == [(2, 30), (1, 30)]


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (predict_request("nope"), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (predict_request("nope", version=3), "NOT_FOUND", "Servable not found for request: Specific(nope, 3)"),
        (predict_request("record", version=99), "NOT_FOUND", "Servable not found for request: Specific(record, 99)"),
        (predict_request("record", label="nolabel"), "INVALID_ARGUMENT", "Unrecognized servable version label: nolabel"),
        (predict_request("nope", label="stable"), "INVALID_ARGUMENT", "Unrecognized servable version label: stable"),
    ],
    ids=str,
)
def test_what_is_unknown_gets_the_model_servers_own_words(gateway: Running, request_: predict_pb2.PredictRequest, code: str, message: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        gateway.prediction.Predict(request_, metadata=gateway.metadata(), timeout=60)

    error: Any = caught.value
    assert (error.code().name, error.details(), error.trailing_metadata()) == (code, message, ())


@pytest.mark.parametrize("model", ["record", "unpublished"])
def test_the_audit_names_a_model_that_answered(gateway: Running, model: str, poll: Callable[..., Any]) -> None:
    before = gateway.mark()

    gateway.prediction.Predict(predict_request(model), metadata=gateway.metadata(), timeout=60)

    (event,) = poll(lambda: gateway.audit[before:], "the call in the audit")
    assert (event["model"], event["code"]) == (model, "OK")


@pytest.mark.parametrize("label", ["", "Doe^Jane"])
def test_a_made_up_model_or_label_is_written_nowhere(gateway: Running, label: str, poll: Callable[..., Any]) -> None:
    before = gateway.mark()

    with pytest.raises(grpc.RpcError):
        gateway.prediction.Predict(predict_request("Doe^Jane", label=label), metadata=gateway.metadata(), timeout=60)

    (event,) = poll(lambda: gateway.audit[before:], "the call in the audit")
    assert not {"model", "label"} & event.keys()
    assert "Doe" not in gateway.written()


@pytest.mark.parametrize("selected", [{}, {"version": 1}], ids=["default", "version"])
@pytest.mark.parametrize("shape", [(3,), (), (1, 1, 3), (1, 4), (2, 2)], ids=str)
def test_a_shape_that_could_abort_the_model_server_never_reaches_it(
    gateway: Running, peer: Peer, shape: tuple[int, ...], selected: dict[str, Any]
) -> None:
    request = predict_request(**selected)
    del request.inputs["x"].tensor_shape.dim[:]
    for size in shape:
        request.inputs["x"].tensor_shape.dim.add(size=size)

    with pytest.raises(grpc.RpcError) as caught:
        gateway.prediction.Predict(request, metadata=gateway.metadata(), timeout=60)

    error: Any = caught.value
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the model takes batches of [3]: send a tensor of that shape behind a batch dimension",
    )
    assert "Predict" not in {method for method, _ in peer.requests}


def test_any_number_of_rows_passes_and_so_does_another_signature(gateway: Running, peer: Peer) -> None:
    rows, other = predict_request(), predict_request()
    rows.inputs["x"].tensor_shape.dim[0].size = 7
    del other.inputs["x"].tensor_shape.dim[:]
    other.model_spec.signature_name = "other"

    for request in (rows, other):
        gateway.prediction.Predict(request, metadata=gateway.metadata(), timeout=60)
        assert peer.last() == request.SerializeToString()


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        *(
            (code, f"what {code.name} is for: déjà vu\n\t [[{{node x}}]]")
            for code in grpc.StatusCode
            if code.name not in {"OK", "UNAVAILABLE", "CANCELLED"}
        ),
        (grpc.StatusCode.INTERNAL, ""),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification"),
        (grpc.StatusCode.UNAVAILABLE, QUEUE_FULL),
        (grpc.StatusCode.UNAVAILABLE, LABELS_NULL),
    ],
)
def test_a_refusal_is_relayed_as_it_is(gateway: Running, peer: Peer, method: str, code: grpc.StatusCode, message: str) -> None:
    peer.script[method] = lambda _, context: peer.refuse(context, code, message)
    service, request = REQUESTS[method]
    is_reload = method == "HandleReloadConfigRequest"

    with pytest.raises(grpc.RpcError) as caught:
        getattr(getattr(gateway, service), method)(request, metadata=gateway.metadata("operator" if is_reload else "full"), timeout=60)

    error: Any = caught.value
    assert (error.code(), error.details(), error.trailing_metadata()) == (code, message, ())


def test_cancelling_a_call_cancels_it_at_the_model_server_and_is_audited(gateway: Running, peer: Peer, poll: Callable[..., Any]) -> None:
    reached, ended = Event(), Event()

    def slow(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(ended.set)
        reached.set()
        ended.wait(60)
        return b""

    peer.script["Predict"] = slow
    with ThreadPoolExecutor(1) as pool:
        call = gateway.prediction.Predict.future(predict_request(version=1), metadata=gateway.metadata(), timeout=60)
        assert pool.submit(reached.wait, 60).result()
        before = gateway.mark()

        call.cancel()

        assert ended.wait(60)
    poll(lambda: [event for event in gateway.audit[before:] if event["code"] == "CANCELLED"], "the cancellation in the audit")
