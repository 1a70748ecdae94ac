from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from training.evidence import discrimination, resampling, subgroups
from training.evidence.resampling import Bootstrap
from training.gates import Evidence, SubgroupGap, judge

Items = tuple[NDArray[np.bool_], NDArray[Any]]


@pytest.fixture(scope="module")
def tumours() -> Items:
    data = load_breast_cancer()
    return data.target == 0, data.data[:, 1]


@pytest.fixture(scope="module")
def plan() -> Bootstrap:
    return Bootstrap(items=569, seed=1, resamples=200, groups=np.arange(569) // 2)


def test_each_level_has_the_figure_of_its_items_and_their_patients(tumours: Items, plan: Bootstrap) -> None:
    is_case, scores = tumours
    site = np.where(np.arange(569) < 300, "north", "south")

    levels = subgroups.by_level("auroc", discrimination.on(discrimination.area, *tumours), {"site": site}, plan)

    assert [(each.attribute, each.level, each.items) for each in levels] == [("site", "north", 300), ("site", "south", 269)]
    north = levels[0].figure
    assert north is not None
    of_north = Bootstrap(items=300, seed=1, resamples=200, groups=np.arange(300) // 2)
    alone = discrimination.by_bootstrap("auroc", discrimination.area, is_case[:300], scores[:300], of_north)
    assert north == alone
    assert levels[0].value == north.value
    assert str(levels[0]).startswith("site north (300 items): auroc 0.")


def test_a_level_that_is_too_small_or_of_one_outcome_is_said_so(tumours: Items, plan: Bootstrap) -> None:
    is_case, _ = tumours
    rare = np.where(np.arange(569) < 10, "rare", "common")
    outcome = np.where(is_case, "ill", "well")

    levels = subgroups.by_level("auroc", discrimination.on(discrimination.area, *tumours), {"kind": rare, "outcome": outcome}, plan)

    notes = {each.level: each.note for each in levels}
    undefined = "auroc: it is undefined for these items"
    assert notes == {"common": "", "rare": "too small: 10 of 30 items", "ill": undefined, "well": undefined}
    assert [each.figure is None for each in levels] == [False, True, True, True]
    assert str(levels[1]) == "kind rare (10 items): too small: 10 of 30 items"


def test_a_level_of_one_patient_has_no_interval(tumours: Items) -> None:
    one = Bootstrap(items=569, seed=1, resamples=20, groups=np.where(np.arange(569) < 40, 0, np.arange(569)))
    levels = subgroups.by_level("share", lambda rows: float(tumours[0][rows].mean()), {"first": np.arange(569) < 40}, one)

    assert [(each.level, each.note) for each in levels] == [("False", ""), ("True", "groups: two or more to draw from, not 1")]


def test_who_has_no_level_is_of_the_level_unknown() -> None:
    plan = Bootstrap(items=4, seed=1, resamples=5)
    attributes = {"sex": np.array(["f", None, "m", None], object), "age": np.array([1.0, np.nan, 1.0, np.nan])}

    levels = subgroups.by_level("one", lambda _: 1.0, attributes, plan, least_items=2)

    assert [(each.attribute, each.level, each.items) for each in levels] == [
        ("sex", "f", 1), ("sex", "m", 1), ("sex", "unknown", 2), ("age", "1.0", 2), ("age", "unknown", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(("worse_by", "passed"), [(0.0, True), (0.4, False)])
def test_the_gate_judges_the_gap_and_leaves_out_what_is_too_small(plan: Bootstrap, worse_by: float, passed: bool) -> None:
    is_right = np.where(np.arange(569) % 2 == 0, 0.9, 0.9 - worse_by)
    site = np.where(np.arange(569) < 5, "tiny", np.where(np.arange(569) % 2 == 0, "north", "south"))

    levels = subgroups.by_level("accuracy", lambda rows: float(is_right[rows].mean()), {"site": site}, plan)

    evidence = Evidence(subgroups={"accuracy": subgroups.for_gates(levels)})
    verdict = judge([SubgroupGap(figure="accuracy", most=0.1)], evidence)[0]
    assert verdict.passed is passed
    assert "too small to count: site tiny" in verdict.reason


def test_a_large_level_without_a_value_doesnt_pass_the_gate(tumours: Items, plan: Bootstrap) -> None:
    outcome = np.where(tumours[0], "ill", "well")

    levels = subgroups.by_level("auroc", discrimination.on(discrimination.area, *tumours), {"outcome": outcome}, plan)

    verdict = judge([SubgroupGap(figure="auroc", most=0.1)], Evidence(subgroups={"auroc": subgroups.for_gates(levels)}))[0]
    assert not verdict.passed
    assert "is not a number" in verdict.reason


@pytest.mark.parametrize("groups", [None, np.arange(80) // 2])
def test_a_level_without_an_error_has_an_interval_as_wide_as_so_few_items_ask_for(groups: NDArray[Any] | None) -> None:
    is_right = np.arange(80) > 2

    plan = Bootstrap(items=80, seed=0, groups=groups, resamples=50)
    some, none = subgroups.by_level("accuracy", is_right, {"sex": np.where(np.arange(80) < 40, "f", "m")}, plan)

    assert some.figure is not None
    assert none.figure is not None
    assert some.figure.lower < some.value == 37 / 40 < some.figure.upper
    assert none.figure.upper == none.value == 1
    # Wilson's; of 20 pairs it is that of 20.
    assert none.figure.lower == pytest.approx(1 / (1 + 1.959964**2 / (40 if groups is None else 20)))


def test_numbers_become_levels() -> None:
    ages = np.array([39.9, 40, 64, 65, 90, np.nan])

    assert subgroups.banded(ages, [40, 65]).tolist() == ["below 40", "40 to 65", "40 to 65", "65 and above", "65 and above", None]


def test_bands_are_in_the_order_of_their_edges_and_who_has_none_comes_last() -> None:
    ages = np.array([np.nan, 120, 9, 30, 5, 60])
    bands = subgroups.banded(ages, [6, 10, 40, 100])

    levels = subgroups.by_level("one", lambda _: 1.0, {"age": bands, "sex": np.array([None, *"mfmfm"], object)}, Bootstrap(items=6, seed=0))

    assert [level.level for level in levels] == ["below 6", "6 to 10", "10 to 40", "40 to 100", "100 and above", "unknown", "f", "m", "unknown"]


def test_the_method_is_handed_on(tumours: Items, plan: Bootstrap) -> None:
    level = subgroups.by_level("share", lambda rows: float(tumours[0][rows].mean()), {"all": np.zeros(569)}, plan, method="bca")[0]

    assert level.figure == resampling.figure("share", lambda rows: float(tumours[0][rows].mean()), plan, method="bca")


def test_what_isnt_of_the_same_items_or_doesnt_rise_is_refused(plan: Bootstrap) -> None:
    with pytest.raises(ValueError, match="sex: one for each of the 569 items"):
        subgroups.by_level("one", lambda _: 1.0, {"sex": np.zeros(3)}, plan)
    with pytest.raises(ValueError, match="edges: one or more that rise"):
        subgroups.banded(np.zeros(2), [40, 40])
