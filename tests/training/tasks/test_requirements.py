"""A newcomer's mistakes: a label that is no class, a network of another width, an item without a number. Each is told in words that may be shown."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from training.dataset import Dataset, Part
from training.failures import UNUSABLE
from training.quality.fault import Refused
from training.tasks.requirements import of_width, require_labels, require_numbers


def of(*labels: float) -> Part:
    return Part(inputs=np.zeros((len(labels), 2), np.float32), targets=np.array(labels))


DATA = Dataset(name="n", source="s", license="l", training=of(0, 1), validation=of(1, 0), held_out=of(0, 0, 1))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"training": of(0, 2)}, "1 of 2 items to train on have a label that is none of the 2 classes"),
        ({"validation": of(-1, 1, 5)}, "2 of 3 items to validate have a label"),
        ({"held_out": of(0.5, np.nan, 1)}, "2 of 3 items held out have a label"),
        ({"held_out": replace(of(0, 1), targets=np.array(["a", "b"]))}, "2 of 2 items held out have a label"),
        ({"held_out": replace(of(0, 1), targets=np.eye(2))}, "2 of 2 items held out have a label"),
    ],
)
def test_a_label_that_is_no_class_is_said_before_the_fit(changes: dict[str, Any], why: str) -> None:
    require_labels(DATA, 2)

    with pytest.raises(Refused, match=why):
        require_labels(replace(DATA, **changes), 2)
    assert issubclass(Refused, UNUSABLE)


def test_a_network_of_another_width_is_said_before_the_fit() -> None:
    import keras  # noqa: PLC0415

    given = keras.Input((2,))
    model = keras.Model(given, keras.layers.Dense(3)(given))

    assert of_width(model, 3) is model
    with pytest.raises(Refused, match=r"build: the network ends in \[3\], and there are 4 classes"):
        of_width(model, 4)


def test_an_item_of_which_no_number_is_said_is_counted() -> None:
    said = np.array([[0.2, 0.8], [np.nan, np.nan], [0.5, np.inf]])

    assert require_numbers(said[:1]) is not None
    with pytest.raises(Refused, match="of 2 of 3 items the network says no number"):
        require_numbers(said)
