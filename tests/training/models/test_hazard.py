import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.models import hazard

EDGES = np.array([0.0, 7, 30, 90, 180])
times = st.lists(st.floats(0, 400, allow_nan=False), min_size=1, max_size=20)


def by_hand(time_days: float, *, event: bool) -> tuple[list[int], list[int]]:
    """Interval by interval, as one would say it."""
    through, had = [], []
    for start, end in pairwise(EDGES):
        is_in = start < time_days <= end or time_days == start == 0
        had.append(int(event and is_in))
        through.append(int(time_days > end if event else time_days >= (start + end) / 2))
    return through, had


@given(times, st.randoms(use_true_random=False))
def test_targets_say_of_each_interval_who_came_through_it_and_who_had_the_event(days: list[float], random: Any) -> None:
    events = [random.random() < 0.5 for _ in days]

    wanted = hazard.targets(np.array(days), np.array(events), EDGES)

    assert wanted.dtype == np.float32
    for row, time_days, event in zip(wanted, days, events, strict=True):
        through, had = by_hand(time_days, event=event)
        assert row[0].tolist() == through
        assert row[1].tolist() == had


@given(times)
def test_nobody_has_the_event_twice_or_comes_through_an_interval_after_it(days: list[float]) -> None:
    came_through, had_event = hazard.targets(np.array(days), np.ones(len(days), bool), EDGES).transpose(1, 0, 2)

    assert (had_event.sum(axis=1) <= 1).all()
    after = np.cumsum(had_event, axis=1)
    assert not (after * came_through).any()


@pytest.mark.parametrize(
    ("days", "edges"),
    [([1.0], [0.0]), ([1.0], [1.0, 2.0]), ([1.0], [0.0, 2.0, 2.0]), ([-1.0], [0.0, 2.0]), ([math.nan], [0.0, 2.0])],
)
def test_what_cant_be_cut_is_refused(days: list[float], edges: list[float]) -> None:
    with pytest.raises(ValueError, match="_days: "):
        hazard.targets(np.array(days), np.ones(1, bool), np.array(edges))


def _likelihood(hazards: NDArray[Any], time_days: float, *, event: bool) -> float:
    """The chance of what was seen: through every interval before, and then the event or not."""
    through, had = by_hand(time_days, event=event)
    chance = 1.0
    for one, passed, failed in zip(hazards, through, had, strict=True):
        chance *= one if failed else (1 - one) if passed else 1
    return -math.log(chance)


def test_the_loss_is_the_negative_log_likelihood_of_what_was_seen() -> None:
    random = np.random.default_rng(3)
    days, events = random.uniform(0, 250, 50), random.random(50) < 0.6
    hazards = random.uniform(0.01, 0.99, (50, 4)).astype(np.float32)

    found = np.asarray(hazard.loss(hazard.targets(days, events, EDGES), hazards))

    wanted = [_likelihood(row, time_days, event=event) for row, time_days, event in zip(hazards, days, events, strict=True)]
    assert found == pytest.approx(wanted, rel=1e-5)


def test_a_hazard_of_zero_or_one_has_a_finite_loss() -> None:
    wanted = hazard.targets(np.array([20.0]), np.array([True]), EDGES)

    assert np.isfinite(np.asarray(hazard.loss(wanted, np.array([[1.0, 0, 0, 1]], np.float32)))).all()


def test_survival_falls_from_one_interval_to_the_next() -> None:
    hazards = np.array([[0.1, 0.5, 0, 0.2]], np.float32)

    assert np.asarray(hazard.survival(hazards))[0] == pytest.approx([0.9, 0.45, 0.45, 0.36])


def test_a_constant_learns_the_share_that_kaplan_and_meier_find() -> None:
    """With censoring at the edges only, the best constant hazards are the events over those at risk: the life table."""
    import keras  # noqa: PLC0415

    days = np.array([5.0] * 20 + [7] * 10 + [20] * 14 + [90] * 28 + [180] * 28)
    events = np.array([True] * 20 + [False] * 10 + [True] * 14 + [False] * 28 + [True] * 14 + [False] * 14)
    model = keras.Sequential([keras.Input((1,)), hazard.head(4)])
    model.compile(keras.optimizers.Adam(0.1), loss=hazard.loss)

    # 400 steps, each with all of them: an epoch of Keras's costs more than forty of these.
    wanted = np.concatenate([hazard.targets(days, events, EDGES)] * 40)
    model.fit(np.ones((len(wanted), 1), np.float32), wanted, batch_size=100, epochs=10, shuffle=False, verbose=0)

    assert model.predict(np.ones((1, 1)), verbose=0)[0] == pytest.approx([20 / 100, 14 / 70, 0, 14 / 28], abs=0.01)
