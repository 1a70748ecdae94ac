"""The outcomes of a treatment output as options, the best first."""

from collections.abc import Mapping

from gateway.manifest import TreatmentReading
from gateway.postprocess.numbers import ends_of, finite_of, interval_ends
from gateway.reading import TreatmentOption, TreatmentRanking
from gateway.tensor import Tensor


def ranking_of(name: str, reading: TreatmentReading, outputs: Mapping[str, Tensor]) -> list[TreatmentRanking]:
    """The ranking by the output `name`, [options]. Raises BackendAnswerInvalid where a number isn't finite, or an interval's ends are crossed."""
    outcomes = finite_of(name, outputs)
    effects = finite_of(reading.effect_output, outputs) if reading.effect_output else None
    outcome_ends, effect_ends = ends_of(reading.outcome_interval, outputs), ends_of(reading.effect_interval, outputs)
    options = [
        TreatmentOption(
            code=code,
            outcome=float(outcomes[place]),
            outcome_interval=interval_ends(outcome_ends, place),
            effect=None if effects is None else float(effects[place]),
            effect_interval=interval_ends(effect_ends, place),
        )
        for place, code in enumerate(reading.options)
    ]
    # Python's sort is stable: equals stay in the manifest's order.
    options.sort(key=lambda option: option.outcome if reading.lower_is_better else -option.outcome)
    return [
        TreatmentRanking(
            output=name,
            outcome=reading.outcome,
            unit=reading.unit,
            lower_is_better=reading.lower_is_better,
            reference=reading.options[reading.reference],
            options=tuple(options),
        )
    ]
