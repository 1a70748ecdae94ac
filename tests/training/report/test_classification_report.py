"""What a report says of a classification's held-out items."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evidence.resampling import Bootstrap
from training.report import classification, plots
from training.report.plots import Band


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Band]:
    """The curves that were drawn."""
    bands: list[Band] = []

    def reliability(given: dict[str, Band], **_: str) -> str:
        bands.extend(given.values())
        return "<svg/>"

    monkeypatch.setattr(plots, "reliability", reliability)
    return bands


def _asked(groups: NDArray[Any] | None) -> None:
    random = np.random.default_rng(0)
    said = np.repeat(np.sort(random.uniform(0.5, 1, 40)), 10)
    labels = np.repeat((random.random(40) > 0.7).astype(np.int64), 10)
    classification.calibration(
        np.column_stack([1 - said, said]), 1 - labels, ("no", "yes"), Bootstrap(items=400, seed=0, groups=groups, resamples=200), error=0.1
    )


def test_of_patients_with_many_items_each_it_is_known_less_well_whether_probabilities_hold(drawn: list[Band]) -> None:
    _asked(None)
    _asked(np.repeat(np.arange(40), 10))

    apart, by_patient = drawn
    assert by_patient.y.tolist() == apart.y.tolist()
    widths = [band.upper - band.lower for band in drawn if band.upper is not None and band.lower is not None]
    assert (widths[1] > 1.5 * widths[0]).all()


def test_one_patient_says_nothing_of_others(drawn: list[Band]) -> None:
    _asked(np.repeat([0, 1], 200))

    (band,) = drawn
    assert band.lower is not None
    assert band.upper is not None
    assert set(band.lower.tolist()) == {0.0}
    assert set(band.upper.tolist()) == {1.0}


def test_of_two_classes_it_is_the_second_ones_probability_that_is_held_against_its_share(drawn: list[Band]) -> None:
    probabilities = np.repeat([[0.9, 0.1], [0.2, 0.8]], 50, axis=0)
    labels = np.array([1] * 5 + [0] * 45 + [1] * 40 + [0] * 10)

    section = classification.calibration(probabilities, labels, ("benign", "malignant"), Bootstrap(items=100, seed=0), error=0.0)

    (band,) = drawn
    assert band.x.tolist() == pytest.approx([0.1, 0.8])
    assert band.y.tolist() == pytest.approx([0.1, 0.8])
    assert "probability of malignant" in section.plots[0].caption


def test_it_stands_beside_the_table_by_what_is_called_what() -> None:
    probabilities = np.array([[0.95, 0.05], [0.7, 0.3], [0.6, 0.4], [0.1, 0.9]])
    labels = np.array([0, 1, 0, 1])

    by_point = classification.discrimination(probabilities, labels, ("benign", "malignant"), Bootstrap(items=4, seed=0), point=0.25)
    by_most = classification.discrimination(probabilities, labels, ("benign", "malignant"), Bootstrap(items=4, seed=0))

    assert "malignant from a probability of 25.0% on, and otherwise benign" in by_point.text[0]
    assert "the most probable class" in by_most.text[0]
    assert by_point.table is not None
    assert by_most.table is not None
    assert [row[1:] for row in by_point.table.rows] == [("1", "1"), ("0", "2")]
    assert [row[1:] for row in by_most.table.rows] == [("2", "0"), ("1", "1")]


def test_of_each_class_it_says_how_many_are_found_and_how_much_of_what_is_called_so_is_right() -> None:
    said = np.array([0] * 40 + [1] * 10)
    labels = np.array([0] * 30 + [2] * 10 + [1] * 10)

    def table(groups: NDArray[Any] | None) -> list[tuple[str, ...]]:
        section = classification.discrimination(
            np.eye(3)[said], labels, ("normal", "early", "unclassified"), Bootstrap(items=50, seed=0, groups=groups)
        )
        return list((section.beneath[0].table or pytest.fail("no table")).rows)

    normal, early, unclassified = table(None)
    by_patient = table(np.arange(50) // 5)

    # Wilson's intervals.
    assert normal == ("normal", "30 of 30: 1 (0.8865 to 1)", "30 of 40: 0.75 (0.5981 to 0.8581)")
    assert early == ("early", "10 of 10: 1 (0.7225 to 1)", "10 of 10: 1 (0.7225 to 1)")
    assert unclassified == ("unclassified", "0 of 10: 0 (0 to 0.2775)", "no item")
    assert by_patient[2][1] == "0 of 10: 0 (0 to 0.6576)"


def test_a_section_that_draws_held_out_items_says_so_and_one_without_any_does_not() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])

    def of(labels: list[int]) -> str:
        return classification.misread(probabilities, np.array(labels), ("no", "yes"), lambda *_: "<svg/>").of_single_items

    assert of([1, 1]) == "inputs of held-out items"
    assert not of([0, 1])
