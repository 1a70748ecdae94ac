"""Measures of series: the graph agrees with SciPy, PyWavelets and NumPy, and those with what each measure is said to be."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import pywt
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import signal, stats

from training.features import Log1p, Normalise, Recipe
from training.features.series import BandPower, HeartRateVariability, Measure, SeriesFeatures, Summary, WaveletEnergy
from training.features.series_layer import SeriesMeasures

EACH: dict[str, Measure] = {
    "power": BandPower(sampling_hz=8, bands=((0, 1), (0.5, 3), (3, 5)), segment_samples=16),
    "power of an odd segment": BandPower(sampling_hz=8, bands=((0.5, 3),), segment_samples=15),
    "power of the whole": BandPower(sampling_hz=8, bands=((0.5, 3),)),
    "share of power": BandPower(sampling_hz=8, bands=((0.5, 3), (3, 4)), segment_samples=16, relative=True),
    "wavelet": WaveletEnergy(wavelet="db2", levels=3),
    "wavelet of two filters": WaveletEnergy(wavelet="bior2.2", levels=2),
    "share of energy": WaveletEnergy(wavelet="haar", levels=3, relative=True),
    "summary": Summary(sampling_hz=8),
    "summary of windows": Summary(sampling_hz=8, window_samples=12),
    "rhythm": HeartRateVariability(plausible_ms=(300, 900)),
}
SAMPLES = 39
numbers = st.floats(-1e4, 1e4, width=32) | st.floats(400, 800, width=32) | st.sampled_from([math.nan, 0.0, 600.0, 650.0, 651.0, 1e-40])
series = arrays(np.float32, (2, SAMPLES, 2), elements=numbers, fill=st.sampled_from([math.nan, 0.0, 600.0, 0.1]))


def of(measure: Measure, values: NDArray[Any], *, fill_gaps: bool = False) -> SeriesFeatures:
    channels = tuple("abc"[: values.shape[2]])
    return SeriesFeatures(measures=(measure,), channels=channels, samples=values.shape[1], fill_gaps=fill_gaps)


def agree(features: SeriesFeatures, values: NDArray[Any], layer: Any = None) -> None:
    served = np.asarray(values, np.float32)
    wanted = features.transform(served)
    found = np.asarray((layer or features.as_layer())(served))
    assert found.dtype == np.float32
    assert found.shape == wanted.shape == (len(values), len(features.columns))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def ecg() -> NDArray[np.float64]:
    """Four pieces of a real electrocardiogram, [4, 256, 1]."""
    return np.asarray(pywt.data.ecg(), np.float64).reshape(4, 256, 1)


@pytest.mark.parametrize("measure", EACH.values(), ids=EACH)
@settings(max_examples=10)
@given(values=series, fill_gaps=st.booleans())
def test_the_graph_agrees_with_the_library(measure: Measure, values: NDArray[Any], fill_gaps: bool) -> None:
    agree(of(measure, values, fill_gaps=fill_gaps), values)


@pytest.mark.parametrize(
    "measure",
    [
        BandPower(sampling_hz=250, bands=((0.5, 5), (5, 15), (15, 40)), segment_samples=128),
        BandPower(sampling_hz=250, bands=((0.5, 5), (5, 15), (15, 40)), relative=True),
        WaveletEnergy(wavelet="db4", levels=5),
        WaveletEnergy(wavelet="sym8", levels=3, relative=True),
        Summary(sampling_hz=250, window_samples=100),
    ],
    ids=lambda measure: type(measure).__name__,
)
def test_on_a_real_electrocardiogram_they_agree(ecg: NDArray[Any], measure: Measure) -> None:
    agree(of(measure, ecg), ecg)


@pytest.mark.parametrize("length", [64, 63, 256])
def test_band_power_is_the_integral_of_welchs_density(ecg: NDArray[Any], length: int) -> None:
    made = of(BandPower(sampling_hz=250, bands=((5, 15), (15, 126)), segment_samples=length), ecg).transform(ecg)

    frequencies, density = signal.welch(ecg[:, :, 0], 250, nperseg=length, axis=1)
    in_band = np.array([(frequencies >= low) & (frequencies < high) for low, high in ((5, 15), (15, 126))])
    np.testing.assert_allclose(made, density @ in_band.T * 250 / length, rtol=1e-9)


def test_a_sine_has_its_power_in_its_band_and_a_gap_costs_its_segments_only() -> None:
    seconds = np.arange(1000) / 100
    wave = (3 * np.sin(2 * np.pi * 10 * seconds))[np.newaxis, :, np.newaxis]
    with_gap = wave.copy()
    with_gap[0, 450:470] = np.nan
    features = of(BandPower(sampling_hz=100, bands=((8, 12), (20, 50)), segment_samples=100), wave)

    whole, gap = features.transform(wave), features.transform(with_gap)

    # A sine's power is half of its amplitude's square.
    assert whole[0] == pytest.approx([4.5, 0], abs=1e-6)
    assert gap[0] == pytest.approx([4.5, 0], abs=1e-6)


def test_shares_of_power_know_no_unit_and_a_flat_series_has_none(ecg: NDArray[Any]) -> None:
    features = of(BandPower(sampling_hz=250, bands=((0.5, 60), (60, 126)), relative=True), ecg)

    shares = features.transform(ecg)

    # The Hann window lets some of 0 Hz into the next frequency, which is within the first band.
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    np.testing.assert_allclose(features.transform(ecg * 1e-3), shares, rtol=1e-5)
    assert np.isnan(features.transform(np.full((1, 256, 1), 0.1))).all()


@pytest.mark.parametrize("wavelet", ["haar", "db4", "sym5", "coif1"])
def test_energies_add_up_to_the_series_own(ecg: NDArray[Any], wavelet: str) -> None:
    energies = of(WaveletEnergy(wavelet=wavelet, levels=3), ecg).transform(ecg)

    np.testing.assert_allclose(energies.sum(axis=1), np.square(ecg[:, :, 0]).sum(axis=1), rtol=1e-6)


def test_energies_are_those_of_the_librarys_coefficients_the_finest_first(ecg: NDArray[Any]) -> None:
    features = of(WaveletEnergy(wavelet="db4", levels=2), ecg)

    made = features.transform(ecg)

    left, coarse, fine = pywt.wavedec(ecg[0, :, 0], "db4", mode="periodization", level=2)
    assert features.columns == ("a_energy_d1", "a_energy_d2", "a_energy_a2")
    assert made[0] == pytest.approx([np.square(fine).sum(), np.square(coarse).sum(), np.square(left).sum()])


@settings(max_examples=20)
@given(values=arrays(np.float64, (1, 20, 1), elements=st.integers(-100, 100).map(float) | st.just(math.nan)))
def test_a_summary_is_what_numpy_and_scipy_say_of_what_is_there(values: NDArray[Any]) -> None:
    made = of(Summary(sampling_hz=4), values).transform(values)[0]

    (there,) = np.nonzero(~np.isnan(values[0, :, 0]))
    given_values = values[0, there, 0]
    wanted = [np.nan] * 5
    if len(there):
        wanted = [given_values.mean(), np.nan, np.nan, given_values.min(), given_values.max()]
    if len(there) > 1:
        wanted[1:3] = given_values.std(ddof=1), stats.linregress(there / 4, given_values).slope
    np.testing.assert_allclose(made, wanted, rtol=1e-9, atol=1e-9)


def test_windows_are_counted_from_the_newest_sample() -> None:
    values = np.arange(11.0)[np.newaxis, :, np.newaxis]
    features = of(Summary(sampling_hz=1, window_samples=4), values)

    made = dict(zip(features.columns, features.transform(values)[0], strict=True))

    assert (made["a_min_1"], made["a_max_1"], made["a_min_2"], made["a_max_2"]) == (3, 6, 7, 10)
    assert made["a_slope_per_second_2"] == pytest.approx(1)


def rr(*intervals_ms: float) -> NDArray[np.float64]:
    return np.array(intervals_ms)[np.newaxis, :, np.newaxis]


def test_variability_is_the_task_forces() -> None:
    intervals = rr(800, 850, 790, 841)
    features = of(HeartRateVariability(), intervals)

    made = dict(zip(features.columns, features.transform(intervals)[0], strict=True))

    # Differences of 50, -60 and 51 ms, of which two are over 50.
    assert made["a_mean_rr_ms"] == pytest.approx(820.25)
    assert made["a_sdnn_ms"] == pytest.approx(np.std([800, 850, 790, 841], ddof=1))
    assert made["a_rmssd_ms"] == pytest.approx(math.sqrt((50**2 + 60**2 + 51**2) / 3))
    assert made["a_pnn50_percent"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("gap", [math.nan, 250.0, 2500.0])
def test_no_difference_is_taken_across_a_beat_that_wasnt_normal(gap: float) -> None:
    intervals = rr(800, 810, gap, 1000, 1010)

    mean, deviation, rmssd, pnn50 = of(HeartRateVariability(), intervals).transform(intervals)[0]

    assert (mean, rmssd, pnn50) == (pytest.approx(905), pytest.approx(10), 0)
    assert deviation == pytest.approx(np.std([800, 810, 1000, 1010], ddof=1))


@pytest.mark.parametrize(
    ("intervals", "missing"),
    [(rr(800, math.nan, 900), [False, False, True, True]), (rr(800, math.nan), [False, True, True, True]), (rr(math.nan, math.nan), [True] * 4)],
)
def test_too_few_beats_have_no_variability(intervals: NDArray[Any], missing: list[bool]) -> None:
    features = of(HeartRateVariability(), intervals)

    assert np.isnan(features.transform(intervals)[0]).tolist() == missing
    agree(features, intervals)


@settings(max_examples=15)
@given(values=arrays(np.float64, (2, 12, 2), elements=st.integers(-9, 9).map(float) | st.just(math.nan)))
def test_gaps_are_closed_as_numpy_does(values: NDArray[Any]) -> None:
    # The greatest of twelve values, closed gaps included, by windows of two: gaps inside, at either end, and nothing but gaps.
    features = of(Summary(sampling_hz=1, window_samples=2), values, fill_gaps=True)

    agree(features, values)

    for item, channel in np.ndindex(2, 2):
        (there,) = np.nonzero(~np.isnan(values[item, :, channel]))
        filled = np.interp(np.arange(12), there, values[item, there, channel]) if len(there) else np.full(12, np.nan)
        found = features.transform(values)[item].reshape(2, 6, 5)[channel]
        np.testing.assert_allclose(
            found[:, 3:], np.stack([filled.reshape(6, 2).min(axis=1), filled.reshape(6, 2).max(axis=1)], axis=1), rtol=1e-6, atol=1e-6
        )


def test_columns_go_channel_by_channel_in_the_order_of_the_measures(ecg: NDArray[Any]) -> None:
    both = np.concatenate([ecg, -ecg], axis=2)
    measures = (BandPower(sampling_hz=250, bands=((5, 15),)), Summary(sampling_hz=250))

    features = SeriesFeatures(measures=measures, channels=("up", "down"), samples=256)

    names = ("power_5_to_15_hz", "mean", "sd", "slope_per_second", "min", "max")
    assert features.columns == tuple(f"{channel}_{name}" for channel in ("up", "down") for name in names)
    made = dict(zip(features.columns, features.transform(both).T, strict=True))
    np.testing.assert_allclose(made["up_max"], -made["down_min"])
    np.testing.assert_allclose(made["up_power_5_to_15_hz"], made["down_power_5_to_15_hz"])
    agree(features, both)


def test_a_saved_model_gives_the_same_for_any_number_of_items(tmp_path: Path, ecg: NDArray[Any]) -> None:
    values = np.concatenate([ecg, 800 + ecg], axis=2)
    values[1, 20:30, 0] = np.nan
    measures = (BandPower(sampling_hz=250, bands=((5, 40),), segment_samples=64), WaveletEnergy(), Summary(sampling_hz=250), HeartRateVariability())
    features = SeriesFeatures(measures=measures, channels=("a", "b"), samples=256, fill_gaps=True)
    model = keras.Sequential([keras.Input((256, 2), dtype="float32", name="series"), features.as_layer()])
    archive = keras.export.ExportArchive(verbose=False)
    archive.track(model)
    signature = [tf.TensorSpec((None, 256, 2), tf.float32, name="series")]
    archive.add_endpoint("serve", lambda given: model(given, training=False), input_signature=signature)

    archive.write_out(str(tmp_path / "1"), verbose=False)

    loaded = tf.saved_model.load(str(tmp_path / "1"))
    for items in (1, 4):
        agree(features, values[:items], lambda served: loaded.serve(tf.constant(served)))


def test_a_layer_says_what_it_measures_and_is_made_from_that_declaration_only(ecg: NDArray[Any]) -> None:
    first, same, other = (of(Summary(sampling_hz=hertz), ecg).as_layer().get_config() for hertz in (250, 250, 125))

    assert first == same
    assert json.loads(json.dumps(first))["measures"] == ["Summary(sampling_hz=250, window_samples=None)"]
    assert {key for key in first if first[key] != other[key]} == {"measures"}
    with pytest.raises(NotImplementedError, match=r"series_features: .*SeriesFeatures\.as_layer"):
        SeriesMeasures.from_config(first)


def test_a_recipe_goes_on_from_measures(ecg: NDArray[Any]) -> None:
    features = of(BandPower(sampling_hz=250, bands=((0.5, 5), (5, 15))), ecg)
    recipe = Recipe(steps=(Log1p(columns=features.columns), Normalise())).fit(features.columns, features.transform(ecg), None, seed=1)

    served = recipe.as_layer()(features.as_layer()(ecg.astype(np.float32)))

    # What lies between the two is rounded to float32 on either way, and the last bit of it may differ.
    np.testing.assert_allclose(np.asarray(served), recipe.transform(features.transform(ecg)), rtol=1e-5, atol=1e-6)


def test_in_the_graph_what_is_infinite_is_a_gap(ecg: NDArray[Any]) -> None:
    features = of(Summary(sampling_hz=250), ecg)
    infinite, gap = (ecg.astype(np.float32) for _ in range(2))
    infinite[0, 3], gap[0, 3] = np.inf, np.nan

    np.testing.assert_allclose(np.asarray(features.as_layer()(infinite)), features.transform(gap), rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match=r"channel a: a finite float32 is expected.*item 0, sample 3 "):
        features.transform(infinite)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: BandPower(sampling_hz=0, bands=((0, 1),)), "sampling_hz: finite"),
        (lambda: BandPower(sampling_hz=1, bands=()), "bands: one or more"),
        (lambda: BandPower(sampling_hz=1, bands=((1, 1),)), "bands: one or more"),
        (lambda: BandPower(sampling_hz=1, bands=((0, 1),), segment_samples=1), "segment_samples: 2 or more"),
        (lambda: WaveletEnergy(wavelet="morl"), "wavelet: one of PyWavelets' discrete"),
        (lambda: WaveletEnergy(levels=0), "levels: 1 or more"),
        (lambda: Summary(sampling_hz=math.nan), "sampling_hz: finite"),
        (lambda: Summary(sampling_hz=1, window_samples=1), "window_samples: 2 or more"),
        (lambda: HeartRateVariability(plausible_ms=(300, 300)), "plausible_ms: from 0"),
        (lambda: SeriesFeatures(measures=(), channels=("a",), samples=9), "measures: one or more"),
        (lambda: SeriesFeatures(measures=(Summary(sampling_hz=1),), channels=(), samples=9), "channels: one name or more"),
        (lambda: SeriesFeatures(measures=(Summary(sampling_hz=1),), channels=("a",), samples=0), "samples: 1 or more"),
        (lambda: SeriesFeatures(measures=(Summary(sampling_hz=1),), channels=("a",), samples=1), "measure 1, Summary: window_samples: 2 to 1"),
        (lambda: SeriesFeatures(measures=(HeartRateVariability(),), channels=("a",), samples=1), "measure 1, HeartRateVariability: samples: 2"),
        (lambda: SeriesFeatures(measures=(Summary(sampling_hz=1),) * 2, channels=("a",), samples=9), "measures: column a_mean is made by 2"),
        (
            lambda: SeriesFeatures(measures=(BandPower(sampling_hz=1, bands=((0, 1),), segment_samples=10),), channels=("a",), samples=9),
            "measure 1, BandPower: segment_samples: 2 to 9",
        ),
        (
            lambda: SeriesFeatures(measures=(BandPower(sampling_hz=1, bands=((2, 3),)),), channels=("a",), samples=9),
            "measure 1, BandPower: bands: 9 samples at 1 Hz tell apart no frequency from 2 to 3 Hz",
        ),
        (
            lambda: SeriesFeatures(measures=(WaveletEnergy(levels=4),), channels=("a",), samples=60),
            "measure 1, WaveletEnergy: levels: at most 3 of 60 samples",
        ),
    ],
)
def test_what_cant_be_measured_is_refused(make: Callable[[], Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        make()


def test_no_items_are_no_features(ecg: NDArray[Any]) -> None:
    measures = (BandPower(sampling_hz=250, bands=((5, 40),)), WaveletEnergy(), Summary(sampling_hz=250), HeartRateVariability())
    features = SeriesFeatures(measures=measures, channels=("a",), samples=256, fill_gaps=True)

    agree(features, ecg[:0])


def test_series_of_another_shape_are_refused(ecg: NDArray[Any]) -> None:
    features = of(Summary(sampling_hz=250), ecg)

    with pytest.raises(ValueError, match=r"values: \[items, 256, 1\] is expected"):
        features.transform(ecg[:, 1:])
    with pytest.raises(ValueError, match=r"\[items, 256, 1\] is expected"):
        features.as_layer()(ecg[:, 1:].astype(np.float32))
