from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training import calibration

Draw = tuple[NDArray[Any], NDArray[np.int64]]


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def drawn(seed: int, items: int = 4000, classes: int = 4) -> Draw:
    """Logits, and labels that were drawn by their probabilities: so these hold."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (items, classes))
    return logits, np.array([random.choice(classes, p=row) for row in softmax(logits)])


@pytest.mark.parametrize("wrong_by", [0.3, 1.0, 4.0])
def test_it_finds_by_how_much_a_network_is_too_sure_or_not_sure_enough(wrong_by: float) -> None:
    logits, labels = drawn(1)

    assert calibration.fit_temperature(softmax(logits * wrong_by), labels) == pytest.approx(wrong_by, rel=0.1)


def test_probabilities_hold_better_at_that_temperature() -> None:
    logits, labels = drawn(2)
    too_sure = softmax(logits * 3)
    temperature = calibration.fit_temperature(too_sure[:2000], labels[:2000])

    mended = softmax(np.log(too_sure[2000:]) / temperature)

    before, after = (calibration.expected_calibration_error(each, labels[2000:]) for each in (too_sure[2000:], mended))
    assert before > 0.1
    assert after < 0.03


def test_without_items_nothing_is_changed() -> None:
    assert calibration.fit_temperature(np.empty((0, 3)), np.empty(0, np.int64)) == 1


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_always_or_never_right_gives_a_temperature_that_is_a_number(labels: list[int]) -> None:
    found = calibration.fit_temperature(np.array([[1, 0], [1, 0], [0.9, 0.1]], np.float32), np.array(labels))

    assert 0.05 <= found <= 20


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_layer_is_the_formula_and_changes_nothing_that_is_said(temperature: float) -> None:
    logits = np.random.default_rng(3).normal(0, 3, (50, 6)).astype(np.float32)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Softmax()])

    found = np.asarray(calibration.calibrated(model, temperature)(logits))

    assert found == pytest.approx(softmax(logits.astype(np.float64) / temperature), abs=1e-6)
    assert np.array_equal(found.argmax(axis=1), logits.argmax(axis=1))


def test_a_probability_of_zero_stays_a_number() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])

    found = np.asarray(calibration.calibrated(model, 0.7)(np.array([[1.0, 0.0]], np.float32)))

    assert found == pytest.approx(np.array([[1, 0]]), abs=1e-6)


@given(st.integers(1, 60), st.integers(0, 1000))
def test_the_error_is_between_nothing_and_one_and_no_order_changes_it_much(items: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities, labels = softmax(random.normal(size=(items, 3))), random.integers(3, size=items)

    error = calibration.expected_calibration_error(probabilities, labels)

    assert 0 <= error <= 1
    assert sorted(np.concatenate(calibration.bins_of(probabilities.max(axis=1))).tolist()) == list(range(items))
    order = random.permutation(items)
    assert calibration.expected_calibration_error(probabilities[order], labels[order]) == pytest.approx(error, abs=1e-9)


def test_the_error_of_one_bin_each_is_worked_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])

    assert calibration.expected_calibration_error(probabilities, np.array([0, 1])) == pytest.approx((0.1 + 0.6) / 2)
