"""`Predict` on a loaded version."""

from dataclasses import dataclass

import grpc
from tensorflow_serving.apis import predict_pb2

from modelserver.errors import ServingError
from modelserver.servable import DEFAULT_SIGNATURE, Servable
from modelserver.signature import Outputs, Signature

# What `Predict` runs.
_METHODS = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What `Predict` found: arrays by alias, and who found them."""

    servable: Servable
    signature_key: str
    signature: Signature
    outputs: Outputs


def predict(servable: Servable, request: predict_pb2.PredictRequest) -> Prediction:
    """Runs a signature of a loaded version on named tensors. Raises ServingError."""
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if key not in servable.signature_def:
        message = f'Serving signature key "{key}" not found.'
        raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)
    method = servable.signature_def[key].method_name
    if servable.options.checks_method_name and method not in _METHODS:
        message = f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. Was: {method}"
        raise ServingError(grpc.StatusCode.INTERNAL, message)
    signature = servable.runnable(key)
    return Prediction(servable=servable, signature_key=key, signature=signature, outputs=signature.predict(request.inputs, request.output_filter))
