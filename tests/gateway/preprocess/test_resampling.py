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
from gateway.preprocess.resampling import grid, resample
from gateway.preprocess.time_series import is_long, prepare
from gateway.reading import Caution
from gateway.tensor import DType

NAN = math.nan
VALUES = 'channels["p"].values'


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
    assert run(spec(samples=3), [0, 1, 2, 3], hz=2) == ([1, 2, 3], ["SERIES_CUT"])
    assert run(spec(samples=3), [1, 2, 3], hz=2) == ([1, 2, 3], [])


def test_what_is_missing_is_not_a_number_where_the_model_fills_it_in() -> None:
    values, reasons = run(spec(samples=6, allows_missing=True, gap=1), [0, 1, 5], times=[0, 0.5, 2])

    np.testing.assert_allclose(values, [NAN, 0, 1, NAN, NAN, 5], rtol=1e-9)
    assert reasons == ["SERIES_GAPS"]


@pytest.mark.parametrize(
    ("asked", "arguments", "error", "field"),
    [
        (spec(gap=1), {"values": [0, 1], "times": [0, 2]}, GapTooLong, VALUES),
        (spec(samples=9), {"values": [0, 1], "hz": 2}, GapTooLong, "channels"),
        (spec(), {"values": [NAN, NAN], "hz": 2}, GapTooLong, VALUES),
        (spec(), {"values": [0, NAN], "hz": 2}, GapTooLong, VALUES),
        (spec(), {"values": [0, 1], "times": [0, 0]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [1, 0]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, NAN]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, 1e300]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, 1, 2]}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1], "times": [0, 1], "hz": 1}, TimesInvalid, "times_seconds"),
        (spec(), {"values": [0, 1]}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(), {"values": [0, 1], "hz": -1}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(), {"values": [0, 1], "hz": math.inf}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(), {"values": [0, 1], "hz": 5e-324}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(samples=2), {"values": [0, 1], "hz": 1e-12}, SamplingFrequencyMismatch, "sampling_frequency_hz"),
        (spec(), {"values": [], "hz": 2}, ShapeMismatch, "channels"),
        (spec(), {"values": [0, math.inf], "hz": 1}, ValueNotFinite, VALUES),
        (spec(), {"values": [0, 1e308], "hz": 1}, ValueNotFinite, VALUES),
        (spec(gap=1e10), {"values": [0, 1], "times": [0, 1e10]}, TooManyElements, "times_seconds"),
        (spec(gap=1e10), {"values": [0, 1], "hz": 1e-9}, TooManyElements, "times_seconds"),
    ],
)
def test_refuses(asked: InputSpec, arguments: dict[str, Any], error: type[MedserveError], field: str) -> None:
    with pytest.raises(error) as caught:
        run(asked, **arguments)

    assert caught.value.field == f'inputs["x"].time_series.{field}'


@pytest.mark.parametrize(
    ("values", "times", "samples", "said"),
    [
        ([0, 1, NAN], (), -1, 'channel "q" ends with a missing value'),
        ([NAN, 1, 2], (), -1, 'channel "q" begins with a missing value'),
        ([NAN, 1, 2, 3, 4, NAN], (), -1, 'channel "q" ends with a missing value'),
        ([NAN, NAN, 2, 3], (), 3, 'channel "q" begins with a missing value'),
        ([NAN, NAN], (), -1, 'channel "q" has no value'),
        ([0, 1, 2], (0, 9, 10), -1, 'channel "p" has no value for more than 3 s'),
        ([0, *[NAN] * 9, 1], (), -1, 'channel "q" has no value for more than 3 s'),
        ([0, *[NAN] * 9, 1], (), 4, 'channel "q" has no value for more than 3 s'),
        ([0, 1, 2], (), 9, "the series is too short: the model takes 9 samples at 2 Hz, 4.5 s"),
    ],
)
def test_a_gap_is_told_by_its_channel_and_its_kind(values: list[float], times: tuple[float, ...], samples: int, said: str) -> None:
    channels = tuple(ChannelSpec(name=name, unit="1") for name in "pq")
    medium = TimeSeriesInput(channels=channels, sampling_frequency_hz=2, max_gap_seconds=3)
    asked = InputSpec(name="x", dtype=DType.FLOAT64, shape=(samples, 2), medium=medium)
    whole = Channel(name="p", unit="1", values=[1.0] * len(values))
    series = TimeSeries(channels=(Channel(name="q", unit="1", values=values), whole), sampling_frequency_hz=0 if times else 2, times_seconds=times)

    with pytest.raises(GapTooLong) as caught:
        prepare(asked, series, InputLimits(max_elements=1000, max_pixels=1))

    assert caught.value.message.startswith(said)


def test_a_model_that_resamples_nothing_takes_no_times() -> None:
    medium = TimeSeriesInput(channels=(ChannelSpec(name="p", unit="mm[Hg]"),))

    with pytest.raises(TimesInvalid, match="resamples nothing"):
        run(InputSpec(name="x", dtype=DType.FLOAT32, shape=(-1, 1), medium=medium), [0, 1], times=[0, 1])


# Seconds since 1970, of which the last digit of a float64 is a quarter of a microsecond: a thousandth of the interval at some 4 kHz.
NOW = 1_764_068_400.0


@pytest.mark.parametrize("hz", [1, 100, 250, 300, 500, 977])
def test_seconds_since_1970_on_the_grid_already_are_taken_as_they_are(hz: int) -> None:
    beats = np.sin(np.arange(3 * hz + 1) * 2.5)
    times = NOW + 0.123 + np.arange(len(beats)) / hz

    values, reasons = run(spec(hz=hz), beats.tolist(), times=times.tolist(), max_elements=10_000)

    assert len(values) == len(beats)
    np.testing.assert_allclose(values, beats, atol=5e-3)
    assert reasons == []


@pytest.mark.parametrize("hz", [300, 256, 130])
def test_times_rounded_to_milliseconds_are_of_the_same_rate_and_not_smoothed(hz: int) -> None:
    # Up and down from sample to sample: a mean over a grid interval would halve it.
    values = np.tile([0.0, 1.0], hz)
    times = np.round(np.arange(len(values)) / hz, 3)
    moments = grid(times, frequency_hz=hz, samples=len(values) - 1)

    found = resample(times, values, moments, frequency_hz=hz, max_gap_seconds=1)

    np.testing.assert_array_equal(found, np.interp(moments, times, values))


def test_a_few_fast_stretches_in_a_slow_series_are_averaged() -> None:
    slow, fast = np.arange(0, 60.0), np.arange(60, 64, 0.1)
    values = np.concatenate([np.zeros(60), np.tile([0.0, 1.0], 20)])
    times = np.concatenate([slow, fast])

    found = resample(times, values, np.array([61.0, 62.0, 63.0]), frequency_hz=1, max_gap_seconds=2)

    np.testing.assert_allclose(found, 0.5)


def test_a_mean_takes_nothing_from_a_gap_that_is_too_long_to_bridge() -> None:
    times = np.concatenate([np.arange(0, 2.01, 0.1), np.arange(10, 12.01, 0.1)])
    values = np.where(times < 5, 1.0, 100.0)

    found = resample(times, values, np.arange(0, 13.0), frequency_hz=1, max_gap_seconds=1)

    np.testing.assert_allclose(found, [1, 1, 1, *[NAN] * 7, 100, 100, 100], rtol=1e-12)


def test_a_wild_value_spoils_only_the_moments_around_it() -> None:
    times = np.arange(200) / 10
    values = np.where(times == 5, 1e20, 7 + times)

    found = resample(times, values, np.arange(0, 20.0), frequency_hz=1, max_gap_seconds=1)

    assert np.flatnonzero(found > 1e6).tolist() == [5]
    np.testing.assert_allclose(found[6:], 7 + np.arange(6, 20.0), rtol=1e-9)


@pytest.mark.parametrize(
    ("values", "times", "expected"),
    [
        pytest.param([7], [NOW], [7], id="one sample"),
        pytest.param([7, 9], [NOW, NOW + 0.5], [7, 9], id="two samples"),
        pytest.param([7, 9], [NOW, NOW + 0.2], [8], id="two samples within an interval"),
        pytest.param([7, NAN, NAN, 10], [0, 0.5, 1, 1.5], [7, 8, 9, 10], id="a run of missing values"),
        pytest.param([NAN, 7, 7.5], [0, 0.5, 1], [NAN, 7, 7.5], id="a late start"),
        pytest.param([7, 8, NAN], [0, 0.5, 1], [7, 8, NAN], id="an early end"),
        pytest.param([7, 8], [0, 5e-324], [7.5], id="two moments that are hardly two"),
    ],
)
def test_of_few_samples_each_counts(values: list[float], times: list[float], expected: list[float]) -> None:
    found, _ = run(spec(allows_missing=True), values, times=times)

    np.testing.assert_allclose(found, expected)


def test_who_sends_milliseconds_since_1970_is_told_so() -> None:
    with pytest.raises(TimesInvalid, match="send seconds, not milliseconds"):
        run(spec(), [1, 2], times=[NOW * 1000, NOW * 1000 + 500])


def test_a_stretch_of_the_grid_that_the_series_does_not_reach_is_missing() -> None:
    found = resample(np.arange(20) / 10, np.ones(20), np.arange(-50, -40.0), frequency_hz=1, max_gap_seconds=1)

    assert np.isnan(found).all()


def test_a_few_values_of_many_hours_are_long_as_well() -> None:
    def series(values: int, *, hz: float = 0, times: Sequence[float] = ()) -> TimeSeries:
        return TimeSeries(channels=(Channel(name="p", unit="mm[Hg]", values=[0.0] * values),), sampling_frequency_hz=hz, times_seconds=times)

    # A model's grid may have a thousand moments for each of their seconds.
    assert is_long(spec(), series(2, times=[NOW, NOW + 3600]))
    assert is_long(spec(), series(2, hz=0.001))
    assert is_long(spec(), series(20_000, hz=1e6))
    assert not is_long(spec(), series(2, times=[NOW, NOW + 1]))
    assert not is_long(spec(), series(100, hz=100))
    assert not is_long(spec(), series(0, hz=0.001))
    assert not is_long(spec(), series(100))


def test_a_grid_longer_than_is_made_at_once_has_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.sin(np.arange(401) / 3).tolist()
    whole, _ = run(spec(), values, hz=16)

    monkeypatch.setattr("gateway.preprocess.time_series._BLOCK_MOMENTS", 7)

    np.testing.assert_allclose(run(spec(), values, hz=16)[0], whole, rtol=1e-12)


@given(start=st.floats(-1e3, 1e3), slope=st.floats(-1e3, 1e3), steps=st.lists(st.floats(0.01, 2), min_size=2, max_size=30), hz=st.floats(0.5, 20))
def test_a_line_stays_the_line_within_a_grid_interval_of_its_ends(start: float, slope: float, steps: list[float], hz: float) -> None:
    times = np.concatenate([[0.0], np.cumsum(steps)])
    moments = grid(times, frequency_hz=hz, samples=int(times[-1] * hz) + 1)

    found = resample(times, start + slope * times, moments, frequency_hz=hz, max_gap_seconds=10)

    inside = (moments >= times[0] + 0.5 / hz) & (moments <= times[-1] - 0.5 / hz)
    np.testing.assert_allclose(found[inside], (start + slope * moments)[inside], rtol=1e-7, atol=1e-6)
    assert np.isfinite(found).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(1, 8))
def test_the_mean_of_a_dense_series_stays_within_its_values(values: list[float], density: int) -> None:
    series = np.array(values)
    times = np.arange(len(series)) / (density * 10)
    moments = grid(times, frequency_hz=10 / density, samples=int(times[-1] * 10 / density) + 1)

    found = resample(times, series, moments, frequency_hz=10 / density, max_gap_seconds=10)

    assert (found >= series.min() - 1e-3).all()
    assert (found <= series.max() + 1e-3).all()
