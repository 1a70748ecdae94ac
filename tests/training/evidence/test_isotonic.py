from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from training.calibration import calibrated, expected_calibration_error
from training.evidence import isotonic
from training.evidence.isotonic import Curve, Isotonic

Drawn = tuple[NDArray[Any], NDArray[np.int64]]


def drawn(seed: int, classes: int, items: int = 3000) -> Drawn:
    """Labels drawn by their probabilities, and what a model says that is three times as sure, as float32."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(items, classes))
    raised = [np.exp(times * logits - (times * logits).max(axis=1, keepdims=True)) for times in (1, 3)]
    true, said = (each / each.sum(axis=1, keepdims=True) for each in raised)
    return said.astype(np.float32), np.array([random.choice(classes, p=row) for row in true])


def ends(levels: NDArray[Any]) -> tuple[float, float]:
    """By the rule of succession: of m items that are all of one kind, the next is of the other by a chance of 1 / (m + 2)."""
    never, always = int((levels == 0).sum()), int((levels == 1).sum())
    return 1 / (never + 2) if never else 0.0, 1 - 1 / (always + 2) if always else 1.0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=50), st.integers(0, 1000))
def test_the_layer_is_scikit_learns_curve(rows: list[tuple[int, bool]], seed: int) -> None:
    said = np.array([row[0] / 20 for row in rows], np.float32)
    is_it = np.array([row[1] for row in rows])
    asked = np.concatenate([said, np.random.default_rng(seed).random(30).astype(np.float32), np.array([0, 1], np.float32)])

    found = np.asarray(isotonic.fit_isotonic(said[:, np.newaxis], is_it.astype(np.int64)).as_layer()(asked[:, np.newaxis]))

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said.astype(np.float64), is_it)
    heights = np.clip(fitted.y_thresholds_, *ends(fitted.predict(said.astype(np.float64))))
    assert found[:, 0] == pytest.approx(np.interp(asked.astype(np.float64), fitted.X_thresholds_, heights), abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_layer_is_the_numpy_formula_and_probabilities_add_up_to_one(classes: int) -> None:
    learnt = isotonic.fit_isotonic(*drawn(1, classes))
    said, _ = drawn(2, classes, 500)

    found = np.asarray(learnt.as_layer()(said))

    assert found == pytest.approx(learnt.apply(said), abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(np.ones(500), abs=1e-6)
    assert found.min() >= 0


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_hold_better_on_items_that_set_nothing(classes: int) -> None:
    learnt = isotonic.fit_isotonic(*drawn(3, classes))
    said, labels = drawn(4, classes)

    before, after = (expected_calibration_error(each, labels) for each in (said, learnt.apply(said)))

    assert before > 0.15
    assert after < 0.04


def test_a_naive_bayes_on_real_tumours_holds_better() -> None:
    """It takes its thirty features to be independent, and is far too sure; a half of what it wasn't fitted to mends it for the other."""
    data = load_breast_cancer()
    order = np.random.default_rng(5).permutation(569)
    fitted, setting, fresh = np.split(order, [150, 360])
    said = GaussianNB().fit(data.data[fitted], data.target[fitted]).predict_proba(data.data)

    learnt = isotonic.fit_isotonic(said[setting], data.target[setting])

    brier = [float(np.mean((each[:, 1] - data.target[fresh]) ** 2)) for each in (said[fresh], learnt.apply(said[fresh]))]
    assert brier[1] < brier[0]


def test_where_every_curve_says_nothing_the_item_keeps_its_probabilities() -> None:
    nothing = Curve(given=np.array([0.0, 0.5, 1.0]), wanted=np.array([0.0, 0.0, 1.0]))
    learnt = Isotonic(curves=(nothing, nothing, nothing))
    said = np.array([[0.4, 0.35, 0.25], [0.75, 0.25, 0.0]], np.float32)

    found = np.asarray(learnt.as_layer()(said))

    assert found == pytest.approx(np.array([[0.4, 0.35, 0.25], [1, 0, 0]]), abs=1e-6)
    assert found == pytest.approx(learnt.apply(said), abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_centred_curves_hold_as_well_and_are_far_less_steep(classes: int) -> None:
    plain, centred = (isotonic.fit_isotonic(*drawn(3, classes), centred=each) for each in (False, True))
    said, labels = drawn(4, classes)

    assert centred.steepest < plain.steepest / 10
    assert expected_calibration_error(centred.apply(said), labels) < 0.04
    assert np.asarray(centred.as_layer()(said)) == pytest.approx(centred.apply(said), abs=1e-6)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=50))
def test_a_centred_curve_goes_through_the_middle_of_each_pool(rows: list[tuple[int, bool]]) -> None:
    said, is_it = np.array([row[0] / 20 for row in rows]), np.array([int(row[1]) for row in rows])

    curve = isotonic.fit_isotonic(said[:, np.newaxis], is_it, centred=True).curves[0]

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said, is_it).predict(said)
    for level in np.unique(fitted):
        assert np.interp(said[fitted == level].mean(), curve.given, curve.wanted) == pytest.approx(np.clip(level, *ends(fitted)))


def test_no_item_is_ever_said_to_be_of_a_class_for_certain() -> None:
    """One that isn't would have an infinite log loss."""
    said = np.linspace(0, 1, 21)[:, np.newaxis]

    learnt = isotonic.fit_isotonic(said, (said[:, 0] > 0.5).astype(np.int64))

    assert learnt.apply(np.array([[0.0], [1.0]]))[:, 0].tolist() == [1 / 13, 1 - 1 / 12]


def test_how_steep_a_curve_is_shows() -> None:
    step = Curve(given=np.array([0.0, 0.5, 0.501, 1.0]), wanted=np.array([0.0, 0.2, 0.8, 1.0]))

    assert Isotonic(curves=(step,)).steepest == pytest.approx(600)


def test_it_is_a_part_of_the_saved_model(tmp_path: Path) -> None:
    features, labels = load_breast_cancer(return_X_y=True)
    scaled = StandardScaler().fit_transform(features).astype(np.float32)
    plain = LogisticRegression().fit(scaled[:300, :2], labels[:300])
    model = keras.Sequential([keras.Input((2,), name="features"), keras.layers.Dense(1, "sigmoid")], name="tumour")
    model.set_weights([plain.coef_.T, plain.intercept_])
    learnt = isotonic.fit_isotonic(model.predict(scaled[300:, :2], verbose=0), labels[300:])

    whole = calibrated(model, learnt)
    whole.export(str(tmp_path / "1"), verbose=False)

    saved = tf.saved_model.load(str(tmp_path / "1"))
    answer = np.asarray(saved.serve(scaled[:, :2]))
    assert whole.name == "tumour"
    assert answer == pytest.approx(learnt.apply(model.predict(scaled[:, :2], verbose=0)), abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_one_outcome_only_or_one_probability_only_is_a_level_curve(labels: list[int]) -> None:
    for said in ([0.2, 0.5, 0.9], [0.5, 0.5, 0.5]):
        learnt = isotonic.fit_isotonic(np.array(said)[:, np.newaxis], np.array(labels))

        assert learnt.apply(np.array([[0.0], [0.3], [1.0]])) == pytest.approx(np.full((3, 1), 4 / 5 if labels[0] else 1 / 5))


LEVEL = Curve(given=np.array([0.0, 1.0]), wanted=np.array([0.0, 1.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: isotonic.fit_isotonic(np.zeros((0, 2)), np.zeros(0, np.int64)), r"probabilities: \[items, classes\], and labels \[items\]"),
        (lambda: isotonic.fit_isotonic(np.ones((1, 2)), np.array([2])), "labels: from 0 to 1"),
        (lambda: isotonic.fit_isotonic(np.full((1, 2), 2.0), np.array([1])), "probabilities: item 0 has one that isn't from 0 to 1"),
        (lambda: Curve(given=np.array([0.0, 0.0]), wanted=np.array([0.0, 1.0])), "given: two knots or more, rising"),
        (lambda: Curve(given=np.array([0.0, 1.0]), wanted=np.array([1.0, 0.5])), "wanted: never falling"),
        (lambda: Curve(given=np.array([0.0, 1.0]), wanted=np.array([0.0, 1.5])), "wanted: item 1 has one that isn't from 0 to 1"),
        (lambda: Isotonic(curves=()), "curves: one, or one for each of three classes or more, not 0"),
        (lambda: Isotonic(curves=(LEVEL, LEVEL)), "curves: one, or one for each of three classes or more, not 2"),
        (lambda: Isotonic(curves=(LEVEL,)).apply(np.ones((1, 3))), r"probabilities: \[items, 1 or 2\], not \[1, 3\]"),
        (lambda: Isotonic(curves=(LEVEL,)).as_layer()(np.ones((1, 3), np.float32)), r"isotonic: \[items, 1 or 2\] is expected, not \[1, 3\]"),
    ],
)
def test_what_is_no_curve_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
