"""The public messages, byte for byte: what a request means to the stages, and what an answer looks like on the wire."""

import asyncio
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

import pytest

from gateway.call import MAX_RANK, Action, Call, PurposeOfUse, Route, Selector, TensorDeclaration
from gateway.errors import FieldInvalid, RequestMalformed
from gateway.item import Channel, DeclaredTensor, DicomObject, EncodedImage, Item, Quantity, Record, TimeSeries
from gateway.manifest import Coding, InputSpec, Manifest, OutputSpec
from gateway.pipeline import Inference
from gateway.reading import Caution, Decision, Finding, Reading
from gateway.rpc.inference import InferenceServicer
from gateway.tensor import DType, Tensor
from medserve.v1 import inference_pb2, input_pb2, tensor_pb2

BARE = Call(
    method="/medserve.v1.InferenceService/Infer", action=Action.INFER, request_id="bare",
    authorization="", timeout_seconds=None, size_bytes=0,
)  # fmt: skip
MANIFEST = Manifest(
    name="digits", version=3, signature_name="serving_default", weights_digest="sha256:ab",
    inputs={"x": InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,))},
    outputs={"p": OutputSpec(name="p", dtype=DType.FLOAT32, shape=(2,))},
)  # fmt: skip
FINDING = Finding(output="p", code=Coding(system="s", code="7", display="seven"), probability=0.5, decision=Decision.PRESENT, operating_point=0.25)
ANSWER = Inference(
    request_id="r",
    route=Route(model="digits", version=3, label="stable", manifest=MANIFEST),
    reading=Reading(
        findings=(FINDING,), warnings=(Caution(reason="R", message="m"),),
        outputs={"p": Tensor(dtype=DType.FLOAT32, shape=(2,), content=b"\0\0\0\x3f\0\0\0\x3f")},
    ),
)  # fmt: skip

# Written by hand from the field numbers of proto/medserve/v1: tag, length, content.
REQUEST = bytes.fromhex(
    "0a10" + "0a06646967697473" + "1a06737461626c65"  # model: name "digits", version_label "stable"
    "1219" + "0a0178" + "1214"  # inputs: "x" to
    "0a12" + "0802" + "120102" + "1a0b3132333435363738393031"  # a tensor: data_type 2 (FLOAT32), shape [2], content of eleven bytes
    "1a12" + "0a02722d" + "12057374756479" + "1a03706174" + "2001"  # context: request id, study, patient, treatment
    "2202" + "0801"  # options: include_raw_outputs
)
SERVED = "0a0172" + "121d" + "0a06646967697473" + "1003" + "1a06737461626c65" + "22097368613235363a6162"
FOUND = "1a26" + "0a0170" + "120d" + "0a0173" + "120137" + "1a05736576656e" + "19000000000000e03f" + "2001" + "29000000000000d03f"
WARNED = "2206" + "0a0152" + "12016d"
RAW = "2a14" + "0a0170" + "120f" + "0802" + "120102" + "1a08" + "0000003f0000003f"


class Recording:
    """A pipeline that keeps what it is given and answers as it is told."""

    def __init__(self) -> None:
        self.call: Call | None = None
        self.item: Item | None = None

    async def infer(self, bare: Call, parse: Any, write: Callable[[Inference], bytes]) -> bytes:
        self.call, self.item = parse(bare)
        return write(ANSWER)


def infer(request: bytes) -> tuple[Call, Item, bytes]:
    pipeline = Recording()
    answer = asyncio.run(InferenceServicer(cast("Any", pipeline)).infer(BARE, request))
    assert pipeline.call is not None
    assert pipeline.item is not None
    return pipeline.call, pipeline.item, answer


def serialized(**fields: Any) -> bytes:
    return inference_pb2.InferRequest(**fields).SerializeToString()


def test_a_request_means_this() -> None:
    call, item, _ = infer(REQUEST)

    assert call.selectors == (Selector(model="digits", label="stable"),)
    assert (call.request_id, call.study_key, call.patient_key, call.purpose_of_use) == ("r-", "study", "pat", PurposeOfUse.TREATMENT)
    assert call.declarations == (TensorDeclaration(field='inputs["x"].tensor.shape', shape=(2,)),)
    assert item.inputs == {"x": DeclaredTensor(dtype=DType.FLOAT32, shape=(2,), content=b"12345678901")}


def test_an_answer_with_raw_outputs_is_these_bytes() -> None:
    _, _, answer = infer(REQUEST)

    assert answer.hex() == SERVED + FOUND + WARNED + RAW


def test_an_answer_without_them_holds_none() -> None:
    _, _, answer = infer(serialized(model={"name": "digits"}))

    assert answer.hex() == SERVED + FOUND + WARNED


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ({}, None),
        ({"image": {"content": b"png"}}, EncodedImage(content=b"png")),
        ({"dicom": {"content": b"dcm"}}, DicomObject(content=b"dcm")),
        ({"tensor": {"data_type": 99}}, DeclaredTensor(dtype=None, shape=(), content=b"")),
        (
            {"tensor": {"data_type": 13, "shape": [1], "string_values": [b"s"]}},
            DeclaredTensor(dtype=DType.STRING, shape=(1,), content=b"", strings=[b"s"]),
        ),
        (
            {"time_series": {"channels": [{"name": "I", "unit": "mV", "values": [1, 2]}], "sampling_frequency_hz": 100}},
            TimeSeries(channels=(Channel(name="I", unit="mV", values=[1.0, 2.0]),), sampling_frequency_hz=100, times_seconds=[]),
        ),
        (
            {"time_series": {"times_seconds": [0.5, 2]}},
            TimeSeries(channels=(), sampling_frequency_hz=0, times_seconds=[0.5, 2.0]),
        ),
        (
            {"record": {"features": {"age": {"quantity": {"value": 61, "unit": "a"}}, "sex": {"category": "f"}, "weight": {}}}},
            Record(features={"age": Quantity(value=61, unit="a"), "sex": "f", "weight": None}),
        ),
    ],
)
def test_an_input_means_this(value: dict[str, Any], meant: object) -> None:
    _, item, _ = infer(serialized(model={"name": "m"}, inputs={"x": input_pb2.Input(**value)}))

    assert item.inputs == {"x": meant}


@pytest.mark.parametrize(
    ("model", "selector"),
    [
        ({"name": "m"}, Selector(model="m")),
        ({"name": "m", "version": 0}, Selector(model="m", version=0)),
        ({"name": "m", "version_label": ""}, Selector(model="m", label="")),
        ({}, Selector(model="")),
    ],
)
def test_a_selector_means_this(model: dict[str, Any], selector: Selector) -> None:
    call, _, _ = infer(serialized(model=model))

    assert call.selectors == (selector,)


def test_an_unknown_purpose_is_recorded_as_none() -> None:
    call, _, _ = infer(serialized(context={"purpose_of_use": 99}))

    assert (call.purpose_of_use, call.request_id) == (PurposeOfUse.UNSPECIFIED, "bare")


def test_a_shape_of_a_million_dimensions_is_not_copied() -> None:
    call, item, _ = infer(serialized(inputs={"x": input_pb2.Input(tensor=tensor_pb2.Tensor(shape=[1] * 1_000_000))}))

    declared = item.inputs["x"]
    assert isinstance(declared, DeclaredTensor)
    assert len(call.declarations[0].shape) == len(declared.shape) == MAX_RANK + 1


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"time_series": {"channels": [{}] * 2049}}, 'inputs["b"].time_series.channels'),
        ({"record": {"features": {str(number): {} for number in range(2049)}}}, 'inputs["b"].record.features'),
    ],
    ids=["channels", "features"],
)
def test_what_two_inputs_hold_together_is_bounded(value: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid, match="at most 4096") as caught:
        infer(serialized(inputs={name: input_pb2.Input(**value) for name in ("a", "b")}))

    # A map has no order.
    assert caught.value.field in {field, field.replace('"b"', '"a"')}


def test_of_a_million_strings_none_is_made_before_they_are_counted() -> None:
    content = serialized(inputs={"x": input_pb2.Input(tensor=tensor_pb2.Tensor(shape=[1], string_values=[b"ab"] * 1_000_000))})
    tracemalloc.start()
    try:
        _, item, _ = infer(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    declared = item.inputs["x"]
    assert isinstance(declared, DeclaredTensor)
    assert len(declared.strings) == 1_000_000
    assert peak < 1_000_000


def test_a_name_that_is_not_plain_is_not_said_back() -> None:
    call, _, _ = infer(serialized(inputs={"Doe^Jane": input_pb2.Input(tensor=tensor_pb2.Tensor(shape=[1]))}))

    assert call.declarations[0].field == "inputs.tensor.shape"


def test_bytes_that_are_no_request_are_malformed() -> None:
    with pytest.raises(RequestMalformed, match="InferRequest"):
        infer(b"\xff\xff\xff")


def test_a_request_id_that_could_break_a_log_line_is_refused() -> None:
    with pytest.raises(FieldInvalid) as caught:
        infer(serialized(context={"request_id": "Doe^Jane\n"}))

    assert caught.value.field == "context.request_id"
