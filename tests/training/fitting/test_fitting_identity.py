from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest

from training.fitting.identity import identity
from training.fitting.monitor import EarlyStopping, ReduceOnPlateau
from training.fitting.network import compiled
from training.fitting.plan import Plan
from training.fitting.source import Arrays

ITEMS = Arrays(inputs=np.zeros((4, 3)), targets=np.zeros(4))
PLAN = Plan(epochs=2, batch_size=2, metrics=("accuracy", lambda: keras.metrics.Mean(name="mean")), early_stopping=EarlyStopping())


def network(*, rate: float = 0.1, units: int = 2, activation: str = "relu") -> Any:
    layers = keras.layers
    inputs = keras.Input((3,))
    hidden = layers.Dropout(rate)(layers.Dense(units, activation=activation)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([hidden, inputs])))


def of(model: Any = None, plan: Plan = PLAN, training: Arrays = ITEMS, validation: Arrays | None = ITEMS) -> dict[str, str]:
    return identity(compiled(model or network(), plan, steps=2), plan, training, validation)


def differing(other: dict[str, str]) -> list[str]:
    return [part for part, digest in of().items() if other[part] != digest]


def test_the_same_fit_declared_again_is_the_same_whatever_keras_called_its_layers() -> None:
    first, second = network(), network()

    assert {layer.name for layer in first.layers} != {layer.name for layer in second.layers}
    assert of(first) == of(second)


@pytest.mark.parametrize("changes", [{"rate": 0.2}, {"units": 3}, {"activation": "tanh"}])
def test_a_network_is_told_apart_by_its_layers_and_their_settings(changes: Any) -> None:
    assert differing(of(network(**changes))) == ["network"]


def test_augmentation_is_of_the_network_with_what_it_was_made_with() -> None:
    def augmented(deviation: float) -> dict[str, str]:
        return of(plan=replace(PLAN, augmentation=lambda: [keras.layers.GaussianNoise(deviation)]))

    assert differing(augmented(0.1)) == ["network"]
    assert augmented(0.1) == augmented(0.1) != augmented(0.2)


def _loss(_: Any, said: Any, power: float = 2) -> Any:
    return said**power


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 3},
        {"learning_rate": 0.1},
        {"schedule": "cosine"},
        {"schedule": ReduceOnPlateau()},
        {"loss": "mse"},
        {"loss": _loss},
        {"loss": partial(_loss, power=3)},
        {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        {"metrics": ("accuracy",)},
        {"metrics": ("accuracy", lambda: keras.metrics.Sum(name="mean"))},
        {"class_weights": {0: 1.0, 1: 2.0}},
        {"early_stopping": EarlyStopping(patience=6)},
        {"seed": 3},
    ],
    # Not their values: a function shows where it lies in memory.
    ids=lambda changes: next(iter(changes)),
)
def test_a_plan_is_told_apart_by_each_field_that_changes_what_comes_out(changes: Any) -> None:
    assert differing(of(plan=replace(PLAN, **changes))) == ["plan"]


def test_losses_that_were_made_alike_are_the_same() -> None:
    one, two = (replace(PLAN, loss={"t": partial(_loss, power=3)}) for _ in range(2))

    assert identity(network(), one, ITEMS, None) == identity(network(), two, ITEMS, None)


def test_how_often_a_checkpoint_is_kept_is_no_part_of_it() -> None:
    assert of(plan=replace(PLAN, checkpoint_seconds=0)) == of()


def test_items_are_told_apart() -> None:
    other = Arrays(inputs=np.ones((4, 3)), targets=np.zeros(4))

    assert differing(of(training=other)) == ["training items"]
    assert differing(of(validation=None)) == differing(of(validation=other)) == ["validation items"]


def test_a_network_of_ones_own_class_that_tells_nothing_is_known_by_its_variables() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def get_config(self) -> Any:
            raise NotImplementedError

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    def own(units: int) -> dict[str, str]:
        model = Own(units)
        model(np.zeros((1, 3)))
        return identity(model, PLAN, ITEMS, None)

    assert own(2) == own(2) != own(3)
