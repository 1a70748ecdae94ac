"""A set read through once: what it has, what is wrong with it, and a text that says so."""

from dataclasses import replace
from typing import Any

import pytest

from training.quality.fault import Fault, Reason
from training.streams.quarantine import Quarantine
from training.streams.survey import Survey, survey

GOOD = [[True, False, True], [], [False, False]]


def test_a_survey_counts_what_there_is(numbers: Any) -> None:
    found = survey(numbers(good=GOOD), at_most=2)

    assert found.items == (2, 0, 0)
    assert (len(found), found.records, found.faults_found) == (2, 5, 3)
    assert [str(fault) for fault in found.faults] == ["0, record 2: cut short or damaged", "2, record 1: cut short or damaged"]
    assert found.share_quarantined == pytest.approx(0.6)


def test_a_survey_is_the_same_after_it_was_kept(numbers: Any) -> None:
    found = survey(numbers(good=GOOD))

    assert Survey.of_json(found.as_json()) == found


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"faults": [{"file": "a", "reason": "no reason"}]}'])
def test_a_text_that_is_no_survey_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="this is no survey"):
        Survey.of_json(text)


@pytest.mark.parametrize(("options", "field"), [({"items": (6,)}, "items"), ({"items": (-1, 2)}, "items"), ({"faults_found": 0}, "faults_found")])
def test_a_survey_that_contradicts_itself_is_refused(options: dict[str, Any], field: str) -> None:
    fault = Fault(file="a", reason=Reason.DAMAGED)
    with pytest.raises(ValueError, match=field):
        replace(Survey(identity="x", items=(1,), records=5, faults=(fault,), faults_found=1), **options)


def test_a_quarantine_keeps_the_first_and_counts_all() -> None:
    quarantine = Quarantine(at_most=2)
    for row in (1, 1, 2, 3):
        quarantine.add(Fault(file="a", row=row, reason=Reason.DAMAGED))
    quarantine.add(Fault(file="b", reason=Reason.EMPTY_FILE))

    assert [str(fault) for fault in quarantine.faults] == ["a, record 1: cut short or damaged", "a, record 2: cut short or damaged"]
    assert quarantine.reasons == {Reason.DAMAGED: 3, Reason.EMPTY_FILE: 1}
    assert quarantine.count == 4
