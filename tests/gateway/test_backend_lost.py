"""A model server that is really killed while it works on a call, and comes back."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from tensorflow_serving.apis import predict_pb2

from medserve.v1 import inference_pb2, input_pb2, tensor_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.gateway.conftest import Peer, Running

# Answers GetModelStatus and Predict with the bytes that it is given; told to die, it does so as soon as a Predict has come.
SERVER = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
import grpc

port, status, reply, dies = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3]), sys.argv[4] == "dies"

def predict(request, context):
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return reply

def handler(service, method, answer):
    return grpc.method_handlers_generic_handler("tensorflow.serving." + service, {method: grpc.unary_unary_rpc_method_handler(answer)})

server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((handler("ModelService", "GetModelStatus", lambda *_: status), handler("PredictionService", "Predict", predict)))
print(server.add_insecure_port("127.0.0.1:" + port), flush=True)
server.start()
server.wait_for_termination()
"""


def infer(gateway: Running) -> Any:
    tensor = tensor_pb2.Tensor(data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[3], content=np.zeros(3, np.float32).tobytes())
    request = inference_pb2.InferRequest(model=inference_pb2.ModelSelector(name="record"), inputs={"x": input_pb2.Input(tensor=tensor)})
    return gateway.inference.Infer(request, metadata=gateway.metadata(), timeout=60)


def predict(gateway: Running) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "record"
    return gateway.prediction.Predict(request, metadata=gateway.metadata(), timeout=60)


@pytest.fixture
def serve(peer: Peer) -> Callable[..., Any]:
    # GetModelStatusResponse: version 1 is AVAILABLE (30).
    status, reply = "0a04" + "0801" + "101e", peer.answer([0.25, 0.75]).hex()

    @contextmanager
    def run(port: int, *, dies: bool) -> Iterator[tuple[int, subprocess.Popen[str]]]:
        command = [sys.executable, "-c", SERVER, str(port), status, reply, "dies" if dies else "lives"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield int(process.stdout.readline()), process
            finally:
                process.kill()

    return run


@pytest.mark.parametrize("call", [infer, predict])
def test_a_call_whose_model_server_is_killed_is_unavailable_and_the_next_one_after_its_return_is_answered(
    start_gateway: Callable[..., Running],
    serve: Callable[..., Any],
    poll: Callable[..., Any],
    keep_port: Callable[[int], None],
    call: Callable[[Running], Any],
) -> None:
    with serve(0, dies=True) as (port, process):
        gateway = start_gateway(f"127.0.0.1:{port}")

        with pytest.raises(grpc.RpcError) as caught:
            call(gateway)

        assert process.wait(60) == -9
    keep_port(port)

    error: Any = caught.value
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert (error.code(), info.reason) == (grpc.StatusCode.UNAVAILABLE, "BACKEND_UNAVAILABLE")
    assert str(port) not in error.details()

    with serve(port, dies=False):

        def answered() -> bool:
            try:
                call(gateway)
            except grpc.RpcError:
                return False
            return True

        poll(answered, "the model server is found again")
    first = gateway.audited(2)[0]
    assert (first["code"], first["reason"]) == ("UNAVAILABLE", "BACKEND_UNAVAILABLE")
