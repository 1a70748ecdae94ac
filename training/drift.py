"""Holds a new drop of a job's table against the items that the job learns from: has what the model learnt about changed?

The drop is read as strictly as what was learnt from: what is known to be wrong is mended by the same declarations, and each row is held against the
same schema. Outcomes aren't asked for, for those of new patients aren't known yet.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training import record_input
from training.job import Job
from training.quality import drift, fault
from training.quality.check import check
from training.quality.cleaning import Change, as_table, clean
from training.quality.drift import Drift
from training.quality.fault import Fault, Reason
from training.quality.schema import Field, Schema
from training.quality.table import Table
from training.report import page, plots
from training.report.page import Plot, Report, Section
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.parquet_files import ParquetFiles

if TYPE_CHECKING:
    import pandas as pd

Say = Callable[[str], None]
_PICTURED = 15


class NotComparable(ValueError):
    """The job has no table, or the file can't be used; the message says why, and where in the file, without a value."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Drop:
    """New rows of a table.

    Attributes:
        rows: those that are as declared, with the schema's fields, as `record_input.table_of` has them.
        records: how many the file has.
        faults: what is wrong with the others, and which columns aren't there; by file, record and column.
        changes: what was mended.
    """

    rows: "pd.DataFrame"
    records: int
    faults: tuple[Fault, ...]
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        """For people."""
        return f"{len(self.rows)} of {self.records} rows taken, {self.records - len(self.rows)} quarantined"


def read(table: Table, file: Path) -> Drop:
    """The drop in a CSV or Parquet file with the schema's columns, in any order; others aren't read.

    A column that isn't there is missing in each row, where its field may be missing. Raises NotComparable where another one isn't there, the file is
    damaged, or more of its rows aren't as declared than the table allows; OSError where it can't be read.
    """
    found, records, faults = _read(table.schema, file)
    of_fields = Schema(name=table.schema.name, fields=table.schema.fields)
    # What is wrong with a label or a patient's rows is no matter here.
    cleaned = clean([each for each in table.cleaning if {*each.needs} <= {*of_fields.columns}], found, file=file.name)
    checked = check(of_fields, cleaned.frame, file=file.name)
    faults += [*cleaned.faults, *checked.faults]
    quarantined = records - len(checked.clean)
    if not len(checked.clean) or quarantined > table.most_quarantined * records:
        why = f"{quarantined} of {records} rows aren't as declared, so nobody knows what all of them are like"
        message = f"{file.name}: {why}\n{fault.as_text(faults)}"
        raise NotComparable(message)
    # As a request's tensors hold them, for so are the items that were learnt from: 0.1 is another number in double precision.
    rows = record_input.table_of(table.schema, record_input.inputs_of(table.schema, checked.clean))
    return Drop(rows=rows, records=records, faults=tuple(faults), changes=cleaned.changes)


def against(job: Job, file: Path) -> tuple[Drift, Drop]:
    """The drop in `file` beside the items that the job's weights are fitted to.

    Raises NotComparable where the job has no table or the file can't be used, and as the job's reader does where its own data isn't there.
    """
    if job.table is None:
        from training.jobs import JOBS  # noqa: PLC0415 - `main` tells what a declaration raises

        having = ", ".join(each.name for each in JOBS.values() if each.table is not None)
        message = f"{job.name} learns from no table, so it has no fields to compare; jobs that do: {having}"
        raise NotComparable(message)
    try:
        drop = read(job.table, file)
    except OSError as error:
        message = f"{file.name}: {error.strerror or 'it is not read'}"
        raise NotComparable(message) from error
    reference = record_input.table_of(job.table.schema, job.load().training.inputs)
    return drift.compare(job.table.schema, reference, drop.rows), drop


def report(job: Job, file: Path, found: Drift, drop: Drop) -> str:
    """The HTML of what was found."""
    tolerance = found.tolerance
    compared = f"{file.name}: {drop}. They are compared with {found.reference_rows} items that {job.name} learns from."
    chance = f"where chance doesn't explain it (p below {tolerance.significance:g} after Holm's correction for all comparisons)"
    large = f"a stability index of {tolerance.stability_index:g} or more, or a share of missing values that differs by {tolerance.missing_share:g}"
    judged = f"A field has drifted {chance} and the change is large: {large} or more."
    sections = [Section(title="What was compared", text=(compared, judged), table=found.as_table(), plots=_pictured(found))]
    if drop.faults:
        sections.append(Section(title="What is wrong with the file", table=fault.as_table(drop.faults)))
    if any(change.count for change in drop.changes):
        sections.append(Section(title="What was cleaned", table=as_table(change for change in drop.changes if change.count)))
    return page.render(
        Report(
            title=f"{job.facts().display_name} ({job.name}): drift",
            outcome=f"{found}.",
            # Which the page shows in green.
            is_published=not found.has_drifted,
            verdicts=(),
            sections=tuple(sections),
        )
    )


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", jobs: Iterable[str]) -> None:
    """Adds `drift` to the commands; `run` is what it does."""
    drifting = commands.add_parser("drift", help="hold a new drop of a job's table against what the job learns from")
    drifting.add_argument("job", choices=jobs)
    drifting.add_argument("--data", type=Path, required=True, help="the new drop, .csv or .parquet, with the columns of the job's table")
    drifting.add_argument("--report", type=Path, help="an HTML file to write what was found to")


def run(job: Job, arguments: argparse.Namespace, say: Say) -> bool:
    """Compares as the command asks; returns whether nothing has drifted. Raises as `against` does, and OSError where the report can't be written."""
    file = arguments.data
    found, drop = against(job, file)
    say(f"{file.name}: {drop}")
    for said in (fault.as_text(drop.faults), _aligned(found.as_table())):
        if said:
            say(said)
    say(str(found))
    if arguments.report is not None:
        arguments.report.write_text(report(job, file, found, drop), encoding="utf-8")
        say(f"report in {arguments.report}")
    return not found.has_drifted


def _read(schema: Schema, file: Path) -> tuple["pd.DataFrame", int, list[Fault]]:
    """The fields' columns of the records that could be read, with the file's records from 0 as the index; how many there are; and what is wrong."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    if not file.is_file():
        raise NotComparable(str(Fault(file=file.name, reason=Reason.NO_SUCH_FILE)))
    source = _source(file, schema.fields)
    absent = {each.column for shard in source.shards() for each in shard.faults if each.reason is Reason.COLUMN_MISSING}
    there = [field for field in schema.fields if field.name not in absent]
    faults: list[Fault] = []
    if there and all(field.may_be_missing for field in schema.fields if field.name in absent):
        source = _source(file, there)
        faults = [Fault(file=file.name, column=field.name, reason=Reason.COLUMN_MISSING) for field in schema.fields if field.name in absent]
    shards = source.shards()
    if refused := [each for shard in shards if not shard.records for each in shard.faults]:
        message = f"{file.name}: it can't be read as {schema.name}\n{fault.as_text(refused)}"
        raise NotComparable(message)
    blocks: list[pd.DataFrame] = []
    for shard in shards:
        arrays, wrong = [], set[int]()
        for block in source.read(shard):
            if isinstance(block, Fault):
                faults.append(block)
                wrong.add(block.row or 0)
            else:
                arrays.append(pd.DataFrame(dict(block)))
        good = np.setdiff1d(np.arange(shard.first + 1, shard.first + shard.records + 1), list(wrong)) - 1
        # Nothing is read behind where a file is damaged.
        read_ = pd.concat(arrays) if arrays else pd.DataFrame()
        blocks.append(read_.set_axis(good[: len(read_)]))
    frame = pd.concat(blocks).reindex(columns=[field.name for field in schema.fields])
    return frame, sum(shard.records for shard in shards), faults


def _source(file: Path, fields: Sequence[Field]) -> CsvFiles | ParquetFiles:
    # Which cells may be missing, the check says.
    parts = tuple(
        Part(name=field.name, columns=field.name, kind=Kind.STRING if field.categories else Kind.FLOAT64, may_be_missing=True) for field in fields
    )
    match file.suffix.lower():
        case ".csv":
            return CsvFiles(root=file, parts=parts)
        case ".parquet":
            return ParquetFiles(root=file, parts=parts)
    message = f"{file.name}: give a file whose name ends in .csv or .parquet"
    raise NotComparable(message)


def _pictured(found: Drift) -> tuple[Plot, ...]:
    """The fields whose values have changed most."""
    compared = [(field.name, field.distribution.effect) for field in found.fields if field.distribution is not None]
    most = sorted(compared, key=lambda each: -each[1])[:_PICTURED]
    if not most:
        return ()
    names, effects = zip(*most, strict=True)
    svg = plots.effects(
        names, plots.Band(x=np.arange(len(names)), y=np.array(effects)), unit="population stability index", reference="what was learnt from"
    )  # fmt: skip
    limit = found.tolerance.stability_index
    return (Plot(svg=svg, caption=f"How much the values of {len(names)} fields have changed; from {limit:g} on the change counts as large."),)


def _aligned(table: page.Table) -> str:
    rows = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
