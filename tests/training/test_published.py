"""What can be done with a version: measured again, read about, published elsewhere, and held against the next one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.repository import read_version
from medserve.repository import EXTRA, MANIFEST, RepositoryError, versions
from training import published, summary
from training.dataset import Part
from training.gates import Floor, NotEarned, NotWorse
from training.jobs import JOBS
from training.run import REPORT, Trial, run

JOB = JOBS["tumour"]
AGAINST_STABLE = replace(JOB, floor=Floor(figure="accuracy", least=0), gates=(NotWorse(figure="accuracy", margin=0.05),))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of `tumour`, after a short fit to all items."""
    root = tmp_path_factory.mktemp("repository")
    assert run(JOB, root, Trial(epochs=2, floor=0), say=lambda _: None)
    return root


def test_a_version_still_does_what_it_said(repository: Path) -> None:
    said: list[str] = []

    assert published.evaluate(JOB, repository, None, say=said.append)

    figures = [line for line in said if line.startswith("held-out ")]
    assert len(figures) == 7
    assert all(line.endswith(": as published") for line in figures)


def test_a_version_that_does_something_else_than_it_said_is_told(repository: Path, tmp_path: Path) -> None:
    published.publish(JOB, repository, None, tmp_path, say=lambda _: None)
    file = tmp_path / "tumour" / "1" / EXTRA / MANIFEST
    manifest = json.loads(file.read_text())
    manifest["metrics"][0]["value"] = 0.5
    file.write_text(json.dumps(manifest))
    said: list[str] = []

    assert not published.evaluate(JOB, tmp_path, 1, say=said.append)

    assert any("held-out accuracy" in line and line.endswith("published as 0.5000") for line in said)


def test_a_version_that_was_fitted_to_another_set_is_not_asked_about_items_that_it_may_know(repository: Path) -> None:
    other = replace(JOB, load=lambda: replace(JOB.load(), name="another clinic"))

    with pytest.raises(RepositoryError, match=r"was fitted to Breast cancer.*, and not to another clinic: choose the set with --data"):
        published.evaluate(other, repository, None, say=lambda _: None)


def test_the_report_is_found_in_the_version(repository: Path) -> None:
    assert published.report(JOB, repository, 1) == repository / "tumour" / "1" / EXTRA / REPORT


@pytest.mark.parametrize("version", [None, 7])
def test_a_version_that_there_is_not_is_named(tmp_path: Path, version: int | None) -> None:
    with pytest.raises(RepositoryError, match="tumour"):
        published.report(JOB, tmp_path, version)


def test_a_version_is_published_into_another_repository_under_its_next_number(repository: Path, tmp_path: Path) -> None:
    first = published.publish(JOB, repository, 1, tmp_path, say=lambda _: None)
    second = published.publish(JOB, repository, 1, tmp_path, say=lambda _: None)

    assert (first, second) == (1, 2)
    mine, theirs = (read_version(root / "tumour" / str(number)).manifest for root, number in ((repository, 1), (tmp_path, 2)))
    assert (theirs.version, theirs.weights_digest) == (2, mine.weights_digest)
    assert theirs.inputs == mine.inputs


def test_a_version_that_was_damaged_is_published_nowhere(repository: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    published.publish(JOB, repository, 1, source, say=lambda _: None)
    weights = next((source / "tumour" / "1" / "variables").glob("*.data-*"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")

    with pytest.raises(RepositoryError, match="isn't as it was published"):
        published.publish(JOB, source, 1, tmp_path / "target", say=lambda _: None)

    assert versions(tmp_path / "target", "tumour") == []


def test_a_version_that_answers_otherwise_than_its_golden_inputs_say_is_published_nowhere(repository: Path, tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415

    source = tmp_path / "source"
    published.publish(JOB, repository, 1, source, say=lambda _: None)
    file = source / "tumour" / "1" / EXTRA / "medserve_golden_predictions"
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file)).take(3)]
    logs[0].predict_log.response.outputs["probabilities"].CopyFrom(tf.make_tensor_proto([[0.125, 0.875]], tf.float32))
    with tf.io.TFRecordWriter(str(file)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())

    with pytest.raises(NotEarned, match="train-to-serve parity"):
        published.publish(JOB, source, 1, tmp_path / "target", say=lambda _: None)

    assert versions(tmp_path / "target", "tumour") == []


def test_a_candidate_like_the_stable_version_is_not_worse_than_it(repository: Path) -> None:
    said: list[str] = []

    assert run(AGAINST_STABLE, repository, Trial(epochs=2, stable=1), say=said.append)

    assert "asking version 1 about the same 142 held-out items" in said
    assert any(line.startswith("gate accuracy not worse than stable: passed: the 95% lower bound") for line in said)


def test_a_candidate_that_tells_nobody_from_anybody_is_worse_than_the_stable_version(repository: Path) -> None:
    task: Any = JOB.task
    blind = replace(AGAINST_STABLE, task=replace(task, build=_blind))
    before, said = versions(repository, "tumour"), list[str]()

    assert not run(blind, repository, Trial(epochs=1, stable=1), say=said.append)

    assert any(line.startswith("gate accuracy not worse than stable: NOT passed") for line in said)
    assert versions(repository, "tumour") == before


def _blind(_: Part) -> Any:
    import keras  # noqa: PLC0415

    record = keras.Input((30,), dtype="float32", name="record")
    return keras.Model(record, keras.layers.Dense(2, activation="softmax", name="head")(0 * record), name="blind")


def test_the_table_has_what_the_newest_version_of_each_job_showed(repository: Path) -> None:
    lines = summary.table(repository, ["tumour", "digits"]).splitlines()

    assert lines[0].startswith("| job | held out | baseline |")
    assert lines[2].startswith("| `tumour` version ")
    assert "auroc 0." in lines[2]
    assert "gradient boosting" in lines[2]
    assert lines[3].startswith("| `digits` | not published |")
