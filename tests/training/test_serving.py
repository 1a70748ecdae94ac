import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medserve import to_tensor
from medserve.repository import GOLDEN, MANIFEST
from training import golden, serving, through_gateway
from training.jobs import JOBS
from training.serving import Asked, NotServed
from training.through_gateway import ThroughGateway

GOLDEN_ITEMS = golden.Golden(inputs={"x": np.array([[1], [2]])}, outputs={"y": np.array([[0.5], [1.5]])})


def _write_as_a_negative(folder: Path, stem: str, image: Any) -> Path:
    return JOBS["digits"].write_sample(folder, stem, 255 - image)


@pytest.fixture(scope="module")
def staging(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny digits as version 7, with 100 golden inputs, in a folder with a staging folder's name."""
    folder = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("digits") / ".staging"))
    manifest = folder / "assets.extra" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"version": "1"', '"version": "7"', 1))
    inputs = trained.data.held_out.inputs
    made = golden.Golden(inputs={"images": inputs}, outputs=trained.model.predict(inputs, batch_size=1, verbose=0))
    golden.write_golden(folder / "assets.extra" / GOLDEN, made, model="digits", signature_name="serving_default", most_items=100)
    return folder


@pytest.fixture(scope="module")
def asked(staging: Path) -> Asked:
    """Version 7, asked about its golden inputs, by the gateway also about files that show them as negatives."""
    return serving.ask_golden(staging, model="digits", version=7, signature_name="serving_default", write_sample=_write_as_a_negative)


def test_the_served_version_answers_as_the_network_did(asked: Asked) -> None:
    parity, served = asked.parity, asked.served

    assert parity.items == len(served.outputs["probabilities"]) == 100
    assert parity.difference <= 1e-6
    np.testing.assert_allclose(served.outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_the_gateway_passes_tensors_on_and_a_file_that_shows_something_else_is_told_apart(asked: Asked) -> None:
    gateway = asked.gateway

    assert gateway is not None
    assert gateway.tensors is not None
    assert gateway.files is not None
    assert (gateway.refused, gateway.tensors.items, gateway.files.items) == ("", 32, 4)
    assert gateway.tensors.difference <= 1e-6
    assert gateway.files.difference > 1e-3


def test_a_version_that_the_gateway_leaves_out_is_refused_in_its_words(staging: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(staging, tmp_path / ".staging"))
    manifest = folder / "assets.extra" / MANIFEST
    manifest.write_text(manifest.read_text().replace("DATA_TYPE_UINT8", "DATA_TYPE_UNSPECIFIED", 1))

    found = through_gateway.ask(1, folder, GOLDEN_ITEMS, model="digits", version=7, write_sample=_write_as_a_negative)

    assert found == ThroughGateway(refused="the version itself: inputs['images'].data_type: not a type that is served")


def test_a_file_that_no_caller_can_send_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client stands in for a gateway that answers every tensor rightly."""

    class Answering(SimpleNamespace):
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def infer(self, _: str, inputs: Any, **__: Any) -> Any:
            return SimpleNamespace(raw_outputs={"y": to_tensor(inputs["x"] - 0.5)})

    def write_sample(folder: Path, stem: str, item: Any) -> Path:
        (folder / f"{stem}.txt").write_text(str(item))
        return folder / f"{stem}.txt"

    monkeypatch.setattr("medserve.Client", lambda *_, **__: Answering(wait_ready=lambda *_, **__: None))
    gateway: Any = SimpleNamespace(port=1, log=tmp_path / "log")

    found = through_gateway._ask(gateway, "", GOLDEN_ITEMS, model="m", version=1, write_sample=write_sample)

    assert found.refused.startswith("the file that `write_sample` makes of a golden input: sample-0.txt: neither PNG, JPEG, DICOM")


def test_another_networks_golden_outputs_are_told_apart(trained: Any, asked: Asked) -> None:
    shifted = trained.model.predict(trained.data.held_out.inputs[golden.spread(200, most=100)], batch_size=1, verbose=0)
    shifted["probabilities"][17, 3] += 1e-4

    parity = golden.compare(shifted, asked.served.outputs)

    assert (parity.output, parity.item) == ("probabilities", 17)
    assert parity.difference == pytest.approx(1e-4, rel=0.02)


def test_each_call_is_timed(asked: Asked) -> None:
    answers = asked.served

    assert answers.latencies_seconds.shape == (100,)
    assert (answers.latencies_seconds > 0).all()
    assert answers.p50_seconds == np.median(answers.latencies_seconds) < 10


def test_a_folder_without_a_model_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"not a graph")

    with pytest.raises(NotServed, match=r"broken version 1 can't be loaded: .+"):
        serving.ask(tmp_path, model="broken", version=1, signature_name="serving_default", inputs={"x": np.zeros((1, 2), np.float32)})


def test_no_item_is_no_question(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one or more"):
        serving.ask(tmp_path, model="digits", version=1, signature_name="serving_default", inputs={"x": np.zeros((0, 2))})


def test_a_model_server_that_cannot_start_leaves_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of that name that isn't the model server stands in for an environment without one."""
    (tmp_path / "modelserver.py").write_text("raise SystemExit('no TensorFlow here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(NotServed, match=r"didn't start(.|\n)*no TensorFlow here"):
        serving.ask(tmp_path, model="digits", version=1, signature_name="serving_default", inputs={"x": np.zeros((1, 2))})


STAND_IN = """
import time
print("Running gRPC ModelServer at 127.0.0.1:1 ...", flush=True)
time.sleep(600)
"""
ASKING = """
import pathlib, signal, sys
from training import __main__, serving
signal.signal(signal.SIGTERM, __main__._end)
with serving._served(pathlib.Path(sys.argv[1]), "m", 1):
    pass
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_model_server_ends_with_who_asks_it_and_leaves_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "modelserver.py").write_text(STAND_IN)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(scratch)}
    with subprocess.Popen([sys.executable, "-c", ASKING, tmp_path], env=environment) as asking:
        children = Path(f"/proc/{asking.pid}/task/{asking.pid}/children")
        server = _until(lambda: next((int(child) for child in children.read_text().split() if list(scratch.glob("*/modelserver.stdout"))), None))
        _until(lambda: any(b"Running" in file.read_bytes() for file in scratch.glob("*/modelserver.stdout")))

        asking.send_signal(number)

        assert asking.wait(30) == {signal.SIGKILL: -9, signal.SIGTERM: 143}[number]
        _until(lambda: not Path(f"/proc/{server}/exe").exists())
        _until(lambda: list(scratch.iterdir()) == [])


def _until(found: Callable[[], Any]) -> Any:
    """What is found, once it is anything. Fails after a minute."""
    deadline = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value
