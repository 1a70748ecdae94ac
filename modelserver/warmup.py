"""Warm-up: real requests that were published with a version are run before callers are let in.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of `PredictionLog`. A record that fails, fails the load (as in TensorFlow Serving,
servables/tensorflow/saved_model_warmup_util.cc).
"""

from pathlib import Path

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from modelserver.errors import ServingError, invalid_argument
from modelserver.predict import predict
from modelserver.servable import Servable

_FILE = Path("assets.extra", "tf_serving_warmup_requests")
_MAX_RECORDS = 1000


def warm_up(servable: Servable, folder: Path) -> int:
    """Runs the version's warm-up records; returns how many. Raises ServingError where one fails."""
    file = folder / _FILE
    if not file.exists():
        return 0
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(file)):
            count += 1
            if count > _MAX_RECORDS:
                message = f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {file}"
                raise invalid_argument(message)
            _run(servable, prediction_log_pb2.PredictionLog.FromString(record))
    except tf.errors.DataLossError as error:
        message = f"{error.message}. Please verify your warmup data is in TFRecord format."
        raise ServingError(grpc.StatusCode.DATA_LOSS, message) from None
    except DecodeError:
        message = f"Failed to parse warmup record: {count} from {file}"
        raise invalid_argument(message) from None
    return count


def _run(servable: Servable, log: prediction_log_pb2.PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        message = f"Unsupported log_type for warmup: {kind}"
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, message)
    predict(servable, log.predict_log.request)
