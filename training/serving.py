"""Asks a version that isn't published yet as its callers will: over gRPC, of the embedded model server, and of the gateway in front of it.

Both run in processes of their own. The version's folder is linked into a repository of its own that is gone afterwards, so nobody else can meet it.
The servers and this package share the wire, the repository and nothing else.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medserve.repository import EXTRA, GOLDEN
from training import through_gateway
from training.child import LOOK_SECONDS, START_SECONDS, Child, NotServed, child, linked
from training.golden import Parity, compare, read_golden
from training.through_gateway import ThroughGateway, WriteSample

__all__ = ["Asked", "NotServed", "Served", "ask", "ask_golden"]

_READY = re.compile(rb"Running gRPC ModelServer at .*:(\d+) ")
CALL_SECONDS = 60.0
# TensorFlow's first runs of a graph, and gRPC's first calls on a connection, are slower than all others.
_UNTIMED_CALLS = 10


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Asked:
    """What came of asking a version about its golden inputs.

    Attributes:
        parity: how far it is from its golden outputs.
        served: what and how fast it answered.
        gateway: what came of it through the gateway; None where that wasn't asked.
    """

    parity: Parity
    served: Served
    gateway: ThroughGateway | None


def ask(folder: Path, *, model: str, version: int, signature_name: str, inputs: Mapping[str, NDArray[Any]], items_a_call: int = 1) -> Served:
    """Serves the version that lies in `folder` and asks it about each item of `inputs` ([items, …] by alias), `items_a_call` at once.

    One a call is how callers are timed, and what golden outputs are equal to: a batch is faster, and adds up in another order.

    `folder` may have any name; the version is served as `model` and `version`. Raises NotServed, ValueError where there is no item.
    """
    requests = _requests(model, version, signature_name, inputs, items_a_call)
    with _served(folder, model, version) as server:
        return _ask(server.port, model, version, requests)


def ask_golden(folder: Path, *, model: str, version: int, signature_name: str, write_sample: WriteSample | None) -> Asked:
    """Asks the version in `folder` about its own golden inputs; of the gateway too, and about files of them, where `write_sample` writes those.

    Raises NotServed; RepositoryError where its golden predictions are damaged; OSError where there are none.
    """
    golden = read_golden(folder / EXTRA / GOLDEN)
    requests = _requests(model, version, signature_name, golden.inputs, 1)
    with _served(folder, model, version) as server:
        served = _ask(server.port, model, version, requests)
        parity = compare(golden.outputs, served.outputs)
        gateway = None
        if write_sample is not None:
            # Afterwards: a second process would show in the latencies.
            gateway = through_gateway.ask(server.port, folder, golden, model=model, version=version, write_sample=write_sample)
    return Asked(parity=parity, served=served, gateway=gateway)


def _requests(model: str, version: int, signature_name: str, inputs: Mapping[str, NDArray[Any]], items_a_call: int) -> list[Any]:
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
    return requests


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
def _served(folder: Path, model: str, version: int) -> Iterator[Child]:
    """A model server that serves the folder, with its warm-up done. Raises NotServed."""
    with linked(folder, model, version) as scratch:
        arguments = ("--port=0", f"--model_name={model}", f"--model_base_path={scratch / 'models' / model}", "--max_num_load_retries=0")
        with child("modelserver", *arguments, who="the model server", ready=_READY, folder=scratch) as server:
            if not _is_available(server, model, version):
                raise NotServed(server.last_words(f"{model} version {version} isn't served"))
            yield server


def _is_available(server: Child, model: str, version: int) -> bool:
    """True once the version answers; False where the time ran out or the server ended. Raises NotServed where the version can't be loaded."""
    import grpc  # noqa: PLC0415
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc  # noqa: PLC0415

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    states = get_model_status_pb2.ModelVersionStatus
    deadline = time.monotonic() + START_SECONDS
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        while time.monotonic() < deadline and server.process.poll() is None:
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
            time.sleep(LOOK_SECONDS)
    return False
