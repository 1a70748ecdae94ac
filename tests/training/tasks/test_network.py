"""A network is fitted to the set that a sample is of, with targets made on the way; what learns from memory only refuses a sample."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from training.dataset import Dataset, Part, Sample
from training.fitting.plan import Plan
from training.fitting.source import Source, Stream
from training.jobs.hiv_treatment import HIV_TREATMENT
from training.models import hazard
from training.tasks import network
from training.tasks.task import Bench

ITEMS = 64
TARGET = np.dtype([("time_days", np.float64), ("event", np.bool_)])
PLAN = Plan(epochs=2, batch_size=16, learning_rate=0.05, loss=hazard.loss, metrics=())
Hazards = Callable[[Any], Any]


def items() -> tuple[Any, Any]:
    """Inputs [items, 2], and how long each was followed."""
    inputs = np.random.default_rng(0).normal(size=(ITEMS, 2)).astype(np.float32)
    targets = np.zeros(ITEMS, TARGET)
    targets["time_days"], targets["event"] = np.arange(ITEMS), np.arange(ITEMS) % 3 > 0
    return inputs, targets


def stream(*, is_structured: bool = True) -> Stream:
    inputs, targets = items()

    def read(*, batch_size: int, seed: int | None, epoch: int, start: int) -> Any:
        order = np.arange(ITEMS) if seed is None else np.random.default_rng([seed, epoch]).permutation(ITEMS)
        of = {"time_days": targets["time_days"].astype(np.float32), "event": targets["event"].astype(np.int64)}
        wanted = {name: array[order] for name, array in of.items()} if is_structured else of["event"][order]
        return tf.data.Dataset.from_tensor_slices((inputs[order], wanted)).skip(start).batch(batch_size)

    return Stream(name="followed", read=read, items=ITEMS)


def sample(of: Source, rows: slice = slice(8)) -> Sample:
    inputs, targets = items()
    return Sample(inputs=inputs[rows], targets=targets[rows], stream=of)


def hazards_of(*edges: float) -> Hazards:
    return lambda targets: hazard.targets(targets["time_days"], targets["event"], np.array(edges))


def build() -> Any:
    import keras  # noqa: PLC0415

    return keras.Sequential([keras.Input((2,)), hazard.head(2)])


def fitted(training: Part, targets: Hazards) -> list[Any]:
    return network.fitted(build, PLAN, training, training, Bench(say=lambda _: None), targets=targets).model.get_weights()


def test_a_fit_to_a_stream_is_the_fit_to_the_same_items_in_memory() -> None:
    inputs, targets = items()
    to_days = hazards_of(0, 20, 40)

    streamed, held = fitted(sample(stream()), to_days), fitted(Part(inputs=inputs, targets=targets), to_days)

    # The order of an epoch is numpy's permutation for both.
    for one, other in zip(streamed, held, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("is_structured", [True, False])
def test_targets_are_made_on_the_way_with_the_dtype_that_the_sample_has(*, is_structured: bool) -> None:
    source = sample(stream(is_structured=is_structured))
    plain = source if is_structured else Sample(inputs=source.inputs, targets=source.targets["event"], stream=source.stream)
    given: list[np.dtype[Any]] = []

    def targets(found: Any) -> Any:
        given.append(found.dtype)
        return hazards_of(0, 20, 40)(found) if is_structured else found[:, np.newaxis].astype(np.float32)

    converted = network.source_of(plain, targets)
    batches = converted.epoch(0, batch_size=16, seed=None)

    shape = (None, 2, 2) if is_structured else (None, 1)
    assert batches.element_spec[1] == tf.TensorSpec(shape, tf.float32)
    found, rest = (
        np.concatenate([wanted.numpy() for _, wanted in some]) for some in (batches, converted.epoch(0, batch_size=16, seed=None, first=3))
    )
    np.testing.assert_array_equal(found, targets(items()[1] if is_structured else items()[1]["event"]))
    np.testing.assert_array_equal(found[48:], rest)
    assert set(given) == {plain.targets.dtype}


def test_a_fit_goes_on_with_the_same_stream_and_targets_only() -> None:
    def identity(training: Part, targets: Hazards | None) -> str:
        return network.source_of(training, targets).identity()

    of = hazards_of(0, 20, 40)
    other = Stream(name="others", read=stream().read, items=ITEMS)

    assert identity(sample(stream()), None) == stream().identity()
    assert identity(sample(stream()), of) == identity(sample(stream()), hazards_of(0, 20, 40))
    assert len({identity(sample(stream()), of), identity(sample(stream()), hazards_of(0, 2, 4)), identity(sample(other), of)}) == 3


def test_what_earlier_processes_spent_on_a_fit_is_told_when_it_goes_on(tmp_path: Path) -> None:
    inputs, targets = items()
    part, before = Part(inputs=inputs, targets=targets), list[float]()
    bench = Bench(say=lambda _: None, checkpoints=tmp_path, resumed=before.append)

    first, again = (network.fitted(build, PLAN, part, part, bench, targets=hazards_of(0, 20, 40)) for _ in range(2))

    assert before == [first.seconds]
    assert again.seconds == first.seconds


def test_a_task_that_learns_in_memory_only_refuses_a_sample(loaded: Mapping[str, Dataset]) -> None:
    data = loaded["hiv-treatment"]
    part = data.training.of(slice(50))
    training = Sample(inputs=part.inputs, targets=part.targets, stream=stream())

    with pytest.raises(ValueError, match="training: items in memory"):
        HIV_TREATMENT.task.train(
            Dataset(name="n", source="s", license="l", training=training, validation=data.validation, held_out=data.held_out),
            Bench(say=lambda _: None),
        )
