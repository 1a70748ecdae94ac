"""From outputs to curves, rankings, forecasts and novelties."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import (
    Classification,
    Coding,
    ForecastReading,
    InputSpec,
    Interval,
    Label,
    Manifest,
    NoveltyReading,
    OutputReading,
    OutputSpec,
    SurvivalReading,
    TreatmentReading,
)
from gateway.postprocess import read
from gateway.reading import Caution, ConformalMembership, IntervalEnds
from gateway.tensor import DType, Tensor

NAN = math.nan
INTERVAL = Interval(lower_output="low", upper_output="high", confidence_level=0.9)
DEATH = Coding(system="SCT", code="419620001", display="Death")
CD4 = Coding(system="LN", code="24467-3", display="CD4 cells")
OPTIONS = tuple(Coding(system="s", code=code, display=code.upper()) for code in "abc")
SURVIVAL = SurvivalReading(event=DEATH, times_days=(30, 90, 180), interval=INTERVAL)
TREATMENT = TreatmentReading(
    outcome=CD4, unit="/uL", lower_is_better=False, options=OPTIONS, reference=0,
    outcome_interval=INTERVAL, effect_output="effect", effect_interval=Interval(lower_output="elow", upper_output="ehigh", confidence_level=0.8),
)  # fmt: skip
FORECAST = ForecastReading(variables=OPTIONS[:2], units=("mm[Hg]", "1"), step_seconds=60, interval=INTERVAL)


def manifest(reading: OutputReading | None, shape: tuple[int, ...], *companions: str) -> Manifest:
    outputs = {"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=shape, reading=reading)}
    outputs |= {name: OutputSpec(name=name, dtype=DType.FLOAT32, shape=shape) for name in companions}
    return Manifest(
        name="m", version=1, signature_name="serving_default", weights_digest="sha256:0",
        inputs={"x": InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,))}, outputs=outputs,
    )  # fmt: skip


def tensors(**values: object) -> Mapping[str, Tensor]:
    return {name: Tensor.of(np.array(value, dtype=np.float32)) for name, value in values.items()}


def test_a_survival_output_is_a_curve_with_its_interval() -> None:
    outputs = tensors(y=[0.875, 0.75, 0.5], low=[0.75, 0.5, 0.25], high=[1, 1, 0.75])

    (curve,) = read(manifest(SURVIVAL, (3,), "low", "high"), outputs).survival_curves

    assert (curve.output, curve.event, curve.times_days, curve.probabilities) == ("y", DEATH, (30, 90, 180), (0.875, 0.75, 0.5))
    assert curve.interval == IntervalEnds(lower=(0.75, 0.5, 0.25), upper=(1, 1, 0.75), confidence_level=0.9)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=6))
def test_a_curve_never_rises_whatever_rounding_did(hazards: list[float]) -> None:
    survival = np.cumprod(1 - np.array(hazards, np.float32))
    wobbly = survival + np.array([1e-7 * (place % 2) for place in range(len(hazards))], np.float32)
    reading = SurvivalReading(event=DEATH, times_days=tuple(range(1, len(hazards) + 1)))

    (curve,) = read(manifest(reading, (len(hazards),)), tensors(y=wobbly)).survival_curves

    assert list(curve.probabilities) == sorted(curve.probabilities, reverse=True)
    assert all(0 <= probability <= 1 for probability in curve.probabilities)


@pytest.mark.parametrize(("lower_is_better", "order"), [(False, "bac"), (True, "cab")])
def test_treatments_are_ranked_by_their_outcome_each_with_its_effect_and_intervals(*, lower_is_better: bool, order: str) -> None:
    reading = TreatmentReading(
        outcome=CD4, unit="/uL", lower_is_better=lower_is_better, options=OPTIONS, reference=0,
        outcome_interval=INTERVAL, effect_output="effect", effect_interval=TREATMENT.effect_interval,
    )  # fmt: skip
    outputs = tensors(
        y=[350, 400, 325], low=[340, 380, 300], high=[360, 420, 350], effect=[0, 50, -25], elow=[0, 25, -50], ehigh=[0, 75, 0]
    )  # fmt: skip

    (ranking,) = read(manifest(reading, (3,), "low", "high", "effect", "elow", "ehigh"), outputs).treatment_rankings

    assert "".join(option.code.code for option in ranking.options) == order
    assert (ranking.outcome, ranking.unit, ranking.reference, ranking.lower_is_better) == (CD4, "/uL", OPTIONS[0], lower_is_better)
    best = next(option for option in ranking.options if option.code.code == "b")
    assert (best.outcome, best.effect) == (400, 50)
    assert best.outcome_interval == IntervalEnds(lower=(380,), upper=(420,), confidence_level=0.9)
    assert best.effect_interval == IntervalEnds(lower=(25,), upper=(75,), confidence_level=0.8)


def test_without_effects_and_intervals_there_are_none_and_equals_keep_their_order() -> None:
    reading = TreatmentReading(outcome=CD4, unit="/uL", lower_is_better=False, options=OPTIONS, reference=2)

    (ranking,) = read(manifest(reading, (3,)), tensors(y=[1, 1, 1])).treatment_rankings

    assert [(option.code.code, option.effect, option.outcome_interval, option.effect_interval) for option in ranking.options] == [
        ("a", None, None, None), ("b", None, None, None), ("c", None, None, None),
    ]  # fmt: skip


def test_a_forecast_output_is_one_forecast_for_each_variable() -> None:
    outputs = tensors(y=[[1, 2], [3, 4], [5, 6]], low=[[0, 1], [2, 3], [4, 5]], high=[[2, 3], [4, 5], [6, 7]])

    first, second = read(manifest(FORECAST, (3, 2), "low", "high"), outputs).forecasts

    assert (first.variable, first.unit, first.values, first.step_seconds) == (OPTIONS[0], "mm[Hg]", (1, 3, 5), 60)
    assert (second.variable, second.unit, second.values) == (OPTIONS[1], "1", (2, 4, 6))
    assert second.interval == IntervalEnds(lower=(1, 3, 5), upper=(3, 5, 7), confidence_level=0.9)


@pytest.mark.parametrize(("score", "is_novel"), [(2.5, True), (math.inf, True), (2.0, False), (0.0, False)])
def test_above_its_threshold_a_novelty_is_a_warning_before_all_others(*, score: float, is_novel: bool) -> None:
    said = Caution(reason="FEATURE_MISSING", message="m")

    reading = read(manifest(NoveltyReading(threshold=2.0), (1,)), tensors(y=[score]), [said])

    assert [(novelty.score, novelty.threshold, novelty.is_out_of_distribution) for novelty in reading.novelties] == [(score, 2.0, is_novel)]
    assert [caution.reason for caution in reading.warnings] == (["OUT_OF_DISTRIBUTION"] if is_novel else []) + ["FEATURE_MISSING"]


def test_a_conformal_set_has_the_labels_that_cannot_be_ruled_out() -> None:
    labels = tuple(Label(code=code, conformal_threshold=threshold) for code, threshold in zip(OPTIONS, (0.5, 0.5, 0.875), strict=True))
    reading = Classification(exclusive=True, labels=labels, conformal_confidence_level=0.9)

    findings = read(manifest(reading, (3,)), tensors(y=[0.5, 0.375, 0.125])).findings

    assert {finding.code.code: finding.conformal for finding in findings} == {
        "a": ConformalMembership(in_set=True, confidence_level=0.9),
        "b": ConformalMembership(in_set=False, confidence_level=0.9),
        "c": ConformalMembership(in_set=True, confidence_level=0.9),
    }


@pytest.mark.parametrize(("exclusive", "thresholds", "reasons"), [
    (True, (0.25, 0.25, 0.25), ["CONFORMAL_SET_EMPTY"]), (True, (0.625, 0.25, 0.875), []), (True, (None, None, None), []),
    (False, (0.25, 0.25, 0.25), []),
])  # fmt: skip
def test_a_conformal_set_without_a_class_is_warned_of_where_one_has_to_be(
    *, exclusive: bool, thresholds: tuple[float | None, ...], reasons: list[str]
) -> None:
    labels = tuple(Label(code=code, conformal_threshold=threshold) for code, threshold in zip(OPTIONS, thresholds, strict=True))
    reading = Classification(exclusive=exclusive, labels=labels, conformal_confidence_level=0.9)

    found = read(manifest(reading, (3,)), tensors(y=[0.5, 0.375, 0.125]))

    assert [caution.reason for caution in found.warnings] == reasons


@pytest.mark.parametrize(("exclusive", "point", "thresholds", "named"), [
    (True, None, (0.25, 0.25, 0.875), "A"), (True, 0.125, (0.75, 0.25, 0.75), "B, C"), (True, 0.125, (0.75, 0.75, 0.875), None),
    (False, 0.25, (0.25, 0.25, 0.25), "A, B"), (False, None, (0.25, 0.25, 0.25), None),
])  # fmt: skip
def test_what_is_called_present_and_ruled_out_is_warned_of_by_name(
    *, exclusive: bool, point: float | None, thresholds: tuple[float, ...], named: str | None
) -> None:
    labels = tuple(
        Label(code=code, operating_point=point, conformal_threshold=threshold) for code, threshold in zip(OPTIONS, thresholds, strict=True)
    )
    reading = Classification(exclusive=exclusive, labels=labels, conformal_confidence_level=0.9)

    found = read(manifest(reading, (3,)), tensors(y=[0.5, 0.375, 0.125]))

    assert [caution.reason for caution in found.warnings] == ["DECISION_OUTSIDE_CONFORMAL_SET"] * (named is not None)
    assert all(f"ruled out by the conformal set: {named}." in caution.message for caution in found.warnings)


@pytest.mark.parametrize(
    ("reading", "shape", "changes"),
    [
        pytest.param(SURVIVAL, (3,), {"y": [0.5, 0.75, 0.5]}, id="a curve that rises"),
        pytest.param(SURVIVAL, (3,), {"y": [1.5, 0.75, 0.5]}, id="no probability"),
        pytest.param(SURVIVAL, (3,), {"y": [NAN, 0.75, 0.5]}, id="not a number"),
        pytest.param(SURVIVAL, (3,), {"low": [1, 1, 1]}, id="crossed ends"),
        pytest.param(SURVIVAL, (3,), {"high": [1.5, 1, 1]}, id="an end above 1"),
        pytest.param(SURVIVAL, (3,), {"low": [0, 0, -0.5]}, id="an end below 0"),
        pytest.param(SURVIVAL, (3,), {"high": [NAN, 1, 1]}, id="an end that is not a number"),
        pytest.param(TREATMENT, (3,), {"y": [1, math.inf, 2]}, id="an infinite outcome"),
        pytest.param(TREATMENT, (3,), {"effect": [0, NAN, 2]}, id="an effect that is not a number"),
        pytest.param(TREATMENT, (3,), {"elow": [9, 9, 9]}, id="crossed ends of an effect"),
        pytest.param(TREATMENT, (3,), {"effect": [0.25, 0, 0]}, id="a reference with an effect against itself"),
        pytest.param(FORECAST, (1, 2), {"y": [[NAN, 1]]}, id="a forecast that is not a number"),
        pytest.param(NoveltyReading(threshold=1), (1,), {"y": [NAN]}, id="a novelty that is not a number"),
        pytest.param(NoveltyReading(threshold=1), (1,), {"y": [-math.inf]}, id="a novelty of what nothing can be like"),
    ],
)
def test_numbers_that_cannot_be_are_refused(reading: OutputReading, shape: tuple[int, ...], changes: dict[str, object]) -> None:
    declared = OutputSpec(name="y", dtype=DType.FLOAT32, shape=shape, reading=reading)
    good = {name: np.full(shape, 0.0 if name.startswith("e") else 0.5) for name in ("y", *declared.companions)}
    model = manifest(reading, shape, *declared.companions)
    read(model, tensors(**good))

    with pytest.raises(BackendAnswerInvalid, match="the model is at fault") as caught:
        read(model, tensors(**good | changes))

    assert any(f'"{name}"' in caught.value.message for name in changes)


def test_what_rounding_did_to_the_ends_of_a_curve_and_to_the_effect_of_a_reference_is_undone() -> None:
    curve = {"y": [1, 0.5, 0], "low": [0.75, 0.25, -1e-4], "high": [1 + 1e-4, 0.75, 0.25]}
    effects = {"y": [400, 350, 300], "low": [0, 0, 0], "high": [500] * 3, "effect": [1e-2, -50, -100], "elow": [-200] * 3, "ehigh": [200] * 3}

    (read_curve,) = read(manifest(SURVIVAL, (3,), "low", "high"), tensors(**curve)).survival_curves
    (ranking,) = read(manifest(TREATMENT, (3,), "low", "high", "effect", "elow", "ehigh"), tensors(**effects)).treatment_rankings

    assert read_curve.interval == IntervalEnds(lower=(0.75, 0.25, 0), upper=(1, 0.75, 0.25), confidence_level=0.9)
    assert [option.effect for option in ranking.options] == [0, -50, -100]
