"""What a report says of the data as it was read."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from training.report.page import Section

if TYPE_CHECKING:
    from training.quality.check import Checked
    from training.quality.cleaning import Change


def notes(checked: "Checked", changes: Iterable["Change"] = ()) -> tuple[Section, ...]:
    """How many rows were taken, what was quarantined, where and why, and what was mended; without a value."""
    from training.quality import cleaning, fault  # noqa: PLC0415 - slow to import

    text = f"{len(checked.clean)} rows were taken and {len(checked.quarantined)} quarantined."
    found = [Section(title="The data as it was read", text=(text,), table=fault.as_table(checked.faults) if checked.faults else None)]
    mended = [change for change in changes if change.count]
    if mended:
        found.append(Section(title="What was cleaned", table=cleaning.as_table(mended)))
    return tuple(found)
