from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import golden, serving
from training.serving import NotServed, Served


@pytest.fixture(scope="module")
def served(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[golden.Golden, Served]:
    """The tiny digits, asked about the golden inputs that were written and read back, from a folder with a staging folder's name."""
    file = tmp_path_factory.mktemp("golden") / golden.GOLDEN
    staging = file.with_name(".staging")
    staging.symlink_to(trained.folder)
    inputs = trained.data.test_inputs
    made = golden.Golden(inputs={"images": inputs}, outputs={"probabilities": trained.model.predict(inputs, verbose=0)})
    golden.write_golden(file, made, model="digits", signature_name="serving_default", most_items=100)
    read = golden.read_golden(file)
    return read, serving.ask(staging, model="digits", version=7, signature_name="serving_default", inputs=read.inputs)


def test_the_served_version_answers_as_the_network_did(served: tuple[golden.Golden, Served]) -> None:
    expected, answers = served

    parity = golden.compare(expected.outputs, answers.outputs)

    assert parity.items == len(answers.outputs["probabilities"]) == 100
    assert parity.difference <= 1e-6


def test_each_call_is_timed(served: tuple[golden.Golden, Served]) -> None:
    _, answers = served

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
