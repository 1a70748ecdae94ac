"""The outcomes of a treatment output as options, the best first."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import TreatmentReading
from gateway.postprocess.numbers import ends_of, finite_of, interval_ends
from gateway.reading import TreatmentOption, TreatmentRanking
from gateway.tensor import Tensor

# Two outcomes in float16 differ by rounding by so much of their size.
_EFFECT_TOLERANCE = 1e-3


def ranking_of(name: str, reading: TreatmentReading, outputs: Mapping[str, Tensor]) -> list[TreatmentRanking]:
    """The ranking by the output `name`, [options].

    Raises BackendAnswerInvalid where a number isn't finite, an interval's ends are crossed, or the reference has an effect against itself.
    """
    outcomes = finite_of(name, outputs)
    outcome_ends, effect_ends = ends_of(reading.outcome_interval, outputs), ends_of(reading.effect_interval, outputs)
    effects = _effects_of(reading, outcomes, outputs) if reading.effect_output else None
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


def _effects_of(reading: TreatmentReading, outcomes: NDArray[np.float64], outputs: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """The effects, [options]; the reference's is 0.

    Raises BackendAnswerInvalid where the model says otherwise by more than rounding: its effects are then against something else than the manifest
    says, and a clinician would read each of them wrongly.
    """
    effects = finite_of(reading.effect_output, outputs)
    if abs(effects[reading.reference]) > _EFFECT_TOLERANCE * max(np.abs(outcomes).max(), np.abs(effects).max()):
        message = (
            f'output "{reading.effect_output}" gives the reference an effect against itself: '
            "the model is at fault, or its manifest names another reference, so ask for another version"
        )
        raise BackendAnswerInvalid(message)
    effects[reading.reference] = 0.0
    return effects
