"""Answers as people read them."""

import pytest

from medserve.commands import answer
from medserve.v1 import coding_pb2, inference_pb2, reading_pb2

SERVED = inference_pb2.ServedBy(model="m", version=3)


def coding(display: str) -> coding_pb2.Coding:
    return coding_pb2.Coding(system="s", code=display[:1], display=display)


def ends(lower: list[float], upper: list[float], level: float = 0.9) -> reading_pb2.IntervalEnds:
    return reading_pb2.IntervalEnds(lower=lower, upper=upper, confidence_level=level)


def shown(capsys: pytest.CaptureFixture[str], **readings: object) -> list[list[str]]:
    """The lines of what is printed behind the head, each as its words."""
    answer.show(inference_pb2.InferResponse(request_id="r", served_by=SERVED, **readings))  # type: ignore[arg-type]
    return [line.split() for line in capsys.readouterr().out.splitlines()[2:] if line.strip()]


def test_a_survival_curve_is_a_table_of_days(capsys: pytest.CaptureFixture[str]) -> None:
    curve = reading_pb2.SurvivalCurve(event=coding("Death"), times_days=[30, 180], probabilities=[0.9, 0.5], interval=ends([0.8, 0.4], [0.95, 0.6]))

    assert shown(capsys, survival_curves=[curve]) == [
        ["Without", "the", "event:", "Death"],
        ["DAYS", "PROBABILITY", "90", "%", "INTERVAL"],
        ["30", "90.0", "%", "80.0", "%", "to", "95.0", "%"],
        ["180", "50.0", "%", "40.0", "%", "to", "60.0", "%"],
    ]


def test_a_small_chance_is_no_zero_and_a_level_is_not_rounded(capsys: pytest.CaptureFixture[str]) -> None:
    interval = ends([0, 1e-9, 0.99], [3e-4, 1e-3, 1], 0.975)
    curve = reading_pb2.SurvivalCurve(event=coding("Death"), times_days=[1, 2, 3], probabilities=[2e-4, 4e-5, 0.99999999], interval=interval)

    lines = shown(capsys, survival_curves=[curve])

    assert [" ".join(line) for line in lines[1:]] == [
        "DAYS PROBABILITY 97.5 % INTERVAL",
        "1 0.020 % 0.0 % to 0.030 %",
        "2 0.0040 % < 0.0001 % to 0.10 %",
        "3 > 99.9999 % 99.0 % to 100.0 %",
    ]


def test_a_novelty_just_above_its_threshold_does_not_read_as_equal_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [line for line in shown(capsys, novelties=[reading_pb2.Novelty(score=2.0000625, threshold=2)]) if line[0] == "Novelty"]

    assert line[1:4] == ["2.0000625:", "above", "2.0"]


def test_treatments_are_a_table_in_their_order_with_effects_and_signs(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        reading_pb2.TreatmentOption(
            code=coding("both"), outcome=400, outcome_interval=ends([380], [420]), effect=50, effect_interval=ends([25], [75], 0.8)
        ),
        reading_pb2.TreatmentOption(
            code=coding("zidovudine"), outcome=350, outcome_interval=ends([340], [360]), effect=0, effect_interval=ends([0], [0], 0.8)
        ),
    ]
    ranking = reading_pb2.TreatmentRanking(outcome=coding("CD4"), unit="/uL", reference=coding("zidovudine"), options=options)

    lines = shown(capsys, treatment_rankings=[ranking])

    assert lines[0] == ["CD4", "in", "/uL,", "higher", "is", "better;", "effects", "are", "against", "zidovudine"]
    assert lines[-2:] == [
        ["1", "both", "400", "380", "to", "420", "+50", "+25", "to", "+75"],
        ["2", "zidovudine", "350", "340", "to", "360", "+0", "+0", "to", "+0"],
    ]


def test_a_forecast_is_a_table_of_the_time_ahead(capsys: pytest.CaptureFixture[str]) -> None:
    forecast = reading_pb2.Forecast(variable=coding("MAP"), unit="mm[Hg]", step_seconds=60, values=[80, 78])

    lines = shown(capsys, forecasts=[forecast])

    assert lines[0] == ["Forecast", "of", "MAP", "in", "mm[Hg]"]
    assert lines[-2:] == [["60", "80"], ["120", "78"]]


def test_a_finding_says_whether_the_model_can_rule_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        reading_pb2.Finding(code=coding(name), probability=p, conformal=reading_pb2.ConformalMembership(in_set=in_set, confidence_level=0.9))
        for name, p, in_set in (("benign", 0.75, True), ("malignant", 0.25, False))
    ]

    lines = shown(capsys, findings=findings)

    assert lines[0][-2:] == ["RULED", "OUT"]
    assert lines[1][-1] == "no"
    assert lines[2][-3:] == ["at", "90", "%"]


def test_novelty_and_warnings_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(
        capsys,
        novelties=[reading_pb2.Novelty(score=3, threshold=2, is_out_of_distribution=True)],
        warnings=[reading_pb2.Warning(reason="OUT_OF_DISTRIBUTION", message="Unlike.")],
        findings=[reading_pb2.Finding(code=coding("benign"), probability=0.5)],
    )

    assert ["Novelty", "3:", "above", "2", "an", "item", "is", "unlike", "the", "training", "data"] in lines
    assert lines[-1] == ["Warning:", "Unlike.", "(OUT_OF_DISTRIBUTION)"]


def test_long_names_of_options_are_folded_and_no_number_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("zidovudine and didanosine", "zidovudine and zalcitabine")
    options = [
        reading_pb2.TreatmentOption(
            code=coding(name), outcome=251.25, outcome_interval=ends([210.25], [281.25]), effect=72.75, effect_interval=ends([54.25], [92.25])
        )
        for name in names
    ]
    ranking = reading_pb2.TreatmentRanking(outcome=coding("CD4"), unit="/uL", reference=coding(names[0]), options=options)

    words = [word for line in shown(capsys, treatment_rankings=[ranking]) for word in line]

    for word in ("RANK", "OUTCOME", "EFFECT", "251.2", "+72.75", "+92.25", "didanosine", "zalcitabine"):
        assert word in words
