from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from training.augmentation import Layers, image_augmentation, series_augmentation
from training.augmentation_layers import RandomScale, RandomTimeShift
from training.dataset import Dataset
from training.job import Job
from training.jobs import JOBS
from training.tasks.classification import Classification
from training.tasks.task import Bench

SERIES = np.random.default_rng(0).normal(size=(200, 30, 2)).astype(np.float32)
IMAGES = np.random.default_rng(1).uniform(0, 255, size=(20, 28, 28, 1)).astype(np.float32)
ALL: dict[str, tuple[Layers, NDArray[Any]]] = {
    "images": (image_augmentation(), IMAGES),
    "jitter": (series_augmentation(jitter=0.1), SERIES),
    "scale": (series_augmentation(scale_fraction=0.2), SERIES),
    "shift": (series_augmentation(shift_samples=3), SERIES),
    "all of a series": (series_augmentation(jitter=0.1, scale_fraction=0.2, shift_samples=3), SERIES),
}
every_augmentation = pytest.mark.parametrize(("make", "items"), ALL.values(), ids=ALL)


def applied(layers: Sequence[Any], items: NDArray[Any], *, training: bool) -> NDArray[Any]:
    for layer in layers:
        items = layer(items, training=training)
    return np.asarray(items)


@every_augmentation
def test_it_changes_items_in_training_and_leaves_them_alone_elsewhere(make: Layers, items: NDArray[Any]) -> None:
    keras.utils.set_random_seed(1)
    layers = make()

    changed = applied(layers, items, training=True)

    assert changed.shape == items.shape
    assert changed.dtype == items.dtype
    assert not np.allclose(changed, items)
    assert np.array_equal(applied(layers, items, training=False), items)


@every_augmentation
def test_the_same_seed_changes_them_alike_and_the_next_batch_otherwise(make: Layers, items: NDArray[Any]) -> None:
    keras.utils.set_random_seed(1)
    layers = make()
    first, second = (applied(layers, items, training=True) for _ in range(2))
    keras.utils.set_random_seed(1)

    again = applied(make(), items, training=True)

    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_nothing_that_is_asked_for_is_no_layer() -> None:
    assert list(series_augmentation()()) == []


def test_an_item_is_scaled_as_a_whole_and_by_no_more_than_the_fraction() -> None:
    factors = np.asarray(RandomScale(0.2)(SERIES, training=True)) / SERIES

    assert np.ptp(factors, axis=(1, 2)).max() < 1e-5
    assert 0.8 - 1e-6 <= factors.min() < 0.85
    assert 1.15 < factors.max() <= 1.2 + 1e-6


def test_an_item_is_shifted_by_whole_samples_with_its_edge_repeated() -> None:
    rows = np.broadcast_to(np.arange(10, dtype=np.float32)[np.newaxis, :, np.newaxis], (200, 10, 1))

    shifted = np.asarray(RandomTimeShift(2)(rows, training=True))[:, :, 0]

    wanted = {tuple(np.clip(np.arange(10) - shift, 0, 9)) for shift in range(-2, 3)}
    assert set(map(tuple, shifted.astype(int))) == wanted


@pytest.mark.parametrize(
    ("make", "fault"), [(lambda: RandomScale(0), "above 0"), (lambda: RandomScale(1), "below 1"), (lambda: RandomTimeShift(0), "1 or more")]
)
def test_what_would_change_nothing_or_everything_is_refused(make: Callable[[], Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        make()


def test_the_model_that_comes_out_of_a_fit_has_no_augmentation(loaded: dict[str, Dataset]) -> None:
    job: Job = JOBS["digits"]
    data = loaded["digits"].limited(40)

    task = job.task
    assert isinstance(task, Classification)

    model = task.fit(data.training, data.validation, Bench(say=lambda _: None, epochs=1)).model

    assert [type(layer) for layer in model.layers] == [type(layer) for layer in task.build(data.training).layers]
    again = np.asarray(model(data.held_out.inputs, training=False))
    assert np.array_equal(again, np.asarray(model(data.held_out.inputs, training=True)))
