import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.quality import fault
from training.quality.check import Checked, Fault, Reason, Refused, check
from training.quality.schema import Category, Field, Schema

FILE = "labs.csv"
SEX = (Category(code="f", display="female"), Category(code="m", display="male"))
LABS = Schema(
    name="labs",
    patient="id",
    time="drawn",
    time_is_calendar=True,
    fields=(
        Field(name="age", description="age", unit="a", minimum=0, maximum=120, is_integer=True),
        Field(name="sodium", description="sodium in serum", unit="mmol/L", minimum=100, maximum=200, may_be_missing=True),
        Field(name="sex", description="sex", unit="1", categories=SEX),
    ),
    labels=(Field(name="grade", description="grade", unit="1", categories=(Category(code="1", display="low"), Category(code="2", display="high"))),),
    ignored=("note",),
)
ROW = {"id": "a", "drawn": "2020-01-02T03:04:05Z", "age": 60, "sodium": 140.5, "sex": "f", "grade": 1}


def of(*changes: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([ROW | change for change in changes], dtype=object)


def places(checked: Checked) -> list[tuple[int | None, str | None, str]]:
    return [(each.row, each.column, each.reason) for each in checked.faults]


def test_a_real_table_is_clean(trial: pd.DataFrame, trial_schema: Schema) -> None:
    checked = check(trial_schema, trial, file="ACTG175.csv")

    assert len(checked.clean) == len(trial) == 2139
    assert checked.faults == ()
    assert checked.share_quarantined == 0
    assert tuple(checked.clean.columns) == trial_schema.columns
    assert checked.clean["cd496"].isna().sum() == trial["cd496"].isna().sum() == 797
    assert checked.clean["arms"].cat.codes.tolist() == trial["arms"].tolist()
    assert checked.clean["pidnum"].iloc[0] == "10056"


def test_a_real_table_that_was_spoilt_loses_the_spoilt_rows_and_no_others(trial: pd.DataFrame, trial_schema: Schema) -> None:
    spoilt = trial.astype(object)
    spoilt.loc[3, "age"] = 400
    spoilt.loc[4, "wtkg"] = "heavy"
    spoilt.loc[5, "cd40"] = None
    spoilt.loc[7, ["cd40", "arms"]] = [200.5, 4]
    spoilt.loc[9, "pidnum"] = ""
    spoilt.loc[10, "cens"] = math.nan

    checked = check(trial_schema, spoilt, file="ACTG175.csv")

    assert places(checked) == [
        (4, "age", "above maximum"),
        (5, "wtkg", "not a number"),
        (6, "cd40", "missing"),
        (8, "cd40", "not an integer"),
        (8, "arms", "unknown category"),
        (10, "pidnum", "missing"),
        (11, "cens", "missing"),
    ]
    assert checked.quarantined.index.tolist() == [3, 4, 5, 7, 9, 10]
    assert checked.quarantined.loc[4, "wtkg"] == "heavy"
    assert len(checked.clean) == 2139 - 6
    assert checked.share_quarantined == pytest.approx(6 / 2139)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("age", -1, Reason.BELOW_MINIMUM),
        ("age", "121", Reason.ABOVE_MAXIMUM),
        ("age", 60.5, Reason.NOT_AN_INTEGER),
        ("age", "6O", Reason.NOT_A_NUMBER),
        ("age", "60,5", Reason.NOT_A_NUMBER),
        ("age", "nan", Reason.NOT_A_NUMBER),
        ("age", 60j, Reason.NOT_A_NUMBER),
        ("age", pd.Timestamp("2020-01-01"), Reason.NOT_A_NUMBER),
        ("age", "inf", Reason.NOT_FINITE),
        ("age", 10**400, Reason.NOT_FINITE),
        ("age", None, Reason.MISSING),
        ("age", " ", Reason.MISSING),
        ("sodium", -math.inf, Reason.NOT_FINITE),
        ("sex", "x", Reason.UNKNOWN_CATEGORY),
        ("sex", "F", Reason.UNKNOWN_CATEGORY),
        ("sex", pd.NA, Reason.MISSING),
        ("grade", "01", Reason.UNKNOWN_CATEGORY),
        ("grade", 1.5, Reason.UNKNOWN_CATEGORY),
        ("drawn", "yesterday", Reason.NOT_A_TIME),
        ("drawn", 5, Reason.NOT_A_TIME),
        ("drawn", 2020, Reason.NOT_A_TIME),
        ("drawn", 20200102, Reason.NOT_A_TIME),
        ("drawn", "2020-02-30", Reason.NOT_A_TIME),
        ("drawn", pd.NaT, Reason.MISSING),
        ("id", math.nan, Reason.MISSING),
    ],
)
def test_a_bad_cell_quarantines_its_row_and_is_named_once(column: str, cell: object, reason: Reason) -> None:
    checked = check(LABS, of({}, {column: cell}, {}), file=FILE)

    assert checked.faults == (Fault(file=FILE, row=2, column=column, reason=reason),)
    assert checked.clean.index.tolist() == [0, 2]
    assert checked.quarantined.index.tolist() == [1]


@pytest.mark.parametrize(
    ("column", "cell", "wanted"),
    [
        ("age", " 60 ", 60.0),
        ("age", Decimal(60), 60.0),
        ("age", np.float32(60), 60.0),
        ("age", "6e1", 60.0),
        ("grade", 2.0, "2"),
        ("grade", "2.0", "2"),
        ("sex", " m ", "m"),
        ("id", 7.0, "7"),
        ("id", "007", "007"),
        ("drawn", "2020-01-02 04:04:05+01:00", pd.Timestamp("2020-01-02T03:04:05")),
        ("drawn", "2020-01-02", pd.Timestamp("2020-01-02")),
    ],
)
def test_a_cell_is_taken_as_what_it_says_however_it_is_written(column: str, cell: object, wanted: object) -> None:
    checked = check(LABS, of({column: cell}), file=FILE)

    assert checked.faults == ()
    assert checked.clean[column].tolist() == [wanted]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "string", "category", "object"])
def test_it_doesnt_matter_which_type_the_reader_chose(dtype: str) -> None:
    frame = of({}, {"age": None}, {"age": 30}).astype({"age": dtype})

    checked = check(LABS, frame, file=FILE)

    assert checked.clean["age"].tolist() == [60, 30]
    assert checked.clean.dtypes.astype(str).tolist() == ["object", "datetime64[ns]", "float64", "float64", "category", "category"]
    assert places(checked) == [(2, "age", "missing")]


def test_a_number_may_be_missing_where_the_schema_says_so() -> None:
    checked = check(LABS, of({"sodium": None}, {"sodium": " "}), file=FILE)

    assert checked.faults == ()
    assert checked.clean["sodium"].isna().all()


def test_a_file_with_another_header_is_refused_as_a_whole() -> None:
    frame = of({"extra": 1, "note": "ignored"}).drop(columns=["sodium"])
    twice = pd.concat([frame, frame[["age"]]], axis=1)

    with pytest.raises(Refused) as error:
        check(LABS, twice, file=FILE)

    assert [(each.row, each.column, each.reason) for each in error.value.faults] == [
        (None, "sodium", Reason.COLUMN_MISSING),
        (None, "age", Reason.COLUMN_TWICE),
        (None, "extra", Reason.COLUMN_UNKNOWN),
    ]
    assert str(error.value) == "refused: labs.csv, sodium: column missing; labs.csv, age: column twice; labs.csv, extra: column unknown"


def test_a_record_that_was_taken_for_the_header_isnt_repeated(tmp_path: Path) -> None:
    (tmp_path / "labs.csv").write_text("Smith,2020-01-02,60,140,f,1\nJones,2020-01-02,61,141,m,1\n", encoding="utf-8")

    with pytest.raises(Refused) as error:
        check(LABS, pd.read_csv(tmp_path / "labs.csv"), file=FILE)

    assert "Smith" not in str(error.value)
    assert "labs.csv, number 1: column unknown" in str(error.value)


def test_records_keep_their_numbers_in_chunks_and_after_rows_were_left_out(tmp_path: Path) -> None:
    of({}, {}, {}, {"age": 500}, {}).to_csv(tmp_path / "labs.csv", index=False)

    found = [check(LABS, chunk, file=FILE).faults for chunk in pd.read_csv(tmp_path / "labs.csv", chunksize=2)]
    later = check(LABS, of({}, {}, {"age": 500}).drop(index=[0]), file=FILE)

    assert [[each.row for each in faults] for faults in found] == [[], [4], []]
    assert places(later) == [(3, "age", "above maximum")]


def test_a_calendars_time_isnt_counted_in_seconds_or_whatever_a_number_may_be() -> None:
    checked = check(LABS, of({}, {}).assign(drawn=[20200102, 1577934245]), file=FILE)

    assert places(checked) == [(1, "drawn", "not a time"), (2, "drawn", "not a time")]


def test_a_column_may_be_named_by_a_number() -> None:
    schema = Schema(name="signal", fields=(Field(name="0", description="first sample", unit="mV"),))

    assert check(schema, pd.DataFrame([[1.5], [2.5]]), file=FILE).clean["0"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("index", [["a", "b"], [0, 0], [-1, 0], [0.5, 1]])
def test_an_index_that_doesnt_count_records_is_refused(index: list[Any]) -> None:
    with pytest.raises(ValueError, match="index counts the file's records from 0"):
        check(LABS, of({}, {}).set_axis(index), file=FILE)


def test_columns_may_stand_in_any_order_and_a_table_may_be_empty() -> None:
    frame = of({"note": "x"}, {"note": "y"})

    reversed_ = check(LABS, frame[frame.columns[::-1]], file=FILE)
    empty = check(LABS, frame[:0], file=FILE)

    assert tuple(reversed_.clean.columns) == tuple(empty.clean.columns) == LABS.columns
    assert len(reversed_.clean) == 2
    assert len(empty.clean) == len(empty.quarantined) == empty.share_quarantined == 0


cell = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.sampled_from(["f", "m", "1", "2020-01-01", "60", "140"]),
    st.datetimes(),
)


@settings(max_examples=60)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(ROW, cell)), min_size=1, max_size=6))
def test_whatever_stands_there_each_row_is_in_one_part_and_the_clean_ones_are_as_declared(rows: list[dict[str, Any]]) -> None:
    frame = of(*rows, {})

    checked = check(LABS, frame, file=FILE)

    assert sorted([*checked.clean.index, *checked.quarantined.index]) == frame.index.tolist()
    assert {each.row - 1 for each in checked.faults if each.row is not None} == set(checked.quarantined.index)
    LABS.as_pandera().validate(checked.clean)
    again = check(LABS, checked.clean, file=FILE)
    assert again.faults == ()
    pd.testing.assert_frame_equal(again.clean, checked.clean)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(list(ROW)), st.text(alphabet="QXZ", min_size=3, max_size=12), min_size=1))
def test_no_report_holds_what_stood_in_a_cell(secrets: dict[str, str]) -> None:
    checked = check(LABS, of({}, secrets), file=FILE)

    told = f"{checked.faults} {[*map(str, checked.faults)]} {fault.as_text(checked.faults)} {fault.as_table(checked.faults)}"
    assert not any(secret in told for secret in secrets.values())


def test_a_report_counts_each_reason_and_names_the_first_records() -> None:
    checked = check(LABS, of(*({"age": 200 + number} for number in range(7)), {"sex": "x"}, {}), file=FILE)

    assert fault.as_text(checked.faults) == (
        "7 × above maximum in age: labs.csv, records 1, 2, 3, 4, 5, …\n1 × unknown category in sex: labs.csv, record 8"
    )
    assert fault.as_table(checked.faults).rows == (
        ("above maximum", "age", "labs.csv", "7", "1, 2, 3, 4, 5, …"),
        ("unknown category", "sex", "labs.csv", "1", "8"),
    )
    assert fault.as_text(()) == ""


def test_a_refused_file_is_reported_as_a_whole() -> None:
    faults = (Fault(file=FILE, row=None, column="age", reason=Reason.COLUMN_MISSING),)

    assert fault.as_text(faults) == "column missing: age of labs.csv"


@pytest.mark.parametrize(
    ("given", "message"), [({"row": 0}, "row: "), ({"file": ""}, "file: "), ({"row": None, "column": None}, "row, column: at least one")]
)
def test_a_fault_says_where_it_is(given: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"file": FILE, "row": 1, "column": "age", "reason": Reason.MISSING}

    with pytest.raises(ValueError, match=message):
        Fault(**right | given)
