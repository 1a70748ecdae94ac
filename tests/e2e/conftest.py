"""The real processes: trained by a job, served by the model server, reached through the gateway over TLS."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from local.prepare import make_key
from local.stack import Stack
from medserve.v1 import inference_pb2, inference_pb2_grpc
from training.data.mnist import load_mnist_5k
from training.jobs import JOBS
from training.run import run
from training.trial import Trial

MODELS = ("digits", "ecg-lstm")

Trained = Callable[[str], Path]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What a caller of a running stack has: a channel, and the metadata that holds its key."""

    stack: Stack
    key_file: Path
    channel: grpc.Channel
    metadata: tuple[tuple[str, str], ...]

    def infer(self, request: inference_pb2.InferRequest, timeout_seconds: float = 60) -> inference_pb2.InferResponse:
        return inference_pb2_grpc.InferenceServiceStub(self.channel).Infer(request, metadata=self.metadata, timeout=timeout_seconds)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The folder of a job whose version 1 came of a moment's training; to be copied, never changed.

    Whichever of the suite's processes asks first trains it for all of them.
    """
    folder = tmp_path_factory.getbasetemp()
    repository = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "trained"
    repository.mkdir(exist_ok=True)

    def folder_of(job: str) -> Path:
        with (repository / f"{job}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (repository / job / "1").exists():
                # Not as a process of its own, which test_command.py and test_local.py start: a third of its time is that of its imports.
                assert run(JOBS[job], repository, Trial(epochs=1, limit=100, floor=0), say=lambda _: None)
        return repository / job

    return folder_of


@pytest.fixture(scope="session")
def open_stack(trained: Trained) -> Callable[[Path], Stack]:
    """A stack over copies of two models, started and ready."""

    def start(folder: Path) -> Stack:
        stack = Stack(folder)
        for model in MODELS:
            shutil.copytree(trained(model), stack.repository / model)
        make_key(stack)
        stack.start_model_server()
        stack.start_gateway()
        for model in MODELS:
            stack.wait_ready(model)
        return stack

    return start


def _caller(stack: Stack) -> Iterator[Caller]:
    key_file, key = make_key(stack)
    with stack, stack.channel() as channel:
        yield Caller(stack=stack, key_file=key_file, channel=channel, metadata=(("authorization", f"Bearer {key}"),))


@pytest.fixture(scope="session")
def caller(tmp_path_factory: pytest.TempPathFactory, open_stack: Callable[[Path], Stack]) -> Iterator[Caller]:
    """A stack that the tests share: none of them changes it."""
    yield from _caller(open_stack(tmp_path_factory.mktemp("shared")))


@pytest.fixture
def own_caller(tmp_path: Path, open_stack: Callable[[Path], Stack]) -> Iterator[Caller]:
    """A stack of the test's own, to kill and to change."""
    yield from _caller(open_stack(tmp_path))


@pytest.fixture(scope="session")
def digit() -> NDArray[np.uint8]:
    """A held-out image of a digit: uint8 [28, 28]."""
    return load_mnist_5k().held_out.inputs[0][:, :, 0]


@pytest.fixture(scope="session")
def digit_request(digit: NDArray[np.uint8]) -> inference_pb2.InferRequest:
    """A question about the digit, as a PNG."""
    file = BytesIO()
    Image.fromarray(digit).save(file, "PNG")
    request = inference_pb2.InferRequest()
    request.model.name = "digits"
    request.inputs["images"].image.content = file.getvalue()
    return request
