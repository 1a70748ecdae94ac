"""Selection finds what says something of the labels, and bounds what doesn't."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from training.features import Impute, Recipe, Select, relevance
from training.features.select import By

NAMES = tuple(f"x{number}" for number in range(8))
TOLD = {"x1", "x4"}


@pytest.fixture(scope="module")
def told() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Eight columns of noise of other scales, of which two say which of three classes an item is of."""
    random = np.random.default_rng(11)
    values = random.normal(size=(180, 8))
    first, second = values[:, 1] > 0, values[:, 4] > 0.4
    return values * 10.0 ** np.arange(-2, 6), np.where(first, 0, np.where(second, 1, 2)).astype(np.int64)


@pytest.mark.parametrize("by", ["mutual information", "stability", "permutation"])
def test_it_keeps_what_says_something_in_the_order_that_it_stood_in(told: tuple[NDArray[Any], NDArray[Any]], by: By) -> None:
    values, labels = told

    fitted = Recipe(steps=(Select(by=by, count=2),)).fit(NAMES, values, labels, seed=1)

    assert fitted.columns == ("x1", "x4")
    assert set(fitted.scores[0]) == set(NAMES)
    assert np.array_equal(fitted.transform(values), values[:, [1, 4]].astype(np.float32))
    assert np.array_equal(np.asarray(fitted.as_layer()(values.astype(np.float32))), values[:, [1, 4]].astype(np.float32))


@pytest.mark.parametrize("by", ["mutual information", "stability", "permutation"])
def test_amounts_are_labels_as_well_and_the_seed_decides_what_is_drawn(told: tuple[NDArray[Any], NDArray[Any]], by: By) -> None:
    values, _ = told
    amounts = values[:, 1] / 0.1 + values[:, 4] / 1e2 + 0.5 * np.random.default_rng(1).normal(size=len(values))
    recipe = Recipe(steps=(Select(by=by, count=2),))

    once, again = (recipe.fit(NAMES, values, amounts, seed=3) for _ in range(2))

    assert set(once.columns) == TOLD
    assert once.scores == again.scores


def test_mutual_information_is_the_librarys(told: tuple[NDArray[Any], NDArray[Any]]) -> None:
    values, labels = told
    values = values.copy()
    values[:, 0] = labels == 1
    discrete = np.arange(8) == 0
    values = values.astype(np.float32).astype(np.float64)

    fitted = Recipe(steps=(Select(by="mutual information", count=3, discrete=("x0",)),)).fit(NAMES, values, labels, seed=4)

    wanted = mutual_info_classif(values, labels, discrete_features=discrete, random_state=4)
    assert list(fitted.scores[0].values()) == pytest.approx(wanted)
    amounts = relevance.mutual_information(values, labels.astype(np.float64), discrete=discrete, seed=4)
    assert amounts == pytest.approx(mutual_info_regression(values, labels.astype(np.float64), discrete_features=discrete, random_state=4))


def test_of_pure_noise_fewer_false_choices_are_made_than_the_theorem_allows() -> None:
    """Meinshausen and Bühlmann's theorem 1 with a threshold of 0.9: at most one in expectation, of 20 columns that say nothing."""
    random = np.random.default_rng(6)
    entering = int(np.sqrt(0.8 * 20))

    chosen = [
        (relevance.stability(random.normal(size=(60, 20)), random.integers(0, 2, 60), entering=entering, seed=seed) >= 0.9).sum() for seed in range(6)
    ]

    assert np.mean(chosen) <= 1


def test_a_column_that_always_enters_first_has_a_share_of_one() -> None:
    random = np.random.default_rng(7)
    labels = np.repeat([0, 1], 40)
    block = np.column_stack([random.normal(size=80), labels + 0.1 * random.normal(size=80), np.ones(80), random.normal(size=80)])

    shares = relevance.stability(block, labels, entering=1, seed=1)

    assert shares.tolist() == [0, 1, 0, 0]


def test_what_stability_keeps_is_above_the_threshold(told: tuple[NDArray[Any], NDArray[Any]]) -> None:
    values, labels = told

    fitted = Recipe(steps=(Select(by="stability", least=0.75),)).fit(NAMES, values, labels, seed=1)

    assert fitted.columns == tuple(name for name, share in fitted.scores[0].items() if share >= 0.75)
    assert set(fitted.columns) <= TOLD


def test_columns_that_dont_compete_go_on(told: tuple[NDArray[Any], NDArray[Any]]) -> None:
    values, labels = told

    fitted = Recipe(steps=(Select(by="mutual information", count=1, columns=("x0", "x1", "x2")),)).fit(NAMES, values, labels, seed=1)

    assert fitted.columns == ("x1", *NAMES[3:])


def test_equal_scores_are_settled_by_the_columns_order() -> None:
    labels = np.repeat([0, 1], 20)
    same = np.column_stack([labels, labels, labels]) + np.random.default_rng(1).normal(size=(40, 1))

    fitted = Recipe(steps=(Select(by="mutual information", count=1, discrete=()),)).fit(("a", "b", "c"), same, labels, seed=1)
    none_enters = Recipe(steps=(Select(by="stability", count=2),)).fit(("a", "b", "c"), np.ones((40, 3)), labels, seed=1)

    assert len(fitted.columns) == 1
    assert none_enters.columns == ("a", "b")


def test_permutation_takes_missing_values(told: tuple[NDArray[Any], NDArray[Any]]) -> None:
    values, labels = told
    values = np.where(np.random.default_rng(3).random(values.shape) < 0.2, np.nan, values)

    fitted = Recipe(steps=(Select(by="permutation", count=2),)).fit(NAMES, values, labels, seed=1)

    assert set(fitted.columns) == TOLD


@pytest.mark.parametrize(
    ("select", "labels", "fault"),
    [
        (Select(by="stability", count=1), None, "step 1, Select: labels are needed"),
        (Select(by="stability", count=9), np.arange(40) % 2, "step 1, Select: count: 9 of 8"),
        (Select(by="permutation", count=1), np.zeros(40, np.int64), "step 1, Select: labels: two classes"),
        (Select(by="permutation", count=1), np.arange(40) // 39, "step 1, Select: labels: two classes .* two items"),
        (Select(by="mutual information", count=1, columns=("y",)), np.arange(40) % 2, "step 1, Select: column y"),
        (Select(by="mutual information", count=1, discrete=("z",)), np.arange(40) % 2, "step 1, Select: column z"),
        (Select(by="mutual information", least=9.0), np.arange(40) % 2, "step 1, Select: least: no column scores 9.0"),
    ],
)
def test_what_cant_be_chosen_by_is_refused(select: Select, labels: NDArray[Any] | None, fault: str) -> None:
    values = np.random.default_rng(1).normal(size=(40, 8))

    with pytest.raises(ValueError, match=fault):
        Recipe(steps=(select,)).fit(NAMES, values, labels, seed=1)


@pytest.mark.parametrize("by", ["mutual information", "stability"])
def test_missing_values_are_refused_where_they_cant_be_scored_and_imputing_helps(by: By) -> None:
    values, labels = np.random.default_rng(1).normal(size=(40, 8)), np.arange(40) % 2
    values[3, 5] = np.nan

    with pytest.raises(ValueError, match=r"step 1, Select: column x5: 1 items have no value.*impute before"):
        Recipe(steps=(Select(by=by, count=1),)).fit(NAMES, values, labels, seed=1)

    assert len(Recipe(steps=(Impute(), Select(by=by, count=1))).fit(NAMES, values, labels, seed=1).columns) == 1


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_expected_number_of_false_choices_is_bounded_by_one_for_all_classes_together(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meinshausen and Bühlmann's theorem 1 is of one regression; there is one for each class, and a column goes on that any of them chooses."""
    entered: list[int] = []

    def stability(block: NDArray[Any], _labels: NDArray[Any], *, entering: int, seed: int) -> NDArray[Any]:  # noqa: ARG001 - as the real one
        entered.append(entering)
        return np.ones(block.shape[1])

    monkeypatch.setattr(relevance, "stability", stability)
    columns, threshold = 64, 0.75
    values = np.random.default_rng(0).normal(size=(20, columns))

    Recipe(steps=(Select(by="stability", least=threshold),)).fit([f"c{each}" for each in range(columns)], values, np.arange(20) % classes, seed=0)

    regressions = 1 if classes == 2 else classes
    bounds = [regressions * count**2 / ((2 * threshold - 1) * columns) for count in (entered[0], entered[0] + 1)]
    assert bounds[0] <= 1 < bounds[1]
