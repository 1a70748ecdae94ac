from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.naive_bayes import GaussianNB

from training import calibration
from training.calibration import AS_IT_IS, METHODS, Method
from training.evidence.isotonic import Isotonic
from training.evidence.resampling import Bootstrap
from training.evidence.temperature import Temperature
from training.report.calibration import made_to_hold

UNKNOWN: Any = "sorcery"
Draw = tuple[NDArray[Any], NDArray[np.int64]]


def drawn(seed: int, items: int = 1000, classes: int = 3, *, bent: bool = False) -> Draw:
    """What is said of items, three times too sure or bent as no temperature can mend it, and labels drawn by what would hold."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(items, classes))
    true, said = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (logits, 3 * logits))
    labels = np.array([random.choice(classes, p=row) for row in true])
    if bent:
        # One class is said far too rarely, whatever it is.
        said = true * np.array([0.05, *[1.0] * (classes - 1)])
        said /= said.sum(axis=1, keepdims=True)
    return said.astype(np.float32), labels


@pytest.mark.parametrize(("bent", "kind"), [(False, Temperature), (True, Isotonic)])
def test_the_way_with_the_least_log_loss_on_items_that_it_was_not_learnt_from_is_chosen(bent: bool, kind: type) -> None:
    chosen = calibration.choose("least log loss", *drawn(1, bent=bent), seed=0)

    assert isinstance(chosen.calibration, kind)
    assert chosen.log_losses.keys() == {AS_IT_IS, "temperature", "isotonic"}
    assert min(chosen.log_losses, key=lambda name: chosen.log_losses[name]) == ("isotonic" if bent else "temperature")


def test_curves_that_are_better_by_less_than_one_standard_error_are_not_chosen() -> None:
    losses = {"temperature": np.array([0.9, 1.1, 0.4, 0.6]), "isotonic": np.array([1.0, 0.9, 0.5, 0.4])}

    assert [calibration._best(losses, np.array(number)) for number in ([0, 1, 2, 3], [0, 0, 1, 1])] == ["temperature", "isotonic"]


@pytest.mark.parametrize(("method", "kind"), [("temperature", Temperature), ("isotonic", Isotonic)])
def test_what_is_declared_is_learnt_from_all_items(method: Method, kind: type) -> None:
    said, labels = drawn(2, 200)

    chosen = calibration.choose(method, said, labels, seed=0)

    assert isinstance(chosen.calibration, kind)
    assert not np.allclose(chosen.unseen, chosen.calibration.apply(said))


def test_patients_are_left_out_whole() -> None:
    """Each patient's items are one, said twice; curves that have seen the one say the other too well."""
    said, labels = (np.repeat(part, 2, axis=0) for part in drawn(3, 40))

    apart, together = (calibration.choose("isotonic", said, labels, groups=groups, seed=0) for groups in (None, np.repeat(np.arange(40), 2)))

    assert apart.log_losses["isotonic"] < together.log_losses["isotonic"] - 0.02


@pytest.mark.parametrize(("method", "items", "warns"), [("isotonic", 999, True), ("isotonic", 1000, False), ("temperature", 10, False)])
def test_curves_of_few_items_are_warned_of_with_their_number(method: Method, items: int, warns: bool) -> None:
    warning = calibration.choose(method, *drawn(4, items), seed=0).warning

    assert (f"learnt from {items} items; with fewer than 1000" in warning) is warns


@pytest.mark.parametrize("method", METHODS)
def test_one_patient_is_learnt_from_and_nothing_is_said_of_others(method: Method) -> None:
    chosen = calibration.choose(method, *drawn(5, 5), groups=np.zeros(5), seed=0)

    assert chosen.log_losses == {}
    assert chosen.unseen.sum(axis=1) == pytest.approx(np.ones(5))


def test_the_report_says_what_came_of_it_on_held_out_items_and_on_what_evidence() -> None:
    """A naive Bayes on real tumours is far too sure."""
    features, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(5).permutation(569)
    fitted, setting, fresh = np.split(order, [150, 360])
    said = GaussianNB().fit(features[fitted], labels[fitted]).predict_proba(features)
    chosen = calibration.choose("isotonic", said[setting], labels[setting], seed=0)

    section = made_to_hold(chosen, said[fresh], chosen.calibration.apply(said[fresh]), labels[fresh], Bootstrap(items=209, seed=0, resamples=50))

    assert section.table is not None
    error, by_chance, loss = ([float(cell) for cell in row[1:]] for row in section.table.rows)
    assert error[1] < error[0]
    assert by_chance[0] < by_chance[1]
    assert loss[1] < loss[0]
    assert section.text[0].startswith("By centred isotonic of ")
    assert section.text[1].startswith(f"Log loss of validation items, each by what was learnt from the others: {AS_IT_IS} ")
    assert "210 items; with fewer than 1000" in section.text[2]


@given(st.integers(1, 60), st.integers(0, 1000), st.booleans())
def test_the_error_is_between_nothing_and_one_and_no_order_changes_it(items: int, seed: int, tied: bool) -> None:
    random = np.random.default_rng(seed)
    probabilities, labels = random.dirichlet(np.ones(3), items), random.integers(3, size=items)
    if tied:
        probabilities = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0, 0, 1]])[labels - 1]

    error = calibration.expected_calibration_error(probabilities, labels)

    assert 0 <= error <= 1
    assert sorted(np.concatenate(calibration.bins_of(probabilities.max(axis=1))).tolist()) == list(range(items))
    order = random.permutation(items)
    assert calibration.expected_calibration_error(probabilities[order], labels[order]) == pytest.approx(error, abs=1e-9)


def test_the_error_of_one_bin_each_is_worked_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])

    assert calibration.expected_calibration_error(probabilities, np.array([0, 1])) == pytest.approx((0.1 + 0.6) / 2)


def test_where_probabilities_hold_the_error_is_what_it_is_by_chance() -> None:
    trials = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        said = random.uniform(0.5, 1, 150)
        labels = (random.random(150) >= said).astype(np.int64)
        trials.append((np.column_stack([said, 1 - said]), labels))

    found = np.mean([calibration.expected_calibration_error(*trial) for trial in trials])

    assert found > 0.05
    assert calibration.error_by_chance(trials[0][0], seed=0) == pytest.approx(found, abs=0.015)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibration.choose(UNKNOWN, *drawn(6, 5), seed=0), "method: one of temperature, isotonic, least log loss, not sorcery"),
        (lambda: calibration.choose("temperature", np.ones((0, 2)), np.zeros(0, np.int64), seed=0), r"probabilities: \[items, classes\], and labels"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
