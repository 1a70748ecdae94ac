"""Warm-up: real requests that were published with a version are run before callers are let in.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of `PredictionLog`. A record that fails, fails the load (as in TensorFlow Serving,
servables/tensorflow/saved_model_warmup_util.cc and saved_model_warmup.cc).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from modelserver.classify import classify
from modelserver.errors import ServingError, invalid_argument
from modelserver.multi_inference import multi_inference
from modelserver.predict import predict
from modelserver.regress import regress
from modelserver.servable import Servable

_FILE = Path("assets.extra", "tf_serving_warmup_requests")
_MAX_RECORDS = 1000

_RUN: Mapping[str, Callable[[Servable, Any], object]] = {
    "predict_log": predict,
    "classify_log": classify,
    "regress_log": regress,
    "multi_inference_log": multi_inference,
}


def warm_up(servable: Servable, folder: Path) -> int:
    """Runs the version's warm-up records, as its options say; returns how many there were. Raises ServingError where one fails."""
    file = folder / _FILE
    if not servable.options.warms_up or not file.exists():
        return 0
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(file)):
            _run(servable, _parse(record, count + 1, file))
            count += 1
            if count > _MAX_RECORDS:
                message = f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {file}"
                raise invalid_argument(message)
    except tf.errors.DataLossError as error:
        message = f"{error.message}. Please verify your warmup data is in TFRecord format."
        raise ServingError(grpc.StatusCode.DATA_LOSS, message) from None
    except tf.errors.OpError as error:
        raise ServingError.of(error) from None
    return count


def _parse(record: bytes, number: int, file: Path) -> prediction_log_pb2.PredictionLog:
    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        # TensorFlow Serving shows the record itself, to all who ask for the version's status: it is a patient's.
        message = f"Failed to parse warmup record: {number} from {file}"
        raise invalid_argument(message) from None


def _run(servable: Servable, log: prediction_log_pb2.PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind is None:
        return
    if kind not in _RUN:
        message = f"Unsupported log_type for warmup: {log.DESCRIPTOR.fields_by_name[kind].number}"
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, message)
    run, request = _RUN[kind], getattr(log, kind).request
    for _ in range(servable.options.warm_up_iterations):
        run(servable, request)
