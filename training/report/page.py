"""The page: sections of text, tables and plots, in one HTML file that needs nothing else and prints well."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.gates import Verdict


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
    """A heading and what is beneath it, in this order: text, table, plots."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    plots: tuple[Plot, ...] = ()


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


def render(report: Report) -> str:
    """The HTML of a report. Text is escaped; the plots' SVG is taken as it is."""
    import jinja2  # noqa: PLC0415 - slow to import
    from markupsafe import Markup  # noqa: PLC0415

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # An XML declaration and a document type have no place inside of HTML.
    environment.filters["inline"] = lambda svg: Markup(svg[svg.index("<svg") :])  # noqa: S704 - of our own making
    environment.filters["number"] = lambda value: "" if value is None else f"{value:.4g}"
    environment.filters["anchor"] = lambda title: "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    template = environment.from_string(Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8"))
    return template.render(report=report)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table of any sequences."""
    return Table(columns=tuple(columns), rows=tuple(tuple(row) for row in rows))
