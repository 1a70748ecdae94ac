import math
import re

import pytest

from training.gates import Ceiling, Evidence, Floor, Measured, NotBehindBaseline, NotWorse, Verdict
from training.report.page import Report, render

COVERAGE = Evidence(figures={"conformal_coverage": Measured(value=0.9225, lower=0.8776, upper=0.9562)})


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (Floor(figure="conformal_coverage", least=0.8776, bound="lower"), True),
        (Floor(figure="conformal_coverage", least=0.88, bound="lower"), False),
        # As of what sets promise: what was found is consistent with it.
        (Floor(figure="conformal_coverage", least=0.95, bound="upper"), True),
        (Floor(figure="conformal_coverage", least=0.96, bound="upper"), False),
        (Ceiling(figure="conformal_coverage", most=0.95, bound="upper"), False),
        (Ceiling(figure="conformal_coverage", most=0.8776, bound="lower"), True),
    ],
)
def test_a_gate_by_an_end_shows_the_value_as_found_and_says_which_end_decided(gate: Floor | Ceiling, *, passed: bool) -> None:
    verdict = gate.judge(COVERAGE)

    assert (verdict.passed, verdict.found, verdict.by) == (passed, 0.9225, gate.bound)
    assert verdict.interval == f"0.8776 to 0.9562, the {gate.bound} end decides"
    assert gate.name.startswith(f"conformal_coverage ({gate.bound} end) at ")
    assert verdict.reason.startswith(f"conformal_coverage is 0.9225; the {gate.bound} end of its interval is 0.")


def test_a_gate_by_the_value_shows_its_interval() -> None:
    verdict = Floor(figure="conformal_coverage", least=0.9).judge(COVERAGE)

    assert (verdict.interval, verdict.by) == ("0.8776 to 0.9562", "value")
    assert verdict.reason == "conformal_coverage is 0.9225, at least 0.9"


def test_what_wasnt_judged_isnt_called_passed_and_fails_nothing() -> None:
    verdict = Verdict(gate="g", passed=True, found=None, wanted=None, reason="none", is_judged=False)

    assert str(verdict) == "gate g: not compared: none"
    with pytest.raises(ValueError, match="g: passed where nothing was judged"):
        Verdict(gate="g", passed=False, found=None, wanted=None, reason="none", is_judged=False)


@pytest.mark.parametrize(
    ("mine", "theirs", "higher_is_better", "passed"),
    [(0.76, 0.765, True, True), (0.75, 0.765, True, False), (0.168, 0.166, False, True), (0.18, 0.166, False, False), (math.nan, 0.7, True, False)],
)
def test_a_figure_may_be_behind_the_baselines_by_so_much(mine: float, theirs: float, *, higher_is_better: bool, passed: bool) -> None:
    gate = NotBehindBaseline(figure="f", margin=0.01, higher_is_better=higher_is_better)

    verdict = gate.judge(Evidence(figures={"f": Measured(value=mine)}, baseline={"f": Measured(value=theirs)}))

    assert verdict.passed is passed


def test_the_paired_interval_stands_beside_what_is_gained_over_the_baseline_and_the_value_decides() -> None:
    differences = {"f": Measured(value=-0.007, lower=-0.017, upper=0.003)}
    evidence = Evidence(figures={"f": Measured(value=0.753)}, baseline={"f": Measured(value=0.76)}, differences=differences)

    higher, lower = (NotBehindBaseline(figure="f", margin=0.01, higher_is_better=better).judge(evidence) for better in (True, False))

    assert (higher.passed, higher.interval) == (True, "-0.017 to 0.003")
    assert higher.reason.endswith("; its paired interval is -0.017 to 0.003, and the value decides")
    # What is to be low gains what it falls.
    assert (lower.found, lower.lower, lower.upper) == pytest.approx((0.007, -0.003, 0.017))


def test_without_a_baseline_nothing_can_be_said_to_be_not_behind_it() -> None:
    assert not NotBehindBaseline(figure="f", margin=0.01).judge(Evidence(figures={"f": Measured(value=1.0)})).passed


def test_a_report_shows_what_was_found_with_its_interval_and_what_wasnt_compared() -> None:
    verdicts = (Floor(figure="conformal_coverage", least=0.95, bound="upper").judge(COVERAGE), NotWorse(figure="ece", margin=0.1).judge(Evidence()))

    text = render(Report(title="t", outcome="o", is_published=False, verdicts=verdicts, sections=()))

    rows = [re.sub(r"</?t[hdr][^>]*>", "|", row) for row in text.splitlines() if row.lstrip().startswith('<tr><th scope="row">')]
    assert "|sets that hold the true class (upper end) at least||0.9225 (0.8776 to 0.9562, the upper end decides)||0.95||✓ passed||" in rows[0]
    assert "||||-0.1||– not compared||there is no stable version to be worse than||" in rows[1]
