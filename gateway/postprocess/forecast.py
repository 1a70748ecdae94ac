"""A forecast output, [steps, variables], as one forecast for each variable."""

from collections.abc import Mapping

from gateway.manifest import ForecastReading
from gateway.postprocess.numbers import ends_of, finite_of, interval_ends
from gateway.reading import Forecast
from gateway.tensor import Tensor


def forecasts_of(name: str, reading: ForecastReading, outputs: Mapping[str, Tensor]) -> list[Forecast]:
    """The forecasts of the output `name`. Raises BackendAnswerInvalid where a number isn't finite, or an interval's ends are crossed."""
    values, ends = finite_of(name, outputs), ends_of(reading.interval, outputs)
    return [
        Forecast(
            output=name,
            variable=variable,
            unit=unit,
            step_seconds=reading.step_seconds,
            values=tuple(values[:, place].tolist()),
            interval=interval_ends(ends, (slice(None), place)),
        )
        for place, (variable, unit) in enumerate(zip(reading.variables, reading.units, strict=True))
    ]
