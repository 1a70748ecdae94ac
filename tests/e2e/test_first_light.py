"""A real image goes in by gRPC over TLS and a finding comes out; likewise a DICOM object, a heartbeat and a tensor."""

import hashlib
import json
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.protobuf import json_format
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from medserve.v1 import inference_pb2, manifest_pb2, reading_pb2, tensor_pb2
from training.data.ecg5000 import load_ecg5000

if TYPE_CHECKING:
    from tests.e2e.conftest import Caller


def manifest_of(folder: Path) -> manifest_pb2.ModelManifest:
    return json_format.Parse((folder / "assets.extra" / "medserve_manifest.json").read_text(), manifest_pb2.ModelManifest())


def probabilities(response: inference_pb2.InferResponse) -> dict[str, float]:
    return {finding.code.code: finding.probability for finding in response.findings}


def test_a_png_becomes_findings(caller: "Caller", digit_request: inference_pb2.InferRequest) -> None:
    manifest = manifest_of(caller.stack.repository / "digits" / "1")

    response = caller.infer(digit_request)

    assert (response.served_by.model, response.served_by.version) == ("digits", 1)
    assert response.served_by.weights_digest == manifest.weights_digest
    assert sorted(probabilities(response)) == [str(number) for number in range(10)]
    assert sum(probabilities(response).values()) == pytest.approx(1, abs=1e-5)
    assert [finding.decision for finding in response.findings] == [reading_pb2.DECISION_PRESENT, *[reading_pb2.DECISION_ABSENT] * 9]
    assert [warning.reason for warning in response.warnings] == ["TRIAL", "DEMONSTRATION_ONLY"]


def test_the_findings_are_the_models_own(caller: "Caller", digit: NDArray[np.uint8], digit_request: inference_pb2.InferRequest) -> None:
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds, and the other tests don't need it

    signature = tf.saved_model.load(str(caller.stack.repository / "digits" / "1")).signatures["serving_default"]
    expected = signature(tf.constant(digit[np.newaxis, :, :, np.newaxis]))["probabilities"].numpy()[0]

    found = probabilities(caller.infer(digit_request))

    np.testing.assert_allclose([found[str(number)] for number in range(10)], expected, atol=1e-6)


def test_a_dicom_object_gives_the_same_findings_as_the_png(
    caller: "Caller", digit: NDArray[np.uint8], digit_request: inference_pb2.InferRequest
) -> None:
    """MONOCHROME1 turns white to black, and the window of the object spans all of its values: so the same picture comes out."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, "OT"
    data.PatientName = "Not^ForTheLog"
    data.Rows, data.Columns = digit.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME1", 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.WindowCenter, data.WindowWidth = 128, 256
    data.PixelData = (255 - digit).tobytes()
    file = BytesIO()
    data.save_as(file, enforce_file_format=True)
    request = inference_pb2.InferRequest()
    request.model.name = "digits"
    request.inputs["images"].dicom.content = file.getvalue()

    response = caller.infer(request)

    expected = probabilities(caller.infer(digit_request))
    assert probabilities(response) == pytest.approx(expected, abs=1e-6)
    assert "ForTheLog" not in "".join(path.read_text() for path in caller.stack.log_folder.iterdir())
    assert "ForTheLog" not in caller.stack.audit_file.read_text()


def test_a_tensor_gives_the_same_findings_as_the_png(caller: "Caller", digit: NDArray[np.uint8], digit_request: inference_pb2.InferRequest) -> None:
    request = inference_pb2.InferRequest(options=inference_pb2.InferOptions(include_raw_outputs=True))
    request.model.name = "digits"
    request.inputs["images"].tensor.CopyFrom(tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_UINT8, shape=(28, 28, 1), content=digit.tobytes()))

    response = caller.infer(request)

    raw = np.frombuffer(response.raw_outputs["probabilities"].content, dtype="<f4")
    assert probabilities(response) == probabilities(caller.infer(digit_request))
    assert [probabilities(response)[str(number)] for number in range(10)] == pytest.approx(raw.tolist(), abs=1e-7)


def test_a_heartbeat_becomes_findings(caller: "Caller") -> None:
    request = inference_pb2.InferRequest()
    request.model.name = "ecg-lstm"
    channel = request.inputs["series"].time_series.channels.add(name="ecg", unit="1")
    channel.values.extend(load_ecg5000().held_out.inputs[0, :, 0].tolist())

    response = caller.infer(request)

    assert len(response.findings) == 5
    assert sum(probabilities(response).values()) == pytest.approx(1, abs=1e-5)


def test_the_version_can_be_chosen_by_number_and_by_label(caller: "Caller", digit_request: inference_pb2.InferRequest) -> None:
    by_number, by_label = inference_pb2.InferRequest(), inference_pb2.InferRequest()
    by_number.CopyFrom(digit_request)
    by_number.model.version = 1
    by_label.CopyFrom(digit_request)
    by_label.model.version_label = "stable"

    answers = [caller.infer(request).served_by for request in (by_number, by_label)]

    assert [(answer.version, answer.version_label) for answer in answers] == [(1, ""), (1, "stable")]


def test_the_audit_log_has_one_line_for_the_call_and_no_key_of_the_study(caller: "Caller", digit_request: inference_pb2.InferRequest) -> None:
    request = inference_pb2.InferRequest()
    request.CopyFrom(digit_request)
    request.context.request_id = "audited-call"
    request.context.study_key = "1.2.840.99999.1"
    request.context.purpose_of_use = inference_pb2.PURPOSE_OF_USE_QUALITY

    caller.infer(request)

    text = wait_for_line(caller.stack.audit_file, "audited-call")
    events = [json.loads(line) for line in text.splitlines() if "audited-call" in line]
    assert len(events) == 1
    assert (events[0]["code"], events[0]["model"], events[0]["version"], events[0]["purpose_of_use"]) == ("OK", "digits", 1, "HQUALIMP")
    assert "1.2.840.99999.1" not in text
    assert len(events[0]["study"]) == hashlib.sha256().digest_size * 2


def wait_for_line(file: Path, wanted: str) -> str:
    """The file's text once it holds `wanted`: a thread of the gateway's own writes it."""
    deadline = time.monotonic() + 60
    while wanted not in (text := file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return text
