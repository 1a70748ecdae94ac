"""Hazards that are made to hold, on patients whose hazards are known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evidence import recalibration
from training.evidence.recalibration import Recalibration

INTERVALS, FEATURES = 4, 12
Patients = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def patients(seed: int, items: int, *, off: float, slope: float = 1.0, intercept: float = 0.0) -> Patients:
    """A network's hazards, its features, what was seen, and the true curves, whose log odds are `off` in the features, of which two go together."""
    random = np.random.default_rng(seed)
    # What the network has got wrong is the same for all patients of a seed's hundred.
    wrong = np.random.default_rng(seed // 100).normal(0, off / np.sqrt(FEATURES), FEATURES)
    features = random.normal(size=(items, FEATURES))
    features[:, 1] = 3 * features[:, 0] + 0.1 * features[:, 1]
    said = random.normal(-2, 0.7, (items, 1)) + np.linspace(0.3, -0.3, INTERVALS)
    true = intercept + slope * said + (features @ wrong)[:, None]
    has = random.random((items, INTERVALS)) < 1 / (1 + np.exp(-true))
    first = np.where(has.any(axis=1), has.argmax(axis=1), INTERVALS)
    # A fifth are lost at some interval's end.
    lost = np.where(random.random(items) < 0.2, random.integers(1, INTERVALS + 1, items), INTERVALS)
    place = np.arange(INTERVALS)
    event = (place == first[:, None]) & (place < lost[:, None])
    through = (place < first[:, None]) & (place < lost[:, None])
    return 1 / (1 + np.exp(-said)), features, np.stack([through, event], axis=1), recalibration.curves_of(true)


def learn(method: Any, given: Patients, **more: Any) -> Recalibration:
    hazards, features, wanted, _ = given
    return recalibration.learn(method, hazards, features, wanted, reference=features, seed=1, **more)


@pytest.fixture(scope="module")
def learnt() -> Recalibration:
    return learn("bayesian", patients(0, 800, off=0.5))


def test_an_intercept_and_a_slope_are_found_again() -> None:
    found = learn("logistic", patients(0, 1500, off=0, slope=0.6, intercept=-0.5))

    # Standard errors of 1,500 patients are some 0.12 and 0.06.
    assert found.coefficients == pytest.approx([-0.5, 0.6], abs=0.3)
    assert not found.draws.size
    assert str(found).startswith("logistic: intercept -0.")
    assert found.log_losses["logistic"] < found.log_losses["as it is"] - 0.01


def test_intervals_hold_known_curves_as_often_as_they_say() -> None:
    """95 % of patients that set nothing, in the mean of ten networks that are wrong each in its own way."""
    shares, widths = [], []
    for network in range(10):
        given, others = patients(100 * network, 300, off=0.4), patients(100 * network + 1, 300, off=0.4)
        lower, upper = learn("bayesian", given).interval(others[0], others[1], 0.95)
        shares.append(((lower <= others[3]) & (others[3] <= upper)).mean())
        widths.append((upper - lower)[:, -1].mean())

    assert np.mean(shares) == pytest.approx(0.95, abs=0.03)
    assert np.mean(widths) < 0.4


def test_a_network_that_holds_has_narrower_intervals_than_one_that_doesnt(learnt: Recalibration) -> None:
    holds = learn("bayesian", patients(0, 800, off=0))

    assert holds.spread < 0.5 * learnt.spread
    assert learnt.log_losses["bayesian"] < learnt.log_losses["logistic"]


def test_curves_and_their_ends_fall_and_lie_in_order_also_for_hazards_of_0_and_1(learnt: Recalibration) -> None:
    hazards, features, _, _ = patients(2, 50, off=0.5)
    hazards[0], hazards[1] = 0, 1

    curve = learnt.survival(hazards, features)
    lower, upper = learnt.interval(hazards, features, 0.9)

    for each in (curve, lower, upper):
        assert (np.diff(each, axis=1) <= 0).all()
    assert ((lower >= 0) & (lower <= curve) & (curve <= upper) & (upper <= 1)).all()


def test_a_curve_beyond_all_draws_is_in_its_interval_all_the_same(learnt: Recalibration) -> None:
    hazards, features, _, _ = patients(2, 20, off=0.5)

    for intercept in (-9, 9):
        odd = replace(learnt, coefficients=np.concatenate([[intercept], learnt.coefficients[1:]]))
        lower, upper = odd.interval(hazards, features, 0.9)
        said = odd.as_layer(confidence_level=0.9)(hazards, features)

        curve = odd.survival(hazards, features)
        assert ((lower <= curve) & (curve <= upper)).all()
        in_graph = [np.asarray(said[name]) for name in ("survival_lower", "survival", "survival_upper")]
        assert (in_graph[0] <= in_graph[1]).all()
        assert (in_graph[1] <= in_graph[2]).all()


@pytest.mark.parametrize("method", recalibration.METHODS)
def test_the_layer_is_what_was_learnt(method: Any) -> None:
    hazards, features, seen, true = patients(3, 100, off=0.5)
    hazards, features = hazards.astype(np.float32), features.astype(np.float32)
    found = learn(method, (hazards, features, seen, true))

    said = found.as_layer(confidence_level=0.9)(hazards, features)

    wanted = {"survival": found.survival(hazards, features)}
    if method == "bayesian":
        wanted["survival_lower"], wanted["survival_upper"] = found.interval(hazards, features, 0.9)
    assert said.keys() == wanted.keys()
    for name, curve in wanted.items():
        assert np.asarray(said[name]) == pytest.approx(curve, abs=1e-6)


@pytest.mark.parametrize("events", [False, True])
def test_a_handful_of_patients_of_whom_all_or_none_had_the_event_move_little(events: bool) -> None:
    hazards, features, wanted, _ = patients(4, 6, off=0)
    wanted[:, 0, :], wanted[:, 1, :] = not events, False
    wanted[:, 1, 0] = events

    found = recalibration.learn("bayesian", hazards, features, wanted, reference=features, seed=1)

    assert np.abs(found.coefficients[:2] - [0, 1]).max() < 2
    lower, upper = found.interval(hazards, features, 0.95)
    assert (upper - lower).mean() > 0.1


def test_as_it_is_changes_nothing_and_the_loss_is_that_of_what_was_seen() -> None:
    hazards, features, wanted, _ = given = patients(5, 30, off=0)

    curves = learn("as it is", given).survival(hazards, features)

    assert curves == pytest.approx(np.cumprod(1 - hazards, axis=1))
    by_hand = -np.log(np.where(wanted[:, 0], 1 - hazards, 1) * np.where(wanted[:, 1], hazards, 1)).sum(axis=1)
    assert recalibration.log_losses(curves, wanted) == pytest.approx(by_hand)


def test_one_patients_items_are_in_one_fold() -> None:
    assert not learn("as it is", patients(6, 20, off=0), groups=np.zeros(20)).log_losses


def test_what_doesnt_belong_together_is_refused() -> None:
    hazards, features, wanted, _ = patients(7, 20, off=0)

    with pytest.raises(ValueError, match="method: one of as it is, logistic, bayesian"):
        learn("isotonic", (hazards, features, wanted, hazards))
    with pytest.raises(ValueError, match="of the same patients"):
        learn("logistic", (hazards, features[:3], wanted, hazards))
