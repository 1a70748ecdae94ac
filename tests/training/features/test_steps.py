"""Each kind of step: the graph and the library make the same of any table."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
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
    Step,
    TimeSince,
)
from training.features.step import FittedStep, Table

Agree = Callable[..., None]
NAMES = ("a", "b", "c", "d")
numbers = st.floats(-1e4, 1e4, width=32) | st.sampled_from([math.nan, 0.0, 1.0, -1.0, 1e-40])
EACH: dict[str, Step] = {
    "standard": Normalise(),
    "robust": Normalise(by="robust", columns=("a", "c")),
    "min-max": Normalise(by="min-max"),
    "median": Impute(columns=("d", "a")),
    "nearest": Impute(by="nearest", neighbours=3),
    "nearest by distance": Impute(by="nearest", neighbours=3, weights="distance"),
    "missing": MissingIndicators(),
    "missing, named": MissingIndicators(columns=("b",)),
    "ratio": Ratio(numerator="c", denominator="a"),
    "difference": Difference(later="c", earlier="a"),
    "time since": TimeSince(event="b", now="c"),
    "time since, at most": TimeSince(event="b", now="c", most=0.1),
    "drop": Drop(columns=("b",)),
}


def tables(rows: int) -> st.SearchStrategy[NDArray[np.float32]]:
    return arrays(np.float32, (rows, 4), elements=numbers)


def with_a_value_each(table: NDArray[Any]) -> NDArray[Any]:
    return np.vstack([table, [3, 2, 7, 1]])


def noisy(seed: int, rows: int, missing: float) -> NDArray[Any]:
    """Columns that hang together, of other sizes, with values taken out."""
    random = np.random.default_rng(seed)
    values = (random.normal(size=(rows, 2)) @ random.normal(size=(2, 4)) + 0.3 * random.normal(size=(rows, 4))) * [1, 20, 0.1, 3] + [5, 0, 1, -200]
    values[random.random(values.shape) < missing] = np.nan
    return values


@pytest.mark.parametrize("step", EACH.values(), ids=EACH)
@settings(max_examples=12)
@given(fitted_to=tables(7), served=tables(4))
def test_the_graph_agrees_with_the_library(agree: Agree, step: Step, fitted_to: NDArray[Any], served: NDArray[Any]) -> None:
    try:
        fitted = Recipe(steps=(step,)).fit(NAMES, with_a_value_each(fitted_to), None, seed=1)
    except ValueError as error:
        # A ratio or a time that no item has, or columns that no distance can be taken over.
        assert "no item has a value" in str(error) or "Normalise before" in str(error)  # noqa: PT017
        return

    agree(fitted, np.vstack([served, fitted_to]))


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), missing=st.floats(0, 0.6), within_seen=st.booleans(), rounds=st.integers(1, 4))
def test_iterative_imputation_is_replayed(agree: Agree, seed: int, missing: float, within_seen: bool, rounds: int) -> None:
    step = Impute(by="iterative", within_seen=within_seen, rounds=rounds)

    fitted = Recipe(steps=(step,)).fit(NAMES, with_a_value_each(noisy(seed, 30, missing)), None, seed=1)

    # Some columns miss nothing among the items fitted to, and still may when served; an item may have nothing at all.
    agree(fitted, np.vstack([noisy(seed + 1, 8, 0.5), np.full((1, 4), np.nan)]))
    agree(fitted, np.full((2, 4), np.nan))


@settings(max_examples=10)
@given(fitted_to=tables(9), served=tables(4), keep=st.booleans(), count=st.integers(1, 3))
def test_components_are_the_librarys(agree: Agree, fitted_to: NDArray[Any], served: NDArray[Any], keep: bool, count: int) -> None:
    step = PrincipalComponents(count=count, columns=("a", "b", "d"), keep=keep)

    fitted = Recipe(steps=(Impute(), step)).fit(NAMES, np.vstack([with_a_value_each(fitted_to), np.arange(4)]), None, seed=1)

    assert fitted.columns == (*(NAMES if keep else ("c",)), *(f"component_{number}" for number in range(1, count + 1)))
    agree(fitted, served)


@settings(max_examples=10)
@given(served=arrays(np.float32, (5, 2), elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.0, 0.5, math.nan])))
def test_a_category_that_isnt_known_is_no_category(agree: Agree, served: NDArray[Any]) -> None:
    step = OneHot(columns=("colour", "side"), categories=(("red", "blue", "green"), ("left", "right")))
    fitted = Recipe(steps=(step,)).fit(("side", "colour"), np.array([[0, 2], [1, np.nan]]), None, seed=1)

    made = fitted.transform(served)

    assert fitted.columns == ("colour=red", "colour=blue", "colour=green", "side=left", "side=right")
    assert np.array_equal(made[:, :3].sum(axis=1), np.isin(served[:, 1], [0, 1, 2]))
    agree(fitted, served)


@settings(max_examples=12)
@given(served=arrays(np.float32, (5, 2), elements=st.floats(-2, 2.0**100, width=32) | st.sampled_from([-1.0, math.nan])))
def test_a_logarithm_that_there_isnt_is_missing(agree: Agree, served: NDArray[Any]) -> None:
    fitted = Recipe(steps=(Log1p(columns=("y",)),)).fit(("x", "y"), np.array([[-5.0, 3.0]]), None, seed=1)

    assert np.array_equal(np.isnan(fitted.transform(served)[:, 1]), ~(served[:, 1] > -1))
    agree(fitted, served)


@pytest.mark.parametrize(
    ("step", "records", "wanted"),
    [
        (Ratio(numerator="x", denominator="y"), [[6, 3], [6, 0], [0, 0], [np.nan, 2], [3e38, 1e-5]], [2, np.nan, np.nan, np.nan, np.nan]),
        (Difference(later="x", earlier="y"), [[6, 3], [1, np.nan]], [3, np.nan]),
        (TimeSince(event="x", now="y"), [[3, 10], [10, 3], [np.nan, 3], [3, 3]], [7, np.nan, np.nan, 0]),
        (TimeSince(event="x", now="y", most=5), [[3, 10], [3, 4], [np.nan, 4]], [5, 1, np.nan]),
        (MissingIndicators(columns=("y",)), [[1, np.nan], [1, 2]], [1, 0]),
    ],
)
def test_what_is_made_is_right(step: Step, records: list[list[float]], wanted: list[float]) -> None:
    fitted = Recipe(steps=(step,)).fit(("x", "y"), np.array(records), None, seed=1)

    assert np.array_equal(fitted.transform(np.array(records))[:, -1], wanted, equal_nan=True)


def test_names_say_what_a_column_was_made_of() -> None:
    steps = (
        Ratio(numerator="a", denominator="b"), Ratio(numerator="a", denominator="c", name="shock_index"), Difference(later="b", earlier="a"),
        TimeSince(event="c", now="d"), MissingIndicators(columns=("a",)), Drop(columns=("a", "b", "c", "d")),
    )  # fmt: skip

    fitted = Recipe(steps=steps).fit(NAMES, np.array([[1.0, 2, 3, 4]]), None, seed=1)

    assert fitted.columns == ("a_per_b", "shock_index", "b_minus_a", "time_since_c", "a_missing")


def test_indicators_are_made_of_what_lacks_values_unless_named() -> None:
    fitted = Recipe(steps=(MissingIndicators(),)).fit(NAMES, np.array([[1, np.nan, 1, 1], [1.0, 1, 1, np.nan]]), None, seed=1)
    none = Recipe(steps=(MissingIndicators(),)).fit(NAMES, np.ones((2, 4)), None, seed=1)

    assert fitted.columns == (*NAMES, "b_missing", "d_missing")
    assert none.columns == NAMES


def test_as_many_components_are_made_as_it_takes_and_their_shares_are_told() -> None:
    values = noisy(3, 200, 0.0)

    fitted = Recipe(steps=(Normalise(), PrincipalComponents(variance=0.8))).fit(NAMES, values, None, seed=1)

    shares = list(fitted.scores[1].values())
    assert len(shares) == len(fitted.columns)
    assert sum(shares) >= 0.8 > sum(shares[:-1])


def test_drawn_donors_are_so_many_and_the_seeds(agree: Agree) -> None:
    values = noisy(4, 60, 0.2)

    def fit(seed: int) -> Fitted:
        return Recipe(steps=(Impute(by="nearest", donors=10),)).fit(NAMES, values, None, seed=seed)

    first, again, other = fit(1), fit(1), fit(2)

    assert first.steps[0].part is not None
    assert first.steps[0].part.weights()["donors"].shape == (10, 4)
    assert np.array_equal(first.transform(values), again.transform(values))
    assert not np.array_equal(first.transform(values), other.transform(values))
    agree(first, values)


def test_a_column_that_no_drawn_donor_has_is_given_one_that_has(agree: Agree) -> None:
    values = noisy(5, 80, 0.0)
    values[:-1, 2] = np.nan

    fitted = Recipe(steps=(Impute(by="nearest", donors=5),)).fit(NAMES, values, None, seed=1)

    assert np.allclose(fitted.transform(values)[:, 2], np.float32(values[-1, 2]))
    agree(fitted, values)


def test_a_lone_column_is_imputed_by_its_mean(agree: Agree) -> None:
    values = np.array([[1.0], [2], [np.nan], [6]])
    for by in ("nearest", "iterative"):
        fitted = Recipe(steps=(Impute(by=by),)).fit(("x",), values, None, seed=1)

        assert fitted.transform(values)[2, 0] == pytest.approx(3)
        agree(fitted, values)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Normalise(by="l2"), "by: one of standard"),  # type: ignore[arg-type] # what is tested
        (lambda: Normalise(columns=()), "columns: one name or more"),
        (lambda: Normalise(columns="age"), "columns: one name or more"),  # type: ignore[arg-type]
        (lambda: Normalise(columns=("a", "a")), "each once"),
        (lambda: Impute(by="mean"), "by: one of median"),  # type: ignore[arg-type]
        (lambda: Impute(weights="near"), "weights: one of"),  # type: ignore[arg-type]
        (lambda: Impute(neighbours=0), "neighbours: 1 or more"),
        (lambda: Impute(donors=2), "donors: 5 or more"),
        (lambda: Impute(rounds=0), "rounds: 1 or more"),
        (lambda: OneHot(columns=("a",), categories=()), "categories: one tuple for each"),
        (lambda: OneHot(columns=("a",), categories=(("x", "x"),)), "categories: column a"),
        (lambda: OneHot(columns=("a",), categories=("xy",)), "categories: column a"),  # type: ignore[arg-type]
        (lambda: OneHot(columns=None, categories=()), "columns: one name"),  # type: ignore[arg-type]
        (lambda: Log1p(columns=()), "columns: one name"),
        (lambda: Ratio(numerator="a", denominator="a"), "numerator, denominator: two different"),
        (lambda: Difference(later="a", earlier=""), "later, earlier: two different"),
        (lambda: TimeSince(event="a", now="b", most=0), "most: a finite time"),
        (PrincipalComponents, "count, variance: one of the two"),
        (lambda: PrincipalComponents(count=0), "count: 1 or more"),
        (lambda: PrincipalComponents(variance=1.0), "variance: a share"),
        (lambda: Select(by="chi2", count=1), "by: one of"),  # type: ignore[arg-type]
        (lambda: Select(by="stability"), "count, least: one of the two"),
        (lambda: Select(by="stability", count=0), "count: 1 or more"),
        (lambda: Select(by="stability", least=0.5), "least: for stability"),
        (lambda: Drop(columns=()), "columns: one name"),
        (lambda: Recipe(steps=()), "steps: one or more"),
    ],
)
def test_a_declaration_of_nothing_is_refused(make: Callable[[], Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        make()


def test_a_fitted_step_of_no_part_hands_columns_on() -> None:
    step = FittedStep(columns=("b",), taken=(), part=None, order=(1,))

    assert step.transform(np.array([[1.0, 2]])).tolist() == [[2]]
    assert Table(columns=("a", "b"), values=np.zeros((1, 2)), where="here").positions(None) == (0, 1)
