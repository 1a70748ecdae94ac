"""The pigs' pressures: six segments of each, three from before the bleeding and three from after."""

import numpy as np
import pytest

from training.data.pigs import load_pigs
from training.dataset import Dataset
from training.jobs import JOBS


@pytest.fixture(scope="module")
def pigs() -> Dataset:
    return load_pigs()


def test_each_pig_is_in_one_part_with_three_segments_of_each_kind(pigs: Dataset) -> None:
    parts = (pigs.training, pigs.validation, pigs.held_out)
    names = [set(part.patients.tolist()) for part in parts if part.patients is not None]

    assert len(set.union(*names)) == sum(map(len, names)) == 52
    for part in parts:
        assert part.patients is not None
        for pig in np.unique(part.patients):
            assert sorted(part.targets[part.patients == pig].tolist()) == [0, 0, 0, 1, 1, 1]


def test_pressures_fall_from_before_to_after_in_most_pigs_as_a_bleeding_makes_them_and_the_card_says_that_labels_rest_on_it(pigs: Dataset) -> None:
    """What the labels rest on: the archive doesn't say which segments are which."""
    part = pigs.training
    assert part.patients is not None
    falls = []
    for pig in np.unique(part.patients):
        before, after = (part.inputs[(part.patients == pig) & (part.targets == kind)].mean(axis=(0, 1)) for kind in (0, 1))
        falls.append(after < before)

    arterial, _, venous = np.mean(falls, axis=0)
    assert arterial > 0.6
    assert venous > 0.6
    facts = JOBS["bleeding"].facts()
    assert "labels that were inferred" in facts.description
    assert any("labels were inferred" in use for use in facts.intended_use.not_for)


def test_the_channels_are_arterial_airway_and_venous_pressure(pigs: Dataset) -> None:
    arterial, airway, venous = pigs.training.inputs.mean(axis=(0, 1))

    assert 50 < arterial < 100
    assert 2 < airway < 10
    assert 1 < venous < 10
