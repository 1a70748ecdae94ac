"""Time series from callers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    ChannelsMismatch,
    MedserveError,
    SamplingFrequencyMismatch,
    ShapeMismatch,
    TooManyElements,
    UnitMismatch,
    ValueNotFinite,
)  # fmt: skip
from gateway.item import Channel, TimeSeries
from gateway.manifest import ChannelSpec, InputSpec, TimeSeriesInput
from gateway.tensor import DType, Tensor

Prepare = Callable[..., Tensor]
NAN, INF = float("nan"), float("inf")


def spec(*, hz: float = 0, samples: int = -1, dtype: DType = DType.FLOAT32, allows_missing: bool = False) -> InputSpec:
    channels = (ChannelSpec(name="I", unit="mV"), ChannelSpec(name="SpO2", unit="%"))
    medium = TimeSeriesInput(channels=channels, sampling_frequency_hz=hz)
    return InputSpec(name="x", dtype=dtype, shape=(samples, 2), medium=medium, allows_missing=allows_missing)


def series(*channels: Channel, hz: float = 0) -> TimeSeries:
    return TimeSeries(channels=channels, sampling_frequency_hz=hz)


def lead(*values: float, name: str = "I", unit: str = "mV") -> Channel:
    return Channel(name=name, unit=unit, values=values)


def saturation(*values: float) -> Channel:
    return lead(*values, name="SpO2", unit="%")


@given(
    rows=st.lists(st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(0, 100, width=32)), min_size=1),
    swapped=st.booleans(),
)
def test_places_channels_by_name_in_any_order(prepare: Prepare, rows: list[tuple[float, float]], swapped: bool) -> None:
    first, second = lead(*(row[0] for row in rows)), saturation(*(row[1] for row in rows))

    tensor = prepare(spec(), series(second, first) if swapped else series(first, second))

    assert tensor.dtype is DType.FLOAT32
    np.testing.assert_array_equal(tensor.array, np.array(rows, dtype=np.float32))


def test_a_unit_of_the_same_kind_is_converted(prepare: Prepare) -> None:
    assert prepare(spec(), series(lead(1500.0, unit="uV"), lead(0.97, name="SpO2", unit="1"))).array.tolist() == [[1.5, 97.0]]


class Noting(Sequence[float]):
    """Values that note how many were asked for at once."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values, self.most = values, 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, at: Any) -> Any:
        part = self.values[at]
        self.most = max(self.most, len(part) if isinstance(at, slice) else 1)
        return part


def test_a_long_series_is_converted_in_parts_so_that_other_threads_get_their_turn(prepare: Prepare) -> None:
    first, second = Noting([float(value) for value in range(25_001)]), Noting([0.5] * 25_001)
    channels = Channel(name="I", unit="mV", values=first), Channel(name="SpO2", unit="%", values=second)

    tensor = prepare(spec(), series(*channels))

    np.testing.assert_array_equal(tensor.array, np.column_stack([np.arange(25_001), np.full(25_001, 0.5)]))
    assert (first.most, second.most) == (10_000, 10_000)


@pytest.mark.parametrize(
    ("value", "error", "field"),
    [
        pytest.param(series(lead(1.0)), ChannelsMismatch, "channels", id="missing"),
        pytest.param(series(), ChannelsMismatch, "channels", id="none"),
        pytest.param(series(lead(1.0), saturation(1.0), lead(1.0, name="Jane")), ChannelsMismatch, "channels", id="unknown"),
        pytest.param(series(lead(1.0), saturation(1.0), lead(1.0)), ChannelsMismatch, "channels", id="twice"),
        pytest.param(series(lead(1.0), saturation(1.0, 2.0)), ChannelsMismatch, 'channels["SpO2"].values', id="of two lengths"),
        pytest.param(series(lead(1.0, unit="mm[Hg]"), saturation(1.0)), UnitMismatch, 'channels["I"].unit', id="a unit of another kind"),
        pytest.param(series(lead(1.0, unit=""), saturation(1.0)), UnitMismatch, 'channels["I"].unit', id="no unit"),
        pytest.param(series(lead(1.0), saturation(1.0)), ShapeMismatch, "channels", id="too few samples"),
        pytest.param(series(lead(1.0, NAN), saturation(1.0, 2.0)), ValueNotFinite, 'channels["I"].values', id="missing value"),
        pytest.param(series(lead(1.0, 1e300), saturation(1.0, 2.0)), ValueNotFinite, 'channels["I"].values', id="infinite in the model's type"),
        pytest.param(
            series(lead(1.0, 2.0), lead(1.0, 1e308, name="SpO2", unit="1")),
            ValueNotFinite,
            'channels["SpO2"].values',
            id="infinite in the model's unit",
        ),
        pytest.param(series(lead(*range(600)), saturation(*range(600))), TooManyElements, "channels", id="too many"),
    ],
)
def test_refuses(prepare: Prepare, value: TimeSeries, error: type[MedserveError], field: str) -> None:
    with pytest.raises(error) as caught:
        prepare(spec(samples=2), value, max_elements=1000)

    assert caught.value.field == f'inputs["x"].time_series.{field}'
    assert "Jane" not in caught.value.message


def test_takes_nan_but_no_infinity_where_values_may_be_missing(prepare: Prepare) -> None:
    assert np.isnan(prepare(spec(allows_missing=True), series(lead(NAN), saturation(1.0))).array).tolist() == [[True, False]]
    with pytest.raises(ValueNotFinite):
        prepare(spec(allows_missing=True), series(lead(INF), saturation(1.0)))


@pytest.mark.parametrize(
    ("wanted_hz", "came_hz", "taken"),
    [
        (0, 0, True), (0, 125, True), (0, NAN, True),
        (125, 125, True), (125, 125 * (1 + 9e-7), True), (125, 125 * (1 - 9e-7), True),
        (125, 125 * (1 + 2e-6), False), (125, 250, False), (125, 0, False), (125, -125, False), (125, NAN, False), (125, INF, False),
    ],
)  # fmt: skip
def test_the_sampling_frequency_is_the_models(prepare: Prepare, wanted_hz: float, came_hz: float, taken: bool) -> None:
    value = series(lead(1.0), saturation(1.0), hz=came_hz)

    if taken:
        assert prepare(spec(hz=wanted_hz), value).shape == (1, 2)
    else:
        with pytest.raises(SamplingFrequencyMismatch, match="125 Hz") as caught:
            prepare(spec(hz=wanted_hz), value)
        assert caught.value.field == 'inputs["x"].time_series.sampling_frequency_hz'
