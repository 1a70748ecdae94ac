"""Requests to a gateway, good and bad, ways to send them, and ways for the model server to misbehave.

What they hold of a patient stands here, so that a test can look for it.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from threading import Event
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pydicom
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)
from tensorflow_serving.apis import inference_pb2 as multi_inference_pb2

from medserve.v1 import catalog_pb2, inference_pb2, input_pb2, tensor_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.conftest import Peer, Running, Script

    Send = Callable[[Running], Any]

# What a request may hold and nobody may find again; the first stands wherever a text fits.
PATIENT, STUDY, PATIENT_KEY = "Doe^Jane", "1.2.840.113619.77", "MRN-4711-0815"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"


# Good and bad values.


def numbers(*values: float, shape: tuple[int, ...] | None = None, data_type: int = tensor_pb2.DATA_TYPE_FLOAT32) -> input_pb2.Input:
    content = np.array(values, np.float32).tobytes()
    kind: Any = data_type
    return input_pb2.Input(tensor=tensor_pb2.Tensor(data_type=kind, shape=shape or (len(values),), content=content))


def image(content: bytes) -> input_pb2.Input:
    return input_pb2.Input(image=input_pb2.EncodedImage(content=content))


def dicom(content: bytes) -> input_pb2.Input:
    return input_pb2.Input(dicom=input_pb2.DicomObject(content=content))


def series(*channels: tuple[str, str, list[float]], hz: float = 100, times: tuple[float, ...] = ()) -> input_pb2.Input:
    made = [input_pb2.Channel(name=name, unit=unit, values=values) for name, unit, values in channels]
    return input_pb2.Input(time_series=input_pb2.TimeSeries(channels=made, sampling_frequency_hz=hz, times_seconds=times))


def features(*, unit: str = "a", changes: dict[str, float | str | None] | None = None) -> input_pb2.Input:
    """A record that the model `clinic` takes, with changes; a text is a category, and None leaves a feature out."""
    message = input_pb2.Input(record=input_pb2.Record())
    values: dict[str, float | str | None] = {"age": 61, "creatinine": 1.5, "sex": "female"}
    values.update(changes or {})
    for name, value in values.items():
        if isinstance(value, str):
            message.record.features[name].category = value
        elif value is not None:
            message.record.features[name].quantity.value = value
            message.record.features[name].quantity.unit = unit if name == "age" else "mg/dL"
    return message


def png() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", PATIENT)
    out = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(noise).save(out, "PNG", pnginfo=text)
    return out.getvalue()


def png_header(columns: int, rows: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT"


def dicom_file(**changes: Any) -> bytes:
    """A 28 × 28 object; a change of None removes an attribute."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, UID("1.2.3")
    dataset.PatientName, dataset.PatientID, dataset.StudyInstanceUID, dataset.Modality = PATIENT, PATIENT_KEY, STUDY, "OT"
    dataset.Rows = dataset.Columns = 28
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.add_new("PixelData", "OB", bytes(28 * 28))
    for name, value in changes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, UID("1.2.3")
    out = BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


ECG = (("I", "mV", [0.0, 1.0]), ("II", "mV", [0.0, 1.0]))


# Ways to call.


def infer(model: str = "record", *, key: str | None = "full", timeout: float | None = 60, request_id: str = "", **inputs: Any) -> Send:
    """Calls Infer; `version` and `label` choose, other names are inputs."""
    selector = {name: inputs.pop(name) for name in ("version", "version_label") if name in inputs}
    request = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name=model, **selector), inputs=inputs)
    request.context.CopyFrom(inference_pb2.InferContext(request_id=request_id, study_key=STUDY, patient_key=PATIENT_KEY))
    return lambda gateway: gateway.inference.Infer(request, metadata=gateway.metadata(key) if key else (), timeout=timeout)


def named(name: str, value: input_pb2.Input) -> dict[str, Any]:
    """An input of a name that Python can't write."""
    return {name: value}


GOOD: dict[str, Any] = {"x": numbers(1, 2, 3)}
TOO_MANY: dict[str, Any] = {f"x{number}": numbers(1) for number in range(1025)}


def predict_request(
    model: str = "record", *, shape: tuple[int, ...] = (1, 3), name: str = "x", label: str = "", more: int = 0
) -> predict_pb2.PredictRequest:
    """A request with one tensor, and `more` empty ones."""
    request = predict_pb2.PredictRequest(inputs={f"x{number}": {} for number in range(more)})
    request.model_spec.name = model
    if label:
        request.model_spec.version_label = label
    tensor = request.inputs[name]
    tensor.dtype = 1
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = np.zeros(3, np.float32).tobytes()
    return request


def predict(model: str = "record", *, key: str | None = "full", timeout: float | None = 60, **changes: Any) -> Send:
    request = predict_request(model, **changes)
    return lambda gateway: gateway.prediction.Predict(request, metadata=gateway.metadata(key) if key else (), timeout=timeout)


def raw(method: str, request: bytes, key: str | None = "full", timeout: float | None = 60) -> Send:
    content: Any = request
    return lambda gateway: gateway.channel.unary_unary(method)(content, metadata=gateway.metadata(key) if key else (), timeout=timeout)


def about_items(method: str, model: str = "record", *, label: str = "", **how: Any) -> Send:
    """Calls Classify, Regress or MultiInference with one item that is a patient's."""
    kinds = {
        "Classify": classification_pb2.ClassificationRequest,
        "Regress": regression_pb2.RegressionRequest,
        "MultiInference": multi_inference_pb2.MultiInferenceRequest,
    }
    request = kinds[method]()
    spec = request.tasks.add().model_spec if method == "MultiInference" else request.model_spec
    spec.name = model
    if label:
        spec.version_label = label
    item = request.input.example_list.examples.add()
    item.features.feature["name"].bytes_list.value.append(PATIENT.encode())
    return raw(f"/tensorflow.serving.PredictionService/{method}", request.SerializeToString(), **how)


def multi_inference(*models: str, **how: Any) -> Send:
    """Calls MultiInference with one task for each model."""
    request = multi_inference_pb2.MultiInferenceRequest()
    for number, model in enumerate(models):
        task = request.tasks.add(method_name="tensorflow/serving/regress")
        task.model_spec.name, task.model_spec.signature_name = model, f"s{number}"
    return raw("/tensorflow.serving.PredictionService/MultiInference", request.SerializeToString(), **how)


def reload(*models: str, key: str | None = "operator", **how: Any) -> Send:
    """Replaces the list of models."""
    request = model_management_pb2.ReloadConfigRequest()
    for model in models:
        request.config.model_config_list.config.add(name=model, base_path=f"/{PATIENT}", model_platform="tensorflow")
    return raw(RELOAD, request.SerializeToString(), key, **how)


ITEM_METHODS = ("Classify", "Regress", "MultiInference")
NAMED_BY = {"Classify": "model_spec.name", "Regress": "model_spec.name", "MultiInference": "tasks[0].model_spec.name"}


def with_authorization(value: str) -> Send:
    request = inference_pb2.InferRequest()
    return lambda gateway: gateway.inference.Infer(request, metadata=(("authorization", value),), timeout=60)


def get_model(name: str, key: str = "full") -> Send:
    return lambda gateway: gateway.catalog.GetModel(catalog_pb2.GetModelRequest(name=name), metadata=gateway.metadata(key), timeout=60)


def list_models(**fields: Any) -> Send:
    return lambda gateway: gateway.catalog.ListModels(catalog_pb2.ListModelsRequest(**fields), metadata=gateway.metadata(), timeout=60)


def get_status(key: str) -> Send:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "record"
    return lambda gateway: gateway.models.GetModelStatus(request, metadata=gateway.metadata(key), timeout=60)


def get_metadata(key: str) -> Send:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "record"
    return lambda gateway: gateway.prediction.GetModelMetadata(request, metadata=gateway.metadata(key), timeout=60)


# Ways for the model server to misbehave.


def refusing(code: grpc.StatusCode, message: str = PATIENT) -> Callable[[Peer], Script]:
    return lambda peer: lambda _, context: peer.refuse(context, code, message)


def answering(reply: bytes | Callable[[Peer], bytes]) -> Callable[[Peer], Script]:
    return lambda peer: lambda _, __: reply if isinstance(reply, bytes) else reply(peer)


def slow(peer: Peer) -> Script:
    """Answers only once nobody waits any more."""

    def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
        ended = Event()
        if context.add_callback(ended.set):
            ended.wait(60)
        return peer.answer([0.25, 0.75])

    return answer
