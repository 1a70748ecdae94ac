"""Series on a model's grid: against lines and integrals that can be written down."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GapTooLong, MedserveError, SamplingFrequencyMismatch, ShapeMismatch, TimesInvalid, TooManyElements, ValueNotFinite
from gateway.item import Channel, TimeSeries
from gateway.manifest import ChannelSpec, InputSpec, TimeSeriesInput
from gateway.preprocess.bounds import InputLimits
from gateway.preprocess.resampling import resample
from gateway.preprocess.time_series import prepare
from gateway.reading import Caution
from gateway.tensor import DType

NAN = math.nan


def spec(*, samples: int = -1, hz: float = 2, gap: float = 3, allows_missing: bool = False) -> InputSpec:
    medium = TimeSeriesInput(channels=(ChannelSpec(name="p", unit="mm[Hg]"),), sampling_frequency_hz=hz, max_gap_seconds=gap)
    return InputSpec(name="x", dtype=DType.FLOAT64, shape=(samples, 1), medium=medium, allows_missing=allows_missing)


def run(
    asked: InputSpec, values: Sequence[float], *, hz: float = 0, times: Sequence[float] = (), unit: str = "mm[Hg]", max_elements: int = 1000
) -> tuple[list[float], list[str]]:
    series = TimeSeries(channels=(Channel(name="p", unit=unit, values=values),), sampling_frequency_hz=hz, times_seconds=times)
    tensor, cautions = prepare(asked, series, InputLimits(max_elements=max_elements, max_pixels=1))
    return tensor.array[:, 0].tolist(), _reasons(cautions)


def _reasons(cautions: tuple[Caution, ...]) -> list[str]:
    return [caution.reason for caution in cautions]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param({"values": [1, 2, 3], "hz": 2}, [1, 2, 3], id="on the grid already"),
        pytest.param({"values": [0, 1, 2], "hz": 1}, [0, 0.5, 1, 1.5, 2], id="sampled more sparsely: a line"),
        pytest.param({"values": [0, 1, 4], "times": [10, 11, 13]}, [0, 0.5, 1, 1.75, 2.5, 3.25, 4], id="at times of its own"),
        pytest.param({"values": [0, 1, NAN, 3], "hz": 1}, [0, 0.5, 1, 1.5, 2, 2.5, 3], id="a gap that may be bridged"),
        pytest.param({"values": [0, NAN, 2], "hz": 2}, [0, 1, 2], id="a gap on the grid"),
        pytest.param({"values": [15.998684], "hz": 2, "unit": "kPa"}, [120.0], id="another unit"),
        # Each moment gets the mean of what is around it, so what swings at 4 Hz doesn't turn up at 2 Hz.
        pytest.param({"values": [0, 1] * 8 + [0], "hz": 8}, [0.5] * 5, id="sampled more densely: means"),
        pytest.param({"values": list(range(17)), "hz": 8}, [1, 4, 8, 12, 15], id="more densely: a line stays one but at its ends"),
    ],
)
def test_brings_a_series_to_the_grid(arguments: dict[str, Any], expected: list[float]) -> None:
    values, reasons = run(spec(), **arguments)

    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert reasons == []


def test_of_a_longer_series_the_latest_part_is_read_and_that_is_said() -> None:
    assert run(spec(samples=3), [0, 1, 2, 3, 4], hz=2) == ([2, 3, 4], ["SERIES_CUT"])
    assert run(spec(samples=3), [0, 1, 2], hz=1) == ([1, 1.5, 2], ["SERIES_CUT"])


def test_what_is_missing_is_not_a_number_where_the_model_fills_it_in() -> None:
    values, reasons = run(spec(samples=6, allows_missing=True, gap=1), [0, 1, 5], times=[0, 0.5, 2])

    np.testing.assert_allclose(values, [NAN, 0, 1, NAN, NAN, 5], rtol=1e-9)
    assert reasons == ["SERIES_GAPS"]


@pytest.mark.parametrize(
    ("asked", "arguments", "error", "field"),
    [
        (spec(gap=1), {"values": [0, 1], "times": [0, 2]}, GapTooLong, "channels"),
        (spec(samples=9), {"values": [0, 1], "hz": 2}, GapTooLong, "channels"),
        (spec(), {"values": [NAN, NAN], "hz": 2}, GapTooLong, "channels"),
        (spec(), {"values": [0, NAN], "hz": 2}, GapTooLong, "channels"),
        (spec(), {"values": [0, 1], "times": [0, 0]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [1, 0]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, NAN]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, 1e300]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, 1, 2]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, 1], "hz": 1}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1]}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(), {"values": [0, 1], "hz": -1}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(), {"values": [0, 1], "hz": math.inf}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(), {"values": [], "hz": 2}, ShapeMismatch, "channels"),
        (spec(), {"values": [0, math.inf], "hz": 1}, ValueNotFinite, "channels"),
        (spec(), {"values": [0, 1e308], "hz": 1}, ValueNotFinite, "channels"),
        (spec(gap=1e10), {"values": [0, 1], "times": [0, 1e10]}, TooManyElements, "times_seconds"),
        (spec(gap=1e10), {"values": [0, 1], "hz": 1e-9}, TooManyElements, "times_seconds"),
    ],
)
def test_refuses(asked: InputSpec, arguments: dict[str, Any], error: type[MedserveError], field: str) -> None:
    with pytest.raises(error) as caught:
        run(asked, **arguments)

    assert caught.value.field == f'inputs["x"].time_series.{field}'


def test_a_model_that_resamples_nothing_takes_no_times() -> None:
    medium = TimeSeriesInput(channels=(ChannelSpec(name="p", unit="mm[Hg]"),))

    with pytest.raises(TimesInvalid, match="resamples nothing"):
        run(InputSpec(name="x", dtype=DType.FLOAT32, shape=(-1, 1), medium=medium), [0, 1], times=[0, 1])


@given(start=st.floats(-1e3, 1e3), slope=st.floats(-1e3, 1e3), steps=st.lists(st.floats(0.01, 2), min_size=2, max_size=30), hz=st.floats(0.5, 20))
def test_a_line_stays_the_line_within_a_grid_interval_of_its_ends(start: float, slope: float, steps: list[float], hz: float) -> None:
    times = np.concatenate([[0.0], np.cumsum(steps)])
    moments = np.linspace(times[0], times[-1], 17)

    found = resample(times, start + slope * times, moments, frequency_hz=hz, max_gap_seconds=10)

    inside = (moments >= times[0] + 0.5 / hz) & (moments <= times[-1] - 0.5 / hz)
    np.testing.assert_allclose(found[inside], (start + slope * moments)[inside], rtol=1e-7, atol=1e-6)
    assert np.isfinite(found).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(1, 8))
def test_the_mean_of_a_dense_series_stays_within_its_values(values: list[float], density: int) -> None:
    series = np.array(values)
    times = np.arange(len(series)) / (density * 10)
    moments = np.linspace(times[0], times[-1], 5)

    found = resample(times, series, moments, frequency_hz=10 / density, max_gap_seconds=10)

    assert (found >= series.min() - 1e-3).all()
    assert (found <= series.max() + 1e-3).all()
