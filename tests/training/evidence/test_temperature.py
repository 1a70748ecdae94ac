from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from training.calibration import calibrated, expected_calibration_error
from training.evidence.temperature import Temperature, fit_temperature

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

    assert fit_temperature(softmax(logits * wrong_by), labels).temperature == pytest.approx(wrong_by, rel=0.1)


def test_probabilities_hold_better_at_that_temperature() -> None:
    logits, labels = drawn(2)
    too_sure = softmax(logits * 3)

    mended = fit_temperature(too_sure[:2000], labels[:2000]).apply(too_sure[2000:])

    before, after = (expected_calibration_error(each, labels[2000:]) for each in (too_sure[2000:], mended))
    assert before > 0.1
    assert after < 0.03


def test_without_items_nothing_is_changed() -> None:
    assert fit_temperature(np.empty((0, 3)), np.empty(0, np.int64)).temperature == 1


def test_where_every_item_is_right_a_network_does_not_become_surer_than_it_was() -> None:
    """The likelihood grows without end as the temperature falls; an item that is wrong later would be wrong for certain."""
    assert fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])).temperature == 1


def test_where_none_is_right_it_is_a_number() -> None:
    assert 1 < fit_temperature(np.array([[1, 0], [1, 0], [0.9, 0.1]], np.float32), np.array([1, 1, 1])).temperature <= 20


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_layer_is_the_formula_and_changes_nothing_that_is_said(temperature: float) -> None:
    logits = np.random.default_rng(3).normal(0, 3, (50, 6)).astype(np.float32)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Softmax()])
    learnt = Temperature(temperature=temperature)

    found = np.asarray(calibrated(model, learnt)(logits))

    assert found == pytest.approx(softmax(logits.astype(np.float64) / temperature), abs=1e-6)
    assert found == pytest.approx(learnt.apply(softmax(logits)), abs=1e-6)
    assert np.array_equal(found.argmax(axis=1), logits.argmax(axis=1))


def test_a_probability_of_zero_stays_a_number() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])

    found = np.asarray(calibrated(model, Temperature(temperature=0.7))(np.array([[1.0, 0.0]], np.float32)))

    assert found == pytest.approx(np.array([[1, 0]]), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan])
def test_what_logits_cannot_be_divided_by_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature: finite, and above 0, not"):
        Temperature(temperature=temperature)
