from html.parser import HTMLParser
from typing import Any

import pytest

from medserve.v1 import coding_pb2, manifest_output_pb2
from training.gates import Verdict
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
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
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

    assert rows["says probabilities"] == "one of digit 1"
    assert rows["says novelty"] == "how unlike the training data the item is: distance, novel above 2.5"


def test_a_card_of_what_was_not_published_says_so() -> None:
    facts = JOBS["digits"].facts()
    facts.name = "digits"

    assert ("model", "digits, not published") in (card(facts).table or pytest.fail("no table")).rows
