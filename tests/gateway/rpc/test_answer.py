"""What the stages made of an item, as the public message: every field of every reading."""

from gateway.call import Route
from gateway.manifest import Coding
from gateway.pipeline import Inference
from gateway.reading import (
    ConformalMembership,
    Decision,
    Finding,
    Forecast,
    IntervalEnds,
    Novelty,
    Reading,
    SurvivalCurve,
    TreatmentOption,
    TreatmentRanking,
)
from gateway.rpc.answer import response_of
from medserve.v1 import coding_pb2, inference_pb2, reading_pb2

A, B = (Coding(system="s", code=code, display=code.upper()) for code in "ab")
A_MESSAGE, B_MESSAGE = (coding_pb2.Coding(system="s", code=code, display=code.upper()) for code in "ab")
ENDS = IntervalEnds(lower=(0.25,), upper=(0.75,), confidence_level=0.5)
ENDS_MESSAGE = reading_pb2.IntervalEnds(lower=[0.25], upper=[0.75], confidence_level=0.5)


def answer(**readings: object) -> inference_pb2.InferResponse:
    reading = Reading(warnings=(), outputs={}, **readings)  # type: ignore[arg-type]
    return response_of(Inference(request_id="r", route=Route(model="m", version=1), reading=reading), include_raw_outputs=False)


def test_a_survival_curve_is_these_bytes() -> None:
    curve = SurvivalCurve(output="y", event=A, times_days=(0.5,), probabilities=(0.25,), interval=ENDS)

    (message,) = answer(survival_curves=(curve,)).survival_curves

    # Written by hand from the field numbers of proto/medserve/v1/reading.proto: tag, length, content.
    half, quarter, three_quarters = ("000000000000" + high for high in ("e03f", "d03f", "e83f"))
    interval = "0a08" + quarter + "1208" + three_quarters + "19" + half
    expected = "0a0179" + "1209" + "0a0173" + "120161" + "1a0141" + "1a08" + half + "2208" + quarter + "2a1d" + interval
    assert message.SerializeToString().hex() == expected


def test_a_ranking_keeps_its_order_and_tells_no_effect_from_none() -> None:
    options = (
        TreatmentOption(code=B, outcome=2, outcome_interval=ENDS, effect=0.0, effect_interval=ENDS),
        TreatmentOption(code=A, outcome=1, outcome_interval=None, effect=None, effect_interval=None),
    )
    ranking = TreatmentRanking(output="y", outcome=A, unit="/uL", lower_is_better=True, reference=B, options=options)

    (message,) = answer(treatment_rankings=(ranking,)).treatment_rankings

    assert message == reading_pb2.TreatmentRanking(
        output="y", outcome=A_MESSAGE, unit="/uL", lower_is_better=True, reference=B_MESSAGE,
        options=[
            reading_pb2.TreatmentOption(code=B_MESSAGE, outcome=2, outcome_interval=ENDS_MESSAGE, effect=0.0, effect_interval=ENDS_MESSAGE),
            reading_pb2.TreatmentOption(code=A_MESSAGE, outcome=1),
        ],
    )  # fmt: skip
    assert [option.HasField("effect") for option in message.options] == [True, False]


def test_a_forecast_and_a_novelty_have_all_their_fields() -> None:
    forecast = Forecast(output="y", variable=A, unit="mm[Hg]", step_seconds=60, values=(1, 2), interval=ENDS)
    novelty = Novelty(output="z", score=3, threshold=2)

    message = answer(forecasts=(forecast,), novelties=(novelty,))

    assert list(message.forecasts) == [
        reading_pb2.Forecast(output="y", variable=A_MESSAGE, unit="mm[Hg]", step_seconds=60, values=[1, 2], interval=ENDS_MESSAGE)
    ]
    assert list(message.novelties) == [reading_pb2.Novelty(output="z", score=3, threshold=2, is_out_of_distribution=True)]


def test_a_finding_says_whether_it_is_in_the_conformal_set_only_where_there_is_one() -> None:
    membership = ConformalMembership(in_set=False, confidence_level=0.9)
    findings = [Finding(output="y", code=A, probability=0.5, decision=Decision.ABSENT, conformal=conformal) for conformal in (membership, None)]

    first, second = answer(findings=tuple(findings)).findings

    assert (first.HasField("conformal"), first.conformal.in_set, first.conformal.confidence_level) == (True, False, 0.9)
    assert not second.HasField("conformal")
