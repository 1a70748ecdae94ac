"""One loaded SavedModel: its signatures, and how many requests it is answering."""

import gc
import threading
from pathlib import Path

import grpc
import structlog
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from modelserver.batching import Unbatchable, batched_outputs
from modelserver.config import Batching
from modelserver.errors import ServingError, invalid_argument, not_found
from modelserver.signature import BatchedCall, Signature

_log = structlog.get_logger("modelserver.servable")

DEFAULT_SIGNATURE = "serving_default"


class Servable:
    """One version, loaded. `acquire` and `release` count the requests that it answers, so that it is closed after the last."""

    def __init__(self, name: str, version: int, folder: Path, *, session_config: config_pb2.ConfigProto, batching: Batching | None = None) -> None:
        """Loads the SavedModel; `batching` where requests are gathered. Raises ServingError with TensorFlow's own words where it can't be."""
        self.name = name
        self.version = version
        self.folder = folder
        self._active = 0
        self._closing = False
        self._idle = threading.Condition()
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=session_config)
        try:
            with self._session.graph.as_default():
                meta = tf.compat.v1.saved_model.loader.load(self._session, [tf.saved_model.SERVING], str(folder))
            self.signature_def = dict(meta.signature_def)
            self.signatures = {
                key: Signature(self._session, definition, batched=self._batched(key, definition, batching))
                for key, definition in self.signature_def.items()
                if definition.outputs and _is_dense(definition)
            }
        except (tf.errors.OpError, OSError, RuntimeError, ValueError) as error:
            self._session.close()
            raise _as_status(error, folder) from None
        except BaseException:
            self._session.close()
            raise

    def _batched(self, key: str, definition: meta_graph_pb2.SignatureDef, batching: Batching | None) -> BatchedCall | None:
        if batching is None:
            return None
        try:
            outputs = batched_outputs(self._session.graph, definition, batching)
        except Unbatchable as error:
            _log.info("not batched", model=self.name, version=self.version, signature=key, why=str(error))
            return None
        return BatchedCall(outputs=outputs, max_batch_size=batching.max_batch_size)

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Answers a request that means this version. Raises ServingError."""
        key = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self.signatures.get(key)
        if signature is None:
            message = f'Serving signature key "{key}" not found.'
            raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)
        response = predict_pb2.PredictResponse()
        signature.run(request.inputs, tuple(request.output_filter), response.outputs)
        response.model_spec.name = self.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = key
        return response

    def acquire(self) -> bool:
        """Counts a request in; False where the version is being unloaded."""
        with self._idle:
            if self._closing:
                return False
            self._active += 1
            return True

    def release(self) -> None:
        """Counts a request out."""
        with self._idle:
            self._active -= 1
            if not self._active:
                self._idle.notify_all()

    def close(self) -> None:
        """Waits for the requests under way, and frees the model."""
        with self._idle:
            self._closing = True
            self._idle.wait_for(lambda: not self._active)
        self.signatures = {}
        self._session.close()
        # Its memory goes with the session's last reference, and there are circles of them in a graph: two versions are a lot to hold.
        self._session = None
        gc.collect()


def _is_dense(definition: meta_graph_pb2.SignatureDef) -> bool:
    """A signature of sparse or composite tensors has no single tensor to feed or fetch; `__saved_model_init_op` fetches no tensor at all."""
    infos = [*definition.inputs.values(), *definition.outputs.values()]
    return all(info.WhichOneof("encoding") == "name" and info.dtype for info in infos)


def _as_status(error: Exception, folder: Path) -> ServingError:
    """What TensorFlow's loader raises, as TensorFlow Serving says it."""
    match error:
        case tf.errors.OpError():
            return ServingError.of(error)
        case OSError():
            return not_found(f"Specified file path does not appear to contain a SavedModel bundle, or not a whole one: {folder}")
        case RuntimeError():
            return not_found(f"Could not find meta graph def matching supplied tags: {{ {tf.saved_model.SERVING} }} at {folder}")
    return invalid_argument(f"Can't load the graph at {folder}: {error}")
