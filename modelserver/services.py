"""The gRPC services: bytes in, a call of the API, bytes out.

Requests and replies are parsed and built here, and not by gRPC: what can't be parsed gets TensorFlow Serving's answer, and a reply of arrays is
joined once from its parts.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from modelserver.errors import cut, status_of
from modelserver.metrics import Method, Metrics, Served
from modelserver.predict import Prediction
from modelserver.tensor import delimited

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
_MODEL_SPEC_FIELD = predict_pb2.PredictResponse.DESCRIPTOR.fields_by_name["model_spec"].number

Handle = Callable[[Any, grpc.ServicerContext], bytes]
# A reply, who found it, and for how many examples.
Inference = Callable[[Any], tuple[bytes, Served, int]]


def register(server: grpc.Server, api: Api, metrics: Metrics, control: ThreadPoolExecutor) -> None:
    """Puts the services on a server. What isn't implemented answers UNIMPLEMENTED.

    What looks at models or changes them runs on the threads of `control`: it is answered while every other thread is busy with predictions, and
    a reload that waits takes none of those.
    """
    predicted = {
        "Predict": (predict_pb2.PredictRequest, _predicts(api)),
        "Classify": (classification_pb2.ClassificationRequest, _finds(api.classify, "classifications")),
        "Regress": (regression_pb2.RegressionRequest, _finds(api.regress, "regressions")),
    }
    # TensorFlow Serving doesn't count it: it is asked of a model for each of its tasks.
    joint = {"MultiInference": (inference_pb2.MultiInferenceRequest, _message(api.multi_inference))}
    looked_at = {"GetModelMetadata": (get_model_metadata_pb2.GetModelMetadataRequest, _message(api.get_model_metadata))}
    models = {
        "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, _message(api.get_model_status)),
        "HandleReloadConfigRequest": (
            model_management_pb2.ReloadConfigRequest,
            lambda request, context: api.reloads.reload(request, context).SerializeToString(),
        ),
    }
    inference = {name: _counted(Method(name.lower(), "GRPC", name), kind, infer, metrics) for name, (kind, infer) in predicted.items()}
    inference |= {name: _uncounted(*row) for name, row in joint.items()}
    _add(server, PREDICTION_SERVICE, {**inference, **{name: _on(control, _uncounted(*row)) for name, row in looked_at.items()}})
    _add(server, MODEL_SERVICE, {name: _on(control, _uncounted(*row)) for name, row in models.items()})


def encode(prediction: Prediction) -> bytes:
    """A PredictResponse, as it goes on the wire."""
    spec = prediction.servable.spec(prediction.signature_key)
    return b"".join((*prediction.signature.encode(prediction.outputs), *delimited(_MODEL_SPEC_FIELD, [spec.SerializeToString()])))


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


def _message(answer: Callable[[Any], Message]) -> Handle:
    return lambda request, _: answer(request).SerializeToString()


def _add(server: grpc.Server, service: str, behaviors: dict[str, Callable[..., bytes]]) -> None:
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}
    for name, behavior in behaviors.items():
        handlers[name] = grpc.unary_unary_rpc_method_handler(behavior)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


def _on(threads: ThreadPoolExecutor, behavior: Callable[..., bytes]) -> Callable[..., bytes]:
    """Has a method answered by these threads. gRPC marks the name as experimental; without it all methods share one pool."""
    behavior.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return behavior


def _counted(method: Method, kind: type[Message], infer: Inference, metrics: Metrics) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    """A method that is counted and timed, by the model that is asked."""

    def call(raw: bytes, context: grpc.ServicerContext) -> bytes:
        started = time.perf_counter()
        request = _parse(kind, raw, context)
        try:
            reply, served, examples = infer(request)
        except Exception as error:  # noqa: BLE001 - the boundary
            status = status_of(error)
            metrics.failed(method, request.model_spec, status.code.name)
        else:
            metrics.answered(method, served, time.perf_counter() - started, examples=examples)
            return reply
        return context.abort(status.code, cut(status.message))

    return call


def _uncounted(kind: type[Message], handle: Handle) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    """A method that TensorFlow Serving doesn't count either."""

    def call(raw: bytes, context: grpc.ServicerContext) -> bytes:
        request = _parse(kind, raw, context)
        try:
            return handle(request, context)
        except Exception as error:  # noqa: BLE001 - the boundary
            status = status_of(error)
        return context.abort(status.code, cut(status.message))

    return call


def _parse(kind: type[Message], raw: bytes, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 - of that kind
    try:
        return kind.FromString(raw)
    except DecodeError:
        # TensorFlow Serving's gRPC says nothing more.
        return context.abort(grpc.StatusCode.INTERNAL, "")
