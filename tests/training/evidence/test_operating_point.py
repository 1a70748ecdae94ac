from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.evaluate import share
from training.evidence import operating_point
from training.evidence.operating_point import OperatingPoint

scored = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40).filter(lambda rows: len({row[0] for row in rows}) == 2)


def split(rows: list[tuple[bool, int]]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    return np.array([row[0] for row in rows]), np.array([row[1] / 8 for row in rows], np.float32)


def at(is_case: NDArray[np.bool_], scores: NDArray[Any], threshold: float) -> tuple[float, float]:
    present = scores >= threshold
    return float(present[is_case].mean()), float((~present)[~is_case].mean())


@settings(max_examples=100)
@given(scored)
def test_youdens_point_is_the_best_of_all_that_could_be_tried(rows: list[tuple[bool, int]]) -> None:
    is_case, scores = split(rows)

    point = operating_point.youden(is_case, scores)

    assert at(is_case, scores, point.threshold) == pytest.approx((point.sensitivity, point.specificity))
    best = max(sum(at(is_case, scores, threshold)) for threshold in scores)
    assert point.sensitivity + point.specificity == pytest.approx(best)


@settings(max_examples=100)
@given(scored, st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_a_wanted_sensitivity_is_reached_at_the_highest_specificity(rows: list[tuple[bool, int]], wanted: float) -> None:
    is_case, scores = split(rows)

    point = operating_point.for_sensitivity(is_case, scores, wanted=wanted)

    assert at(is_case, scores, point.threshold) == pytest.approx((point.sensitivity, point.specificity))
    assert point.sensitivity >= wanted
    tried = [at(is_case, scores, threshold) for threshold in scores]
    assert point.specificity == pytest.approx(max(specificity for sensitivity, specificity in tried if sensitivity >= wanted))


def test_no_item_stands_on_the_edge() -> None:
    is_case = np.array([False, False, True, True])

    point = operating_point.youden(is_case, np.array([0.1, 0.4, 0.6, 0.9]))

    assert point.threshold == pytest.approx(0.5)
    assert point.chosen_by == "Youden's index on validation items"


def test_scores_that_are_next_to_each_other_are_still_told_apart() -> None:
    low = 0.5
    high = np.nextafter(low, 1)

    point = operating_point.youden(np.array([False, True]), np.array([low, high]))

    assert low < point.threshold <= high


def test_shares_at_a_point_are_counted_and_have_wilsons_intervals() -> None:
    is_case = np.arange(40) < 20
    scores = np.where(is_case, np.arange(40) >= 5, np.arange(40) >= 38).astype(float)

    found = {figure.name: figure for figure in operating_point.at_point(is_case, scores, 0.5)}

    assert {name: figure.value for name, figure in found.items()} == pytest.approx(
        {"sensitivity": 15 / 20, "specificity": 18 / 20, "positive_predictive_value": 15 / 17, "negative_predictive_value": 18 / 23}
    )
    assert found["sensitivity"] == share("sensitivity", 15, 20)


def test_a_predictive_value_of_nothing_is_left_out() -> None:
    found = operating_point.at_point(np.array([True, False]), np.array([0.1, 0.2]), 0.5)

    assert [figure.name for figure in found] == ["sensitivity", "specificity", "negative_predictive_value"]


@pytest.mark.parametrize(
    ("count", "of", "lower", "upper"),
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_share_is_wilsons_as_published(count: int, of: int, lower: float, upper: float) -> None:
    found = share("share", count, of)

    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)


@settings(max_examples=50)
@given(st.integers(1, 300), st.data())
def test_a_share_lies_within_its_own_interval(of: int, data: Any) -> None:
    found = share("share", data.draw(st.integers(0, of)), of)

    assert 0 <= found.lower <= found.value <= found.upper <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: operating_point.youden(np.ones(3, bool), np.arange(3.0)), "is_case: 1 or more of cases and of others"),
        (lambda: operating_point.for_sensitivity(np.array([True, False]), np.arange(2.0), wanted=0.0), "wanted: above 0"),
        (lambda: share("x", 0, 0), "x: a share of 1 item or more, not 0 of 0"),
        (lambda: share("x", 3, 2), "x: a share of 1 item or more, not 3 of 2"),
        (lambda: OperatingPoint(threshold=np.inf, sensitivity=1, specificity=1, chosen_by=""), "threshold: a finite number"),
        (lambda: OperatingPoint(threshold=0.5, sensitivity=1.2, specificity=1, chosen_by=""), "sensitivity: from 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
