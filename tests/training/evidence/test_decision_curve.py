from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.evidence import decision_curve
from training.evidence.resampling import Bootstrap
from training.report import plots

Items = tuple[NDArray[np.bool_], NDArray[Any]]


@pytest.fixture(scope="module")
def held_out() -> Items:
    """A fifth are cases, and their probabilities hold."""
    random = np.random.default_rng(1)
    probabilities = random.beta(0.6, 2.4, 1000)
    return random.random(1000) < probabilities, probabilities


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=40), st.integers(0, 100))
def test_net_benefit_is_counted_as_vickers_and_elkin_do(rows: list[tuple[bool, int]], seed: int) -> None:
    is_case, probabilities = np.array([row[0] for row in rows]), np.array([row[1] / 20 for row in rows])
    plan = Bootstrap(items=len(rows), seed=seed, resamples=2)

    found = decision_curve.curves(is_case, {"model": probabilities}, plan)

    for place, threshold in enumerate(decision_curve.THRESHOLDS):
        treated = probabilities >= threshold
        for name, who in (("model", treated), ("treat all", np.ones(len(rows), bool))):
            wanted = ((who & is_case).sum() - (who & ~is_case).sum() * threshold / (1 - threshold)) / len(rows)
            assert found[name].y[place] == pytest.approx(wanted)


def test_a_model_that_holds_does_no_worse_than_all_or_nobody_and_is_drawn(held_out: Items) -> None:
    is_case, probabilities = held_out

    found = decision_curve.curves(is_case, {"model": probabilities}, Bootstrap(items=1000, seed=1, resamples=200))

    assert list(found) == ["model", "treat all"]
    model, everybody = found["model"], found["treat all"]
    assert model.lower is not None
    assert model.upper is not None
    assert ((model.lower <= model.y) & (model.y <= model.upper)).all()
    # By chance a little, and where hardly anybody is treated.
    assert (model.y >= np.maximum(everybody.y, 0) - 0.01).all()
    # Treating all is worth nothing where the threshold is the share of cases.
    assert np.interp(is_case.mean(), everybody.x, everybody.y) == pytest.approx(0, abs=1e-3)
    assert "<svg" in plots.net_benefit(found)


def test_the_gain_over_all_or_nobody_is_one_where_the_model_tells_and_none_where_it_doesnt(held_out: Items) -> None:
    is_case, probabilities = held_out
    plan = Bootstrap(items=1000, seed=1)

    tells, guesses = (decision_curve.gain(is_case, each, 0.2, plan) for each in (probabilities, np.random.default_rng(2).permutation(probabilities)))

    assert tells.name == "net_benefit_gain_0.2"
    assert tells.lower > 0.03
    assert guesses.value < 0
    assert guesses.lower < -0.02


def test_patients_are_drawn_whole(held_out: Items) -> None:
    is_case, probabilities = (np.repeat(part[:100], 10) for part in held_out)

    alone, by_patient = (
        decision_curve.gain(is_case, probabilities, 0.2, Bootstrap(items=1000, seed=1, groups=groups))
        for groups in (None, np.repeat(np.arange(100), 10))
    )

    assert by_patient.upper - by_patient.lower > 2 * (alone.upper - alone.lower)


CASES = np.array([True, False])
HALF = np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"treat all": HALF}, "probabilities: a model can't be called treat all"),
        ({"trees": HALF * 3}, "probabilities of trees: item 0 has one that isn't from 0 to 1"),
        ({"trees": np.array([0.5, np.nan])}, "scores: item 1 has none that is a finite number"),
        ({"trees": HALF[:1]}, "is_case and scores: both"),
    ],
)
def test_what_isnt_a_probability_is_refused(models: dict[str, NDArray[Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decision_curve.curves(CASES, models, Bootstrap(items=2, seed=1))


@pytest.mark.parametrize("thresholds", [[], [0.0], [1.0], [0.5, 0.5]])
def test_a_threshold_that_weighs_nothing_or_all_is_refused(thresholds: list[float]) -> None:
    with pytest.raises(ValueError, match="thresholds: one or more, above 0 and below 1, and rising"):
        decision_curve.curves(CASES, {"model": HALF}, Bootstrap(items=2, seed=1), thresholds=np.array(thresholds))
