"""The list of models, read again."""

from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs
from tensorflow_serving.config import model_server_config_pb2

from modelserver.config_watch import ConfigWatch
from modelserver.errors import ServingError

Applied = list[model_server_config_pb2.ModelServerConfig]


def listing(*names: str) -> str:
    return "model_config_list {" + "".join(f'config {{ name: "{n}" base_path: "/{n}" model_platform: "tensorflow" }}' for n in names) + "}"


@pytest.fixture
def applied() -> Applied:
    return []


@pytest.fixture
def watch(tmp_path: Path, applied: Applied) -> ConfigWatch:
    (tmp_path / "models.config").write_text(listing("a"), encoding="utf-8")
    return ConfigWatch(tmp_path / "models.config", poll_seconds=60, apply=applied.append)


def names(config: model_server_config_pb2.ModelServerConfig) -> list[str]:
    return [model.name for model in config.model_config_list.config]


def test_what_changed_is_handed_on(watch: ConfigWatch, applied: Applied, tmp_path: Path) -> None:
    watch.look()
    (tmp_path / "models.config").write_text(listing("a", "b"), encoding="utf-8")

    watch.look()

    assert [names(models) for models in applied] == [["a"], ["a", "b"]]


def test_what_did_not_change_is_not_handed_on_again(watch: ConfigWatch, applied: Applied) -> None:
    watch.look()

    watch.look()

    assert len(applied) == 1


@pytest.mark.parametrize("text", ["model_config_list {", "", None], ids=["half of it", "empty", "gone"])
def test_a_broken_file_changes_nothing_and_is_logged_once(watch: ConfigWatch, applied: Applied, tmp_path: Path, text: str | None) -> None:
    watch.look()
    file = tmp_path / "models.config"
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")

    with capture_logs() as logs:
        watch.look()
        watch.look()

    assert len(applied) == 1
    assert [log["log_level"] for log in logs] == ["error"]
    assert logs[0]["file"] == str(file)


def test_a_file_that_was_mended_is_handed_on(watch: ConfigWatch, applied: Applied, tmp_path: Path) -> None:
    (tmp_path / "models.config").write_text("{", encoding="utf-8")
    watch.look()
    (tmp_path / "models.config").write_text(listing("b"), encoding="utf-8")

    watch.look()

    assert [names(models) for models in applied] == [["b"]]


def test_what_is_refused_is_tried_again_until_it_is_taken(tmp_path: Path, applied: Applied) -> None:
    """A label may be on a version that is published later."""
    refusals = [ServingError(grpc.StatusCode.FAILED_PRECONDITION, "not currently available for inference")] * 2

    def take(config: model_server_config_pb2.ModelServerConfig) -> None:
        if refusals:
            raise refusals.pop()
        applied.append(config)

    (tmp_path / "models.config").write_text(listing("a"), encoding="utf-8")
    watch = ConfigWatch(tmp_path / "models.config", poll_seconds=60, apply=take)

    with capture_logs() as logs:
        for _ in range(4):
            watch.look()

    assert [names(config) for config in applied] == [["a"]]
    assert [log["why"] for log in logs] == ["not currently available for inference"]
