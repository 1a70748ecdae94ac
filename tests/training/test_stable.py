"""Which version a candidate is held against, where the data isn't any more what that one was fitted to, and what counts as the same answers."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format

from medserve.repository import EXTRA, MANIFEST
from medserve.v1 import manifest_input_pb2, manifest_pb2
from training import published, serving, stable
from training.dataset import Dataset, Part
from training.export import digest_of_data
from training.gates import Evidence, NotWorse
from training.stable import Stable
from training.tasks.classification import PROBABILITIES, Classification

LABELS = np.array([0, 1, 1, 0])
POINTS = Part(inputs=np.arange(4, dtype=np.float32), targets=LABELS)
DATA = Dataset(name="points", source="made up", license="none", training=POINTS, validation=POINTS, held_out=POINTS)
SAID = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], np.float32)


class _Task:
    """What a task has that nothing was learnt by."""

    scores, statistics, seed = Classification.scores, Classification.statistics, 1


TASK: Any = _Task()
JOB: Any = SimpleNamespace(
    name="points",
    task=TASK,
    gates=(NotWorse(figure="accuracy", margin=0.1),),
    load=lambda: DATA,
    facts=lambda: manifest_pb2.ModelManifest(inputs=[manifest_input_pb2.InputSpec(name="points")]),
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Version 1, which was fitted to these items, and answers what is said."""
    extra = tmp_path / "points" / "1" / EXTRA
    extra.mkdir(parents=True)
    manifest = manifest_pb2.ModelManifest(training_data=manifest_pb2.TrainingData(name="points", digest=digest_of_data(DATA)))
    (extra / MANIFEST).write_text(json_format.MessageToJson(manifest))
    monkeypatch.setattr(serving, "ask", lambda *_, **__: SimpleNamespace(outputs={PROBABILITIES: SAID}))
    return tmp_path


def moved(data: Dataset) -> Dataset:
    """The same set, of which other items are held out."""
    return replace(data, held_out=data.held_out.of(slice(0, 2)), training=data.training.of(slice(1, 4)))


def test_the_newest_version_of_the_same_items_is_asked(repository: Path) -> None:
    found = stable.found(JOB, repository, DATA, None, say=lambda _: None)

    assert (found.version, found.why_none, found.doubt) == (1, "", "")
    assert found.answers == {PROBABILITIES: SAID}


def test_one_that_may_know_what_is_held_out_now_is_not_compared(repository: Path) -> None:
    found = stable.found(JOB, repository, moved(DATA), None, say=lambda _: None)

    assert found.version is None
    assert found.why_none.startswith("version 1 was fitted to other items, or to another cut of them, and may know some that are held out now")
    verdict = NotWorse(figure="accuracy", margin=0.1).judge(found.beside(Evidence(), {}, TASK, POINTS, asked=JOB.gates))
    assert verdict.outcome == "not compared"


def test_one_that_somebody_asks_for_is_compared_with_that_doubt(repository: Path) -> None:
    found = stable.found(JOB, repository, moved(DATA), 1, say=lambda _: None)

    evidence = found.beside(Evidence(), {PROBABILITIES: SAID}, TASK, POINTS, asked=JOB.gates)
    verdict = NotWorse(figure="accuracy", margin=0.1).judge(evidence)
    assert (verdict.outcome, verdict.reason.split("; ")[-1]) == ("passed", found.doubt)
    assert "may know some" in found.doubt


def test_a_version_isnt_held_against_one_of_another_repository_where_it_may_know_the_items_itself(repository: Path) -> None:
    mine = manifest_pb2.ModelManifest(training_data=manifest_pb2.TrainingData(name="points", digest="sha256:of others"), weights_digest="sha256:mine")
    here = repository / "here"
    (here / EXTRA).mkdir(parents=True)
    (here / EXTRA / MANIFEST).write_text(json_format.MessageToJson(mine))

    known, asked_for = (published._compared(JOB, here, mine, repository, against=against, say=lambda _: None) for against in (None, 1))

    assert known.stable_version is None
    assert known.not_compared == "this version was fitted to other items, or to another cut of them, and may know some that are held out now"
    assert (asked_for.stable_version, asked_for.doubt) == (1, known.not_compared)


@pytest.mark.parametrize(
    ("answers", "same"),
    [
        ({PROBABILITIES: SAID + np.float32(1e-6)}, True),
        # As right, and as wrong, about every item.
        ({PROBABILITIES: SAID + np.array([[0.001, -0.001]], np.float32)}, False),
        ({PROBABILITIES: SAID, "novelty": np.ones((4, 1), np.float32)}, False),
    ],
)
def test_the_same_answers_are_those_of_every_output_within_rounding(answers: Mapping[str, Any], *, same: bool) -> None:
    evidence = Stable(version=1, answers={PROBABILITIES: SAID}).beside(Evidence(), answers, TASK, POINTS, asked=JOB.gates)

    paired: Any = evidence.paired["accuracy"]
    assert paired.candidate.tolist() == paired.stable.tolist()
    assert paired.same_answers is same


@pytest.mark.parametrize("figure", ["auroc", "macro_f1"])
def test_a_figure_that_is_no_mean_of_scores_is_held_against_stable_on_the_same_resamples(figure: str) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 150)
    part = Part(inputs=np.zeros((300, 1)), targets=labels)
    of_cases = np.column_stack([labels + random.normal(0, spread, 300) for spread in (0.5, 0.5, 3.0)])
    good, alike, bad = (np.column_stack([1 - column, column]) for column in (1 / (1 + np.exp(-4 * (of_cases - 0.5)))).T)
    gate = NotWorse(figure=figure, margin=0.1)

    def judged(candidate: Any) -> Any:
        evidence = Stable(version=1, answers={PROBABILITIES: good}).beside(Evidence(), {PROBABILITIES: candidate}, TASK, part, asked=[gate])
        return gate.judge(evidence)

    assert judged(alike).passed
    assert not judged(bad).passed
    assert judged(bad).found < -0.1
    assert judged(good).passed
