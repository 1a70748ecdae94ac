"""The drop-in: `tensorflow.serving.PredictionService` and `ModelService`, for clients written for TensorFlow Serving.

A request is passed on as the bytes it came as. Only its head is read: who is asked, and what shapes the tensors declare. Where the gateway
chose the version, a second `model_spec` is appended: protobuf merges it with the first, and of a oneof the last one wins
(https://protobuf.dev/programming-guides/encoding/#last-one-wins). `model_spec` is field 1 of every request but two. In a MultiInference each
task has its own, and what is appended to a repeated field is one more task: so its tasks are written anew, and what wasn't read is kept.
A reload names no model to ask.
"""

from collections.abc import Sequence

from google.protobuf.message import DecodeError
from msgspec.structs import replace

from gateway.call import MAX_RANK, Call, Route, Selector, TensorDeclaration, input_field, require_few_inputs
from gateway.errors import FieldInvalid, RequestMalformed, RequestTooLarge
from gateway.pipeline import Pipeline, Write
from tfserving.v1 import inference_pb2, model_pb2, prediction_pb2

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"

# Far more than any model has signatures, or any model server models: what a request may make the gateway walk through.
MAX_TASKS = 256
MAX_LISTED_MODELS = 10_000
# A list is parsed whole, and one of this size may take fifty times as much memory.
MAX_LIST_BYTES = 4 << 20


class ServingServicer:
    """Answers the methods of both services."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Takes the pipeline to delegate to."""
        self._pipeline = pipeline

    async def classify(self, call: Call, request: bytes) -> bytes:
        """Passes a `ClassificationRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse(bare, request), _version_of_prediction)

    async def regress(self, call: Call, request: bytes) -> bytes:
        """Passes a `RegressionRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse(bare, request), _version_of_prediction)

    async def predict(self, call: Call, request: bytes) -> bytes:
        """Passes a `PredictRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse_predict(bare, request), _version_of_prediction)

    async def multi_inference(self, call: Call, request: bytes) -> bytes:
        """Passes a `MultiInferenceRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse_multi_inference(bare, request), _version_of_multi_inference)

    async def get_model_metadata(self, call: Call, request: bytes) -> bytes:
        """Passes a `GetModelMetadataRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse(bare, request), _version_of_metadata)

    async def get_model_status(self, call: Call, request: bytes) -> bytes:
        """Passes a `GetModelStatusRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse(bare, request), lambda _: None)

    async def reload_config(self, call: Call, request: bytes) -> bytes:
        """Passes a `ReloadConfigRequest` on."""
        return await self._pipeline.forward(call, lambda bare: _parse_reload(bare, request), lambda _: None)


def _parse(bare: Call, request: bytes) -> tuple[Call, Write]:
    try:
        # Only `model_spec` matters here; the rest of the other requests is an unknown field of this message.
        selector = _selector_of(model_pb2.GetModelStatusRequest.FromString(request).model_spec)
    except DecodeError:
        raise _malformed() from None
    return replace(bare, selectors=(selector,)), lambda routes: _routed(request, selector, routes)


def _parse_predict(bare: Call, request: bytes) -> tuple[Call, Write]:
    try:
        head = prediction_pb2.PredictRequestHead.FromString(request)
    except DecodeError:
        raise _malformed() from None
    require_few_inputs(len(head.inputs))
    declarations = tuple(
        TensorDeclaration(
            field=f"{input_field(name)}.tensor_shape", shape=tuple(dim.size for dim in tensor.tensor_shape.dim[: MAX_RANK + 1]), input_name=name
        )
        for name, tensor in head.inputs.items()
    )
    selector = _selector_of(head.model_spec)
    call = replace(bare, selectors=(selector,), declarations=declarations, signature_name=head.model_spec.signature_name)
    return call, lambda routes: _routed(request, selector, routes)


def _parse_multi_inference(bare: Call, request: bytes) -> tuple[Call, Write]:
    try:
        head = inference_pb2.MultiInferenceRequestHead.FromString(request)
    except DecodeError:
        raise _malformed() from None
    if len(head.tasks) > MAX_TASKS:
        message = f"at most {MAX_TASKS} tasks are taken: send less at once"
        raise FieldInvalid(message, field="tasks")
    selectors = tuple(_selector_of(task.model_spec, f"tasks[{number}].model_spec.name") for number, task in enumerate(head.tasks))

    def write(routes: Sequence[Route]) -> bytes:
        chosen = [_chosen_version(selector, route) for selector, route in zip(selectors, routes, strict=True)]
        if not any(chosen):
            return request
        for task, version in zip(head.tasks, chosen, strict=True):
            if version is not None:
                task.model_spec.version.value = version
        return head.SerializeToString()

    return replace(bare, selectors=selectors), write


def _parse_reload(bare: Call, request: bytes) -> tuple[Call, Write]:
    if len(request) > MAX_LIST_BYTES:
        message = f"the list of models has {len(request)} bytes; at most {MAX_LIST_BYTES} are taken"
        raise RequestTooLarge(message)
    try:
        configs = model_pb2.ReloadConfigRequest.FromString(request).config.model_config_list.config
    except DecodeError:
        raise _malformed() from None
    if len(configs) > MAX_LISTED_MODELS:
        message = f"at most {MAX_LISTED_MODELS} models are taken"
        raise FieldInvalid(message, field="config.model_config_list.config")
    return replace(bare, listed_models=tuple(config.name for config in configs)), lambda _: request


def _selector_of(spec: model_pb2.ModelSpec, field: str = "model_spec.name") -> Selector:
    choice = spec.WhichOneof("version_choice")
    return Selector(
        model=spec.name,
        field=field,
        version=spec.version.value if choice == "version" else None,
        label=spec.version_label if choice == "version_label" else None,
    )


def _chosen_version(selector: Selector, route: Route) -> int | None:
    """The version to write into the request; None where the caller or the model server chooses."""
    return None if route.version == selector.version else route.version


def _routed(request: bytes, selector: Selector, routes: Sequence[Route]) -> bytes:
    """The request of one model with the chosen version, or as it is."""
    (route,) = routes
    version = _chosen_version(selector, route)
    if version is None:
        return request
    chosen = prediction_pb2.PredictRequestHead()
    chosen.model_spec.version.value = version
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


def _version_of_multi_inference(reply: bytes) -> int | None:
    """The same of a `MultiInferenceResponse`: one version answers all tasks."""
    try:
        results = inference_pb2.MultiInferenceResponseHead.FromString(reply).results
    except DecodeError:
        return None
    return next((result.model_spec.version.value for result in results), 0) or None
