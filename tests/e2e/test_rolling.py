"""What a platform team does: publishes under load, adds a model, loses a model server, stops a gateway. No accepted call is lost."""

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc

from medserve.v1 import inference_pb2, inference_pb2_grpc
from training.data.ecg5000 import load_ecg5000
from training.publish import publish

if TYPE_CHECKING:
    from tests.e2e.conftest import Caller

CALLERS = 4
AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE
END = get_model_status_pb2.ModelVersionStatus.END


class Load:
    """Callers that ask without a pause, each on a channel of its own, and what became of their calls."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        # Of the calls that were begun since somebody put an empty set here.
        self.versions: set[int] = set()
        self.stopping = threading.Event()

    def run(self, ask: Callable[[], int]) -> None:
        while not self.stopping.is_set():
            try:
                versions = self.versions
                versions.add(ask())
                self.outcomes["OK"] += 1
            except grpc.RpcError as error:
                self.outcomes[f"{error.code().name}: {error.details()}"] += 1


@contextmanager
def under_load(*asks: Callable[[], int]) -> Iterator[Load]:
    load = Load()
    threads = [threading.Thread(target=load.run, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join()


def ask_ours(caller: "Caller", channel: grpc.Channel, request: inference_pb2.InferRequest) -> Callable[[], int]:
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    return lambda: stub.Infer(request, metadata=caller.metadata, timeout=60).served_by.version


def ask_theirs(caller: "Caller", channel: grpc.Channel, beat: NDArray[np.float32]) -> Callable[[], int]:
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "ecg-lstm"
    request.inputs["series"].CopyFrom(tf.make_tensor_proto(beat[np.newaxis]))
    return lambda: stub.Predict(request, metadata=caller.metadata, timeout=60).model_spec.version.value


def states(caller: "Caller", model: str) -> dict[int, int]:
    """Where the model server says that the versions stand."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    reply = model_service_pb2_grpc.ModelServiceStub(caller.channel).GetModelStatus(request, metadata=caller.metadata, timeout=60)
    return {status.version: status.state for status in reply.model_version_status}


def copy_of(version: Path, **changes: str) -> Callable[[Path, int], None]:
    """Stages what is in a version, under its new number; `changes` are its manifest's."""

    def stage(folder: Path, number: int) -> None:
        shutil.copytree(version, folder, dirs_exist_ok=True)
        manifest = folder / "assets.extra" / "medserve_manifest.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes, "version": str(number)}))

    return stage


def refusal(caller: "Caller", request: inference_pb2.InferRequest) -> grpc.StatusCode | None:
    try:
        caller.infer(request)
    except grpc.RpcError as error:
        return error.code()
    return None


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def test_new_versions_under_load_fail_no_call_while_the_first_is_unloaded(own_caller: "Caller") -> None:
    stack = own_caller.stack
    beat = load_ecg5000().held_out.inputs[0]
    request = inference_pb2.InferRequest()
    request.model.name = "ecg-lstm"
    request.inputs["series"].time_series.channels.add(name="ecg", unit="1", values=beat[:, 0].tolist())
    channels = [stack.channel() for _ in range(CALLERS)]
    asks = [
        ask_ours(own_caller, channel, request) if number % 2 else ask_theirs(own_caller, channel, beat) for number, channel in enumerate(channels)
    ]

    with under_load(*asks) as load:
        # The newest two stay loaded.
        for _ in range(2):
            publish(stack.repository, "ecg-lstm", copy_of(stack.repository / "ecg-lstm" / "1"))
        wait_until(lambda: states(own_caller, "ecg-lstm") == {1: END, 2: AVAILABLE, 3: AVAILABLE}, "version 1 unloaded, versions 2 and 3 available")

        def answers_alone() -> bool:
            # For half a second the gateway takes version 2 for the newest.
            if load.versions - {3}:
                load.versions = set()
            return load.versions == {3}

        wait_until(answers_alone, "answers of version 3 alone")
        wait_until(lambda: load.outcomes["OK"] > 100, "a hundred answers")

    assert set(load.outcomes) == {"OK"}
    for channel in channels:
        channel.close()


def test_a_published_model_is_served_without_a_restart_once_it_is_listed(own_caller: "Caller", digit_request: inference_pb2.InferRequest) -> None:
    stack = own_caller.stack
    before = [process.pid for process in (stack.model_server, stack.gateway) if process is not None]
    request = inference_pb2.InferRequest()
    request.CopyFrom(digit_request)
    request.model.name = "digits-too"
    with pytest.raises(grpc.RpcError) as refused:
        own_caller.infer(request)
    publish(stack.repository, "digits-too", copy_of(stack.repository / "digits" / "1", name="digits-too"))
    wait_until(lambda: refusal(own_caller, request) is grpc.StatusCode.FAILED_PRECONDITION, "a refusal that says that the model isn't listed")
    stack.list_models()
    stack.wait_ready("digits-too")

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert own_caller.infer(request).served_by.model == "digits-too"
    assert [process.pid for process in (stack.model_server, stack.gateway) if process is not None] == before


def test_a_killed_model_server_is_an_error_that_says_so_and_then_comes_back(
    own_caller: "Caller", digit_request: inference_pb2.InferRequest, keep_port: Callable[[int], None]
) -> None:
    stack = own_caller.stack
    assert stack.model_server is not None
    port = stack.model_server.port
    before = own_caller.infer(digit_request)

    stack.model_server.kill()
    keep_port(port)
    with pytest.raises(grpc.RpcError) as lost:
        own_caller.infer(digit_request)
    stack.start_model_server(port=port)
    stack.wait_ready("digits")
    after = own_caller.infer(digit_request)

    assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "model server" in str(lost.value.details())
    assert [finding.probability for finding in after.findings] == [finding.probability for finding in before.findings]


def test_a_model_server_killed_under_load_leaves_no_call_hanging(
    own_caller: "Caller", digit_request: inference_pb2.InferRequest, keep_port: Callable[[int], None]
) -> None:
    stack = own_caller.stack
    assert stack.model_server is not None
    port = stack.model_server.port

    with under_load(*[ask_ours(own_caller, own_caller.channel, digit_request)] * CALLERS) as load:
        wait_until(lambda: load.outcomes["OK"] > 50, "answers")
        stack.model_server.kill()
        keep_port(port)
        wait_until(lambda: len(load.outcomes) > 1, "a refusal")
        stack.start_model_server(port=port)
        stack.wait_ready("digits")
        answered = load.outcomes["OK"]
        wait_until(lambda: load.outcomes["OK"] > answered + 50, "answers again")

    assert {outcome.partition(":")[0] for outcome in load.outcomes} == {"OK", "UNAVAILABLE"}


def test_a_gateway_that_is_told_to_stop_answers_what_it_has_accepted(own_caller: "Caller", digit_request: inference_pb2.InferRequest) -> None:
    stack = own_caller.stack
    assert stack.gateway is not None

    with under_load(*[ask_ours(own_caller, own_caller.channel, digit_request)] * CALLERS) as load:
        wait_until(lambda: load.outcomes["OK"] > 50, "answers")
        status = stack.gateway.stop()
        answered = load.outcomes["OK"]
        wait_until(lambda: len(load.outcomes) > 1, "a refusal")

    audited = Counter(json.loads(line)["code"] for line in stack.audit_file.read_text().splitlines())
    assert status == 0
    # CANCELLED is gRPC's own word to a call that came while the server closed: it was never taken on.
    assert {outcome.partition(":")[0] for outcome in load.outcomes} <= {"OK", "UNAVAILABLE", "CANCELLED"}
    assert audited["OK"] == load.outcomes["OK"], "each answer that was made reached its caller"
    assert load.outcomes["OK"] - answered <= CALLERS
