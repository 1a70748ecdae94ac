"""Takes a set's whole table, or refuses it: mended, checked, and then asked whether what is left can be trusted at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.quality.check import check
from training.quality.cleaning import Change, clean
from training.quality.fault import Fault, Reason, Refused, Tally, require_few
from training.quality.schema import NO_UNIT, Schema
from training.quality.table import Table

if TYPE_CHECKING:
    import pandas as pd

# What may stand behind many faults of one kind.
_LOOK_AT = {
    Reason.UNKNOWN_CATEGORY: "are its categories coded otherwise?",
    Reason.NOT_A_NUMBER: "is it written otherwise, or are columns shifted?",
    Reason.MISSING: "is the file whole, and are its columns in their places?",
    Reason.DUPLICATE_ROW: "was the file joined with itself?",
    Reason.CONFLICTING_LABEL: "were files joined that contradict each other?",
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Taken:
    """A table that can be learnt from.

    Attributes:
        clean: the rows that are as declared, as `check` makes them.
        records: how many the file has.
        faults: what is wrong with the others, by record.
        changes: what was mended.
    """

    clean: "pd.DataFrame"
    records: int
    faults: tuple[Fault, ...]
    changes: tuple[Change, ...]


def take(table: Table, frame: "pd.DataFrame", *, file: str, unread: tuple[Fault, ...] = (), records: int | None = None) -> Taken:
    """The rows of `frame`, which was read from `file`, that are as the table declares.

    The frame's index counts the file's records, as for `check`; `unread` is what is wrong with records of the file that aren't in the frame, and
    `records` how many the set is known to have. Raises Refused where there are fewer, a column isn't there, more of the rows aren't as declared than
    the table allows, or more of a field's values can't be true; ValueError where the index isn't so.
    """
    there = len(frame) + len({fault.row for fault in unread})
    if records is not None and there < records:
        raise Refused((Fault(file=file, reason=Reason.DAMAGED),), why=f"{there} of the set's {records} records are there")
    cleaned = clean(table.cleaning, frame, file=file)
    _require_possible(table, cleaned.changes, file=file)
    checked = check(table.schema, cleaned.frame, file=file)
    faults = tuple(sorted((*unread, *cleaned.faults, *checked.faults), key=lambda fault: fault.row or 0))
    require_few(there - len(checked.clean), there, faults, most=table.most_quarantined, look_at=lambda worst: _look_at(table.schema, worst))
    return Taken(clean=checked.clean, records=there, faults=faults, changes=cleaned.changes)


def columns_of(frame: "pd.DataFrame", names: Mapping[str, str], *, file: str) -> "pd.DataFrame":
    """The columns that are read, in this order and by the names that the schema has for them. Raises Refused where one is missing or there twice."""
    times = {name: int((frame.columns == name).sum()) for name in names}
    if wrong := {name: Reason.COLUMN_TWICE if count else Reason.COLUMN_MISSING for name, count in times.items() if count != 1}:
        raise Refused(tuple(Fault(file=file, column=name, reason=reason) for name, reason in wrong.items()))
    return frame[list(names)].rename(columns=dict(names))


def _require_possible(table: Table, changes: tuple[Change, ...], *, file: str) -> None:
    doubted = [change for change in changes if change.impossible_share > table.most_impossible]
    if not doubted:
        return
    worst = max(doubted, key=lambda change: change.impossible_share)
    told = (
        f"{worst.count} of the values of {worst.column} ({worst.impossible_share:.1%}) can't be true, and up to {table.most_impossible:.0%} may be so"
    )
    others = [str(change.column) for change in doubted if change is not worst]
    more = f"; so it is with {', '.join(others)}" if others else ""
    raise Refused(why=f"{file}: {told}: {_unit_of(table.schema, str(worst.column))}{more}")


def _look_at(schema: Schema, worst: Tally) -> str:
    if worst.column is not None and worst.reason in {Reason.BELOW_MINIMUM, Reason.ABOVE_MAXIMUM}:
        return _unit_of(schema, worst.column)
    question = _LOOK_AT.get(worst.reason, "")
    return f"{worst.column}: {question}" if question and worst.column is not None else question


def _unit_of(schema: Schema, column: str) -> str:
    unit = next((field.unit for field in schema.all_fields if field.name == column), NO_UNIT)
    return f"is {column} in another unit than {unit}?" if unit != NO_UNIT else f"is {column} on another scale, or are columns shifted?"
