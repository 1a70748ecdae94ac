"""Someone else's client, unchanged: TensorFlow Serving's own stubs, OpenVINO's client, and one that knows nothing but reflection."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pool, message_factory, text_format
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from numpy.typing import NDArray
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tensorflow_serving.apis import inference_pb2 as multi_inference_pb2

from local.prepare import make_key
from local.process import Process
from local.stack import Stack
from medserve.keys import create_key
from medserve.v1 import inference_pb2
from tests.e2e.conftest import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

Metadata: TypeAlias = tuple[tuple[str, str], ...]


def test_tensorflow_servings_stubs_need_an_address_a_ca_and_a_key(caller: Caller, digit: NDArray[np.uint8]) -> None:
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    stub = prediction_service_pb2_grpc.PredictionServiceStub(caller.channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"
    batch = np.stack([digit, np.zeros_like(digit), digit])[..., np.newaxis]
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(batch))

    response = stub.Predict(request, metadata=caller.metadata, timeout=60)

    answer = tf.make_ndarray(response.outputs["probabilities"])
    assert answer.shape == (3, 10)
    np.testing.assert_allclose(answer[0], answer[2], atol=1e-6)
    assert (response.model_spec.name, response.model_spec.version.value, response.model_spec.signature_name) == ("digits", 1, "serving_default")


def test_a_label_of_the_gateways_reaches_a_version(caller: Caller, digit: NDArray[np.uint8]) -> None:
    import tensorflow as tf  # noqa: PLC0415

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"
    request.model_spec.version_label = "stable"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(digit[np.newaxis, :, :, np.newaxis]))

    response = prediction_service_pb2_grpc.PredictionServiceStub(caller.channel).Predict(request, metadata=caller.metadata, timeout=60)

    assert response.model_spec.version.value == 1


def test_status_and_metadata_are_the_model_servers(caller: Caller) -> None:
    status_request = get_model_status_pb2.GetModelStatusRequest()
    status_request.model_spec.name = "digits"
    metadata_request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata_request.model_spec.name = "digits"

    status = model_service_pb2_grpc.ModelServiceStub(caller.channel).GetModelStatus(status_request, metadata=caller.metadata, timeout=60)
    metadata = prediction_service_pb2_grpc.PredictionServiceStub(caller.channel).GetModelMetadata(
        metadata_request, metadata=caller.metadata, timeout=60
    )

    assert [(row.version, row.state) for row in status.model_version_status] == [(1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert metadata.metadata["signature_def"].Unpack(signatures)
    assert list(signatures.signature_def["serving_default"].inputs) == ["images"]


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[Caller, Metadata]]":
    """A stack that serves one model and holds another, and the metadata of an operator. Tests may add the other."""
    from tests.contract.models import write  # noqa: PLC0415 - TensorFlow

    folder = tmp_path_factory.mktemp("operated")
    stack = Stack(folder)
    for model in ("half_plus_two", "legacy"):
        write(model, stack.repository / model / "1")
    config = folder / "models.config"
    config.write_text(text_format.MessageToString(model_list(stack.repository, "legacy").config))
    stack.model_server = Process(
        "modelserver", ["--port=0", f"--model_config_file={config}"], folder=folder,
        log_file=stack.log_folder / "modelserver.log", ready=re.compile(r"Running gRPC ModelServer at .*:(\d+) "),
    )  # fmt: skip
    with stack:
        key_file, key = make_key(stack)
        _, operators = create_key(stack.api_keys_file, tenant="operators", models=["*"], actions=["reload"])
        stack.start_gateway()
        with stack.channel() as channel:
            caller = Caller(stack=stack, key_file=key_file, channel=channel, metadata=(("authorization", f"Bearer {key}"),))
            yield caller, (("authorization", f"Bearer {operators}"),)


def model_list(repository: Path, *models: str) -> model_management_pb2.ReloadConfigRequest:
    request = model_management_pb2.ReloadConfigRequest()
    for model in models:
        request.config.model_config_list.config.add(name=model, base_path=str(repository / model), model_platform="tensorflow")
    return request


def about_legacy(request: Any, *methods: str) -> Any:
    """Two items for a model that has a signature for each method; a MultiInference has a task for each of them."""
    is_multi = isinstance(request, multi_inference_pb2.MultiInferenceRequest)
    for method in methods:
        spec = request.tasks.add(method_name=f"tensorflow/serving/{method}").model_spec if is_multi else request.model_spec
        spec.name, spec.signature_name = "legacy", f"{method}_x_to_y"
    for x in (2.0, 20.0):
        request.input.example_list.examples.add().features.feature["x"].float_list.value.append(x)
    return request


def test_a_model_of_items_is_asked_in_every_way(operated: tuple[Caller, Metadata]) -> None:
    caller, _ = operated
    stub = prediction_service_pb2_grpc.PredictionServiceStub(caller.channel)

    classified = stub.Classify(about_legacy(classification_pb2.ClassificationRequest(), "classify"), metadata=caller.metadata, timeout=60)
    regressed = stub.Regress(about_legacy(regression_pb2.RegressionRequest(), "regress"), metadata=caller.metadata, timeout=60)
    both = stub.MultiInference(about_legacy(multi_inference_pb2.MultiInferenceRequest(), "regress", "classify"), metadata=caller.metadata, timeout=60)

    assert [row.classes[0].score for row in classified.result.classifications] == [3.0, 12.0]
    assert [row.value for row in regressed.result.regressions] == [3.0, 12.0]
    assert [row.value for row in both.results[0].regression_result.regressions] == [3.0, 12.0]
    assert [row.classes[0].score for row in both.results[1].classification_result.classifications] == [3.0, 12.0]
    assert {reply.model_spec.version.value for reply in (classified, regressed, *both.results)} == {1}


def test_an_operator_adds_a_model_and_nobody_else_does(operated: tuple[Caller, Metadata]) -> None:
    caller, operators = operated
    stub = model_service_pb2_grpc.ModelServiceStub(caller.channel)
    new_list = model_list(caller.stack.repository, "legacy", "half_plus_two")
    question = get_model_status_pb2.GetModelStatusRequest()
    question.model_spec.name = "half_plus_two"

    with pytest.raises(grpc.RpcError) as denied:
        stub.HandleReloadConfigRequest(new_list, metadata=caller.metadata, timeout=60)
    with pytest.raises(grpc.RpcError) as unknown:
        stub.GetModelStatus(question, metadata=caller.metadata, timeout=60)
    reloaded = stub.HandleReloadConfigRequest(new_list, metadata=operators, timeout=60)
    status = stub.GetModelStatus(question, metadata=caller.metadata, timeout=60)

    assert (denied.value.code(), unknown.value.code()) == (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND)
    assert reloaded.status.error_code == 0
    assert [(row.version, row.state) for row in status.model_version_status] == [(1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)]


def test_without_a_key_nothing_is_answered(caller: Caller) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"

    with pytest.raises(grpc.RpcError) as refused:
        prediction_service_pb2_grpc.PredictionServiceStub(caller.channel).Predict(request, timeout=60)

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
found["probabilities"] = client.predict({"images": np.load(images)}, "digits", 1)["probabilities"].tolist()
try:
    client.predict({"images": np.load(images)}, "nope", 1)
except Exception as error:
    found["refused"] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""


def test_ovmsclient_needs_a_channel_with_a_ca_and_a_key(caller: Caller, digit: NDArray[np.uint8], tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", digit[np.newaxis, :, :, np.newaxis])
    files = (caller.stack.ca_file, caller.key_file, tmp_path / "images.npy")
    command = [sys.executable, "-c", OVMSCLIENT, caller.stack.target, *map(str, files)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == {"1": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}
    assert found["metadata"]["model_version"] == 1
    assert list(found["metadata"]["inputs"]) == ["images"]
    assert np.shape(found["probabilities"]) == (1, 10)
    assert found["refused"] == ["ModelNotFoundError", "Error occurred during handling the request: Servable not found for request: Specific(nope, 1)"]


def test_a_client_that_knows_only_reflection_finds_and_calls_everything(caller: Caller, digit_request: inference_pb2.InferRequest) -> None:
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
    response = call(request, metadata=caller.metadata, timeout=60)

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
