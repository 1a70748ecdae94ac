"""Asks a version that isn't published yet as its callers will: over gRPC, of the embedded model server, in a process of its own.

The version's folder is linked into a repository of its own that is gone afterwards, so nobody else can meet it. The model server and this package
share the wire and nothing else.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medserve.repository import EXTRA, GOLDEN
from training.golden import Parity, compare, read_golden

_READY = re.compile(rb"Running gRPC ModelServer at .*:(\d+) ")
# The model server imports TensorFlow, and loads and warms up the version; a slow machine takes this long.
START_SECONDS = 180.0
CALL_SECONDS = 60.0
_STOP_SECONDS = 40.0
_LOOK_SECONDS = 0.02
_LAST_LINES = 5
# TensorFlow's first runs of a graph, and gRPC's first calls on a connection, are slower than all others.
_UNTIMED_CALLS = 10


class NotServed(RuntimeError):
    """The model server didn't load the version, or didn't answer; the message has its words."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Served:
    """What a version answered.

    Attributes:
        outputs: [items, …] by alias, in the order of the inputs.
        latencies_seconds: [calls], float64: from a caller's call to its answer, one caller on the same machine.
    """

    outputs: Mapping[str, NDArray[Any]]
    latencies_seconds: NDArray[np.float64]

    @property
    def p50_seconds(self) -> float:
        """The median latency."""
        return float(np.median(self.latencies_seconds))


def ask(folder: Path, *, model: str, version: int, signature_name: str, inputs: Mapping[str, NDArray[Any]], items_a_call: int = 1) -> Served:
    """Serves the version that lies in `folder` and asks it about each item of `inputs` ([items, …] by alias), `items_a_call` at once.

    One a call is how callers are timed, and what golden outputs are equal to: a batch is faster, and adds up in another order.

    `folder` may have any name; the version is served as `model` and `version`. Raises NotServed, ValueError where there is no item.
    """
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds
    from tensorflow_serving.apis import predict_pb2  # noqa: PLC0415

    sizes = {len(array) for array in inputs.values()}
    if len(sizes) != 1 or sizes == {0}:
        message = f"{model}: inputs of the same items, one or more; they have {sorted(sizes)}"
        raise ValueError(message)
    requests = []
    for first in range(0, sizes.pop(), items_a_call):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.version.value = version
        request.model_spec.signature_name = signature_name
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array[first : first + items_a_call]))
        requests.append(request)
    with _served(folder, model, version) as port:
        return _ask(port, model, version, requests)


def ask_golden(folder: Path, *, model: str, version: int, signature_name: str) -> tuple[Parity, Served]:
    """Asks the version in `folder` about its own golden inputs: how far it is from its golden outputs, and what and how fast it answered.

    Raises NotServed; RepositoryError where its golden predictions are damaged; OSError where there are none.
    """
    golden = read_golden(folder / EXTRA / GOLDEN)
    served = ask(folder, model=model, version=version, signature_name=signature_name, inputs=golden.inputs)
    return compare(golden.outputs, served.outputs), served


def _ask(port: int, model: str, version: int, requests: list[Any]) -> Served:
    import grpc  # noqa: PLC0415 - `python -m training list` does without
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_service_pb2_grpc  # noqa: PLC0415

    answers: list[Any] = []
    latencies = []
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            for request in requests[:_UNTIMED_CALLS]:
                predict(request, timeout=CALL_SECONDS)
            for request in requests:
                began = time.perf_counter()
                answer = predict(request, timeout=CALL_SECONDS)
                latencies.append(time.perf_counter() - began)
                answers.append(answer)
    except grpc.RpcError as error:
        message = f"{model} version {version} didn't answer call {len(answers) + 1}: {error.code().name}: {error.details()}"
        raise NotServed(message) from None
    outputs = {name: np.concatenate([tf.make_ndarray(answer.outputs[name]) for answer in answers]) for name in answers[0].outputs}
    return Served(outputs=outputs, latencies_seconds=np.array(latencies))


@contextmanager
def _served(folder: Path, model: str, version: int) -> Iterator[int]:
    """The port of a model server that serves the folder, with its warm-up done. Raises NotServed."""
    with tempfile.TemporaryDirectory(prefix="medserve-") as scratch:
        base = Path(scratch, "models", model)
        base.mkdir(parents=True)
        (base / str(version)).symlink_to(folder.resolve(), target_is_directory=True)
        said, log = Path(scratch, "stdout"), Path(scratch, "stderr")
        with said.open("wb") as stdout, log.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    sys.executable, "-m", "training.leashed", scratch,
                    "modelserver", "--port=0", f"--model_name={model}", f"--model_base_path={base}", "--max_num_load_retries=0",
                ],
                # A Ctrl-C reaches it through this process only, and so does its end: `leashed` tells how.
                cwd=scratch, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        try:
            deadline = time.monotonic() + START_SECONDS
            port = _port(process, said, deadline)
            if port is None:
                raise NotServed(_last_words("the model server didn't start", log))
            if not _is_available(port, process, model, version, deadline):
                raise NotServed(_last_words(f"{model} version {version} isn't served", log))
            yield port
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()


def _port(process: subprocess.Popen[bytes], said: Path, deadline: float) -> int | None:
    """The port that it says it listens on; None where it has ended, or says nothing in time."""
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        match = _READY.search(said.read_bytes())
        if match:
            return int(match[1])
        if ended:
            break
        time.sleep(_LOOK_SECONDS)
    return None


def _is_available(port: int, process: subprocess.Popen[bytes], model: str, version: int, deadline: float) -> bool:
    """True once the version answers; False where the time ran out or the server ended. Raises NotServed where the version can't be loaded."""
    import grpc  # noqa: PLC0415
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc  # noqa: PLC0415

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    states = get_model_status_pb2.ModelVersionStatus
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        while time.monotonic() < deadline and process.poll() is None:
            try:
                status = stub.GetModelStatus(request, timeout=CALL_SECONDS, wait_for_ready=True).model_version_status
            except grpc.RpcError as error:
                # It looks for versions once it listens.
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    message = f"{model} version {version}: the model server doesn't say how it is: {error.details()}"
                    raise NotServed(message) from None
                status = []
            for each in status:
                if each.state == states.AVAILABLE:
                    return True
                if each.status.error_code:
                    message = f"{model} version {version} can't be loaded: {each.status.error_message}"
                    raise NotServed(message)
            time.sleep(_LOOK_SECONDS)
    return False


def _last_words(what: str, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join([f"{what}. The model server's last words:", *(f"  {line}" for line in lines or ["(none)"])])
