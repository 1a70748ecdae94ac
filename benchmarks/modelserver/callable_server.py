"""The baseline: a bare Session callable behind a synchronous grpc.server, as one would write it in an afternoon.

    python -m benchmarks.modelserver.callable_server FOLDER

It checks nothing, counts nothing, and knows one signature of one version.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

THREADS = 16


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Answers `Predict` for a signature of one input and one output."""

    def __init__(self, folder: str) -> None:
        """Loads the SavedModel."""
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            meta = tf.compat.v1.saved_model.loader.load(session, [tf.saved_model.SERVING], folder)
        signature = meta.signature_def["serving_default"]
        ((self._input, given),) = signature.inputs.items()
        ((self._output, wanted),) = signature.outputs.items()
        options = config_pb2.CallableOptions(feed=[given.name], fetch=[wanted.name])
        self._run = session._make_callable_from_options(options)  # noqa: SLF001 - as the model server does

    def Predict(self, request: predict_pb2.PredictRequest, _: grpc.ServicerContext) -> predict_pb2.PredictResponse:  # noqa: N802
        """Runs the signature."""
        (result,) = self._run(tf.make_ndarray(request.inputs[self._input]))
        response = predict_pb2.PredictResponse()
        response.outputs[self._output].CopyFrom(tf.make_tensor_proto(result))
        return response


def main() -> None:
    """Runs the command. Its first line on standard output says where it listens."""
    options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    server = grpc.server(ThreadPoolExecutor(THREADS), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(sys.argv[1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"callable listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
