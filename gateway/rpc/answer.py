"""`medserve.v1.InferResponse`: what the stages made of an item, as the public message."""

from gateway.manifest import Coding
from gateway.pipeline import Inference
from gateway.reading import Decision, Finding, Forecast, IntervalEnds, Novelty, SurvivalCurve, TreatmentOption, TreatmentRanking
from gateway.tensor import DType, Tensor
from medserve.v1 import coding_pb2, inference_pb2, reading_pb2, tensor_pb2

_DATA_TYPE = {DType[name.removeprefix("DATA_TYPE_")]: number for name, number in tensor_pb2.DataType.items() if number}
_DECISION = {
    Decision.UNSPECIFIED: reading_pb2.DECISION_UNSPECIFIED,
    Decision.PRESENT: reading_pb2.DECISION_PRESENT,
    Decision.ABSENT: reading_pb2.DECISION_ABSENT,
}


def response_of(inference: Inference, *, include_raw_outputs: bool) -> inference_pb2.InferResponse:
    """The public answer."""
    route, reading = inference.route, inference.reading
    response = inference_pb2.InferResponse(
        request_id=inference.request_id,
        served_by=inference_pb2.ServedBy(
            model=route.model,
            version=route.version or 0,
            version_label=route.label,
            weights_digest=route.manifest.weights_digest if route.manifest is not None else "",
        ),
        findings=map(_finding_of, reading.findings),
        survival_curves=map(_curve_of, reading.survival_curves),
        treatment_rankings=map(_ranking_of, reading.treatment_rankings),
        forecasts=map(_forecast_of, reading.forecasts),
        novelties=map(_novelty_of, reading.novelties),
        warnings=[reading_pb2.Warning(reason=caution.reason, message=caution.message) for caution in reading.warnings],
    )
    if include_raw_outputs:
        for name, tensor in reading.outputs.items():
            response.raw_outputs[name].CopyFrom(_message_of(tensor))
    return response


def _finding_of(finding: Finding) -> reading_pb2.Finding:
    conformal = finding.conformal
    return reading_pb2.Finding(
        output=finding.output,
        code=_coding_of(finding.code),
        probability=finding.probability,
        decision=_DECISION[finding.decision],
        operating_point=finding.operating_point,
        conformal=None
        if conformal is None
        else reading_pb2.ConformalMembership(in_set=conformal.in_set, confidence_level=conformal.confidence_level),
    )


def _curve_of(curve: SurvivalCurve) -> reading_pb2.SurvivalCurve:
    return reading_pb2.SurvivalCurve(
        output=curve.output,
        event=_coding_of(curve.event),
        times_days=curve.times_days,
        probabilities=curve.probabilities,
        interval=_interval_of(curve.interval),
    )


def _ranking_of(ranking: TreatmentRanking) -> reading_pb2.TreatmentRanking:
    return reading_pb2.TreatmentRanking(
        output=ranking.output,
        outcome=_coding_of(ranking.outcome),
        unit=ranking.unit,
        lower_is_better=ranking.lower_is_better,
        reference=_coding_of(ranking.reference),
        options=map(_option_of, ranking.options),
    )


def _option_of(option: TreatmentOption) -> reading_pb2.TreatmentOption:
    return reading_pb2.TreatmentOption(
        code=_coding_of(option.code),
        outcome=option.outcome,
        outcome_interval=_interval_of(option.outcome_interval),
        effect=option.effect,
        effect_interval=_interval_of(option.effect_interval),
    )


def _forecast_of(forecast: Forecast) -> reading_pb2.Forecast:
    return reading_pb2.Forecast(
        output=forecast.output,
        variable=_coding_of(forecast.variable),
        unit=forecast.unit,
        step_seconds=forecast.step_seconds,
        values=forecast.values,
        interval=_interval_of(forecast.interval),
    )


def _novelty_of(novelty: Novelty) -> reading_pb2.Novelty:
    return reading_pb2.Novelty(
        output=novelty.output, score=novelty.score, threshold=novelty.threshold, is_out_of_distribution=novelty.is_out_of_distribution
    )


def _interval_of(interval: IntervalEnds | None) -> reading_pb2.IntervalEnds | None:
    if interval is None:
        return None
    return reading_pb2.IntervalEnds(lower=interval.lower, upper=interval.upper, confidence_level=interval.confidence_level)


def _coding_of(coding: Coding) -> coding_pb2.Coding:
    return coding_pb2.Coding(system=coding.system, code=coding.code, display=coding.display)


def _message_of(tensor: Tensor) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(data_type=_DATA_TYPE[tensor.dtype], shape=tensor.shape, content=bytes(tensor.content), string_values=tensor.strings)
