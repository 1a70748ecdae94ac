import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from training.evaluate import Figure, evaluate


def _one_hot(predicted: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    return np.eye(classes)[predicted]


def _figures(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int = 5, seed: int = 1) -> dict[str, Figure]:
    return {figure.name: figure for figure in evaluate(_one_hot(predicted, classes), labels, seed=seed)}


_PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60).map(lambda rows: np.array(rows, np.int64))


@pytest.mark.parametrize(
    ("correct", "items", "lower", "upper"),
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3 (score without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_the_accuracy_is_wilsons_as_published(correct: int, items: int, lower: float, upper: float) -> None:
    labels = np.zeros(items, np.int64)
    predicted = np.where(np.arange(items) < correct, 0, 1)

    accuracy = _figures(labels, predicted, classes=2)["accuracy"]

    assert (accuracy.value, accuracy.interval_method, accuracy.confidence_level) == (correct / items, "wilson", 0.95)
    assert (round(accuracy.lower, 4), round(accuracy.upper, 4)) == (lower, upper)


def test_macro_f1_is_the_mean_over_the_classes_worked_out_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])

    macro = _figures(labels, predicted)["macro_f1"]

    # Class 0: precision 2/3, recall 2/3; class 1: 2/3 and 1; class 2: 0. F1 is 2/3, 4/5 and 0.
    assert macro.value == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


@settings(max_examples=100)
@given(pairs=_PAIRS)
def test_macro_f1_equals_scikit_learns_over_the_classes_that_are_there(pairs: NDArray[np.int64]) -> None:
    labels, predicted = pairs[:, 0], pairs[:, 1]

    macro = _figures(labels, predicted)["macro_f1"]

    assert macro.value == pytest.approx(f1_score(labels, predicted, labels=sorted(set(labels.tolist())), average="macro", zero_division=0.0))


@settings(max_examples=100)
@given(pairs=_PAIRS)
def test_every_interval_lies_within_0_and_1_and_the_accuracys_holds_its_value(pairs: NDArray[np.int64]) -> None:
    figures = _figures(pairs[:, 0], pairs[:, 1])

    assert all(0 <= figure.lower <= figure.upper <= 1 for figure in figures.values())
    assert figures["accuracy"].lower <= figures["accuracy"].value <= figures["accuracy"].upper


def test_the_bootstrap_interval_holds_the_value_and_narrows_with_more_items() -> None:
    random = np.random.default_rng(3)

    def interval(items: int) -> Figure:
        labels = random.integers(0, 5, items)
        predicted = np.where(random.random(items) < 0.8, labels, (labels + 1) % 5)
        return _figures(labels, predicted)["macro_f1"]

    few, many = interval(100), interval(4000)

    assert few.lower < few.value < few.upper
    assert many.lower < many.value < many.upper
    assert many.upper - many.lower < (few.upper - few.lower) / 3


def test_the_same_seed_gives_the_same_interval() -> None:
    labels, predicted = np.arange(100) % 5, np.arange(100) % 4

    assert _figures(labels, predicted, seed=7) == _figures(labels, predicted, seed=7)
    assert _figures(labels, predicted, seed=7) != _figures(labels, predicted, seed=8)


def test_a_figure_reads_as_a_sentence() -> None:
    figure = Figure(name="accuracy", value=0.957, lower=0.94261, upper=0.968, confidence_level=0.95, interval_method="wilson")

    assert str(figure) == "accuracy 0.9570 (95% interval 0.9426 to 0.9680, wilson)"
