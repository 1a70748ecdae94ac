"""Nearest neighbours beside scikit-learn's own, which is left to itself here."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.impute import KNNImputer

from training.features import Fitted, Impute, Normalise, Recipe
from training.features.nearest import Weights

NAMES = ("a", "b", "c", "d", "e")


def fit(values: NDArray[Any], *, neighbours: int = 3, weights: Weights = "uniform") -> Fitted:
    step = Impute(by="nearest", neighbours=neighbours, weights=weights)
    return Recipe(steps=(step,)).fit(NAMES[: values.shape[1]], values, None, seed=1)


def continuous(seed: int, rows: int, missing: float, *, last: float = 3) -> NDArray[np.float64]:
    """No two of these are equally far from a third. The last column's deviation is `last`."""
    random = np.random.default_rng(seed)
    values = (random.normal(size=(rows, 5)) * [1, 2, 0.5, 1, last] + [0, 3, -1, 0, 2]).astype(np.float32).astype(np.float64)
    values[random.random(values.shape) < missing] = np.nan
    return values


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    missing=st.floats(0.1, 0.8),
    neighbours=st.integers(1, 30),
    weights=st.sampled_from(["uniform", "distance"]),
    last=st.sampled_from([3.0, 100.0]),
)
def test_where_no_two_donors_are_equally_far_it_is_the_librarys(seed: int, missing: float, neighbours: int, weights: Weights, last: float) -> None:
    values, served = np.vstack([continuous(seed, 24, missing, last=last), np.ones((1, 5))]), continuous(seed + 1, 10, 0.5, last=last)

    fitted = fit(values, neighbours=neighbours, weights=weights)

    wanted = KNNImputer(n_neighbors=neighbours, weights=weights).fit(values).transform(served)
    np.testing.assert_allclose(fitted.transform(served), wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.asarray(fitted.as_layer()(served.astype(np.float32))), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_on_real_tumours_it_is_the_librarys(tumours: tuple[list[str], NDArray[Any], NDArray[Any]], weights: Weights) -> None:
    columns, values, _ = tumours
    fitted = Recipe(steps=(Normalise(), Impute(by="nearest", weights=weights))).fit(columns, values, None, seed=1)

    made = fitted.transform(values)

    scaled = fitted.steps[0].transform(values.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(made, KNNImputer(weights=weights).fit_transform(scaled), rtol=1e-6, atol=1e-6)


@settings(max_examples=20)
@given(st.data(), st.sampled_from(["uniform", "distance"]))
def test_the_graph_and_the_library_agree_where_donors_are_equally_far(data: st.DataObject, weights: Weights) -> None:
    cells = st.sampled_from([0.0, 1.0, 2.0, math.nan])
    rows = st.lists(st.tuples(*[cells] * 3), min_size=3, max_size=12)
    values, served = (np.array(data.draw(rows)) for _ in range(2))

    fitted = fit(np.vstack([values, [[0, 1, 2]]]), weights=weights)

    np.testing.assert_allclose(np.asarray(fitted.as_layer()(served.astype(np.float32))), fitted.transform(served), rtol=1e-6, atol=1e-6)


def test_donors_that_are_equally_far_share_the_places_that_are_left() -> None:
    # One donor at distance 0, and three at distance 1, of which the library would take two.
    values = np.array([[0.0, 10], [1, 20], [-1, 30], [1, 70]])

    made = fit(values).transform(np.array([[0, np.nan]]))

    assert made[0, 1] == pytest.approx((10 + 2 * (20 + 30 + 70) / 3) / 3)


def test_the_order_of_the_donors_changes_nothing() -> None:
    random = np.random.default_rng(2)
    values = random.integers(0, 3, (60, 5)).astype(np.float64)
    values[random.random(values.shape) < 0.3] = np.nan

    made, turned = fit(values).transform(values), fit(values[::-1]).transform(values)

    np.testing.assert_allclose(made, turned, atol=1e-9)


def test_by_distance_a_donor_that_is_the_same_decides_alone() -> None:
    made = fit(np.array([[0.0, 10], [0, 20], [0.5, 90]]), weights="distance").transform(np.array([[0, np.nan], [0.25, np.nan]]))

    assert made[:, 1] == pytest.approx([15, 40])


def test_an_item_without_anything_in_common_gets_the_mean() -> None:
    made = fit(np.array([[1.0, np.nan], [np.nan, 5], [3, np.nan]])).transform(np.array([[np.nan, np.nan], [np.nan, 7]]))

    assert made.tolist() == [[2, 5], [2, 7]]


def test_what_was_given_comes_back_to_the_last_bit() -> None:
    values = continuous(8, 20, 0.3)

    made = fit(values).transform(values)

    assert np.array_equal(made[~np.isnan(values)], values[~np.isnan(values)])


def test_columns_of_which_one_alone_would_decide_are_refused() -> None:
    values = np.array([[1e6, 1, 5, np.nan], [-1e6, 2, 5, 1], [0, 3, 5, 1]])

    with pytest.raises(ValueError, match=r"step 1, Impute: column a: it alone would say what is near, so much wider is it than b: Normalise before"):
        fit(values)
    scaled = Recipe(steps=(Normalise(), Impute(by="nearest"))).fit(NAMES[:4], values, None, seed=1)

    assert np.isfinite(scaled.transform(values)).all()
