"""The list of models, read again."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from modelserver.config import ModelConfig
from modelserver.config_watch import ConfigWatch

Applied = list[tuple[ModelConfig, ...]]


def listing(*names: str) -> str:
    return "model_config_list {" + "".join(f'config {{ name: "{n}" base_path: "/{n}" model_platform: "tensorflow" }}' for n in names) + "}"


@pytest.fixture
def applied() -> Applied:
    return []


@pytest.fixture
def watch(tmp_path: Path, applied: Applied) -> ConfigWatch:
    (tmp_path / "models.config").write_text(listing("a"), encoding="utf-8")
    return ConfigWatch(tmp_path / "models.config", poll_seconds=60, apply=applied.append)


def names(models: tuple[ModelConfig, ...]) -> list[str]:
    return [model.name for model in models]


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
    assert str(file) in logs[0]["why"]


def test_a_file_that_was_mended_is_handed_on(watch: ConfigWatch, applied: Applied, tmp_path: Path) -> None:
    (tmp_path / "models.config").write_text("{", encoding="utf-8")
    watch.look()
    (tmp_path / "models.config").write_text(listing("b"), encoding="utf-8")

    watch.look()

    assert [names(models) for models in applied] == [["b"]]
