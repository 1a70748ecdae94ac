"""Someone else's client, unchanged: TensorFlow Serving's own stubs, OpenVINO's client, and one that knows nothing but reflection."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from numpy.typing import NDArray
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from medserve.v1 import inference_pb2

if TYPE_CHECKING:
    from tests.e2e.conftest import Caller


def test_tensorflow_servings_stubs_need_an_address_a_ca_and_a_key(caller: "Caller", digit: NDArray[np.uint8]) -> None:
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    stub = prediction_service_pb2_grpc.PredictionServiceStub(caller.channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"
    batch = np.stack([digit, np.zeros_like(digit), digit])[..., np.newaxis]
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(batch))

    response = stub.Predict(request, metadata=caller.metadata, timeout=10)

    answer = tf.make_ndarray(response.outputs["probabilities"])
    assert answer.shape == (3, 10)
    np.testing.assert_allclose(answer[0], answer[2], atol=1e-6)
    assert (response.model_spec.name, response.model_spec.version.value, response.model_spec.signature_name) == ("digits", 1, "serving_default")


def test_a_label_of_the_gateways_reaches_a_version(caller: "Caller", digit: NDArray[np.uint8]) -> None:
    import tensorflow as tf  # noqa: PLC0415

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"
    request.model_spec.version_label = "stable"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(digit[np.newaxis, :, :, np.newaxis]))

    response = prediction_service_pb2_grpc.PredictionServiceStub(caller.channel).Predict(request, metadata=caller.metadata, timeout=10)

    assert response.model_spec.version.value == 1


def test_status_and_metadata_are_the_model_servers(caller: "Caller") -> None:
    status_request = get_model_status_pb2.GetModelStatusRequest()
    status_request.model_spec.name = "digits"
    metadata_request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata_request.model_spec.name = "digits"

    status = model_service_pb2_grpc.ModelServiceStub(caller.channel).GetModelStatus(status_request, metadata=caller.metadata, timeout=10)
    metadata = prediction_service_pb2_grpc.PredictionServiceStub(caller.channel).GetModelMetadata(
        metadata_request, metadata=caller.metadata, timeout=10
    )

    assert [(row.version, row.state) for row in status.model_version_status] == [(1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert metadata.metadata["signature_def"].Unpack(signatures)
    assert list(signatures.signature_def["serving_default"].inputs) == ["images"]


def test_without_a_key_nothing_is_answered(caller: "Caller") -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"

    with pytest.raises(grpc.RpcError) as refused:
        prediction_service_pb2_grpc.PredictionServiceStub(caller.channel).Predict(request, timeout=10)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


# It has no place for metadata; gRPC's own call credentials send a key as what a Bearer token is. It always names a version: without one it
# asks for version 0, which TensorFlow Serving doesn't have. In a process of its own: its stubs register the names of TensorFlow Serving's.
OVMSCLIENT = """
import json, sys
import grpc, numpy as np
from ovmsclient.tfs_compat.grpc.serving_client import GrpcClient
from ovmsclient.tfs_compat.protos.tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from ovmsclient.tfs_compat.protos.tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

target, ca_file, key_file, images = sys.argv[1:]
key = grpc.access_token_call_credentials(open(key_file).read().strip())
channel = grpc.secure_channel(target, grpc.composite_channel_credentials(grpc.ssl_channel_credentials(open(ca_file, "rb").read()), key))
client = GrpcClient(channel, PredictionServiceStub(channel), ModelServiceStub(channel))
found = {"status": client.get_model_status("digits", 1), "metadata": client.get_model_metadata("digits", 1)}
found["probabilities"] = client.predict({"images": np.load(images)}, "digits", 1).tolist()
try:
    client.predict({"images": np.load(images)}, "nope", 1)
except Exception as error:
    found["refused"] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""


def test_ovmsclient_needs_a_channel_with_a_ca_and_a_key(caller: "Caller", digit: NDArray[np.uint8], tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", digit[np.newaxis, :, :, np.newaxis])
    files = (caller.stack.ca_file, caller.key_file, tmp_path / "images.npy")
    command = [sys.executable, "-c", OVMSCLIENT, caller.stack.target, *map(str, files)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == {"1": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}
    assert found["metadata"]["model_version"] == 1
    assert list(found["metadata"]["inputs"]) == ["images"]
    assert np.shape(found["probabilities"]) == (1, 10)
    assert found["refused"] == ["ModelNotFoundError", "Error occurred during handling the request: Servable not found for request: Specific(nope, 1)"]


def test_a_client_that_knows_only_reflection_finds_and_calls_everything(caller: "Caller", digit_request: inference_pb2.InferRequest) -> None:
    database = ProtoReflectionDescriptorDatabase(caller.channel)
    pool = descriptor_pool.DescriptorPool(database)

    services = set(database.get_services())
    methods = {f"{name}/{method.name}" for name in services for method in pool.FindServiceByName(name).methods}
    infer = pool.FindServiceByName("medserve.v1.InferenceService").methods_by_name["Infer"]
    request = message_factory.GetMessageClass(infer.input_type).FromString(digit_request.SerializeToString())
    call: Any = caller.channel.unary_unary(
        "/medserve.v1.InferenceService/Infer",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(infer.output_type).FromString,
    )
    response = call(request, metadata=caller.metadata, timeout=10)

    assert {
        "medserve.v1.InferenceService/Infer",
        "medserve.v1.CatalogService/ListModels",
        "medserve.v1.CatalogService/GetModel",
        "tensorflow.serving.PredictionService/Classify",
        "tensorflow.serving.PredictionService/Regress",
        "tensorflow.serving.PredictionService/Predict",
        "tensorflow.serving.PredictionService/MultiInference",
        "tensorflow.serving.PredictionService/GetModelMetadata",
        "tensorflow.serving.ModelService/GetModelStatus",
        "tensorflow.serving.ModelService/HandleReloadConfigRequest",
        "grpc.health.v1.Health/Check",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    } <= methods
    assert response.findings[0].code.system == "urn:medserve:digits"
