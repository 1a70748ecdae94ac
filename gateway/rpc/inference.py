"""`medserve.v1.InferenceService`: the public messages to and from what the stages read."""

from collections.abc import Callable

from google.protobuf.message import DecodeError
from msgspec.structs import replace

from gateway.call import (
    MAX_CHANNELS,
    MAX_RANK,
    Call,
    Channel,
    Decision,
    DeclaredTensor,
    DicomObject,
    EncodedImage,
    InputData,
    Item,
    PurposeOfUse,
    Selector,
    TensorDeclaration,
    TimeSeries,
    input_field,
    require_few_inputs,
)
from gateway.errors import FieldInvalid, RequestMalformed
from gateway.manifest import Coding
from gateway.pipeline import Inference, Pipeline
from gateway.tensor import DType, Tensor
from medserve.v1 import inference_pb2, manifest_pb2, tensor_pb2

SERVICE = "medserve.v1.InferenceService"

_DTYPE = {number: DType[name.removeprefix("DATA_TYPE_")] for name, number in tensor_pb2.DataType.items() if number}
_DATA_TYPE = {dtype: number for number, dtype in _DTYPE.items()}
_PURPOSE_OF_USE = {
    inference_pb2.PURPOSE_OF_USE_TREATMENT: PurposeOfUse.TREATMENT,
    inference_pb2.PURPOSE_OF_USE_EMERGENCY_TREATMENT: PurposeOfUse.EMERGENCY_TREATMENT,
    inference_pb2.PURPOSE_OF_USE_RESEARCH: PurposeOfUse.RESEARCH,
    inference_pb2.PURPOSE_OF_USE_QUALITY: PurposeOfUse.QUALITY,
}
_DECISION = {
    Decision.UNSPECIFIED: inference_pb2.DECISION_UNSPECIFIED,
    Decision.PRESENT: inference_pb2.DECISION_PRESENT,
    Decision.ABSENT: inference_pb2.DECISION_ABSENT,
}


class InferenceServicer:
    """Answers `Infer`."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Takes the pipeline to delegate to."""
        self._pipeline = pipeline

    async def infer(self, call: Call, request: bytes) -> bytes:
        """One `InferRequest` in, one `InferResponse` out."""
        include_raw_outputs = False

        def parse(bare: Call) -> tuple[Call, Item]:
            nonlocal include_raw_outputs
            try:
                message = inference_pb2.InferRequest.FromString(request)
            except DecodeError:
                raise RequestMalformed("the request isn't an InferRequest: build it with the stubs of medserve.v1") from None
            _require_few_parts(message)
            include_raw_outputs = message.options.include_raw_outputs
            return _call_of(bare, message), Item(inputs={name: _input_of(value) for name, value in message.inputs.items()})

        return response_of(await self._pipeline.infer(call, parse), include_raw_outputs=include_raw_outputs).SerializeToString()


def _require_few_parts(request: inference_pb2.InferRequest) -> None:
    """Raises FieldInvalid for more inputs or channels than are taken."""
    require_few_inputs(len(request.inputs))
    for name, value in request.inputs.items():
        count = len(value.time_series.channels)
        if count > MAX_CHANNELS:
            message = f"the series has {count} channels; at most {MAX_CHANNELS} are taken"
            raise FieldInvalid(message, field=f"{input_field(name)}.time_series.channels")


def _call_of(bare: Call, message: inference_pb2.InferRequest) -> Call:
    choice = message.model.WhichOneof("version_choice")
    return replace(
        bare,
        request_id=message.context.request_id or bare.request_id,
        selectors=(
            Selector(
                model=message.model.name,
                version=message.model.version if choice == "version" else None,
                label=message.model.version_label if choice == "version_label" else None,
            ),
        ),
        declarations=tuple(_declarations_of(message)),
        purpose_of_use=_PURPOSE_OF_USE.get(message.context.purpose_of_use, PurposeOfUse.UNSPECIFIED),
        study_key=message.context.study_key,
        patient_key=message.context.patient_key,
    )


def _declarations_of(message: inference_pb2.InferRequest) -> list[TensorDeclaration]:
    """The shapes that tensors declare. What an image or a DICOM object declares is bounded where it is decoded."""
    return [
        TensorDeclaration(field=f"{input_field(name)}.tensor.shape", shape=_shape_of(value.tensor))
        for name, value in message.inputs.items()
        if value.WhichOneof("value") == "tensor"
    ]


def _shape_of(tensor: tensor_pb2.Tensor) -> tuple[int, ...]:
    """The shape, cut one above the rank that any tensor can have: it fits no model either way, and may be a hundred million ones."""
    return tuple(tensor.shape[: MAX_RANK + 1])


def _tensor_of(message: inference_pb2.Input) -> DeclaredTensor:
    tensor = message.tensor
    return DeclaredTensor(dtype=_DTYPE.get(tensor.data_type), shape=_shape_of(tensor), content=tensor.content, strings=tuple(tensor.string_values))


def _time_series_of(message: inference_pb2.Input) -> TimeSeries:
    series = message.time_series
    return TimeSeries(
        channels=tuple(Channel(name=channel.name, unit=channel.unit, values=channel.values) for channel in series.channels),
        sampling_frequency_hz=series.sampling_frequency_hz,
    )


_INPUT_OF: dict[str, Callable[[inference_pb2.Input], InputData]] = {
    "tensor": _tensor_of,
    "dicom": lambda message: DicomObject(content=message.dicom.content),
    "image": lambda message: EncodedImage(content=message.image.content),
    "time_series": _time_series_of,
}


def _input_of(message: inference_pb2.Input) -> InputData | None:
    form = message.WhichOneof("value")
    return None if form is None else _INPUT_OF[form](message)


def response_of(inference: Inference, *, include_raw_outputs: bool) -> inference_pb2.InferResponse:
    """The public answer."""
    route, reading = inference.route, inference.reading
    response = inference_pb2.InferResponse(
        request_id=inference.request_id,
        served_by=inference_pb2.ServedBy(
            model=route.model,
            version=route.version or 0,
            version_label=route.label,
            weights_digest=route.manifest.weights_digest if route.manifest is not None else "",
        ),
        warnings=[inference_pb2.Warning(reason=caution.reason, message=caution.message) for caution in reading.warnings],
    )
    for finding in reading.findings:
        response.findings.add(
            output=finding.output,
            code=_coding_of(finding.code),
            probability=finding.probability,
            decision=_DECISION[finding.decision],
            operating_point=finding.operating_point,
        )
    if include_raw_outputs:
        for name, tensor in reading.outputs.items():
            response.raw_outputs[name].CopyFrom(_messageof(tensor))
    return response


def _coding_of(coding: Coding) -> manifest_pb2.Coding:
    return manifest_pb2.Coding(system=coding.system, code=coding.code, display=coding.display)


def _messageof(tensor: Tensor) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(data_type=_DATA_TYPE[tensor.dtype], shape=tensor.shape, content=bytes(tensor.content), string_values=tensor.strings)
