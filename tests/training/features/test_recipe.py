"""A whole recipe on real tumours: what it makes, what it refuses, and the same from a SavedModel."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from training.features import (
    Difference,
    Drop,
    Fitted,
    Impute,
    Log1p,
    MissingIndicators,
    Normalise,
    OneHot,
    PrincipalComponents,
    Ratio,
    Recipe,
    Select,
)
from training.features.layer import Features

Agree = Callable[..., None]
Tumours = tuple[list[str], NDArray[np.float64], NDArray[np.int64]]
RECIPE = Recipe(
    steps=(
        MissingIndicators(columns=("mean_texture", "mean_area")),
        Log1p(columns=("mean_area", "mean_concavity")),
        Ratio(numerator="mean_perimeter", denominator="mean_radius"),
        Ratio(numerator="mean_concavity", denominator="mean_concave_points", name="hollow"),
        Difference(later="mean_compactness", earlier="mean_smoothness"),
        OneHot(columns=("site",), categories=(("left", "right", "both"),)),
        Impute(by="median", columns=("hollow",)),
        Normalise(by="robust", columns=("mean_area", "hollow")),
        Normalise(columns=("mean_radius", "mean_texture", "mean_perimeter", "mean_smoothness", "mean_compactness", "mean_concave_points")),
        Impute(by="nearest", columns=("mean_radius", "mean_texture", "mean_perimeter", "mean_area")),
        Impute(by="iterative"),
        PrincipalComponents(variance=0.95, columns=("mean_radius", "mean_perimeter", "mean_area", "mean_concave_points"), keep=True),
        Drop(columns=("mean_perimeter",)),
        Normalise(by="min-max"),
        Select(by="mutual information", count=12),
    )
)


@pytest.fixture(scope="module")
def records(tumours: Tumours) -> Tumours:
    """The tumours, each with a site that was made up, and that some lack."""
    columns, values, labels = tumours
    site = np.random.default_rng(9).choice([0, 1, 2, np.nan], len(values))
    return [*columns, "site"], np.column_stack([values, site]), labels


@pytest.fixture(scope="module")
def fitted(records: Tumours) -> Fitted:
    columns, values, labels = records
    return RECIPE.fit(columns, values[:200], labels[:200], seed=2)


@pytest.fixture(scope="module")
def layer(fitted: Fitted) -> Any:
    """As it is served: traced once, for any number of items."""
    return tf.function(fitted.as_layer(), input_signature=[tf.TensorSpec((None, 11), tf.float32)])


@pytest.fixture(scope="module")
def served(records: Tumours) -> NDArray[np.float32]:
    """Records that nothing was fitted to, with one that is empty and one that is full of what was never seen."""
    return np.vstack([records[1][200:], np.full((1, 11), np.nan), np.full((1, 11), -7.5)]).astype(np.float32)


def test_the_graph_agrees_with_the_libraries(agree: Agree, fitted: Fitted, records: Tumours, served: NDArray[Any], layer: Any) -> None:
    agree(fitted, records[1][:200], layer)
    agree(fitted, served, layer)


@settings(max_examples=25)
@given(chosen=st.lists(st.integers(0, 101), min_size=1, max_size=6), data=st.data())
def test_they_agree_whatever_is_missing(agree: Agree, fitted: Fitted, served: NDArray[Any], layer: Any, chosen: list[int], data: Any) -> None:  # noqa: PLR0917 - fixtures
    missing = data.draw(arrays(np.bool_, (len(chosen), 11)))

    agree(fitted, np.where(missing, np.nan, served[chosen]), layer)


def test_nothing_is_missing_after_it(fitted: Fitted, served: NDArray[Any]) -> None:
    made = fitted.transform(served)

    assert made.dtype == np.float64
    assert np.isfinite(made).all()
    assert len(fitted.columns) == 12


def test_an_items_features_are_the_same_alone_and_among_others(layer: Any, served: NDArray[Any]) -> None:
    together = np.asarray(layer(served))

    alone = np.concatenate([np.asarray(layer(served[row : row + 1])) for row in range(len(served) - 5, len(served))])

    np.testing.assert_allclose(alone, together[-5:], rtol=1e-6, atol=1e-6)


def test_a_saved_model_gives_the_same_for_any_number_of_items(tmp_path: Path, fitted: Fitted, served: NDArray[Any]) -> None:
    model = keras.Sequential([keras.Input((11,), dtype="float32", name="record"), fitted.as_layer()])
    archive = keras.export.ExportArchive(verbose=False)
    archive.track(model)
    signature = [tf.TensorSpec((None, 11), tf.float32, name="record")]
    archive.add_endpoint("serve", lambda record: model(record, training=False), input_signature=signature)

    archive.write_out(str(tmp_path / "1"), verbose=False)

    loaded = tf.saved_model.load(str(tmp_path / "1"))
    for items in (1, 7, len(served)):
        made = loaded.serve(tf.constant(served[:items])).numpy()
        np.testing.assert_allclose(made, fitted.transform(served[:items]), rtol=1e-6, atol=1e-6)


def test_what_was_learnt_is_saved_with_the_models_weights(tmp_path: Path, records: Tumours, agree: Agree) -> None:
    columns, values, _ = records
    recipe = Recipe(steps=(Impute(), Normalise()))
    first, second = (recipe.fit(columns, part, None, seed=1) for part in (values[:100], values[100:]))
    models = [keras.Sequential([keras.Input((11,)), part.as_layer(), keras.layers.Dense(1)]) for part in (first, second)]

    models[0].save_weights(tmp_path / "any.weights.h5")
    models[1].load_weights(tmp_path / "any.weights.h5")

    agree(first, values, models[1].layers[0])
    assert len(models[1].trainable_weights) == 2


def test_a_layer_says_what_it_is_of_and_is_made_by_its_recipe_only(records: Tumours) -> None:
    columns, values, _ = records
    recipe = Recipe(steps=(Impute(), Normalise()))
    first, same, other = (recipe.fit(columns, part, None, seed=1).as_layer().get_config() for part in (values[:100], values[:100], values[100:]))

    assert json.loads(json.dumps(first)) == same
    assert first["given"] == columns
    assert {key for key in first if first[key] != other[key]} == {"learnt"}
    with pytest.raises(NotImplementedError, match=r"features: .*Fitted\.as_layer"):
        Features.from_config(first)


def test_a_models_lower_precision_leaves_features_alone(agree: Agree, fitted: Fitted, served: NDArray[Any]) -> None:
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        agree(fitted, served)
    finally:
        keras.config.set_dtype_policy(before)


def test_the_same_items_and_seed_give_the_same_features(records: Tumours, fitted: Fitted, served: NDArray[Any]) -> None:
    columns, values, labels = records

    again = RECIPE.fit(columns, values[:200], labels[:200], seed=2)

    assert np.array_equal(again.transform(served), fitted.transform(served))


def test_no_items_are_no_features(fitted: Fitted, layer: Any) -> None:
    assert fitted.transform(np.zeros((0, 11))).shape == (0, 12)
    assert layer(np.zeros((0, 11), np.float32)).shape == (0, 12)


def test_what_a_request_cant_bring_is_rounded_as_it_would_be(records: Tumours, fitted: Fitted) -> None:
    exact = records[1][200:]

    assert np.array_equal(fitted.transform(exact), fitted.transform(exact.astype(np.float32)))


def test_in_the_graph_what_is_infinite_is_missing(fitted: Fitted, layer: Any, served: NDArray[Any]) -> None:
    infinite, missing = served[:2].copy(), served[:2].copy()
    infinite[0, 1], infinite[1, 3] = np.inf, -np.inf
    missing[0, 1] = missing[1, 3] = np.nan

    np.testing.assert_allclose(np.asarray(layer(infinite)), fitted.transform(missing), rtol=1e-6, atol=1e-6)


VALUES = np.array([[1.0, 2, 5], [3, np.nan, 7], [4, 4, 9]])


def with_column(column: Any) -> NDArray[Any]:
    return np.column_stack([VALUES[:, :2], column])


@pytest.mark.parametrize(
    ("step", "columns", "values", "fault"),
    [
        (Normalise(columns=("c", "z")), "abc", VALUES, "step 1, Normalise: column z: there is no such column"),
        (Ratio(numerator="a", denominator="b", name="c"), "abc", VALUES, "step 1, Ratio: column c: there is one of this name"),
        (MissingIndicators(columns=("a",)), ["a", "a_missing", "c"], VALUES, "step 1, MissingIndicators: column a_missing: there is one"),
        (
            OneHot(columns=("a", "c"), categories=(("x",), ("x",))),
            "abc",
            with_column([0, 1, 0]),
            "step 1, OneHot: column a: a whole number from 0 to 0",
        ),
        (OneHot(columns=("c",), categories=(("x", "y"),)), "abc", with_column([0, 0.5, 0]), "step 1, OneHot: column c: .*item 1 "),
        (Log1p(columns=("c",)), "abc", with_column([1, 1, -1]), "step 1, Log1p: column c: greater than -1 is expected; item 2"),
        (PrincipalComponents(count=1), "abc", VALUES, "step 1, PrincipalComponents: column b: 1 items have no value"),
        (PrincipalComponents(count=2, columns=("c",)), "abc", VALUES, "step 1, PrincipalComponents: count: of 3 items and 1 columns at most 1"),
        (PrincipalComponents(count=1, columns=("c",)), "abc", with_column([2, 2, 2]), "step 1, PrincipalComponents: column c: .*same in every item"),
        (Ratio(numerator="a", denominator="c"), "abc", with_column([0, 0, np.nan]), "step 1, Ratio: column a_per_c: no item has a value"),
        (Drop(columns=("a", "b", "c")), "abc", VALUES, "step 1, Drop: columns: one has to stay"),
        (Impute(), "abc", with_column([np.nan] * 3), "columns: column c: no item has a value"),
        (Impute(), "abc", with_column([1, np.inf, 1]), "columns: column c: a finite float32 is expected.* item 1 "),
        (Impute(), "abc", with_column([1, 1, 1e39]), "columns: column c: a finite float32 is expected.* item 2 "),
        (Impute(), "aba", VALUES, "columns: column a: there are two"),
        (Impute(), "ab", VALUES, r"values: \[items, 2\]"),
        (Impute(), "abc", VALUES[:0], "values: one item or more"),
    ],
)
def test_what_cant_be_fitted_is_refused_by_step_and_column(step: Any, columns: Any, values: NDArray[Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Recipe(steps=(step,)).fit(tuple(columns), values, None, seed=1)


def test_two_steps_cant_make_one_column_and_the_second_is_named() -> None:
    twice = Difference(later="a", earlier="c", name="trend")

    with pytest.raises(ValueError, match="step 2, Difference: column trend: there is one"):
        Recipe(steps=(twice, twice)).fit(("a", "b", "c"), VALUES, None, seed=1)


def test_labels_belong_to_the_items() -> None:
    with pytest.raises(ValueError, match=r"labels: .* one for each of 3"):
        Recipe(steps=(Impute(),)).fit(("a", "b", "c"), VALUES, np.zeros(2), seed=1)


def test_other_columns_are_refused_when_served(fitted: Fitted) -> None:
    with pytest.raises(ValueError, match=r"values: \[items, 11\].*\[1, 3\]"):
        fitted.transform(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="columns: column site: a finite float32"):
        fitted.transform(np.array([[0.0] * 10 + [np.inf]]))
    with pytest.raises(ValueError, match=r"\[items, 11\] is expected"):
        fitted.as_layer()(np.zeros((1, 3), np.float32))
