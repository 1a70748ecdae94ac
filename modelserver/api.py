"""TensorFlow Serving's API, apart from how it is carried: gRPC, REST and the warm-up answer requests by these."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from modelserver.classify import classify
from modelserver.errors import invalid_argument
from modelserver.manager import Manager
from modelserver.multi_inference import multi_inference, spec_of
from modelserver.predict import Prediction, predict
from modelserver.regress import regress
from modelserver.reload import Reload
from modelserver.servable import Servable

_SIGNATURE_DEF = "signature_def"


class Api:
    """Answers requests from the models of a manager."""

    def __init__(self, manager: Manager) -> None:
        """Takes the models."""
        self._manager = manager
        self.reloads = Reload(manager)
        """What puts another list of models into effect."""

    def predict(self, request: predict_pb2.PredictRequest) -> Prediction:
        """Runs a signature on named tensors. Raises ServingError."""
        with self._serving(request) as servable:
            return predict(servable, request)

    def classify(self, request: classification_pb2.ClassificationRequest) -> classification_pb2.ClassificationResponse:
        """Classifies examples. Raises ServingError."""
        with self._serving(request) as servable:
            return classify(servable, request)

    def regress(self, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
        """Finds a number for each example. Raises ServingError."""
        with self._serving(request) as servable:
            return regress(servable, request)

    def multi_inference(self, request: inference_pb2.MultiInferenceRequest) -> inference_pb2.MultiInferenceResponse:
        """Classifies and regresses the same examples by several signatures. Raises ServingError."""
        with self._manager.serving(spec_of(request)) as servable:
            return multi_inference(servable, request)

    @contextmanager
    def _serving(self, request: Any) -> Iterator[Servable]:  # noqa: ANN401 - the requests share the field, and no type
        """The version that a request's `model_spec` means, kept loaded meanwhile. Raises ServingError."""
        _check_spec(request)
        with self._manager.serving(request.model_spec) as servable:
            yield servable

    def get_model_metadata(self, request: get_model_metadata_pb2.GetModelMetadataRequest) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Reads the signatures of a model. Raises ServingError."""
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

    def get_model_status(self, request: get_model_status_pb2.GetModelStatusRequest) -> get_model_status_pb2.GetModelStatusResponse:
        """Where the versions of a model stand. A label is ignored, as TensorFlow Serving does. Raises ServingError."""
        _check_spec(request)
        version = request.model_spec.version.value if request.model_spec.HasField("version") else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, status in self._manager.statuses(request.model_spec.name, version):
            row = response.model_version_status.add(version=number, state=status.state)
            row.status.error_code = 0 if status.error is None else status.error.code.value[0]
            row.status.error_message = "" if status.error is None else status.error.message
        return response


def _check_spec(request: Any) -> None:  # noqa: ANN401 - the requests share the field, and no type
    """Raises ServingError where a request doesn't say whom it is for."""
    if not request.HasField("model_spec"):
        message = "Missing ModelSpec"
        raise invalid_argument(message)


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
