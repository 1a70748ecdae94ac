"""The servers that are measured, as processes, and calls of them."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from local.process import Process
from tfserving.v1 import prediction_pb2, tensor_pb2

METHOD = "/tensorflow.serving.PredictionService/Predict"
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_MODEL_SERVER = re.compile(r"Running gRPC ModelServer at .*:(\d+) ")
_ECHO = re.compile(r"echo listening on .*:(\d+)")
_CALLABLE = re.compile(r"callable listening on .*:(\d+)")


def write_models(root: Path) -> None:
    """Saves the models, in a process of its own: TensorFlow's threads would take from those that are measured."""
    subprocess.run([sys.executable, "-m", "benchmarks.modelserver.models", str(root)], check=True, stderr=subprocess.DEVNULL)


def model_server(root: Path, model: str, *flags: str) -> Process:
    """The embedded model server, serving one model below `root`."""
    arguments = ["--port=0", f"--model_name={model}", f"--model_base_path={root / model}", *flags]
    return Process("modelserver", arguments, folder=Path.cwd(), log_file=root / "modelserver.log", ready=_MODEL_SERVER)


def callable_server(root: Path, model: str) -> Process:
    """The baseline."""
    arguments = [str(root / model / "1")]
    return Process("benchmarks.modelserver.callable_server", arguments, folder=Path.cwd(), log_file=root / "callable.log", ready=_CALLABLE)


def echo_server(root: Path) -> Process:
    """gRPC alone."""
    return Process("benchmarks.modelserver.echo_server", [], folder=Path.cwd(), log_file=root / "echo.log", ready=_ECHO)


@contextmanager
def calls(process: Process, request: bytes) -> Iterator[Callable[[], bytes]]:
    """A function that sends the request once; the process is stopped at the end."""
    with grpc.insecure_channel(f"127.0.0.1:{process.port}", options=_OPTIONS) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        _wait_answered(call, request)
        try:
            yield lambda: call(request, timeout=120)
        finally:
            process.stop()


def _wait_answered(call: "grpc.UnaryUnaryMultiCallable[bytes, bytes]", request: bytes) -> None:
    """The model server listens before its models are loaded."""
    while True:
        try:
            call(request, timeout=120, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            # It isn't to be kept from loading.
            time.sleep(0.01)
        else:
            return


def request_of(model: str, alias: str, shape: tuple[int, ...], content: bytes) -> bytes:
    """A Predict request of one float tensor, as its bytes in memory."""
    request = prediction_pb2.PredictRequest()
    request.model_spec.name = model
    tensor = request.inputs[alias]
    tensor.dtype = tensor_pb2.DATA_TYPE_FLOAT
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = content
    return request.SerializeToString()
