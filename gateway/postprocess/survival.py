"""The chances of a survival output as a curve."""

from collections.abc import Mapping

import numpy as np

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import SurvivalReading
from gateway.postprocess.numbers import ends_of, interval_ends, probabilities_of
from gateway.reading import SurvivalCurve
from gateway.tensor import Tensor

# By rounding, a product of chances may rise by so much.
_RISE_TOLERANCE = 1e-3


def survival_of(name: str, reading: SurvivalReading, outputs: Mapping[str, Tensor]) -> list[SurvivalCurve]:
    """The curve of the output `name`, [times], with its interval.

    Raises BackendAnswerInvalid where a number, of an end as well, is no probability, the curve rises, or an interval's ends are crossed.
    """
    probabilities = probabilities_of(name, outputs)
    if (np.diff(probabilities) > _RISE_TOLERANCE).any():
        message = f'the chance to be without the event rises in output "{name}": the model is at fault, so ask for another version'
        raise BackendAnswerInvalid(message)
    return [
        SurvivalCurve(
            output=name,
            event=reading.event,
            times_days=reading.times_days,
            probabilities=tuple(np.minimum.accumulate(probabilities).tolist()),
            interval=interval_ends(ends_of(reading.interval, outputs, probabilities_of)),
        )
    ]
