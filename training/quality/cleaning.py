"""Mends a table, or leaves rows of it out, by what is declared to be wrong with it, before its rows are checked.

Each declaration's change is counted, so that one that no longer finds anything shows.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.quality.cells import are_missing
from training.quality.check import records
from training.quality.declarations import ConflictingLabels, Declaration, Duplicates, Impossible, Outliers, Sentinel, Unit
from training.quality.fault import Fault, Reason, Refused
from training.report.page import Table, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Change",
    "Cleaned",
    "ConflictingLabels",
    "Declaration",
    "Duplicates",
    "Impossible",
    "Outliers",
    "Sentinel",
    "Unit",
    "as_table",
    "as_text",
    "clean",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What a declaration did.

    Attributes:
        what: for people; where rows were left out, it says so.
        column: the column that is meant; None for the whole row.
        count: how many cells were mended, or rows left out.
        impossible_share: of the values that stood in the column, the share that can't be true and was made missing; 0 where it's about other things.
    """

    what: str
    column: str | None
    count: int
    impossible_share: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cleaned:
    """A table after its declarations.

    Attributes:
        frame: the rows that are left, mended, with the index that they had: ready to be checked.
        quarantined: the rows that were left out, as they came.
        faults: why they were, by record.
        changes: what each declaration did, in their order.
    """

    frame: "pd.DataFrame"
    quarantined: "pd.DataFrame"
    faults: tuple[Fault, ...]
    changes: tuple[Change, ...]


def clean(declarations: Sequence[Declaration], frame: "pd.DataFrame", *, file: str) -> Cleaned:
    """The rows of `frame`, which was read from `file`, after one declaration and then the next. The frame itself stays as it is.

    Its index counts the file's records from 0, as for `check`. Raises Refused where a column that a declaration needs is missing or there twice;
    ValueError where the index isn't so.
    """
    records(frame)
    given = frame = frame.rename(columns=str)
    needed = dict.fromkeys(name for declaration in declarations for name in declaration.needs)
    times = Counter(given.columns)
    if refusals := [(name, Reason.COLUMN_TWICE if times[name] else Reason.COLUMN_MISSING) for name in needed if times[name] != 1]:
        raise Refused(tuple(Fault(file=file, row=None, column=name, reason=reason) for name, reason in refusals))
    faults: list[Fault] = []
    changes = []
    for declaration in declarations:
        step = declaration.apply(frame)
        # Sentinels were never values.
        is_doubted = isinstance(declaration, Impossible) or (isinstance(declaration, Outliers) and declaration.become == "missing")
        values = int((~are_missing(frame[step.column])).sum()) if is_doubted and step.column is not None and step.changed else 0
        frame, count = step.frame, step.changed
        if step.left_out is not None and step.reason is not None:
            rows = records(frame[step.left_out])
            faults += [Fault(file=file, row=int(row), column=step.column, reason=step.reason) for row in rows]
            frame, count = frame[~step.left_out], len(rows)
        changes.append(Change(what=declaration.what, column=step.column, count=count, impossible_share=count / values if values else 0.0))
    faults.sort(key=lambda fault: fault.row or 0)
    quarantined = given[~given.index.isin(frame.index)].copy()
    return Cleaned(frame=frame, quarantined=quarantined, faults=tuple(faults), changes=tuple(changes))


def as_text(changes: Iterable[Change]) -> str:
    """A line for each declaration: how many cells or rows it changed."""
    return "\n".join(f"{change.count} × {change.what}{f' in {change.column}' if change.column is not None else ''}" for change in changes)


def as_table(changes: Iterable[Change]) -> Table:
    """The same for a report."""
    return table(("what", "column", "how many"), [(change.what, change.column or "the row", str(change.count)) for change in changes])
