"""Survival from data whose hazards are known: what comes out, and what it is held against."""

from typing import Any

import numpy as np
import pytest

from training.baseline import Hazards, gradient_boosting
from training.dataset import Dataset, Part
from training.evidence.robustness import Noise
from training.fitting.plan import Plan
from training.models import hazard
from training.tasks.survival import Survival
from training.tasks.task import Bench, Trained

EDGES = (0.0, 30.0, 90.0, 180.0)


def _part(items: int, seed: int) -> Part:
    """Who has a larger number dies sooner; a third are lost within the time."""
    random = np.random.default_rng(seed)
    risk = random.normal(size=(items, 2)).astype(np.float32)
    dies = random.exponential(200 * np.exp(-1.2 * risk[:, 0]))
    lost = np.where(random.random(items) < 1 / 3, random.uniform(0, 180, items), 400.0)
    targets = np.zeros(items, [("time_days", np.float64), ("event", np.bool_)])
    targets["time_days"], targets["event"] = np.minimum(dies, lost), dies <= lost
    return Part(inputs=risk, targets=targets, patients=np.arange(items), attributes={"side": np.where(risk[:, 1] > 0, "right", "left")})


def _build(_: Part) -> Any:
    import keras  # noqa: PLC0415

    given = keras.Input((2,), dtype="float32", name="record")
    hidden = keras.layers.Dense(8, activation="relu")(given)
    return keras.Model(given, hazard.head(len(EDGES) - 1)(hidden), name="risk")


TASK = Survival(
    system="SCT", code="419620001", display="Death", edges_days=EDGES, horizon_days=180, build=_build,
    plan=Plan(epochs=15, batch_size=32, learning_rate=0.02, loss=hazard.loss, metrics=()),
    baseline=Hazards(name="boosting", make=gradient_boosting), features_before="hazards", perturbations=(Noise(levels=(2.0,)),),
)  # fmt: skip


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset(name="made up", source="here", license="none", training=_part(500, 0), validation=_part(100, 1), held_out=_part(400, 2))


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Trained:
    return TASK.train(data, Bench(say=lambda _: None))


def test_it_tells_who_dies_sooner(trained: Trained) -> None:
    figures = {figure.name: figure for figure in trained.figures}

    assert list(figures) == ["auroc_180d", "brier_180d", "integrated_brier"]
    assert figures["auroc_180d"].value > 0.75
    assert figures["auroc_180d"].lower < figures["auroc_180d"].value < figures["auroc_180d"].upper
    assert [figure.name for figure in trained.baseline] == list(figures)


def test_the_served_curve_falls_and_is_what_the_hazards_make(trained: Trained, data: Dataset) -> None:
    said = trained.model.predict(data.held_out.inputs, verbose=0)

    assert said["survival"].shape == (400, 3)
    assert (np.diff(said["survival"], axis=1) <= 0).all()
    assert said["novelty"].shape == (400, 1)


def test_the_manifest_has_the_times_and_the_event(trained: Trained) -> None:
    survival, novelty = trained.outputs

    assert (survival.name, list(survival.shape), list(survival.survival.times_days)) == ("survival", [3], [30, 90, 180])
    assert survival.survival.event.display == "Death"
    assert novelty.novelty.threshold > 0


def test_the_report_has_calibration_groups_and_subgroups(trained: Trained) -> None:
    assert [section.title for section in trained.sections] == [
        "Whether chances hold", "What became of whom", "Without a model", "For whom", "When inputs get worse",
    ]  # fmt: skip
    assert set(trained.subgroups["auroc_180d"]["side"]) == {"left", "right"}
    assert 0 <= trained.measured["calibration_error"].value < 0.2


def test_kinds_are_by_the_horizon() -> None:
    targets = np.array([(10.0, True), (200.0, True), (200.0, False)], [("time_days", np.float64), ("event", np.bool_)])

    assert TASK.kinds(targets) == ["event", "without", "without"]


def test_a_horizon_that_is_no_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="horizon_days"):
        Survival(
            system="s", code="c", display="d", edges_days=EDGES, horizon_days=100, build=_build, plan=TASK.plan, baseline=TASK.baseline
        )  # fmt: skip


def test_the_baseline_is_no_straw_man(data: Dataset, trained: Trained) -> None:
    survival = TASK.baseline.survival(data.training, data.held_out.inputs, np.array(EDGES))

    assert survival.shape == (400, 3)
    assert (np.diff(survival, axis=1) <= 0).all()
    assert trained.baseline[0].value > 0.7
