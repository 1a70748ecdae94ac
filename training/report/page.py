"""The page: sections of text, tables and plots, in one HTML file that needs nothing else and prints well."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from training.gates import Verdict
from training.report.glossary import in_words

# Where an SVG names one of its parts, and where it refers to one.
_ID = re.compile(r'(\bid="|href="#|url\(#)')


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of text beneath the names of their columns; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Raises ValueError where a row has another length than the columns."""
        if any(len(row) != len(self.columns) for row in self.rows):
            message = f"each row has a cell for each of {', '.join(self.columns)}"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A picture of `plots`, and what is to be seen in it: who can't see it reads this."""

    svg: str
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and what is beneath it, in this order: text, table, plots, and the sections below it.

    Attributes:
        title: the heading.
        text: paragraphs.
        table, plots: nothing where there is none.
        beneath: sections of its own, one level deep.
        of_single_items: what it shows of single items, such as `inputs of held-out items`: the report's head says so. Empty: nothing.
    """

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    plots: tuple[Plot, ...] = ()
    beneath: tuple["Section", ...] = ()
    of_single_items: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError where a section beneath has others beneath it."""
        if any(each.beneath for each in self.beneath):
            message = f"beneath: {self.title}: sections one level deep"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that the page says; `outcome` is the first sentence that a person reads."""

    title: str
    outcome: str
    is_published: bool
    verdicts: tuple[Verdict, ...]
    sections: tuple[Section, ...]
    signatures: tuple[str, ...] = ()
    """Who is asked to sign; a card without them isn't signed."""

    @property
    def of_single_items(self) -> str:
        """What this report, and the version that it is of, have of single items; empty where they have nothing."""
        every = (part for section in self.sections for part in (section, *section.beneath))
        found = [f"“{section.title}” shows {section.of_single_items}" for section in every if section.of_single_items]
        # Who signs, signs for a version.
        if self.signatures:
            found.append("the version's golden predictions and warm-up requests hold inputs of single items")
        return f"To be handled as the data itself is: {'; '.join(found)}." if found else ""


def render(report: Report) -> str:
    """The HTML of a report. Text is escaped; the plots' SVG is taken as it is."""
    import jinja2  # noqa: PLC0415 - slow to import
    from markupsafe import Markup  # noqa: PLC0415

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    prefixes = (f"plot{number}-" for number in count(1))
    environment.filters["inline"] = lambda svg: Markup(_inline(svg, next(prefixes)))  # noqa: S704 - of our own making
    environment.filters["number"] = lambda value: "" if value is None else f"{value:.4g}"
    environment.filters["found"] = _found
    environment.filters["words"] = in_words
    environment.filters["anchor"] = lambda title: "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    template = environment.from_string(Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8"))
    return template.render(report=report)


def _found(verdict: Verdict) -> str:
    """What a gate found, and its interval."""
    ends = f" ({verdict.interval})" if verdict.interval else ""
    return "" if verdict.found is None else f"{verdict.found:.4g}{ends}"


def _inline(svg: str, prefix: str) -> str:
    """An SVG to stand in HTML, where an XML declaration and a document type have no place, and where no other plot may have the same ids."""
    return _ID.sub(lambda matched: f"{matched.group()}{prefix}", svg[svg.index("<svg") :])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table of any sequences."""
    return Table(columns=tuple(columns), rows=tuple(tuple(row) for row in rows))
