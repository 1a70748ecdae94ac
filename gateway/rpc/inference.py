"""`medserve.v1.InferenceService`: the public messages to and from what the stages read."""

from collections.abc import Callable

from google.protobuf.message import DecodeError
from msgspec.structs import replace

from gateway.call import MAX_CHANNELS, MAX_FEATURES, MAX_RANK, Call, PurposeOfUse, Selector, TensorDeclaration, input_field, require_few_inputs
from gateway.errors import FieldInvalid, RequestMalformed
from gateway.item import Channel, DeclaredTensor, DicomObject, EncodedImage, InputData, Item, Quantity, Record, TimeSeries
from gateway.pipeline import Inference, Pipeline
from gateway.rpc.answer import response_of
from gateway.tensor import DType
from medserve.v1 import inference_pb2, input_pb2, tensor_pb2

SERVICE = "medserve.v1.InferenceService"

_DTYPE = {number: DType[name.removeprefix("DATA_TYPE_")] for name, number in tensor_pb2.DataType.items() if number}
_PURPOSE_OF_USE = {
    inference_pb2.PURPOSE_OF_USE_TREATMENT: PurposeOfUse.TREATMENT,
    inference_pb2.PURPOSE_OF_USE_EMERGENCY_TREATMENT: PurposeOfUse.EMERGENCY_TREATMENT,
    inference_pb2.PURPOSE_OF_USE_RESEARCH: PurposeOfUse.RESEARCH,
    inference_pb2.PURPOSE_OF_USE_QUALITY: PurposeOfUse.QUALITY,
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
            return _call_of(bare, message), Item(inputs={name: item_input_of(value) for name, value in message.inputs.items()})

        def write(inference: Inference) -> bytes:
            return response_of(inference, include_raw_outputs=include_raw_outputs).SerializeToString()

        return await self._pipeline.infer(call, parse, write)


def _require_few_parts(request: inference_pb2.InferRequest) -> None:
    """Raises FieldInvalid for more inputs, or for more channels or features in all of them, than are taken."""
    require_few_inputs(len(request.inputs))
    channels = features = 0
    for name, value in request.inputs.items():
        channels += len(value.time_series.channels)
        if channels > MAX_CHANNELS:
            message = f"the request has {channels} channels or more; at most {MAX_CHANNELS} are taken"
            raise FieldInvalid(message, field=f"{input_field(name)}.time_series.channels")
        features += len(value.record.features)
        if features > MAX_FEATURES:
            message = f"the request has {features} features or more; at most {MAX_FEATURES} are taken"
            raise FieldInvalid(message, field=f"{input_field(name)}.record.features")


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


def _tensor_of(message: input_pb2.Input) -> DeclaredTensor:
    tensor = message.tensor
    return DeclaredTensor(dtype=_DTYPE.get(tensor.data_type), shape=_shape_of(tensor), content=tensor.content, strings=tensor.string_values or ())


def _time_series_of(message: input_pb2.Input) -> TimeSeries:
    series = message.time_series
    return TimeSeries(
        channels=tuple(Channel(name=channel.name, unit=channel.unit, values=channel.values) for channel in series.channels),
        sampling_frequency_hz=series.sampling_frequency_hz,
        times_seconds=series.times_seconds,
    )


def _record_of(message: input_pb2.Input) -> Record:
    return Record(features={name: _feature_of(feature) for name, feature in message.record.features.items()})


def _feature_of(feature: input_pb2.Feature) -> Quantity | str | None:
    match feature.WhichOneof("value"):
        case "quantity":
            return Quantity(value=feature.quantity.value, unit=feature.quantity.unit)
        case "category":
            return feature.category
        case _:
            return None


_INPUT_OF: dict[str, Callable[[input_pb2.Input], InputData]] = {
    "tensor": _tensor_of,
    "dicom": lambda message: DicomObject(content=message.dicom.content),
    "image": lambda message: EncodedImage(content=message.image.content),
    "time_series": _time_series_of,
    "record": _record_of,
}


def item_input_of(message: input_pb2.Input) -> InputData | None:
    """What the stages read of one input; None where it has no value."""
    form = message.WhichOneof("value")
    return None if form is None else _INPUT_OF[form](message)
