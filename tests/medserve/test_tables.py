"""Numbers and texts as people read them."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from medserve.commands.tables import cell, level, percentages, show


@pytest.mark.parametrize(
    ("probabilities", "texts"),
    [
        ([0.5], ["50.00 %"]),
        ([0.0, 1.0], ["0.00 %", "100.00 %"]),
        ([0.9731, 0.0269], ["97.31 %", "2.69 %"]),
        ([0.99968], ["99.968 %"]),
        ([0.99968, 0.00032], ["99.968 %", "0.032 %"]),
        ([0.9999999, 0.0000001], ["> 99.9999 %", "< 0.0001 %"]),
        ([], []),
    ],
)
def test_a_percentage_has_as_many_decimals_as_it_needs(probabilities: list[float], texts: list[str]) -> None:
    assert percentages(probabilities) == texts


@pytest.mark.parametrize(
    ("confidence_level", "text"),
    [(0.9, "90 %"), (0.975, "97.5 %"), (0.29, "29 %"), (0.999, "99.9 %"), (0.8999999761581421, "90 %"), (0.99999999, "99.999999 %")],
)
def test_a_confidence_level_is_as_it_was_chosen(confidence_level: float, text: str) -> None:
    assert level(confidence_level) == text


@given(st.lists(st.floats(0, 1)))
def test_only_certainty_reads_as_certainty(probabilities: list[float]) -> None:
    for probability, text in zip(probabilities, percentages(probabilities), strict=True):
        number = float(text.removesuffix(" %").lstrip("<> "))

        assert (number == 0, number == 100) == (probability == 0, probability == 1)
        assert abs(number - probability * 100) <= 0.0051


def test_a_text_can_neither_move_the_cursor_nor_break_a_line() -> None:
    assert cell("a\x1b[2Jb\nc\u202ed").plain == "a?[2Jb?c?d"
    assert cell("[bold]µ").plain == "[bold]µ"


@pytest.mark.parametrize("columns", [30, 80])
def test_where_a_table_is_too_narrow_even_what_should_stay_whole_is_folded(columns: int) -> None:
    printed = io.StringIO()
    console = Console(width=columns, file=printed, markup=False, highlight=False)

    show(console, ("1", "2", "3"), [("k" * 20, "n" * 5, "s" * 20)], whole=("1", "3"))

    text = printed.getvalue()
    assert [text.count(letter) for letter in "kns"] == [20, 5, 20]
    assert ("k" * 20 in text) == (columns == 80)
