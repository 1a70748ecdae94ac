"""A run of a job of one's own, from a declaration to a version that has been served, and what is left of a run that publishes nothing."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.manifest import Classification
from gateway.repository import read_version
from medserve.repository import EXTRA, GOLDEN, RepositoryError, read_manifest
from medserve.v1 import manifest_input_pb2, manifest_pb2, tensor_pb2
from training import publish, summary
from training.baseline import Baseline, support_vectors
from training.dataset import Dataset, Part
from training.fitting.plan import Plan
from training.gates import AnswersThroughGateway, Floor, Latency, ManifestComplete, NotWorse, TrainToServe
from training.golden import read_golden
from training.job import Job
from training.report import plots
from training.run import CHECKPOINTS, REPORT, TooFewItems, Trial, run
from training.tasks.classification import Classification as Classes

LAST_REPORT = ".last_report.html"
GATES = ("accuracy at least", "train-to-serve parity", "latency on the model server", "answers through the gateway", "manifest complete")


def _load_points() -> Dataset:
    random = np.random.default_rng(0)
    points = random.normal(size=(200, 2)).astype(np.float32)
    labels = (points[:, 0] > 0).astype(np.int64)
    return Dataset(
        name="points", source="made up", license="none",
        training=Part(inputs=points[:80], targets=labels[:80]),
        validation=Part(inputs=points[80:100], targets=labels[80:100]),
        held_out=Part(inputs=points[100:], targets=labels[100:]),
    )  # fmt: skip


def _build_line(_: Part) -> Any:
    import keras  # noqa: PLC0415

    return keras.Sequential([keras.Input((2,), dtype="float32", name="points"), keras.layers.Dense(2, activation="softmax")])


def _facts_of_points() -> manifest_pb2.ModelManifest:
    return manifest_pb2.ModelManifest(
        task=manifest_pb2.TASK_PREDICTION,
        display_name="Points",
        description="Says on which side of a line a point lies.",
        intended_use=manifest_pb2.IntendedUse(purpose="Tests runs.", not_for=["Any patient's care"]),
        inputs=[manifest_input_pb2.InputSpec(name="points", data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[2], description="A point of the plane.")],
    )


def _write_point(folder: Path, stem: str, point: Any) -> Path:
    path = folder / f"{stem}.npy"
    np.save(path, point)
    return path


POINTS = Job(
    name="points",
    load=_load_points,
    task=Classes(
        system="urn:test:sides",
        classes={"l": "left", "r": "right"},
        build=_build_line,
        plan=Plan(epochs=3, batch_size=10, learning_rate=0.1),
        baseline=Baseline(name="a support vector machine", make=support_vectors),
        draw=lambda point, title: plots.series({"point": point}, title=title),
    ),
    facts=_facts_of_points,
    floor=Floor(figure="accuracy", least=0.8),
    write_sample=_write_point,
)


TASK: Any = POINTS.task
# With a checkpoint at each epoch's end, and without the gateway, which takes most of a second to start.
KEPT = replace(
    POINTS,
    task=replace(TASK, plan=replace(TASK.plan, checkpoint_seconds=None)),
    gates=tuple(gate for gate in POINTS.gates if not isinstance(gate, AnswersThroughGateway)),
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a version, and what was said while it was made."""
    root = tmp_path_factory.mktemp("repository")
    said: list[str] = []

    assert run(POINTS, root, Trial(), say=said.append)

    return root / "points" / "1", said


def test_a_job_of_ones_own_is_a_declaration_and_is_published_with_all_that_the_gateway_needs(published: tuple[Path, list[str]]) -> None:
    manifest = read_version(published[0]).manifest

    assert (manifest.name, manifest.inputs["points"].shape) == ("points", (2,))
    classification = manifest.outputs["probabilities"].reading
    assert isinstance(classification, Classification)
    assert [label.code.code for label in classification.labels] == ["l", "r"]


def test_every_gate_is_told_with_its_reason(published: tuple[Path, list[str]]) -> None:
    said = [line for line in published[1] if line.startswith("gate ")]

    assert [line.split(": ")[:2] for line in said] == [[f"gate {name}", "passed"] for name in GATES]


def test_a_version_has_the_report_that_it_was_published_by(published: tuple[Path, list[str]]) -> None:
    page = (published[0] / EXTRA / REPORT).read_text()

    for words in (
        "Published as version 1.",
        "a support vector machine",
        "the model is",
        "Model card",
        "What was misread",
        "Clinical lead",
        "train-to-serve parity",
    ):
        assert words in page
    assert page == (published[0].parent / LAST_REPORT).read_text()


def test_the_golden_answers_are_those_of_every_item_the_held_out_ones_first(published: tuple[Path, list[str]]) -> None:
    golden, data = read_golden(published[0] / EXTRA / GOLDEN), _load_points()

    assert np.array_equal(golden.inputs["points"], np.concatenate([part.inputs for part in (data.held_out, data.validation, data.training)]))
    assert golden.outputs["probabilities"].sum(axis=1) == pytest.approx([1] * 200, abs=1e-6)
    assert any(line.startswith("gate train-to-serve parity: passed: the greatest difference of 200 golden inputs is ") for line in published[1])


def test_what_has_not_earned_it_is_published_nowhere_and_the_report_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    asked = (Latency(most_seconds=1e-9), TrainToServe(least_items=201), AnswersThroughGateway(), ManifestComplete())
    job = replace(POINTS, gates=asked, facts=lambda: manifest_pb2.ModelManifest.FromString(_of_space_and_without_a_use()))

    assert not run(job, tmp_path, Trial(), say=said.append)

    assert publish.versions(tmp_path, "points") == []
    for gate in asked:
        assert any(line.startswith(f"gate {gate.name}: NOT passed: ") for line in said)
    refused = 'SHAPE_MISMATCH: the model takes [3] without a batch dimension, [2] came (at inputs["points"].tensor.shape)'
    assert f"gate answers through the gateway: NOT passed: the gateway refuses a golden input as a tensor: {refused}" in said
    page = (tmp_path / "points" / LAST_REPORT).read_text()
    assert "Nothing published: a gate was not passed." in page
    assert page.count("✗ not passed") == 4
    assert "Clinical lead" not in page
    assert not (tmp_path / "points" / ".staging").exists()
    assert not list((tmp_path / "points" / CHECKPOINTS).iterdir())


def _of_space_and_without_a_use() -> bytes:
    facts = _facts_of_points()
    facts.ClearField("intended_use")
    facts.inputs[0].shape[:] = [3]
    return facts.SerializeToString()


@pytest.mark.parametrize(
    ("trial", "remedy"),
    [
        (Trial(floor=1.0), "look at the data and the schedule"),
        (Trial(floor=1.0, epochs=1, limit=40), "leave out --epochs and --limit"),
    ],
)
def test_a_run_below_the_floor_leaves_a_report_and_sends_nobody_after_options_that_werent_given(tmp_path: Path, trial: Trial, remedy: str) -> None:
    said: list[str] = []

    assert not run(POINTS, tmp_path, trial, say=said.append)

    assert re.fullmatch(rf"nothing published: held-out accuracy 0\.\d{{4}} is below the floor of 1\.0; {remedy}", said[-1])
    assert "below the floor of 1.0" in (tmp_path / "points" / LAST_REPORT).read_text()
    assert publish.versions(tmp_path, "points") == []


def test_a_run_that_was_broken_off_goes_on_where_it_was_and_comes_to_the_same_model(tmp_path: Path, published: tuple[Path, list[str]]) -> None:
    said: list[str] = []
    page = tmp_path / "points" / LAST_REPORT

    def stop_at(beginning: str, error: type[BaseException]) -> Callable[[str], None]:
        def say(line: str) -> None:
            said.append(line)
            if line.startswith(beginning):
                raise error("69.5 kg")

        return say

    with pytest.raises(KeyboardInterrupt):
        run(KEPT, tmp_path, Trial(), say=stop_at("epoch 3/3", KeyboardInterrupt))
    assert "came to no result: it was ended from outside" in page.read_text()
    with pytest.raises(RuntimeError):
        run(KEPT, tmp_path, Trial(), say=stop_at("held-out accuracy", RuntimeError))
    assert re.search(r"Nothing published: .* came to no result: RuntimeError at training/\w+", page.read_text())
    assert "69.5" not in page.read_text()
    assert any(line.startswith("going on from the checkpoint of epoch 3") for line in said)
    assert len([line for line in said if line.startswith("epoch 1/3")]) == 1
    said.clear()
    assert run(KEPT, tmp_path, Trial(), say=said.append)

    # The fit that had ended is taken up again, and nothing is fitted.
    assert any(line.startswith("going on from the checkpoint of a fit that had finished") for line in said)
    assert not any(line.startswith("epoch ") for line in said)
    assert "Published as version 1." in page.read_text()
    one, other = (read_golden(folder / EXTRA / GOLDEN).outputs["probabilities"] for folder in (tmp_path / "points" / "1", published[0]))
    np.testing.assert_array_equal(one, other)


def test_a_trial_is_marked_as_one_and_leaves_a_killed_runs_work_alone(tmp_path: Path) -> None:
    job = replace(KEPT, gates=(NotWorse(figure="accuracy", margin=0.1), *KEPT.gates))

    def break_off(line: str) -> None:
        if line.startswith("epoch 2/3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(job, tmp_path, Trial(), say=break_off)
    said: list[str] = []
    assert run(job, tmp_path, Trial(epochs=1, limit=50, floor=0), say=said.append)

    folder = tmp_path / "points" / "1"
    assert read_manifest(folder).provenance.trial
    page = (folder / EXTRA / REPORT).read_text()
    assert "TRIAL, for trying things out only, published as version 1: 1 epoch, the first 50 items of each part, a floor of 0." in page
    for words in ('class="outcome published"', "Clinical lead"):
        assert words not in page
    skipped = ["accuracy at least 0.8", "accuracy not worse than stable"]
    assert [line for line in said if "SKIPPED" in line] == [f"gate {name}: SKIPPED: a trial isn't held to it" for name in skipped]
    assert page.count("skipped: a trial isn&#39;t held to it") == 2
    assert "a TRIAL: 1 epoch" in summary.table(tmp_path, ["points"])

    said.clear()
    assert run(job, tmp_path, Trial(), say=said.append)

    assert any(line.startswith("going on from the checkpoint of epoch 2") for line in said)
    assert "gate accuracy not worse than stable: not compared: no version of points is published here, trials apart" in said
    assert not read_manifest(tmp_path / "points" / "2").provenance.trial
    assert not list((tmp_path / "points" / CHECKPOINTS).iterdir())


def test_a_version_to_be_no_worse_than_is_missed_before_the_training(tmp_path: Path) -> None:
    said: list[str] = []

    with pytest.raises(RepositoryError, match="there is no version 99; it has none"):
        run(POINTS, tmp_path, Trial(stable=99), say=said.append)

    assert said == []
    assert "came to no result" in (tmp_path / "points" / LAST_REPORT).read_text()


def test_items_too_few_to_learn_from_are_told_without_what_is_in_them(tmp_path: Path) -> None:
    task: Any = POINTS.task
    job = replace(POINTS, task=replace(task, baseline=Baseline(name="none", make=_refusing)))

    with pytest.raises(TooFewItems, match=r"^points can't be learnt from, or measured on, the first 20 items of each part: give a larger --limit$"):
        run(job, tmp_path, Trial(epochs=1, limit=20), say=lambda _: None)


def _refusing() -> Any:
    raise ValueError("69.5 kg")


@pytest.mark.parametrize(("days", "stays"), [(29, True), (31, False)])
def test_the_work_of_a_killed_run_that_nobody_went_on_with_is_given_up_after_a_month(tmp_path: Path, days: int, *, stays: bool) -> None:
    left = tmp_path / "points" / CHECKPOINTS / "of-another-fit"
    left.mkdir(parents=True)
    (left / "checkpoint-000001-000000000-0.npz").touch()
    for path in (left, *left.iterdir()):
        os.utime(path, (time.time() - days * 86_400,) * 2)

    ended: Any = _Ended()
    with pytest.raises(KeyboardInterrupt):
        run(replace(POINTS, task=ended), tmp_path, Trial(), say=lambda _: None)

    assert left.exists() == stays


class _Ended:
    seed = 0

    def train(self, *_: Any) -> Any:
        raise KeyboardInterrupt
