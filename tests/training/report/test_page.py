from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from medserve.v1 import coding_pb2, manifest_output_pb2
from training.gates import Verdict
from training.gates.evidence import Measured
from training.jobs import JOBS
from training.report import page, plots
from training.report.card import card
from training.report.page import Plot, Report, Section, Table

PLOT = Plot(svg=plots.history({"loss": [1, 0.5]}), caption="The loss falls.")


class Parsed(HTMLParser):
    """Every tag with what it refers to, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.references += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action", "data"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def report(**changes: Any) -> Report:
    fields: dict[str, Any] = {
        "title": "digits",
        "outcome": "Published as version 3.",
        "is_published": True,
        "verdicts": (Verdict(gate="accuracy", passed=True, found=0.981, wanted=0.975, reason="it is above the floor"),),
        "sections": (Section(title="How well", text=("On 1,000 images.",), table=page.table(("", "value"), [("accuracy", "0.981")]), plots=(PLOT,)),),
    }
    return Report(**fields | changes)


def test_everything_that_is_said_stands_on_the_page() -> None:
    parsed = Parsed(page.render(report(signatures=("Clinical lead",))))

    gate = ("0.975", "it is above the floor", "passed")
    for words in ("digits", "Published as version 3.", *gate, "On 1,000 images.", "accuracy", "The loss falls.", "Clinical lead"):
        assert words in parsed.text
    assert "svg" in parsed.tags


def test_a_gate_that_was_not_passed_is_told_apart_by_words() -> None:
    failed = Verdict(gate="gap", passed=False, found=0.2, wanted=None, reason="it is too wide")

    assert "not passed" in Parsed(page.render(report(verdicts=(failed,), is_published=False))).text
    assert "not passed" not in Parsed(page.render(report())).text


def test_the_page_needs_nothing_else() -> None:
    parsed = Parsed(page.render(report()))

    assert not {"script", "link", "iframe", "img", "object"} & set(parsed.tags)
    assert all(reference.startswith("#") for reference in parsed.references)


def test_what_looks_like_html_is_text() -> None:
    parsed = Parsed(page.render(report(title="<b>a & b</b>", sections=(Section(title="<i>", text=("<script>alert(1)</script>",)),))))

    assert "<script>alert(1)</script>" in parsed.text
    assert "<b>a & b</b>" in parsed.text
    assert not {"b", "i", "script"} & set(parsed.tags)


def test_equal_reports_are_equal_files() -> None:
    assert page.render(report()) == page.render(report())


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a cell for each of , value"):
        Table(columns=("", "value"), rows=(("accuracy",),))


@pytest.mark.parametrize("name", JOBS)
def test_the_card_says_what_a_model_is_for_and_is_not_for(name: str) -> None:
    facts = JOBS[name].facts()
    facts.name, facts.version = name, 3
    facts.training_data.name, facts.training_data.training_items = "the data", 450

    rows = {row[0]: row[1] for row in (card(facts).table or pytest.fail("no table")).rows}

    assert rows["model"] == f"{name}, version 3"
    assert rows["meant for"] == facts.intended_use.purpose
    assert "Any patient's care" in rows["not for"]
    assert rows["items"].startswith("450 fitted the weights")


def test_a_card_says_what_each_output_is_read_as() -> None:
    facts = JOBS["digits"].facts()
    label = manifest_output_pb2.Label(code=coding_pb2.Coding(display="digit 1"))
    facts.outputs.add(name="probabilities", classification=manifest_output_pb2.Classification(exclusive=True, labels=[label]))
    facts.outputs.add(name="novelty", novelty=manifest_output_pb2.NoveltyReading(method="distance", threshold=2.5))

    rows = {row[0]: row[1] for row in (card(facts).table or pytest.fail("no table")).rows}

    assert rows["says probabilities"] == "one of digit 1; called: the most probable one"
    assert rows["says novelty"].startswith("how unlike the training data the item is, from 0 on; a caller is warned above 2.5")


def test_a_card_says_from_which_probability_on_what_is_called_how_probabilities_hold_and_what_sets_promise() -> None:
    facts = JOBS["tumour"].facts()
    labels = [
        manifest_output_pb2.Label(code=coding_pb2.Coding(display=name), operating_point=point, conformal_threshold=0.4)
        for name, point in (("benign", 0.894), ("malignant", 0.106))
    ]
    held = manifest_output_pb2.Calibration(method="temperature", expected_calibration_error=0.0177)
    classes = manifest_output_pb2.Classification(exclusive=True, labels=labels, calibration=held, conformal_confidence_level=0.95)
    facts.outputs.add(name="probabilities", classification=classes)

    covered = Measured(value=131 / 142, lower=0.8668, upper=0.9563)
    said, without = (
        {row[0]: row[1] for row in (card(facts, covered=found).table or pytest.fail("no table")).rows}["says probabilities"]
        for found in (covered, None)
    )

    assert "malignant from 10.6% on" in said
    assert "by temperature, on held-out items off by 1.8% in the mean" in said
    assert said.endswith(
        "are to hold the true class of 95% of items like those that set them, and held that of 0.923 (0.867 to 0.956) of held-out items"
    )
    assert without.endswith("of items like those that set them")


def test_who_signs_a_card_sees_each_figure_with_its_interval_and_the_known_limits() -> None:
    facts = JOBS["tumour"].facts()
    facts.metrics.add(name="sensitivity", value=1, lower=0.93243, upper=1, confidence_level=0.95, interval_method="wilson")

    rows = (card(facts, limits=("less for some", "not measured for others")).table or pytest.fail("no table")).rows

    assert ("on held-out items", "sensitivity 1 (95% interval 0.9324 to 1)") in rows
    assert ("known limits", "less for some; not measured for others") in rows


def test_a_card_has_words_for_each_output_of_a_ranking_of_treatments() -> None:
    facts = JOBS["hiv-treatment"].facts()
    outcome_ends, effect_ends = (
        manifest_output_pb2.Interval(lower_output=f"{name}_lower", upper_output=f"{name}_upper", confidence_level=0.95)
        for name in ("outcome", "effect")
    )
    options = [coding_pb2.Coding(display=name) for name in ("none", "some")]
    outcome = coding_pb2.Coding(display="CD4 cells")
    reading = manifest_output_pb2.TreatmentReading(
        outcome=outcome, unit="/uL", options=options, effect_output="effect", outcome_interval=outcome_ends, effect_interval=effect_ends
    )
    facts.outputs.add(name="outcome", treatment=reading)
    for name in ("outcome_lower", "outcome_upper", "effect", "effect_lower", "effect_upper"):
        facts.outputs.add(name=name)

    rows = {row[0]: row[1] for row in (card(facts).table or pytest.fail("no table")).rows}

    assert "numbers" not in [words for name, words in rows.items() if name.startswith("says ")]
    assert rows["says effect"] == "what each option's mean CD4 cells has over that under none, in /uL"
    assert "not of where this one will be" in rows["says outcome_lower"]


def test_a_card_lists_the_fields_of_a_record_with_unit_range_and_what_becomes_of_a_missing_one() -> None:
    (fields,) = card(JOBS["mortality"].facts()).beneath

    rows = {row[0]: row[2:] for row in (fields.table or pytest.fail("no table")).rows}

    assert rows["temperature"] == ("Cel (°C)", "25 to 45", "counts as missing")
    assert rows["age"] == ("a (years)", "18 to 110", "refused")
    assert rows["sex"][:2] == ("", "female, male")


def test_a_card_of_what_was_not_published_says_so() -> None:
    facts = JOBS["digits"].facts()
    facts.name = "digits"

    assert ("model", "digits, not published") in (card(facts).table or pytest.fail("no table")).rows


def test_no_two_parts_of_a_page_have_the_same_id_and_what_is_referred_to_is_there() -> None:
    plot = Plot(svg=plots.levels(plots.Band(x=np.arange(3), y=np.arange(3)), x="noise", y="accuracy"), caption="As it falls.")

    parsed = Parsed(page.render(report(sections=(Section(title="Twice", plots=(plot, plot, PLOT)),))))

    assert len(parsed.ids) == len(set(parsed.ids))
    assert {reference.removeprefix("#") for reference in parsed.references} <= set(parsed.ids)


def test_the_head_says_which_sections_show_single_items_and_that_a_version_holds_some() -> None:
    shown = Section(title="What was misread", of_single_items="inputs of held-out items")
    section = Section(title="How well")

    assert "“What was misread” shows inputs of held-out items" in report(sections=(section, shown)).of_single_items
    assert "golden predictions" not in report(sections=(section, shown)).of_single_items
    assert "golden predictions" in Parsed(page.render(report(sections=(section,), signatures=("Clinical lead",)))).text
    assert not report(sections=(section,)).of_single_items


def test_gates_stand_on_the_page_by_what_figures_are_called() -> None:
    verdict = Verdict(gate="auroc_180d at least", passed=True, found=0.8, wanted=0.7, reason="auroc_180d is 0.8, at least 0.7")

    text = Parsed(page.render(report(verdicts=(verdict,)))).text

    assert "area under the ROC curve at day 180 is 0.8, at least 0.7" in text
    assert "auroc_180d" not in text


def test_sections_are_one_level_deep() -> None:
    with pytest.raises(ValueError, match="beneath: outer: sections one level deep"):
        Section(title="outer", beneath=(Section(title="middle", beneath=(Section(title="inner"),)),))
