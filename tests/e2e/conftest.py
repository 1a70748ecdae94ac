"""The real processes: trained by the training command, served by the model server, reached through the gateway over TLS."""

import shutil
import subprocess
import sys
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

Train = Callable[[str, Path], None]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What a caller of a running stack has: a channel, and the metadata that holds its key."""

    stack: Stack
    key_file: Path
    channel: grpc.Channel
    metadata: tuple[tuple[str, str], ...]

    def infer(self, request: inference_pb2.InferRequest, timeout_seconds: float = 10) -> inference_pb2.InferResponse:
        return inference_pb2_grpc.InferenceServiceStub(self.channel).Infer(request, metadata=self.metadata, timeout=timeout_seconds)


@pytest.fixture(scope="session")
def train() -> Train:
    """Trains a job for a moment and publishes what comes of it."""

    def run(job: str, repository: Path) -> None:
        command = [sys.executable, "-m", "training", "run", job, "--repository", str(repository), "--epochs", "1", "--limit", "400", "--floor", "0"]
        subprocess.run(command, check=True, capture_output=True, timeout=200)

    return run


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, train: Train) -> Path:
    """A repository with version 1 of both models; copied, never changed."""
    repository = tmp_path_factory.mktemp("published")
    for job in ("digits", "ecg-lstm"):
        train(job, repository)
    return repository


@pytest.fixture(scope="session")
def open_stack(published: Path) -> Callable[[Path], Stack]:
    """A stack over a copy of the repository, started and ready."""

    def start(folder: Path) -> Stack:
        stack = Stack(folder)
        shutil.copytree(published, stack.repository)
        make_key(stack)
        stack.start_model_server()
        stack.start_gateway()
        for model in ("digits", "ecg-lstm"):
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
