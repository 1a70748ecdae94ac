from typing import Any

import numpy as np
import pytest
from crepes import ConformalClassifier, ConformalRegressor
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from training.evidence import conformal
from training.evidence.conformal import Interval, LabelSets
from training.evidence.resampling import Bootstrap

Items = tuple[NDArray[Any], NDArray[np.int64]]


def drawn(seed: int, items: int = 400) -> Items:
    """Probabilities of three classes, one of them rare, that are too sure: what is promised holds all the same."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, size=items, p=[0.55, 0.35, 0.1])
    logits = random.normal(size=(items, 3)) + 1.2 * np.eye(3)[labels] + np.array([1.0, 0.5, -1.0])
    raised = np.exp(2 * logits)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32), labels


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.8, 0.9, 0.95]),
    st.booleans(),
)
def test_the_thresholds_say_what_crepes_says_with_ties(rows: list[tuple[int, bool]], level: float, class_conditional: bool) -> None:
    of_one = np.array([row[0] for row in rows], np.float32) / 10
    probabilities, labels = np.column_stack([1 - of_one, of_one]), np.array([int(row[1]) for row in rows])
    asked = np.linspace(0, 1, 21)
    asked = np.column_stack([1 - asked, asked])

    sets = conformal.fit_label_sets(probabilities, labels, confidence_level=level, class_conditional=class_conditional)

    own = 1 - probabilities.astype(np.float64)[np.arange(len(labels)), labels]
    for number in (0, 1):
        used = own[labels == number] if class_conditional else own
        if len(used):
            wanted = ConformalClassifier().fit(used).predict_set(1 - asked[:, number], confidence=level, smoothing=False)
            assert sets.of(asked)[:, number].tolist() == wanted.astype(bool).tolist()
        else:
            assert sets.thresholds[number] == 1


def test_sets_hold_the_label_as_often_as_they_say_and_not_much_oftener() -> None:
    trials = [(drawn(2 * seed), drawn(2 * seed + 1)) for seed in range(60)]

    plan = Bootstrap(items=400, seed=0)
    covered = [conformal.coverage(conformal.fit_label_sets(*setting, confidence_level=0.9), *fresh, plan)[0].value for setting, fresh in trials]

    # Of 400 items the promise is from 0.9 to 0.9 + 1/401; the mean of 60 trials has an error of about 0.003.
    assert np.mean(covered) == pytest.approx(0.9, abs=0.012)


def test_only_thresholds_of_their_own_hold_for_a_rare_class() -> None:
    setting, fresh = drawn(1, 3000), drawn(2, 3000)

    common, own = (
        conformal.coverage_by_class(conformal.fit_label_sets(*setting, confidence_level=0.9, class_conditional=each), *fresh)
        for each in (False, True)
    )

    assert common[2].upper < 0.9
    # Both the threshold, set by 300 of the class, and the share of another 300 have an error of 0.017.
    assert all(figure.value == pytest.approx(0.9, abs=0.07) for figure in own.values())


def test_what_is_covered_single_and_empty_is_counted() -> None:
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.1, 0.9]])
    sets = LabelSets(thresholds=(0.5, 0.05), confidence_level=0.9, is_class_conditional=True)

    found = conformal.coverage(sets, probabilities, np.array([0, 0, 1, 1]), Bootstrap(items=4, seed=0))

    assert sets.of(probabilities).tolist() == [[True, False], [True, False], [True, False], [False, False]]
    assert {figure.name: figure.value for figure in found} == {"conformal_coverage": 0.5, "conformal_single": 0.75, "conformal_empty": 0.25}
    assert {figure.interval_method for figure in found} == {"wilson"}


def test_of_patients_with_many_items_each_coverage_is_known_less_well_than_wilson_says() -> None:
    probabilities, labels = (np.repeat(part, 10, axis=0) for part in drawn(6, 40))
    sets = conformal.fit_label_sets(*drawn(5), confidence_level=0.8)

    plans = [Bootstrap(items=400, seed=0, groups=groups) for groups in (None, np.repeat(np.arange(40), 10))]
    apart, by_patient = (conformal.coverage(sets, probabilities, labels, plan)[0] for plan in plans)

    assert by_patient.value == apart.value
    # Ten times as few independent items are known √10 times less well.
    assert by_patient.upper - by_patient.lower > 2.5 * (apart.upper - apart.lower)
    assert by_patient.interval_method == "bootstrap expanded percentile, 1000 resamples of 40 groups"


def test_too_few_items_exclude_nothing() -> None:
    probabilities = np.array([[0.9, 0.1]] * 8)

    sets = conformal.fit_label_sets(probabilities, np.zeros(8, np.int64), confidence_level=0.9, class_conditional=True)

    assert list(sets.thresholds) == [1, 1]
    assert sets.of(np.array([[0.0, 1.0]])).all()


@settings(max_examples=50)
@given(st.lists(st.floats(-100, 100), min_size=20, max_size=60), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_interval_is_crepes(residuals: list[float], level: float) -> None:
    outcome = np.array(residuals)

    lower, upper = conformal.fit_interval(outcome, np.zeros(len(outcome)), confidence_level=level).of(np.array([3.0]))

    wanted = ConformalRegressor().fit(outcome).predict_int(np.array([3.0]), confidence=level)[0]
    assert (lower[0], upper[0]) == pytest.approx(tuple(wanted))


def test_intervals_of_real_patients_hold_what_they_say() -> None:
    """A year's progression of diabetes, by a regression on 150 patients; 146 set the interval, and 146 are left."""
    inputs, outcome = load_diabetes(return_X_y=True)
    inputs, outcome = inputs[:442], outcome[:442]
    found = []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(442)
        fitted, setting, fresh = order[:150], order[150:296], order[296:]
        model = LinearRegression().fit(inputs[fitted], outcome[fitted])
        interval = conformal.fit_interval(outcome[setting], model.predict(inputs[setting]), confidence_level=0.9)
        found.append(conformal.interval_coverage(interval, outcome[fresh], model.predict(inputs[fresh])))

    # One split's coverage has a deviation of 0.035 by theory. The splits share their patients, so their mean isn't as sure as of 20.
    assert np.mean([figure.value for figure in found]) == pytest.approx(0.9, abs=0.06)
    assert all(figure.lower <= figure.value <= figure.upper for figure in found)


def test_a_difficulty_makes_hard_items_intervals_wide_and_easy_ones_narrow() -> None:
    random = np.random.default_rng(4)
    difficulty = random.uniform(0.1, 5, 2000)
    outcome = difficulty * random.normal(size=2000)
    nothing = np.zeros(1000)

    plain = conformal.fit_interval(outcome[:1000], nothing, confidence_level=0.9)
    scaled = conformal.fit_interval(outcome[:1000], nothing, confidence_level=0.9, difficulty=difficulty[:1000])

    easy = difficulty[1000:] < 1
    assert conformal.interval_coverage(plain, outcome[1000:][easy], nothing[easy]).lower > 0.95
    assert conformal.interval_coverage(scaled, outcome[1000:][easy], nothing[easy], difficulty=difficulty[1000:][easy]).value == pytest.approx(
        0.9, abs=0.08
    )
    # A normal's 0.95 quantile.
    assert scaled.half_width == pytest.approx(1.645, rel=0.1)


ONE = np.zeros(1, np.int64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conformal.fit_label_sets(np.ones((1, 2)), np.zeros(2, np.int64)), r"probabilities: \[items, classes\], and labels \[items\]"),
        (lambda: conformal.fit_label_sets(np.ones((1, 2)), ONE + 2), "labels: from 0 to 1"),
        (lambda: conformal.fit_label_sets(np.array([[0.5, 1.5]]), ONE), "probabilities: item 0 has one that isn't from 0 to 1"),
        (lambda: conformal.fit_label_sets(np.ones((1, 2)), ONE, confidence_level=1), "confidence_level: above 0 and below 1"),
        (lambda: LabelSets(thresholds=(), confidence_level=0.9, is_class_conditional=False), "thresholds: one or more, each from 0 to 1"),
        (lambda: LabelSets(thresholds=(2.0,), confidence_level=0.9, is_class_conditional=False), "thresholds: one or more, each from 0 to 1"),
        (lambda: Interval(half_width=np.inf, confidence_level=0.9), "half_width: finite, and 0 or more"),
        (lambda: conformal.fit_interval(np.zeros(3), np.zeros(3)), "outcome: 3 items are too few for an interval at 0.95"),
        (lambda: conformal.fit_interval(np.zeros(3), np.zeros(2)), "outcome and predicted: finite, both"),
        (lambda: conformal.fit_interval(np.zeros(3), np.zeros(3), difficulty=np.zeros(3)), "difficulty: above 0, one for each item"),
    ],
)
def test_what_promises_nothing_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_what_one_draw_holds_is_between_what_is_promised_of_it() -> None:
    random = np.random.default_rng(0)
    lower, upper = conformal.promised(0.9, 50)

    # Of uniform scores the share that a threshold holds is the threshold: the 46th smallest of 50.
    held = np.sort(random.random((4000, 50)), axis=1)[:, 45]

    assert ((held >= lower) & (held <= upper)).mean() == pytest.approx(0.95, abs=0.015)
    assert lower < 46 / 51 < upper
    # Nine items can't rule anything out at 0.95, and 19 can: 20 · 0.95 is 19, whatever rounding makes of it.
    assert conformal.promised(0.95, 9) == (1, 1)
    assert conformal.promised(0.95, 19)[0] < 1
