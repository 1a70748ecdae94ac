"""Figures beside a baseline's."""

import pytest

from training.evaluate import Figure
from training.report.figures import figures
from training.report.page import Section


def of(name: str, value: float, half: float = 0.01) -> Figure:
    return Figure(name=name, value=value, lower=value - half, upper=value + half, confidence_level=0.95, interval_method="wilson")


def section(model: list[Figure], baseline: list[Figure], differences: list[Figure], *, of_one_patient: bool = False) -> Section:
    return figures(model, baseline, differences, baseline_name="b", of_one_patient=of_one_patient)


def rows(of: Section) -> tuple[tuple[str, ...], ...]:
    assert of.table is not None
    return of.table.rows


def test_which_is_ahead_is_told_by_the_interval_of_the_difference_and_of_an_error_the_smaller_one_is() -> None:
    found = section(
        [of("brier", 0.1), of("accuracy", 0.1), of("macro_f1", 0.5), of("gain_over_a", 3.0)],
        [of("brier", 0.2), of("accuracy", 0.2), of("macro_f1", 0.5), of("gain_over_a", 4.0)],
        [of("brier_difference", -0.1), of("accuracy_difference", -0.1), of("macro_f1_difference", 0.0), of("gain_over_a_difference", -1.0)],
    )

    # Whether a smaller gain of an outcome is the better one is known to the job alone.
    assert [row[-1] for row in rows(found)] == ["ahead", "behind", "not told apart", "lower"]
    assert [row[1] for row in (found.beneath[0].table or pytest.fail("no table")).rows] == ["brier", "accuracy", "macro_f1", "gain_over_a"]


def test_intervals_that_overlap_hide_no_difference_that_the_same_items_show() -> None:
    found = section([of("accuracy", 0.9318, 0.0075)], [of("accuracy", 0.9409, 0.007)], [of("accuracy_difference", -0.0091, 0.0036)])

    assert rows(found)[0][3:] == ("-0.0091 (-0.0127 to -0.0055; 95%, Wilson)", "behind")


def test_of_two_that_choose_the_same_it_is_not_said_that_nobody_knows() -> None:
    found = section([of("policy_value", 400.0, 20.0)], [of("policy_value", 400.0, 20.0)], [of("policy_value_difference", 0.0, 0.0)])

    assert rows(found)[0][3:] == ("+0 (+0 to +0; 95%, Wilson)", "the same on these items")


def test_without_differences_nothing_is_said_of_which_is_ahead() -> None:
    found = section([of("accuracy", 0.9)], [of("accuracy", 0.2)], [])

    assert [len(row) for row in rows(found)] == [3]
    assert not [line for line in found.text if "head" in line]


def test_of_items_of_one_patient_it_is_said_that_intervals_say_nothing_of_others() -> None:
    alone, several = (section([of("accuracy", 0.9)], [of("accuracy", 0.2)], [], of_one_patient=one) for one in (True, False))

    assert [line for line in alone.text if line not in several.text] == [
        "All items are of one patient: the intervals are of other items of that patient, and say nothing of others."
    ]
