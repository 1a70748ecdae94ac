import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.quality import cleaning
from training.quality.check import check
from training.quality.cleaning import Change, Cleaned, ConflictingLabels, Declaration, Duplicates, Impossible, Outliers, Sentinel, Unit
from training.quality.fault import Fault, Reason, Refused
from training.quality.schema import Category, Field, Schema

FILE = "labs.csv"
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def clean(frame: pd.DataFrame, *declarations: Declaration) -> Cleaned:
    return cleaning.clean(declarations, frame, file=FILE)


def count(cleaned: Cleaned) -> int:
    (change,) = cleaned.changes
    return change.count


@given(numbers, st.floats(0.01, 100), st.floats(-300, 300))
@settings(max_examples=40)
def test_a_unit_and_the_way_back_give_the_same_numbers(values: list[float], factor: float, offset: float) -> None:
    there = Unit(column="x", from_unit="a", to_unit="b", factor=factor, offset=offset)
    back = Unit(column="x", from_unit="b", to_unit="a", factor=1 / factor, offset=-offset / factor)

    cleaned = clean(pd.DataFrame({"x": values}), there, back)

    assert cleaned.frame["x"].tolist() == pytest.approx(values, rel=1e-9, abs=1e-3)
    assert [change.count for change in cleaned.changes] == [len(values)] * 2


def test_fahrenheit_becomes_celsius_and_what_is_no_number_stays() -> None:
    frame = pd.DataFrame({"temperature": [98.6, "hot", None, "212"]})

    cleaned = clean(frame, Unit(column="temperature", from_unit="[degF]", to_unit="Cel", factor=5 / 9, offset=-160 / 9))

    assert cleaned.frame["temperature"].tolist() == [pytest.approx(37), "hot", None, pytest.approx(100)]
    assert cleaned.changes == (Change(what="[degF] made Cel", column="temperature", count=2),)


def test_rows_of_one_unit_are_converted_and_a_third_unit_is_left_to_the_check() -> None:
    frame = pd.DataFrame({"glucose": [90.0, 5.0, 7.0], "unit": ["mg/dL", "mmol/L", "g/L"]})
    schema = Schema(
        name="labs",
        fields=(
            Field(name="glucose", description="glucose", unit="mmol/L", minimum=0),
            Field(name="unit", description="unit", unit="1", categories=(Category(code="mmol/L", display="mmol/L"),)),
        ),
    )

    cleaned = clean(frame, Unit(column="glucose", from_unit="mg/dL", to_unit="mmol/L", factor=1 / 18.016, unit_column="unit"))
    checked = check(schema, cleaned.frame, file=FILE)

    assert checked.clean["glucose"].tolist() == [pytest.approx(4.9956, abs=1e-4), 5]
    assert checked.faults == (Fault(file=FILE, row=3, column="unit", reason=Reason.UNKNOWN_CATEGORY),)


@given(numbers, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
@settings(max_examples=40)
def test_what_is_impossible_becomes_missing_and_nothing_else_does(values: list[float], one: float, other: float) -> None:
    low, high = min(one, other), max(one, other) + 1

    cleaned = clean(pd.DataFrame({"x": values}), Impossible(column="x", minimum=low, maximum=high))

    found = cleaned.frame["x"].to_numpy()
    wanted = [value if low <= value <= high else math.nan for value in values]
    np.testing.assert_array_equal(found, wanted)
    assert count(cleaned) == np.isnan(wanted).sum()


def test_a_weight_of_nought_is_impossible_in_a_real_table(trial: pd.DataFrame) -> None:
    spoilt = trial.copy()
    spoilt.loc[[4, 8], "wtkg"] = 0.0

    cleaned = clean(spoilt, Impossible(column="wtkg", minimum=20))

    assert np.flatnonzero(cleaned.frame["wtkg"].isna()).tolist() == [4, 8]
    assert spoilt["wtkg"].notna().all(), "the frame that was given stays as it is"
    pd.testing.assert_frame_equal(cleaned.frame.drop(columns="wtkg"), trial.drop(columns="wtkg"))


@pytest.mark.parametrize(
    ("cells", "values", "wanted"),
    [
        ([5, -999, 7], (-999,), [5, math.nan, 7]),
        ([5.0, -999.0, 999.0], (-999, 999), [5, math.nan, math.nan]),
        (["5", "-999.0", "NK"], (-999, "NK"), ["5", math.nan, math.nan]),
        (["5", "999", " NK "], ("NK",), ["5", "999", math.nan]),
        (["5", "NKX", None], ("NK",), ["5", "NKX", None]),
    ],
)
def test_a_sentinel_becomes_missing_however_the_reader_took_it(cells: list[Any], values: tuple[float | str, ...], wanted: list[Any]) -> None:
    cleaned = clean(pd.DataFrame({"x": cells}), Sentinel(column="x", values=values))

    pd.testing.assert_series_equal(cleaned.frame["x"], pd.Series(wanted, name="x"), check_dtype=False)
    assert count(cleaned) == sum(isinstance(cell, float) and math.isnan(cell) for cell in wanted)


def test_outliers_are_those_that_the_robust_z_finds_and_one_of_them_hides_no_other() -> None:
    values = [*np.random.default_rng(1).normal(140, 3, 500), 1400.0, 14.0]

    cleaned = clean(pd.DataFrame({"sodium": values}), Outliers(column="sodium", most=6))

    assert np.flatnonzero(cleaned.frame["sodium"].isna()).tolist() == [500, 501]


def test_outliers_may_leave_their_rows_out_and_limits_hold_other_data_to_the_same(tumours: pd.DataFrame) -> None:
    training, held_out = tumours[:400], tumours[400:]
    outliers = Outliers(column="area error", become="quarantined")

    cleaned = clean(training, outliers)
    low, high = outliers.limits(training)
    limited = clean(held_out, Impossible(column="area error", minimum=low, maximum=high))

    values = training["area error"].to_numpy()
    deviation = np.median(np.abs(values - np.median(values))) / 0.6745
    assert (low, high) == pytest.approx((np.median(values) - 3.5 * deviation, np.median(values) + 3.5 * deviation))
    is_out = (values < low) | (values > high)
    assert is_out.sum() > 20
    assert cleaned.quarantined.index.tolist() == np.flatnonzero(is_out).tolist()
    assert {(fault.column, fault.reason) for fault in cleaned.faults} == {("area error", Reason.OUTLIER)}
    assert count(limited) == ((held_out["area error"] < low) | (held_out["area error"] > high)).sum() > 0


@pytest.mark.parametrize(("cells", "wanted"), [([5.0] * 9 + [6], [9]), ([5.0] * 9 + [6, math.inf], [9, 10]), ([5.0] * 9, []), ([None, None], [])])
def test_outliers_among_equal_numbers(cells: list[float | None], wanted: list[int]) -> None:
    cleaned = clean(pd.DataFrame({"x": pd.Series(cells, dtype=float)}), Outliers(column="x", become="quarantined"))

    assert cleaned.quarantined.index.tolist() == wanted


def test_copies_are_left_out_and_the_first_stays() -> None:
    frame = pd.DataFrame({"id": ["a", "b", "a", "a", None, None], "x": [1.0, 1, 1, 2, math.nan, math.nan]})

    cleaned = clean(frame, Duplicates())

    assert cleaned.frame.index.tolist() == [0, 1, 3, 4]
    assert cleaned.faults == tuple(Fault(file=FILE, row=row, column=None, reason=Reason.DUPLICATE_ROW) for row in (3, 6))
    assert cleaned.changes == (Change(what="duplicate row, left out", column=None, count=2),)


def test_a_real_table_that_was_appended_to_itself_is_found_out(trial: pd.DataFrame) -> None:
    cleaned = clean(pd.concat([trial, trial.astype(object)], ignore_index=True), Duplicates(columns=("pidnum",)))

    pd.testing.assert_frame_equal(cleaned.frame.astype(float), trial.astype(float))
    assert [fault.row for fault in cleaned.faults] == list(range(2140, 4279))


def test_rows_that_contradict_each_other_are_all_left_out() -> None:
    frame = pd.DataFrame(
        {
            "id": ["a", "a", "b", "b", "c", "c", "c", None, None],
            "day": [1, 1, 1, 2, 3, 3, 3, None, None],
            "label": [0, 1, 0, 1, 1, None, 1, 0, 1],
        }
    )

    cleaned = clean(frame, ConflictingLabels(columns=("id", "day"), label="label"))

    assert cleaned.quarantined.index.tolist() == [0, 1]
    assert [str(fault) for fault in cleaned.faults] == [
        "labs.csv, record 1, label: conflicting label",
        "labs.csv, record 2, label: conflicting label",
    ]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=25))
@settings(max_examples=40)
def test_afterwards_equal_rows_have_one_label_and_are_there_once(rows: list[tuple[int, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["x", "label"])

    cleaned = clean(frame, ConflictingLabels(columns=("x",), label="label"), Duplicates())

    assert cleaned.frame["x"].is_unique
    labels: dict[int, set[int]] = {}
    for x, label in rows:
        labels.setdefault(x, set()).add(label)
    assert sorted(cleaned.frame["x"]) == sorted(x for x, found in labels.items() if len(found) == 1)
    assert sorted([*cleaned.frame.index, *cleaned.quarantined.index]) == list(range(len(rows)))
    assert len(cleaned.faults) == len(cleaned.quarantined)


def test_a_real_table_with_relabelled_tumours_loses_them(tumours: pd.DataFrame) -> None:
    again = tumours.iloc[[3, 50]].assign(target=lambda rows: 1 - rows["target"])
    measures = tuple(name for name in tumours.columns if name != "target")

    cleaned = clean(pd.concat([tumours, again], ignore_index=True), ConflictingLabels(columns=measures, label="target"), Duplicates())

    assert cleaned.quarantined.index.tolist() == [3, 50, 569, 570]


def test_declarations_work_one_after_the_other_and_the_quarantined_rows_are_as_they_came() -> None:
    frame = pd.DataFrame({"x": [-999, 100, 100, 5]}, index=[0, 2, 3, 4])

    cleaned = clean(frame, Sentinel(column="x", values=(-999,)), Unit(column="x", from_unit="cm", to_unit="m", factor=0.01), Duplicates())

    assert cleaned.frame["x"].tolist() == [pytest.approx(math.nan, nan_ok=True), 1, 0.05]
    assert cleaned.quarantined["x"].to_dict() == {3: 100}
    assert [fault.row for fault in cleaned.faults] == [4]
    assert cleaning.as_text(cleaned.changes) == "1 × sentinel, made missing in x\n3 × cm made m in x\n1 × duplicate row, left out"
    assert cleaning.as_table(cleaned.changes).rows == (
        ("sentinel, made missing", "x", "1"),
        ("cm made m", "x", "3"),
        ("duplicate row, left out", "the row", "1"),
    )


def test_faults_are_in_the_order_of_records_whichever_declaration_found_them() -> None:
    frame = pd.DataFrame({"x": [1, 2, 2, 3, 3], "y": [0, 0, 1, 1, 1]})

    cleaned = clean(frame, Duplicates(), ConflictingLabels(columns=("x",), label="y"))

    assert [(fault.row, fault.reason) for fault in cleaned.faults] == [
        (2, Reason.CONFLICTING_LABEL),
        (3, Reason.CONFLICTING_LABEL),
        (5, Reason.DUPLICATE_ROW),
    ]


def test_a_declaration_that_finds_nothing_says_so_and_changes_no_type() -> None:
    frame = pd.DataFrame({"x": [1, 2]})

    cleaned = clean(frame, Sentinel(column="x", values=(-999,)), Impossible(column="x", maximum=5))

    pd.testing.assert_frame_equal(cleaned.frame, frame)
    assert [change.count for change in cleaned.changes] == [0, 0]


def test_a_table_without_a_declared_column_is_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])

    with pytest.raises(Refused) as error:
        clean(frame, Sentinel(column="y", values=(-999,)), Impossible(column="x", maximum=5))

    assert str(error.value) == "refused: labs.csv, y: column missing; labs.csv, x: column twice"


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Unit, {"from_unit": "a", "to_unit": "b", "factor": 0}, "x: factor"),
        (Unit, {"from_unit": "a", "to_unit": "b", "factor": math.nan}, "x: factor"),
        (Unit, {"from_unit": "a", "to_unit": "b", "factor": 1, "offset": math.inf}, "x: factor"),
        (Unit, {"from_unit": "a", "to_unit": "a", "factor": 2}, "x: from_unit and to_unit differ"),
        (Impossible, {}, "x: minimum, maximum"),
        (Impossible, {"minimum": 2, "maximum": 1}, "x: minimum, maximum"),
        (Impossible, {"minimum": math.nan}, "x: minimum, maximum"),
        (Sentinel, {"values": ()}, "x: values"),
        (Sentinel, {"values": (math.nan,)}, "x: values"),
        (Outliers, {"most": 0}, "x: most"),
        (Outliers, {"most": math.nan}, "x: most"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(kind: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        kind(column="x", **given)


@pytest.mark.parametrize("columns", [(), ("label", "x")])
def test_a_label_isnt_compared_with_itself(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"^columns: "):
        ConflictingLabels(columns=columns, label="label")
