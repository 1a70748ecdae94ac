"""What is published beside a running `make run` is served: the list of models follows the repository."""

import time
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from local.__main__ import _serve
from local.stack import Stack


def listed(stack: Stack) -> dict[str, tuple[str, int]]:
    """The base path of each model, and how many of its versions stay loaded."""
    message = text_format.Parse(stack.models_config.read_text(), model_server_config_pb2.ModelServerConfig())
    return {config.name: (config.base_path, config.model_version_policy.latest.num_versions or 1) for config in message.model_config_list.config}


def test_a_model_that_is_published_beside_a_run_is_listed_and_one_without_a_version_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(tmp_path)
    (stack.repository / "digits" / "1").mkdir(parents=True)
    stack.list_models()
    before = listed(stack)

    def publish(_: float) -> None:
        if (stack.repository / "sepsis").exists():
            raise KeyboardInterrupt
        (stack.repository / "sepsis" / "1").mkdir(parents=True)
        (stack.repository / "coming" / ".staging-1").mkdir(parents=True)

    monkeypatch.setattr(time, "sleep", publish)
    _serve(stack)

    assert set(before) == {"digits", "ecg-lstm"}
    assert listed(stack) == before | {"sepsis": (str(stack.repository / "sepsis"), 2)}
    assert {count for _, count in before.values()} == {2}
    assert [file.name for file in stack.models_config.parent.iterdir()] == ["models.config"]


def test_what_somebody_changed_in_the_list_stays_until_another_model_is_published(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.repository.mkdir(parents=True)
    stack.list_models()
    text = stack.models_config.read_text()
    stack.models_config.write_text(changed := f"# mine\n{text}")

    stack.list_models()
    kept = stack.models_config.read_text()
    (stack.repository / "sepsis" / "1").mkdir(parents=True)
    stack.list_models()

    assert kept == changed
    assert "sepsis" in listed(stack)
