import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medserve.repository import GOLDEN
from training import golden, serving
from training.serving import NotServed, Served


@pytest.fixture(scope="module")
def asked(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[golden.Parity, Served]:
    """The tiny digits, asked about 100 golden inputs, from a folder with a staging folder's name."""
    staging = shutil.copytree(trained.folder, tmp_path_factory.mktemp("digits") / ".staging")
    inputs = trained.data.held_out.inputs
    made = golden.Golden(inputs={"images": inputs}, outputs=trained.model.predict(inputs, batch_size=1, verbose=0))
    golden.write_golden(staging / "assets.extra" / GOLDEN, made, model="digits", signature_name="serving_default", most_items=100)
    return serving.ask_golden(staging, model="digits", version=7, signature_name="serving_default")


def test_the_served_version_answers_as_the_network_did(asked: tuple[golden.Parity, Served]) -> None:
    parity, served = asked

    assert parity.items == len(served.outputs["probabilities"]) == 100
    assert parity.difference <= 1e-6
    np.testing.assert_allclose(served.outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_another_networks_golden_outputs_are_told_apart(trained: Any, asked: tuple[golden.Parity, Served]) -> None:
    _, served = asked
    shifted = trained.model.predict(trained.data.held_out.inputs[golden.spread(200, most=100)], batch_size=1, verbose=0)
    shifted["probabilities"][17, 3] += 1e-4

    parity = golden.compare(shifted, served.outputs)

    assert (parity.output, parity.item) == ("probabilities", 17)
    assert parity.difference == pytest.approx(1e-4, rel=0.02)


def test_each_call_is_timed(asked: tuple[golden.Parity, Served]) -> None:
    _, answers = asked

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
        server = _until(lambda: next((int(child) for child in children.read_text().split() if list(scratch.glob("*/stdout"))), None))
        _until(lambda: any(b"Running" in file.read_bytes() for file in scratch.glob("*/stdout")))

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
