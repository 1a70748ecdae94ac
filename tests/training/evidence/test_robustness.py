from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.evidence import discrimination, robustness
from training.evidence.resampling import Bootstrap, Rows
from training.evidence.robustness import Delay, Missing, MissingField, Noise, Perturbation, Robustness, Shift

IMAGES = np.random.default_rng(1).integers(0, 256, (20, 6, 6), np.uint8)
TABLE = np.random.default_rng(2).normal([0, 100], [1, 50], (2000, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def measured() -> dict[str, Robustness]:
    """A classifier of real tumours that takes missing values, under each perturbation."""
    data = load_breast_cancer()
    is_case = data.target == 0
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(data.data[:300], is_case[:300])
    held_out = is_case[300:]

    def area(probabilities: NDArray[Any], rows: Rows) -> float:
        return discrimination.area(held_out[rows], probabilities[rows])

    perturbations: list[Perturbation] = [
        Noise(levels=(0.5, 2.0)), Shift(levels=(0.5, 3.0)), Missing(levels=(0.3, 0.9)), MissingField(order=tuple(range(30))[::-1][:3]),
    ]  # fmt: skip
    found = robustness.measure(
        "auroc",
        area,
        lambda inputs: model.predict_proba(inputs)[:, 1],
        inputs=data.data[300:],
        perturbations=perturbations,
        bootstrap=Bootstrap(items=269, seed=1, resamples=100),
    )
    return {each.perturbation: each for each in found}


def test_a_figure_falls_the_further_the_worse_the_inputs_are(measured: dict[str, Robustness]) -> None:
    for name in ("noise, in standard deviations", "missing, share of values"):
        values = [figure.value for figure in measured[name].figures]
        assert values == sorted(values, reverse=True)
        assert measured[name].falls[-1].upper < 0
    assert measured["missing, number of fields"].levels == (0, 1, 2, 3)


def test_nothing_has_changed_at_level_zero_and_falls_are_differences_on_the_same_resamples(measured: dict[str, Robustness]) -> None:
    for each in measured.values():
        first, *others = each.figures
        assert (each.levels[0], each.falls[0].lower, each.falls[0].value, each.falls[0].upper) == (0, 0, 0, 0)
        assert [fall.value for fall in each.falls[1:]] == pytest.approx([figure.value - first.value for figure in others])
        assert {figure.name for figure in each.falls} == {"auroc_change"}
        band = each.band
        assert band.x.tolist() == list(each.levels)
        assert band.lower is not None
        assert band.y.tolist() == [figure.value for figure in each.figures]


@pytest.mark.parametrize("groups", [None, np.arange(60) // 2])
def test_a_share_that_is_of_all_items_or_doesnt_change_has_an_interval_all_the_same(groups: NDArray[Any] | None) -> None:
    """All 60 are right, also without the first field, and none is without both."""
    (found,) = robustness.measure(
        "accuracy",
        robustness.Share(lambda said: said > 0),
        lambda inputs: inputs.sum(axis=1),
        inputs=np.ones((60, 2)),
        perturbations=[MissingField(order=(0, 1), fill=0.0)],
        bootstrap=Bootstrap(items=60, seed=1, groups=groups, resamples=20),
    )

    independent = 60 if groups is None else 30
    assert [figure.value for figure in found.figures] == [1, 1, 0]
    assert [figure.lower for figure in found.figures[:2]] == pytest.approx([1 / (1 + 1.959964**2 / independent)] * 2)
    assert [(fall.name, fall.value) for fall in found.falls] == [("accuracy_change", 0), ("accuracy_change", 0), ("accuracy_change", -1)]
    as_given, same, _ = found.falls
    assert (as_given.lower, as_given.upper) == (0, 0)
    assert -0.1 < same.lower < -1 / independent
    assert same.upper == pytest.approx(-same.lower)


def test_the_same_seed_perturbs_alike() -> None:
    first, second, third = (Noise().apply(TABLE, 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


def test_noise_and_shift_go_by_each_columns_own_spread() -> None:
    noise = Noise().apply(TABLE, 0.5, np.random.default_rng(1)) - TABLE
    shift = Shift().apply(TABLE, -0.5, np.random.default_rng(1)) - TABLE

    assert noise.std(axis=0) == pytest.approx(0.5 * TABLE.std(axis=0), rel=0.1)
    assert shift.mean(axis=0) == pytest.approx(-0.5 * TABLE.std(axis=0), rel=1e-3)


@pytest.mark.parametrize("perturbation", [Noise(per="all"), Shift(per="all"), Missing(fill=0)])
@settings(max_examples=10)
@given(level=st.floats(0, 1))
def test_pixels_stay_pixels(perturbation: Noise | Shift | Missing, level: float) -> None:
    perturbed = perturbation.apply(IMAGES, level, np.random.default_rng(1))

    assert perturbed.dtype == np.uint8
    assert perturbed.shape == IMAGES.shape
    # The brightest are cut, and never turn dark.
    if isinstance(perturbation, Shift):
        assert (perturbed >= IMAGES).all()


def test_what_is_missing_at_one_level_is_missing_at_the_next_and_it_is_that_share() -> None:
    less, more = (np.isnan(Missing().apply(TABLE, level, np.random.default_rng(3))) for level in (0.1, 0.4))

    assert (more | ~less).all()
    assert (less.mean(), more.mean()) == (pytest.approx(0.1, abs=0.02), pytest.approx(0.4, abs=0.03))


def test_fields_go_missing_in_their_order_and_the_inputs_are_left_alone() -> None:
    before = TABLE.copy()
    one, two = (MissingField(order=(1, 0), fill=-1.0).apply(TABLE, level, np.random.default_rng(1)) for level in (1, 2))

    assert np.array_equal(one[:, 0], TABLE[:, 0])
    assert (one[:, 1] == -1).all()
    assert (two == -1).all()
    assert np.array_equal(TABLE, before)


def test_what_is_missing_stays_missing_and_spoils_no_spread() -> None:
    gaps = TABLE.copy()
    gaps[::7, 1] = np.nan

    perturbed = Shift().apply(gaps, 1.0, np.random.default_rng(1))

    assert np.array_equal(np.isnan(perturbed), np.isnan(gaps))
    assert np.nanmean(perturbed[:, 1] - gaps[:, 1]) == pytest.approx(np.nanstd(gaps[:, 1]), rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Noise(levels=()), "levels: one or more, each further from 0"),
        (lambda: Noise(levels=(0.5, 0.5)), "levels: one or more, each further from 0"),
        (lambda: Shift(levels=(-0.5, 0.5)), "levels: one or more, each further from 0"),
        (lambda: Missing(levels=(0.5, 1.5)), "levels: shares of at most 1, not 1.5"),
        (lambda: MissingField(order=(1, 1)), "order: one place or more on the last axis, each once"),
        (lambda: Missing().apply(IMAGES, 0.5, np.random.default_rng(1)), "fill: uint8 has no not-a-number"),
        (lambda: MissingField(order=(2,)).apply(TABLE, 1, np.random.default_rng(1)), "order: places below 2, not 2"),
        (
            lambda: robustness.measure(
                "x", lambda *_: 1.0, lambda inputs: inputs, inputs=TABLE, perturbations=[Noise()], bootstrap=Bootstrap(items=3, seed=1)
            ),
            "inputs: 3 items, not 2000",
        ),
    ],
)
def test_what_cant_be_perturbed_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("perturbation", [Noise(levels=(2.0,), only=(1,), least=0), Shift(levels=(-3.0,), only=(1,), least=0)])
def test_only_some_places_get_worse_and_nothing_is_below_what_there_can_be(perturbation: Perturbation) -> None:
    worse = perturbation.apply(TABLE, perturbation.levels[0], np.random.default_rng(0))

    assert np.array_equal(worse[:, 0], TABLE[:, 0])
    assert (worse[:, 1] != TABLE[:, 1]).mean() > 0.9
    # What was below it before is as it was, or higher.
    assert (worse[:, 1] >= np.minimum(TABLE[:, 1], 0)).all()


def test_a_delayed_series_begins_with_its_first_value_and_loses_its_end() -> None:
    series = np.arange(2 * 5, dtype=np.float32).reshape(2, 5, 1)

    later = Delay(levels=(2.0,)).apply(series, 2.0, np.random.default_rng(0))

    assert later[:, :, 0].tolist() == [[0, 0, 0, 1, 2], [5, 5, 5, 6, 7]]
    assert later.dtype == series.dtype
    with pytest.raises(ValueError, match="levels: below the 5 samples of a series, not 5"):
        Delay(levels=(5.0,)).apply(series, 5.0, np.random.default_rng(0))


def test_places_that_there_are_not_and_parts_of_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="only: one place or more"):
        Noise(only=())
    with pytest.raises(ValueError, match="only: places below 2, not 2"):
        Shift(only=(2,)).apply(TABLE, 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"levels: whole numbers of samples, not 1\.5"):
        Delay(levels=(1.5,))
