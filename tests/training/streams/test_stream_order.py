"""The order of a set's items: each comes once, to one worker, and a resumed epoch gives exactly the rest."""

import threading
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.streams.order import Order, SetChanged
from training.streams.quarantine import Quarantine
from training.streams.survey import Survey, survey

SHARDS = st.lists(st.lists(st.sampled_from([True, True, True, False]), max_size=9), min_size=3, max_size=7)


def given_by(order: Order, start: int = 0, quarantine: Quarantine | None = None) -> list[int]:
    chunks = list(order.chunks(start, quarantine or Quarantine()))
    for chunk in chunks:
        np.testing.assert_array_equal(chunk["twice"], np.stack([chunk["number"], chunk["number"]], axis=1))
    return [number for chunk in chunks for number in chunk["number"].tolist()]


@settings(max_examples=60)
@given(good=SHARDS, buffer=st.integers(1, 12), workers=st.integers(1, 3), seed=st.none() | st.integers(0, 3))
def test_each_item_goes_to_exactly_one_worker(numbers: Any, good: list[list[bool]], buffer: int, workers: int, seed: int | None) -> None:
    source = numbers(good=good, buffer=buffer)
    known = survey(source)

    orders = [Order(source=source, seed=seed, epoch=1, worker=(index, workers), survey=known) for index in range(workers)]

    shares = [given_by(order) for order in orders]
    assert sorted(number for share in shares for number in share) == source.good_numbers
    assert [order.items() for order in orders] == [len(share) for share in shares]


@settings(max_examples=60)
@given(good=SHARDS, buffer=st.integers(1, 12), start=st.integers(0, 40), seed=st.none() | st.integers(0, 3), is_surveyed=st.booleans())
def test_a_resumed_epoch_gives_exactly_the_rest(
    numbers: Any, good: list[list[bool]], buffer: int, start: int, seed: int | None, *, is_surveyed: bool
) -> None:
    source = numbers(good=good, buffer=buffer)
    order = Order(source=source, seed=seed, epoch=2, worker=(1, 2), survey=survey(source) if is_surveyed else None)

    assert given_by(order, start) == given_by(order)[start:]


def test_what_was_seen_is_not_read_again_where_the_set_was_surveyed(numbers: Any) -> None:
    source = numbers(good=[[True] * 10] * 100, buffer=20)
    order = Order(source=source, seed=1, epoch=0, survey=survey(source))
    source.read_of.clear()

    rest = given_by(order, 985)

    # The window that the 985th item lies in begins at the 980th.
    assert len(rest) == 15
    assert len(source.read_of) == 20


def test_a_shard_with_bad_records_is_read_from_its_beginning(numbers: Any) -> None:
    source = numbers(good=[[True, False] * 5] * 10, buffer=3)
    order = Order(source=source, seed=None, epoch=0, survey=survey(source))
    source.read_of.clear()

    assert given_by(order, 22) == [number for number in source.good_numbers if number >= 44]
    assert min(source.read_of) == 40


def test_the_order_is_of_the_seed_and_the_epoch(numbers: Any) -> None:
    source = numbers(good=[[True] * 10] * 10, buffer=30)
    orders = {(seed, epoch): given_by(Order(source=source, seed=seed, epoch=epoch)) for seed in (0, 1) for epoch in (0, 1)}

    assert len({tuple(order) for order in orders.values()}) == 4
    assert given_by(Order(source=source, seed=1, epoch=1)) == orders[1, 1]
    assert given_by(Order(source=source, seed=None, epoch=1)) == list(range(100))


def test_the_order_is_not_that_of_the_shards(numbers: Any) -> None:
    source = numbers(good=[[True] * 10] * 10, buffer=30)

    first = given_by(Order(source=source, seed=0, epoch=0))[:30]

    # Items of three shards are mixed: where neighbours lay together they seldom do now.
    assert len({number // 10 for number in first}) == 3
    assert sum(abs(one - other) == 1 for one, other in pairwise(first)) < 10


def test_a_window_of_large_items_is_smaller_than_the_buffer(numbers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # A number of eight bytes and two of four.
    monkeypatch.setattr("training.streams.order._WINDOW_BYTES", 16 * 20)
    source = numbers(good=[[True] * 10] * 10, buffer=1000)
    order = Order(source=source, seed=0, epoch=0, survey=survey(source))

    first = given_by(order)[:20]

    assert len({number // 10 for number in first}) == 2
    assert given_by(order, 55) == given_by(order)[55:]


def test_faults_are_told_by_one_worker_each_and_of_the_rest_only(numbers: Any) -> None:
    source = numbers(good=[[True] * 5 + [False]] * 6, buffer=5)
    known = survey(source)
    told = [Quarantine() for _ in range(2)]
    for index, quarantine in enumerate(told):
        given_by(Order(source=source, seed=3, epoch=0, worker=(index, 2), survey=known), quarantine=quarantine)
    resumed = Quarantine()

    given_by(Order(source=source, seed=3, epoch=0, worker=(0, 2), survey=known), 10, resumed)

    assert sorted(map(str, (*told[0].faults, *told[1].faults))) == [f"{shard}, record 6: cut short or damaged" for shard in range(6)]
    assert len(resumed.faults) == 1
    assert set(resumed.faults) < set(told[0].faults)


def test_a_set_that_changed_since_it_was_surveyed_is_refused(numbers: Any) -> None:
    known = survey(numbers(good=[[True, True], [True, True]]))
    with pytest.raises(ValueError, match="survey"):
        Order(source=numbers(good=[[True, True], [True, False]]), seed=0, epoch=0, survey=known)

    # As a file that was overwritten within the resolution of its time.
    changed = numbers(good=[[True, True], [True, False]])
    order = Order(source=changed, seed=0, epoch=0, survey=Survey(identity=changed.identity(), items=(2, 2), records=4, faults=(), faults_found=0))
    with pytest.raises(SetChanged, match="1 items from record 3 on, where the survey found 2"):
        given_by(order)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"epoch": -1}, "epoch"),
        ({"worker": (2, 2)}, "worker"),
        ({"worker": (-1, 2)}, "worker"),
        ({"worker": (0, 0)}, "worker"),
    ],
)
def test_an_order_that_is_none_is_refused(numbers: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Order(**{"source": numbers(good=[[True]]), "seed": 0, "epoch": 0} | options)


def test_more_workers_than_shards_are_refused(numbers: Any) -> None:
    with pytest.raises(ValueError, match="3 of them, and 2 shards"):
        Order(source=numbers(good=[[True], [True]]), seed=0, epoch=0, worker=(0, 3)).shards()


def test_the_next_window_is_read_while_one_is_given_and_no_more_than_that(numbers: Any) -> None:
    source = numbers(good=[[True] * 3] * 100, buffer=30)
    before = set(threading.enumerate())
    chunks = Order(source=source, seed=0, epoch=0).chunks(0, Quarantine())

    next(chunks)
    # The window that is given, and the one behind it.
    while len(source.read_of) < 60:
        time.sleep(0.001)
    assert len(source.read_of) == 60

    chunks.close()
    assert len(source.read_of) == 60
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("stream")]
