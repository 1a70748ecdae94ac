"""Survival from data whose hazards are known: what comes out, and what it is held against."""

from dataclasses import replace
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
    return Part(inputs=risk, targets=targets, patients=1000 * seed + np.arange(items), attributes={"side": np.where(risk[:, 1] > 0, "right", "left")})


def _build(_: Part) -> Any:
    import keras  # noqa: PLC0415

    given = keras.Input((2,), dtype="float32", name="record")
    hidden = keras.layers.Dense(8, activation="relu")(given)
    return keras.Model(given, hazard.head(len(EDGES) - 1)(hidden), name="risk")


TASK = Survival(
    system="SCT", code="419620001", display="Death", edges_days=EDGES, horizon_days=180, build=_build,
    plan=Plan(epochs=15, batch_size=32, learning_rate=0.02, loss=hazard.loss, metrics=()),
    baseline=Hazards(name="boosting", make=gradient_boosting), features_before="hazards", perturbations=(Noise(levels=(2.0,)),),
    other_items={"patients of another kind": lambda: np.full((20, 2), 50, np.float32)},
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
    assert [figure.name for figure in trained.differences] == [f"{name}_difference" for name in figures]
    for each, mine, theirs in zip(trained.differences, trained.figures, trained.baseline, strict=True):
        assert each.value == pytest.approx(mine.value - theirs.value)
        assert each.upper - each.lower < np.hypot(mine.upper - mine.lower, theirs.upper - theirs.lower)


def test_the_served_curve_falls_and_is_what_the_hazards_make(trained: Trained, data: Dataset) -> None:
    said = trained.model.predict(data.held_out.inputs, verbose=0)

    for name in ("survival", "survival_lower", "survival_upper"):
        assert said[name].shape == (400, 3)
        assert (np.diff(said[name], axis=1) <= 0).all()
    assert ((said["survival_lower"] <= said["survival"]) & (said["survival"] <= said["survival_upper"])).all()
    assert said["novelty"].shape == (400, 1)


def test_the_served_intervals_hold_the_curves_that_are_known(trained: Trained, data: Dataset) -> None:
    said = trained.model.predict(data.held_out.inputs, verbose=0)

    rates = np.exp(1.2 * data.held_out.inputs[:, :1].astype(np.float64)) / 200
    known = np.exp(-rates * EDGES[1:])

    assert ((said["survival_lower"] <= known) & (known <= said["survival_upper"])).mean() > 0.9
    # 100 validation patients say no more.
    assert (said["survival_upper"] - said["survival_lower"]).mean() < 0.35


def test_the_manifest_has_the_times_the_event_and_the_interval(trained: Trained) -> None:
    survival, lower, upper, novelty = trained.outputs

    assert (survival.name, list(survival.shape), list(survival.survival.times_days)) == ("survival", [3], [30, 90, 180])
    assert survival.survival.event.display == "Death"
    interval = survival.survival.interval
    assert (interval.lower_output, interval.upper_output, interval.confidence_level) == (lower.name, upper.name, 0.95)
    assert novelty.novelty.threshold > 0


def test_the_report_has_calibration_intervals_decisions_groups_and_subgroups(trained: Trained) -> None:
    assert [section.title for section in trained.sections] == [
        "Whether chances hold", "How chances were made to hold", "How far a patient's curve may be off", "Who is called at risk by day 180",
        "Whether acting on it is worth it", "What became of whom", "Without a model", "Whether items of another kind are told", "For whom",
        "When inputs get worse",
    ]  # fmt: skip
    assert set(trained.subgroups["auroc_180d"]["side"]) == {"left", "right"}
    assert 0 <= trained.measured["calibration_error"].value < 0.2
    assert trained.measured["sensitivity_180d"].value > 0.7
    assert "learnt from 100 validation patients" in trained.sections[1].text[0]
    assert [limit.split(" ")[0] for limit in trained.limits] == ["widest", "where", "a"]
    assert "area under the ROC curve at day 180 changes most at 2 of “noise, in standard deviations”: " in trained.limits[1]
    assert trained.limits[2].endswith("and of 1 (0.8389 to 1) of patients of another kind")
    thirds = trained.sections[2].table
    assert thirds is not None
    assert [row[0] for row in thirds.rows] == ["low risk", "middle risk", "high risk"]


def test_kinds_are_by_the_horizon() -> None:
    targets = np.array([(10.0, True), (200.0, True), (200.0, False)], [("time_days", np.float64), ("event", np.bool_)])

    assert TASK.kinds(targets) == ["event", "without", "without"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"horizon_days": 100}, "horizon_days: one of the edges"),
        ({"calibrate": "isotonic"}, "calibrate: one of as it is, logistic, bayesian, not isotonic"),
        ({"interval_level": 95}, "interval_level: above 0 and below 1, not 95"),
    ],
)
def test_what_cant_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TASK, **wrong)


def test_the_baseline_is_no_straw_man(data: Dataset, trained: Trained) -> None:
    survival = TASK.baseline.survival(data.training, data.held_out.inputs, np.array(EDGES))

    assert survival.shape == (400, 3)
    assert (np.diff(survival, axis=1) <= 0).all()
    assert trained.baseline[0].value > 0.7
