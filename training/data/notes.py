"""What a report says of the data as it was read."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from training.report.page import Section

if TYPE_CHECKING:
    from training.quality.fault import Fault
    from training.quality.take import Taken


def notes(taken: "Taken") -> tuple[Section, ...]:
    """How many rows were taken, what was quarantined, where and why, and what was mended; without a value."""
    from training.quality import cleaning  # noqa: PLC0415 - slow to import

    found = [as_read("row", len(taken.clean), taken.records, taken.faults)]
    mended = [change for change in taken.changes if change.count]
    if mended:
        found.append(Section(title="What was cleaned", table=cleaning.as_table(mended)))
    return tuple(found)


def as_read(what: str, taken: int, records: int, faults: "Iterable[Fault]") -> Section:
    """How many of a file's records, which are `what`s, were taken, and why the others weren't."""
    from training.quality import fault  # noqa: PLC0415 - slow to import

    wrong = tuple(faults)
    text = f"{taken} {what}{' was' if taken == 1 else 's were'} taken and {records - taken} quarantined."
    if not wrong:
        return Section(title="The data as it was read", text=(text,))
    where = "Records are counted from 1, without a header, in the file that is named beside them: whoever has that file can look them up."
    return Section(title="The data as it was read", text=(text, where), table=fault.as_table(wrong), of_single_items="numbers of records")
