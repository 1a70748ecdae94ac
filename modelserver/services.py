"""The gRPC services, in TensorFlow Serving's order of checks."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import structlog
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from modelserver.errors import ServingError, cut, invalid_argument
from modelserver.manager import Manager
from modelserver.metrics import Metrics
from modelserver.servable import Servable

_log = structlog.get_logger("modelserver.services")

_SIGNATURE_DEF = "signature_def"


@contextmanager
def _boundary(context: grpc.ServicerContext, failed: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Turns what is raised within into a status. Of what nobody foresaw, neither the caller nor the log gets the text: it may hold what was sent."""
    try:
        yield
    except ServingError as error:
        status = error
    except Exception as error:  # noqa: BLE001 - the boundary
        frame = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("a call failed inside the server", kind=type(error).__name__, where=f"{frame.filename}:{frame.lineno}")
        status = ServingError(grpc.StatusCode.INTERNAL, "the model server failed; its log says where")
    else:
        return
    failed()
    context.abort(status.code, cut(status.message))


def _check_spec(request: Any) -> None:  # noqa: ANN401 - the requests share the field, and no type
    if not request.HasField("model_spec"):
        message = "Missing ModelSpec"
        raise invalid_argument(message)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """`tensorflow.serving.PredictionService`: `Predict` and `GetModelMetadata`."""

    def __init__(self, manager: Manager, metrics: Metrics) -> None:
        """Takes the models."""
        self._manager = manager
        self._metrics = metrics

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:  # noqa: N802
        """Runs a signature on named tensors. One whose caller has gone, or whose time is up, before a thread takes it, gRPC drops."""
        started = time.perf_counter()
        name = request.model_spec.name
        with _boundary(context, failed=lambda: self._metrics.count(name, ok=False)):
            _check_spec(request)
            with self._manager.serving(request.model_spec) as servable:
                response = servable.predict(request)
        self._metrics.count(name, ok=True, seconds=time.perf_counter() - started)
        return response

    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Reads the signatures of a model."""
        with _boundary(context):
            _check_spec(request)
            if not request.metadata_field:
                message = "GetModelMetadataRequest must specify at least one metadata_field"
                raise invalid_argument(message)
            for field in request.metadata_field:
                if field != _SIGNATURE_DEF:
                    message = f"Metadata field {field} is not supported"
                    raise invalid_argument(message)
            with self._manager.serving(request.model_spec) as servable:
                return _metadata(servable)


def _metadata(servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in servable.signature_def.items():
        signatures.signature_def[key].CopyFrom(definition)
    packed = any_pb2.Any()
    packed.Pack(signatures)
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=model_pb2.ModelSpec(name=servable.name))
    response.model_spec.version.value = servable.version
    response.metadata[_SIGNATURE_DEF].CopyFrom(packed)
    return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """`tensorflow.serving.ModelService`: `GetModelStatus`."""

    def __init__(self, manager: Manager) -> None:
        """Takes the models."""
        self._manager = manager

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Where the versions of a model stand. A label is ignored, as TensorFlow Serving does."""
        with _boundary(context):
            _check_spec(request)
            version = request.model_spec.version.value if request.model_spec.HasField("version") else None
            statuses = self._manager.statuses(request.model_spec.name, version)
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, status in statuses:
            row = response.model_version_status.add(version=number, state=status.state)
            row.status.error_code = 0 if status.error is None else status.error.code.value[0]
            row.status.error_message = "" if status.error is None else status.error.message
        return response


def register(server: grpc.Server, manager: Manager, metrics: Metrics) -> None:
    """Puts the services on a server. What isn't implemented answers UNIMPLEMENTED."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(manager, metrics), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(manager), server)
