"""One kind of fault for tables in memory and for streams: of a cell, a record, a column or a whole file."""

import json
import pickle
import subprocess
import sys

import pytest

from training.quality import fault
from training.quality.fault import Fault, Reason, Refused
from training.quality.split import Leak
from training.streams.survey import Survey

FILE = "scans/7.dcm"


@pytest.mark.parametrize("reason", [Reason.EMPTY_FILE, Reason.NO_FILES, Reason.DAMAGED, Reason.NO_PIXELS, Reason.UNKNOWN_CATEGORY])
def test_a_whole_file_can_be_at_fault(reason: Reason) -> None:
    assert str(Fault(file=FILE, reason=reason)) == f"scans/7.dcm: {reason.value}"


@pytest.mark.parametrize("reason", [Reason.COLUMN_TWICE, Reason.OUTLIER, Reason.DUPLICATE_ROW, Reason.BELOW_MINIMUM, Reason.QUOTES])
def test_what_only_a_table_has_names_a_record_or_a_column(reason: Reason) -> None:
    with pytest.raises(ValueError, match=f"row, column: at least one of them, where it is `{reason.value}`"):
        Fault(file=FILE, reason=reason)

    assert Fault(file=FILE, row=1, reason=reason).column is None
    assert Fault(file=FILE, column="age", reason=reason).row is None


def test_a_report_keeps_damaged_records_apart_from_a_damaged_file() -> None:
    faults = [Fault(file="a", row=row, reason=Reason.DAMAGED) for row in (3, 1)] + [Fault(file="a", reason=Reason.DAMAGED)]

    assert fault.as_text(faults).splitlines() == ["2 × cut short or damaged: a, records 1, 3", "cut short or damaged: a"]
    assert fault.as_table(faults).rows == (
        ("cut short or damaged", "the row", "a", "2", "1, 3"),
        ("cut short or damaged", "the file", "a", "1", "the whole file"),
    )


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_comes_back_from_a_survey_that_was_kept(reason: Reason) -> None:
    kept = Survey(identity="x", items=(1,), records=2, faults=(Fault(file=FILE, row=2, reason=reason),), faults_found=1)

    assert json.loads(kept.as_json())["faults"][0]["reason"] == reason.value
    assert Survey.of_json(kept.as_json()) == kept


@pytest.mark.parametrize("error", [Refused((Fault(file=FILE, reason=Reason.DAMAGED),), why="half of it is there"), Leak("1 of 3 patients")])
def test_a_refusal_comes_back_from_another_process_as_it_was(error: Refused) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), again.faults) == (type(error), str(error), error.faults)


def test_who_reads_a_stream_loads_no_report() -> None:
    code = "import sys, training.streams.survey; sys.exit(any(name.startswith('training.report') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=250).returncode == 0
