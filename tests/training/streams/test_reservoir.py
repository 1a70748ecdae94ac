"""Items drawn while a set is read: each is as likely to be drawn as any other, whatever blocks they come in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.streams.reservoir import Reservoir
from training.streams.source import STRING, Spec

SPEC = {"number": Spec(dtype="int64"), "text": Spec(dtype=STRING), "twice": Spec(dtype="float32", shape=(2,))}


def drawn(count: int, *, items: int, seed: int, block: int) -> list[int]:
    """The numbers that are drawn of 0 to `count` - 1, which come in blocks of that size."""
    reservoir = Reservoir(SPEC, items=items, seed=[seed])
    for begin in range(0, count, block):
        numbers = np.arange(begin, min(begin + block, count))
        texts = np.array([str(number) for number in numbers], object)
        reservoir.add({"number": numbers, "text": texts, "twice": np.stack([numbers, numbers], axis=1).astype(np.float32), "more": numbers})
    assert reservoir.seen == count
    found = reservoir.drawn()
    assert found["text"].tolist() == [str(number) for number in found["number"].tolist()]
    assert (found["twice"] == found["number"][:, np.newaxis]).all()
    return found["number"].tolist()


@settings(max_examples=20)
@given(count=st.integers(1, 60), items=st.integers(1, 40), seed=st.integers(0, 9), block=st.integers(1, 61))
def test_so_many_different_items_are_drawn_whatever_blocks_they_come_in(count: int, items: int, seed: int, block: int) -> None:
    found = drawn(count, items=items, seed=seed, block=block)

    assert len(set(found)) == len(found) == min(count, items)
    assert found == drawn(count, items=items, seed=seed, block=7)


def test_each_item_is_drawn_as_often_and_stands_first_as_often() -> None:
    draws = [drawn(10, items=4, seed=seed, block=6) for seed in range(1000)]

    times, first = np.bincount(np.concatenate(draws), minlength=10), np.bincount([each[0] for each in draws], minlength=10)

    # Five standard deviations of a binomial's.
    assert abs(times - 400).max() < 5 * np.sqrt(1000 * 0.4 * 0.6)
    assert abs(first - 100).max() < 5 * np.sqrt(1000 * 0.1 * 0.9)


def test_room_for_no_item_and_items_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="items: 1 or more, not 0"):
        Reservoir(SPEC, items=0, seed=[0])
    with pytest.raises(ValueError, match="image: of one shape in all items"):
        Reservoir({"image": Spec(dtype="uint8", shape=(None, None, 1))}, items=1, seed=[0])
