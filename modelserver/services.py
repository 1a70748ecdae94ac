"""The gRPC services: bytes in, a call of the API, bytes out.

Requests and replies are parsed and built here, and not by gRPC: what can't be parsed gets TensorFlow Serving's answer, and a reply of arrays is
joined once from its parts.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from modelserver.api import Api
from modelserver.errors import ServingError, cut, status_of
from modelserver.grpc_server import Answer
from modelserver.metrics import Method, Metrics, Served
from modelserver.predict import Prediction
from modelserver.servable import spec_of
from modelserver.tensor import delimited

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
_MODEL_SPEC_FIELD = predict_pb2.PredictResponse.DESCRIPTOR.fields_by_name["model_spec"].number

# A reply, who found it, and for how many examples.
Inference = Callable[[Any], tuple[bytes, Served, int]]


def inference(api: Api, metrics: Metrics) -> dict[str, Answer]:
    """The methods that run models, by their full names."""
    counted = {
        "Predict": (predict_pb2.PredictRequest, _predicts(api)),
        "Classify": (classification_pb2.ClassificationRequest, _finds(api.classify, "classifications")),
        "Regress": (regression_pb2.RegressionRequest, _finds(api.regress, "regressions")),
    }
    # TensorFlow Serving doesn't count it: it is asked of a model for each of its tasks.
    joint = {"MultiInference": (inference_pb2.MultiInferenceRequest, api.multi_inference)}
    answers = {name: _counted(Method(name.lower(), "GRPC", name), kind, infer, metrics) for name, (kind, infer) in counted.items()}
    answers |= {name: _uncounted(kind, infer) for name, (kind, infer) in joint.items()}
    return {f"/{PREDICTION_SERVICE}/{name}": answer for name, answer in answers.items()}


def register(server: grpc.Server, api: Api) -> None:
    """Puts on a server what looks at models or changes them."""

    def reload(request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext) -> Message:
        return api.reloads.reload(request, context)

    looked_at = {"GetModelMetadata": _handler(get_model_metadata_pb2.GetModelMetadataRequest, lambda request, _: api.get_model_metadata(request))}
    models = {
        "GetModelStatus": _handler(get_model_status_pb2.GetModelStatusRequest, lambda request, _: api.get_model_status(request)),
        "HandleReloadConfigRequest": _handler(model_management_pb2.ReloadConfigRequest, reload),
    }
    services = {PREDICTION_SERVICE: looked_at, MODEL_SERVICE: models}
    server.add_generic_rpc_handlers(tuple(grpc.method_handlers_generic_handler(name, handlers) for name, handlers in services.items()))


def encode(prediction: Prediction) -> bytes:
    """A PredictResponse, as it goes on the wire."""
    servable = prediction.servable
    spec = _model_spec(servable.name, servable.version, prediction.signature_key)
    return b"".join((*prediction.signature.encode(prediction.outputs), spec))


@lru_cache(maxsize=1024)
def _model_spec(name: str, version: int, signature_key: str) -> bytes:
    """The field that says who answered, and by which signature: it is the same for every call."""
    return b"".join(delimited(_MODEL_SPEC_FIELD, [spec_of(name, version, signature_key).SerializeToString()]))


def _predicts(api: Api) -> Inference:
    def infer(request: predict_pb2.PredictRequest) -> tuple[bytes, Served, int]:
        found = api.predict(request)
        return encode(found), Served(found.servable.name, found.servable.version, found.signature_key), 0

    return infer


def _finds(answer: Callable[[Any], Any], results: str) -> Inference:
    def infer(request: Message) -> tuple[bytes, Served, int]:
        found = answer(request)
        spec = found.model_spec
        return found.SerializeToString(), Served(spec.name, spec.version.value, spec.signature_name), len(getattr(found.result, results))

    return infer


def _counted(method: Method, kind: type[Message], infer: Inference, metrics: Metrics) -> Answer:
    """A method that is counted and timed, by the model that is asked."""

    def answer(raw: bytes) -> bytes:
        started = time.perf_counter()
        request = _parse(kind, raw)
        try:
            reply, served, examples = infer(request)
        except Exception as error:  # noqa: BLE001 - the boundary
            status = status_of(error)
            metrics.failed(method, request.model_spec, status.code.name)
            raise status from None
        metrics.answered(method, served, time.perf_counter() - started, examples=examples)
        return reply

    return answer


def _uncounted(kind: type[Message], infer: Callable[[Any], Message]) -> Answer:
    """A method that TensorFlow Serving doesn't count either."""

    def answer(raw: bytes) -> bytes:
        return infer(_parse(kind, raw)).SerializeToString()

    return answer


def _handler(kind: type[Message], handle: Callable[[Any, grpc.ServicerContext], Message]) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """A method that gRPC itself answers: it may wait, and learn meanwhile that its caller has gone."""

    def behavior(raw: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return _uncounted(kind, lambda request: handle(request, context))(raw)
        except Exception as error:  # noqa: BLE001 - the boundary
            status = status_of(error)
        return context.abort(status.code, cut(status.message))

    return grpc.unary_unary_rpc_method_handler(behavior)


def _parse(kind: type[Message], raw: bytes) -> Any:  # noqa: ANN401 - of that kind
    try:
        return kind.FromString(raw)
    except DecodeError:
        # TensorFlow Serving's gRPC says nothing more.
        raise ServingError(grpc.StatusCode.INTERNAL, "") from None
