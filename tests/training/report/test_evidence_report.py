"""What a report says of subgroups, worse inputs and items of another kind, and what of it is a known limit."""

import pytest

from training.evaluate import Figure, share
from training.evidence.novelty import Told
from training.evidence.robustness import Robustness
from training.evidence.subgroups import Level
from training.report import evidence


def figure(value: float, name: str = "auroc") -> Figure:
    return Figure(name=name, value=value, lower=value - 0.05, upper=value + 0.05, confidence_level=0.95, interval_method="bootstrap")


def level(attribute: str, name: str, value: float | None) -> Level:
    found = None if value is None else figure(value)
    return Level(attribute=attribute, level=name, items=50, value=value or 0.0, figure=found, note="" if found else "too small")


def under(perturbation: str, *falls: float) -> Robustness:
    changes = (0.0, *falls)
    return Robustness(
        perturbation=perturbation,
        levels=tuple(float(number) for number in range(len(changes))),
        figures=tuple(figure(0.9 + change) for change in changes),
        falls=tuple(figure(change, "auroc_change") for change in changes),
    )


OWN = share("novelty_flagged_own", 2, 142)


def test_known_limits_are_the_widest_gap_and_what_changes_most() -> None:
    levels = (
        level("age", "below 50", 0.8),
        level("age", "50 and above", 0.85),
        level("sex", "f", 0.9),
        level("sex", "m", 0.7),
        level("sex", "x", None),
    )

    gap, worst, _ = evidence.limits(levels, (under("noise", -0.1, -0.2), under("shift", -0.4)), Told(own=OWN))

    assert gap == "widest gap between groups: area under the ROC curve 0.7 (0.65 to 0.75) for sex m and 0.9 (0.85 to 0.95) for sex f"
    assert worst == "where inputs get worse area under the ROC curve changes most at 1 of “shift”: 0.5 (0.45 to 0.55) instead of 0.9"


def test_a_single_group_is_no_gap() -> None:
    assert evidence.limits((level("sex", "f", 0.9), level("sex", "m", None)), (), None)[0].startswith(
        "whether it is as good for everybody isn't known"
    )


def test_where_no_other_items_are_at_hand_it_says_so_and_how_many_of_its_own_are_flagged() -> None:
    (section,) = evidence.novelty(Told(own=OWN))

    assert "not measured against other items" in section.text[0]
    rows = (section.table or pytest.fail("no table")).rows
    assert [row[:2] for row in rows] == [("held-out items of its own", "own items that are called novel")]
    assert evidence.limits((), (), Told(own=OWN))[-1].startswith(
        "a caller is warned of 0.01408 (0.003871 to 0.0499) of its own kind of items; not measured against other items"
    )


def test_items_of_another_kind_stand_beside_its_own() -> None:
    told = Told(own=OWN, others={"photographs": (figure(0.9, "novelty_auroc"), share("novelty_flagged_other", 9, 10))})

    (section,) = evidence.novelty(told)

    assert "not measured" not in section.text[0]
    assert [row[0] for row in (section.table or pytest.fail("no table")).rows] == ["held-out items of its own", "photographs", "photographs"]
    assert evidence.limits((), (), told)[-1].endswith("of its own kind of items, and of 0.9 (0.5958 to 0.9821) of photographs")


def test_a_model_without_novelty_has_nothing_of_it() -> None:
    assert evidence.novelty(None) == []


def test_a_caption_keeps_the_letters_of_roc() -> None:
    (section,) = evidence.robustness((under("noise", -0.1),))

    assert section.plots[0].caption == "Area under the ROC curve under noise."
