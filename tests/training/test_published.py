"""What can be done with a version: measured again, read about, published elsewhere, and held against the next one."""

import errno
import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.repository import read_version
from medserve.repository import EXTRA, MANIFEST, RepositoryError, versions
from medserve.repository_digests import DIGESTS, changed_files
from training import published, serving, summary
from training.dataset import Part
from training.gates import AnswersThroughGateway, Ceiling, Evidence, Floor, Group, Measured, NotBehindBaseline, NotEarned, NotWorse, SubgroupGap
from training.job import USUAL
from training.jobs import JOBS
from training.run import REPORT, Trial, run
from training.serving import NotServed

TASK: Any = JOBS["tumour"].task
# A gateway takes most of a second to start: one test here asks it.
GATES = tuple(gate for gate in USUAL if not isinstance(gate, AnswersThroughGateway))
JOB = replace(JOBS["tumour"], task=replace(TASK, plan=replace(TASK.plan, epochs=2)), floor=Floor(figure="accuracy", least=0), gates=GATES)
AGAINST_STABLE = replace(JOB, gates=(NotWorse(figure="accuracy", margin=0.05), *GATES))
# Learnt in another order, so its weights are others.
OTHERWISE = replace(JOB, task=replace(TASK, plan=replace(TASK.plan, epochs=2, seed=8)), gates=(NotWorse(figure="accuracy", margin=0.9), *GATES))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of `tumour`, after a short fit to all items."""
    root = tmp_path_factory.mktemp("repository")
    assert run(JOB, root, Trial(), say=lambda _: None)
    return root


def copied(repository: Path, root: Path, *, old: str = "", new: str = "") -> Path:
    """The folder of a copy of version 1, whose manifest has something else in one place."""
    folder = root / "tumour" / "1"
    shutil.copytree(repository / "tumour" / "1", folder)
    manifest = folder / EXTRA / MANIFEST
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    return folder


def test_a_version_still_does_what_it_said(repository: Path) -> None:
    said: list[str] = []

    assert published.evaluate(JOB, repository, None, say=said.append)

    figures = [line for line in said if line.startswith("held-out ")]
    assert len(figures) == 7
    assert all(line.endswith(": as published") for line in figures)
    assert not any("may know some" in line for line in said)


def test_a_version_that_does_something_else_than_it_said_is_told(repository: Path, tmp_path: Path) -> None:
    file = copied(repository, tmp_path) / EXTRA / MANIFEST
    manifest = json.loads(file.read_text())
    manifest["metrics"][0]["value"] = 0.5
    manifest["trainingData"]["digest"] = f"sha256:{64 * '0'}"
    file.write_text(json.dumps(manifest))
    said: list[str] = []

    assert not published.evaluate(JOB, tmp_path, 1, say=said.append)

    assert any("held-out accuracy" in line and line.endswith("published as 0.5000") for line in said)
    assert "version 1 was fitted to other items, or to another cut of them, and may know some that are held out now" in said


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
    said: list[str] = []
    copied(repository, tmp_path)

    assert (
        published.publish(replace(AGAINST_STABLE, gates=(*AGAINST_STABLE.gates, AnswersThroughGateway())), repository, 1, tmp_path, say=said.append)
        == 2
    )

    mine, theirs = (read_version(root / "tumour" / str(number)).manifest for root, number in ((repository, 1), (tmp_path, 2)))
    assert (theirs.version, theirs.weights_digest) == (2, mine.weights_digest)
    assert theirs.inputs == mine.inputs
    assert any("not compared: version 1 there has the same weights" in line for line in said)
    assert any(line.startswith("gate answers through the gateway: passed: the greatest difference of 32 golden inputs is 0") for line in said)
    folder = tmp_path / "tumour" / "2"
    assert changed_files(folder) == []
    # Its report speaks of version 1, which it was where it was judged first.
    outcomes = re.findall(r'<p class="outcome published">(.*)</p>', (folder / EXTRA / REPORT).read_text())
    assert len(outcomes) == 2
    assert outcomes[0].startswith("Version 2 of this repository, published here on ")
    assert f"as version 1 of {repository}/tumour" in outcomes[0]
    assert outcomes[1] == "Published as version 1."


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"seed"', '"trial": true, "seed"', r"tumour version 1 in .*/tumour is a trial: it wasn't held to what its job asks for"),
        ('"conformalConfidenceLevel": 0.9', '"conformalConfidenceLevel": 0.99', "changed since then: assets.extra/medserve_manifest.json"),
    ],
)
def test_a_trial_and_a_version_with_another_manifest_are_published_nowhere(repository: Path, tmp_path: Path, old: str, new: str, why: str) -> None:
    copied(repository, tmp_path / "source", old=old, new=new)

    with pytest.raises(RepositoryError, match=why):
        published.publish(JOB, tmp_path / "source", 1, tmp_path / "target", say=lambda _: None)

    assert versions(tmp_path / "target", "tumour") == []


def test_a_version_is_held_to_what_its_job_asks_of_figures_today(repository: Path, tmp_path: Path) -> None:
    of_figures = (Ceiling(figure="ece", most=0), SubgroupGap(figure="accuracy", most=0.5), NotBehindBaseline(figure="auroc", margin=0.9))
    job = replace(JOB, floor=Floor(figure="auroc", least=0.9999), gates=(*of_figures, *GATES))
    said: list[str] = []

    with pytest.raises(NotEarned) as refused:
        published.publish(job, repository, 1, tmp_path, say=said.append)

    reasons = [
        r"nothing published:",
        r"  auroc at least: auroc is 0\.\d+, below 0\.9999",
        r"  ece at most: ece is 0\.\d+, above 0",
        r"  accuracy gap between subgroups: can't be judged without accuracy in two subgroups of 30 items or more",
    ]
    assert re.fullmatch("\n".join(reasons), str(refused.value))
    assert any(line.startswith("gate auroc not behind the baseline: passed: ") for line in said)
    assert list(tmp_path.iterdir()) == []


def test_figures_are_kept_for_gates_as_far_as_they_are_numbers(repository: Path, tmp_path: Path) -> None:
    kept = summary.read(repository / "tumour" / "1")
    groups = {"sex": {"F": Group(value=0.9, items=40), "M": Group(value=math.nan, items=50)}}
    evidence = Evidence(
        figures={"ece": Measured(value=0.1, lower=0.05, upper=math.inf), "none": Measured(value=math.nan)}, subgroups={"accuracy": groups}
    )
    (tmp_path / EXTRA).mkdir()

    assert kept is not None
    summary.write(tmp_path, msgspec.structs.replace(kept, for_gates=summary.ForGates.of(evidence)))
    again = summary.read(tmp_path)

    assert again is not None
    assert again.for_gates is not None
    assert again.for_gates.measured == {"ece": Measured(value=0.1, lower=0.05)}
    levels = again.for_gates.groups()["accuracy"]["sex"]
    assert levels["F"] == groups["sex"]["F"]
    # A gap that isn't known is still none that a gate lets pass.
    assert math.isnan(levels["M"].value)


def test_a_disk_that_is_full_is_told_once(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fail)

    with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device$"):
        published.publish(JOB, repository, 1, tmp_path, say=lambda _: None)

    assert versions(tmp_path, "tumour") == []


def test_a_version_that_holds_a_pipe_is_published_nowhere(repository: Path, tmp_path: Path) -> None:
    os.mkfifo(copied(repository, tmp_path / "source") / "variables" / "pipe")

    with pytest.raises(RepositoryError, match="variables/pipe: a version has files and folders, and nothing else"):
        published.publish(JOB, tmp_path / "source", 1, tmp_path / "target", say=lambda _: None)


def test_a_version_that_was_damaged_is_published_nowhere(repository: Path, tmp_path: Path) -> None:
    weights = next((copied(repository, tmp_path / "source") / "variables").glob("*.data-*"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")

    with pytest.raises(RepositoryError, match="isn't as it was published: changed since then: variables/"):
        published.publish(JOB, tmp_path / "source", 1, tmp_path / "target", say=lambda _: None)

    assert versions(tmp_path / "target", "tumour") == []


def test_a_version_that_answers_otherwise_than_its_golden_inputs_say_is_published_nowhere(repository: Path, tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415

    folder = copied(repository, tmp_path / "source")
    # As an earlier release published it.
    (folder / EXTRA / DIGESTS).unlink()
    kept = folder / EXTRA / summary.FILE
    kept.write_text(json.dumps({name: value for name, value in json.loads(kept.read_text()).items() if name != "for_gates"}))
    file = folder / EXTRA / "medserve_golden_predictions"
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file)).take(3)]
    logs[0].predict_log.response.outputs["probabilities"].CopyFrom(tf.make_tensor_proto([[0.125, 0.875]], tf.float32))
    with tf.io.TFRecordWriter(str(file)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    said: list[str] = []

    with pytest.raises(NotEarned, match="train-to-serve parity"):
        published.publish(replace(JOB, gates=(Ceiling(figure="ece", most=0), *GATES)), tmp_path / "source", 1, tmp_path / "target", say=said.append)

    assert "gate ece at most: SKIPPED: version 1 was published by an earlier release, which kept no such figure" in said
    assert "version 1 has no digests: it was published by an earlier release, and only its weights can be told from changed ones" in said
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RepositoryError, match="record 3 is damaged or cut short; publish the version again"):
        published.publish(JOB, tmp_path / "source", 1, tmp_path / "target", say=said.append)
    assert versions(tmp_path / "target", "tumour") == []


def test_a_trial_is_measured_again_on_the_items_that_it_was_measured_on(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = copied(repository, tmp_path) / EXTRA / summary.FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"trial": {"limit": 50, "floor": 0}}))
    said: list[str] = []

    def ask(*_: Any, inputs: Mapping[str, Any], **__: Any) -> Any:
        message = f"{len(inputs['record'])} asked"
        raise NotServed(message)

    monkeypatch.setattr(serving, "ask", ask)

    # Those that set the operating point, too.
    with pytest.raises(NotServed, match=r"^100 asked$"):
        published.evaluate(JOB, tmp_path, 1, say=said.append)
    assert "version 1 is a trial, measured on the first 50 items of each part, a floor of 0: asking about those" in said


def test_a_candidate_is_held_against_the_newest_version_and_published_elsewhere_against_that_of_there(repository: Path, tmp_path: Path) -> None:
    copied(repository, tmp_path)
    said: list[str] = []

    assert run(OTHERWISE, repository, Trial(), say=said.append)
    assert published.publish(OTHERWISE, repository, 2, tmp_path, say=said.append) == 2

    asked = [line for line in said if line.startswith("asking version")]
    assert asked == [f"asking version {number} about the same 142 held-out items" for number in (1, 2, 1)]
    # Before the training: one that can't be asked would otherwise be found out after it.
    assert said.index(asked[0]) < next(index for index, line in enumerate(said) if line.startswith("epoch 1/2"))
    passed = "gate accuracy not worse than stable: passed: the 95% lower bound of what accuracy gains over stable version 1 is"
    assert len([line for line in said if line.startswith(passed)]) == 2


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

    assert lines[0].startswith("| job | held out | baseline (how the model is beside it) |")
    assert lines[2].startswith("| `tumour` version ")
    assert "auroc 0." in lines[2]
    assert re.search(r"gradient boosting.*auroc 0\.\d+ \((ahead|behind|not told apart|the same on these items)\)", lines[2])
    assert lines[3].startswith("| `digits` | not published |")


def test_a_table_of_what_is_damaged_or_not_there_is_none(repository: Path, tmp_path: Path) -> None:
    (copied(repository, tmp_path) / EXTRA / summary.FILE).write_text('{"job": "tumour"')

    with pytest.raises(RepositoryError, match=f"{summary.FILE}: not what a run measured .*; publish the version again"):
        summary.table(tmp_path, ["tumour"])
    with pytest.raises(RepositoryError, match="nowhere: there is no such repository"):
        summary.table(tmp_path / "nowhere", ["tumour"])
