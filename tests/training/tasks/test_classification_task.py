"""What a classification makes of its declaration, with a network of one layer on items of which each patient has four."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from training.baseline import Baseline, support_vectors
from training.dataset import Dataset, Part
from training.fitting.plan import Plan
from training.tasks import network
from training.tasks.classification import PROBABILITIES, Classification
from training.tasks.task import Bench, Trained

UNKNOWN: Any = "sorcery"


def build(_: Part) -> Any:
    import keras  # noqa: PLC0415 - as jobs do

    given = keras.Input((2,), dtype="float32", name="record")
    return keras.Model(given, keras.layers.Dense(2, activation="softmax")(given), name="told")


TASK = Classification(
    system="urn:test",
    classes={"0": "less", "1": "more"},
    build=build,
    plan=Plan(epochs=2, batch_size=16, learning_rate=0.01),
    baseline=Baseline(name="support vectors", make=support_vectors),
    calibrate="isotonic",
)


def part(items: int, seed: int) -> Part:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(items, 2)).astype(np.float32)
    targets = (inputs[:, 0] - inputs[:, 1] + random.normal(size=items) > 0).astype(np.int64)
    return Part(inputs=inputs, targets=targets, patients=1000 * seed + np.arange(items) // 4)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset(name="made up", source="here", license="none", training=part(200, 0), validation=part(160, 1), held_out=part(120, 2))


@pytest.fixture(scope="module")
def trained(data: Dataset) -> tuple[Trained, list[str]]:
    said: list[str] = []
    return TASK.train(data, Bench(say=said.append)), said


def test_what_is_served_is_calibrated_as_declared_and_the_manifest_says_so(trained: tuple[Trained, list[str]], data: Dataset) -> None:
    made, _ = trained
    (output,) = made.outputs

    found = network.predicted(made.model, data.held_out.inputs)[PROBABILITIES]

    assert output.classification.calibration.method == "centred isotonic"
    assert output.classification.calibration.expected_calibration_error == made.measured["ece"].value
    assert [layer.name for layer in made.model.layers][-1] == "isotonic"
    assert found.sum(axis=1) == pytest.approx(np.ones(120), abs=1e-6)
    assert next(figure for figure in made.figures if figure.name == "accuracy").value == (found.argmax(axis=1) == data.held_out.targets).mean()


def test_it_is_said_and_reported_what_came_of_it_and_that_there_were_few_items(trained: tuple[Trained, list[str]]) -> None:
    made, said = trained

    assert any(line.startswith("beware: isotonic curves were learnt from 160 items; with fewer than 1000") for line in said)
    assert any(line.startswith("held-out expected calibration error") and ", before it was calibrated " in line for line in said)
    assert "How probabilities were made to hold" in [section.title for section in made.sections]
    (benefit,) = [section for section in made.sections if section.title == "Whether acting on it is worth it"]
    assert ">baseline<" in benefit.plots[0].svg
    # A network that gives no novelty promises no warning, nor does it measure one.
    assert len(made.limits) == 2
    assert not any("warned" in limit for limit in made.limits)


def test_each_figure_is_held_against_the_baselines_on_the_same_patients(trained: tuple[Trained, list[str]]) -> None:
    made, _ = trained

    assert [each.name for each in made.differences] == [f"{figure.name}_difference" for figure in made.figures]
    for each, mine, theirs in zip(made.differences, made.figures, made.baseline, strict=True):
        assert each.value == pytest.approx(mine.value - theirs.value)
        assert each.lower <= each.value <= each.upper
        assert "of 30 groups" in each.interval_method


def test_the_shares_of_conformal_sets_have_intervals_by_patient(trained: tuple[Trained, list[str]]) -> None:
    assert any("conformal_coverage" in line and "of 30 groups" in line for line in trained[1])


def test_a_way_to_calibrate_that_there_is_not_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ValueError, match="calibrate: one of temperature, isotonic, least log loss, not sorcery"):
        replace(TASK, calibrate=UNKNOWN)
