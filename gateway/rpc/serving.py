"""The drop-in: `tensorflow.serving.PredictionService` and `ModelService`, for clients written for TensorFlow Serving.

A request is passed on as the bytes it came as. Only its head is read (who is asked, and what shapes the tensors declare), and where the gateway
chose the version, a second `model_spec` is appended: protobuf merges it with the first, and of a oneof the last one wins
(https://protobuf.dev/programming-guides/encoding/#last-one-wins). `model_spec` is field 1 of all three requests.
"""

from collections.abc import Callable

from google.protobuf.message import DecodeError
from msgspec.structs import replace

from gateway.call import MAX_RANK, Call, Route, Selector, TensorDeclaration, input_field
from gateway.errors import RequestMalformed
from gateway.pipeline import Pipeline
from tfserving.v1 import model_pb2, prediction_pb2

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"


class ServingServicer:
    """Answers `Predict`, `GetModelMetadata` and `GetModelStatus`."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Takes the pipeline to delegate to."""
        self._pipeline = pipeline

    async def predict(self, call: Call, request: bytes) -> bytes:
        """Passes a `PredictRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse_predict(bare, request), _version_of_prediction)

    async def get_model_metadata(self, call: Call, request: bytes) -> bytes:
        """Passes a `GetModelMetadataRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse(bare, request), _version_of_metadata)

    async def get_model_status(self, call: Call, request: bytes) -> bytes:
        """Passes a `GetModelStatusRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse(bare, request), lambda _: None)


def _parse_predict(bare: Call, request: bytes) -> tuple[Call, Callable[[Route], bytes]]:
    try:
        head = prediction_pb2.PredictRequestHead.FromString(request)
    except DecodeError:
        raise _malformed() from None
    declarations = tuple(
        TensorDeclaration(
            field=f"{input_field(name)}.tensor_shape", shape=tuple(dim.size for dim in tensor.tensor_shape.dim[: MAX_RANK + 1]), input_name=name
        )
        for name, tensor in head.inputs.items()
    )
    selector = _selector_of(head.model_spec)
    call = replace(bare, selector=selector, declarations=declarations, signature_name=head.model_spec.signature_name)
    return call, lambda route: _routed(request, selector, route)


def _parse(bare: Call, request: bytes) -> tuple[Call, Callable[[Route], bytes]]:
    try:
        # Of the two other requests only `model_spec` matters here; the rest is an unknown field of this message.
        selector = _selector_of(model_pb2.GetModelStatusRequest.FromString(request).model_spec)
    except DecodeError:
        raise _malformed() from None
    return replace(bare, selector=selector), lambda route: _routed(request, selector, route)


def _selector_of(spec: model_pb2.ModelSpec) -> Selector:
    choice = spec.WhichOneof("version_choice")
    return Selector(
        model=spec.name,
        field="model_spec.name",
        version=spec.version.value if choice == "version" else None,
        label=spec.version_label if choice == "version_label" else None,
    )


def _routed(request: bytes, selector: Selector, route: Route) -> bytes:
    """The request with the chosen version, or as it is where the caller or the model server chooses."""
    if route.version is None or route.version == selector.version:
        return request
    chosen = prediction_pb2.PredictRequestHead()
    chosen.model_spec.version.value = route.version
    return request + chosen.SerializeToString()


def _malformed() -> RequestMalformed:
    return RequestMalformed("the request can't be parsed: build it with the stubs of tensorflow_serving.apis")


def _version_of_prediction(reply: bytes) -> int | None:
    return _version_in(prediction_pb2.PredictResponseHead, reply)


def _version_of_metadata(reply: bytes) -> int | None:
    return _version_in(model_pb2.GetModelMetadataResponse, reply)


def _version_in(kind: type[prediction_pb2.PredictResponseHead] | type[model_pb2.GetModelMetadataResponse], reply: bytes) -> int | None:
    """The version that answered, for the audit; None where the reply doesn't say. The caller gets the reply either way."""
    try:
        return kind.FromString(reply).model_spec.version.value or None
    except DecodeError:
        return None
