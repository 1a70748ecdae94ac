"""What figures are called."""

import pytest

from training.jobs import JOBS
from training.report import glossary


@pytest.mark.parametrize("name", JOBS)
def test_every_figure_that_a_job_declares_a_gate_on_has_a_name_for_people(name: str) -> None:
    job = JOBS[name]
    asked = {job.floor.figure} | {gate.figure for gate in job.gates if hasattr(gate, "figure")}

    assert not [figure for figure in asked if glossary.meaning(figure) is None]


@pytest.mark.parametrize(
    ("figure", "called"),
    [
        ("auroc", "area under the ROC curve"),
        ("auroc_180d", "area under the ROC curve at day 180"),
        ("gain_over_zidovudine and didanosine", "gain over zidovudine and didanosine"),
        ("interval_coverage_effect", "intervals that hold the true mean effect"),
        ("of_ones_own", "of_ones_own"),
    ],
)
def test_a_figure_is_called_by_its_kind_and_what_else_its_name_says(figure: str, called: str) -> None:
    assert glossary.called(figure) == called


def test_only_figures_are_replaced_in_a_sentence() -> None:
    said = glossary.in_words("the upper end of conformal_single is 1, of brier 2; fine_tuned accuracy")

    assert said == "the upper end of sets of one class is 1, of Brier score 2; fine_tuned accuracy"
