"""Bytes that nobody meant, at every method: never a defect, never a hang, and the process lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)
from tensorflow_serving.apis import (
    inference_pb2 as multi_inference_pb2,
)

from medserve.v1 import catalog_pb2, inference_pb2, tensor_pb2

if TYPE_CHECKING:
    from tests.gateway.conftest import Peer, Running

SECONDS = 60.0


def infer_requests() -> list[bytes]:
    record = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="record", version=1))
    record.inputs["x"].tensor.CopyFrom(tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[3], content=np.ones(3, np.float32).tobytes()))
    record.context.request_id = "fuzz"
    record.options.include_raw_outputs = True
    digits = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="digits", version_label="stable"))
    digits.inputs["images"].image.content = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c\0\0\0\x1c\x08\0\0\0\0"
    scan = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="digits"))
    scan.inputs["images"].dicom.content = bytes(128) + b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0\x28\0\x10\0US\x02\0\x1c\0"
    ecg = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="ecg"))
    ecg.inputs["ecg"].time_series.sampling_frequency_hz = 100
    for name in ("I", "II"):
        ecg.inputs["ecg"].time_series.channels.add(name=name, unit="mV", values=[0.0, 1.0])
    bedside = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="bedside"))
    bedside.inputs["x"].time_series.times_seconds.extend([0.0, 0.5, 2.0])
    bedside.inputs["x"].time_series.channels.add(name="p", unit="kPa", values=[10.0, 11.0, float("nan")])
    clinic = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="clinic"))
    clinic.inputs["x"].record.features["age"].quantity.unit = "mo"
    clinic.inputs["x"].record.features["age"].quantity.value = 720
    clinic.inputs["x"].record.features["sex"].category = "female"
    return [message.SerializeToString() for message in (record, digits, scan, ecg, bedside, clinic)]


def predict_requests() -> list[bytes]:
    request = predict_pb2.PredictRequest(output_filter=["probabilities"])
    request.model_spec.name = "digits"
    request.model_spec.version_label = "stable"
    tensor = request.inputs["x"]
    tensor.dtype = 1
    tensor.tensor_shape.dim.add(size=3)
    tensor.tensor_content = bytes(12)
    return [request.SerializeToString()]


def with_items(request: Any) -> Any:
    """The same request with two items that share a feature."""
    items = request.input.example_list_with_context
    items.context.features.feature["age"].int64_list.value.append(70)
    for value in (0.5, 1.5):
        items.examples.add().features.feature["x"].float_list.value.append(value)
    return request


def multi_inference_requests() -> list[bytes]:
    request = multi_inference_pb2.MultiInferenceRequest()
    for label, method in (("stable", "classify"), ("other", "regress")):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.version_label, task.model_spec.signature_name = "digits", label, method
    return [with_items(request).SerializeToString()]


def reload_requests() -> list[bytes]:
    request = model_management_pb2.ReloadConfigRequest(metric_names=["m"])
    config = request.config.model_config_list.config.add(name="digits", base_path="/models/digits", model_platform="tensorflow")
    config.version_labels["stable"] = 1
    config.model_version_policy.specific.versions.extend([1, 2])
    return [request.SerializeToString()]


def named(request: Any) -> list[bytes]:
    request.model_spec.name = "digits"
    return [bytes(request.SerializeToString())]


VALID: dict[str, list[bytes]] = {
    "/medserve.v1.InferenceService/Infer": infer_requests(),
    "/medserve.v1.CatalogService/ListModels": [catalog_pb2.ListModelsRequest(page_size=2, page_token="a").SerializeToString()],
    "/medserve.v1.CatalogService/GetModel": [catalog_pb2.GetModelRequest(name="digits").SerializeToString()],
    "/tensorflow.serving.PredictionService/Classify": named(with_items(classification_pb2.ClassificationRequest())),
    "/tensorflow.serving.PredictionService/Regress": named(with_items(regression_pb2.RegressionRequest())),
    "/tensorflow.serving.PredictionService/Predict": predict_requests(),
    "/tensorflow.serving.PredictionService/MultiInference": multi_inference_requests(),
    "/tensorflow.serving.PredictionService/GetModelMetadata": named(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])),
    "/tensorflow.serving.ModelService/GetModelStatus": named(get_model_status_pb2.GetModelStatusRequest()),
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest": reload_requests(),
}


def key_for(method: str) -> str:
    return "operator" if method.endswith("/HandleReloadConfigRequest") else "full"


@st.composite
def mutated(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """A valid request with a few bytes changed, left out, put in or said twice."""
    request = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(request)))
        match draw(st.sampled_from(("change", "cut", "insert", "remove", "repeat"))):
            case "change" if at < len(request):
                request[at] = draw(st.integers(0, 255))
            case "cut":
                del request[at:]
            case "insert":
                request[at:at] = draw(st.binary(min_size=1, max_size=11))
            case "remove":
                del request[at : at + draw(st.integers(1, 5))]
            case _:
                request += request[at : at + 64]
    return bytes(request)


def reason_of(error: Any) -> str | None:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            info = error_details_pb2.ErrorInfo()
            status_pb2.Status.FromString(value).details[0].Unpack(info)
            return info.reason
    return None


def call(gateway: Running, method: str, request: Any, metadata: Any) -> Any:
    """The error of a call; None where it was answered well."""
    try:
        gateway.channel.unary_unary(method)(request, metadata=metadata, timeout=SECONDS)
    except grpc.RpcError as error:
        return error
    return None


def send(gateway: Running, method: str, request: bytes, metadata: Any) -> None:
    """Any answer but a defect of ours, and within the time. INTERNAL without details is the model server's own word, for bytes it can't parse."""
    error = call(gateway, method, request, metadata)
    if error is None:
        return
    assert error.code() not in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert reason_of(error) != "INTERNAL"
    if error.code() is grpc.StatusCode.INTERNAL:
        assert method.startswith("/tensorflow.serving.")
        assert error.trailing_metadata() == ()


# The gateway and its model server are the same for every example: what one leaves behind the next one meets, as in production.
FUZZ = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("method", VALID)
@FUZZ
@given(data=st.data())
def test_mutated_requests(gateway: Running, method: str, data: st.DataObject) -> None:
    send(gateway, method, data.draw(mutated(VALID[method])), gateway.metadata(key_for(method)))


@pytest.mark.parametrize("method", VALID)
@FUZZ
@given(request_=st.binary(max_size=200))
def test_random_bytes(gateway: Running, method: str, request_: bytes) -> None:
    send(gateway, method, request_, gateway.metadata(key_for(method)))


@FUZZ
@given(value=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=120))
def test_any_authorization(gateway: Running, value: str) -> None:
    send(gateway, "/medserve.v1.InferenceService/Infer", b"", (("authorization", value),))


@FUZZ
@given(reply=st.binary(max_size=200) | mutated([bytes.fromhex("0a1d0a0d70726f626162696c6974696573120c08011204120208012a020000")]))
def test_any_answer_of_the_model_server(gateway: Running, peer: Peer, reply: bytes) -> None:
    dropin = [method for method in VALID if method.startswith("/tensorflow.serving.")]
    for method in dropin:
        # Where the versions stand the gateway asks as well, and by that it routes.
        if not method.endswith("/GetModelStatus"):
            peer.script[method.rpartition("/")[2]] = lambda _, __: reply

    public = call(gateway, "/medserve.v1.InferenceService/Infer", infer_requests()[0], gateway.metadata())
    answers = [call(gateway, method, VALID[method][0], gateway.metadata(key_for(method))) for method in dropin]
    assert public is None or reason_of(public) == "BACKEND_ANSWER_INVALID"
    assert answers == [None] * 7


def test_afterwards_the_process_lives_answers_and_has_met_no_defect(gateway: Running) -> None:
    for method, valid in VALID.items():
        send(gateway, method, valid[0], gateway.metadata(key_for(method)))

    assert gateway.process.poll() is None
    assert '"defect"' not in gateway.log
    assert '"another library logged"' not in gateway.log
