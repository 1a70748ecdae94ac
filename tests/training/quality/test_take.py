"""When a table is taken, with what is wrong left out, and when it is refused whole."""

from typing import Any

import pandas as pd
import pytest

from training.quality.cleaning import Impossible, Outliers, Sentinel
from training.quality.fault import Fault, Reason, Refused
from training.quality.schema import Category, Field, Schema
from training.quality.table import Table
from training.quality.take import columns_of, take

SCHEMA = Schema(
    name="labs",
    fields=(
        Field(name="age", description="age", unit="a", minimum=0, maximum=120),
        Field(name="sodium", description="sodium in serum", unit="mmol/L", minimum=100, maximum=200, may_be_missing=True),
        Field(name="sex", description="sex", unit="1", categories=(Category(code="f", display="female"), Category(code="m", display="male"))),
    ),
)
CLEANING = (Sentinel(column="sodium", values=(-9,)), Impossible(column="sodium", minimum=100, maximum=200))
TABLE = Table(schema=SCHEMA, cleaning=CLEANING)


def _frame(wrong: int = 0, column: str = "age", cell: Any = -1, rows: int = 100) -> pd.DataFrame:
    frame = pd.DataFrame({"age": 60.0, "sodium": 140.0, "sex": "f"}, index=range(rows)).astype({column: object})
    frame.loc[: wrong - 1, column] = cell
    return frame


def test_a_share_that_may_be_wrong_is_left_out_and_one_row_more_is_refused() -> None:
    taken = take(TABLE, _frame(5), file="labs.csv")

    assert (len(taken.clean), taken.records, len(taken.faults)) == (95, 100, 5)
    with pytest.raises(
        Refused, match=r"^refused: 6 of 100 rows \(6.0%\) aren't as declared, and up to 5% may be: is age in another unit than a\?; 6 × b"
    ):
        take(TABLE, _frame(6), file="labs.csv")


def test_the_table_says_which_share_that_is() -> None:
    lax = Table(schema=SCHEMA, cleaning=CLEANING, most_quarantined=0.5, most_impossible=0.5)

    assert len(take(lax, _frame(50), file="labs.csv").clean) == 50
    assert take(lax, _frame(50, "sodium", 1400), file="labs.csv").clean["sodium"].isna().sum() == 50


def test_impossible_values_are_counted_among_those_that_there_are_and_sentinels_are_none() -> None:
    # Of 50 values three are impossible.
    frame = _frame(47, "sodium", -9)
    frame.loc[:2, "sodium"] = 1400
    frame.loc[50:, "sodium"] = None

    with pytest.raises(
        Refused, match=r"labs.csv: 3 of the values of sodium \(50.0%\) can't be true, and up to 5% may be so: is sodium in another unit"
    ):
        take(TABLE, frame, file="labs.csv")
    assert take(TABLE, _frame(47, "sodium", -9), file="labs.csv").clean["sodium"].isna().sum() == 47


def test_outliers_that_become_missing_are_doubted_as_well() -> None:
    table = Table(schema=SCHEMA, cleaning=(Outliers(column="sodium"),))

    with pytest.raises(Refused, match=r"10 of the values of sodium \(10.0%\)"):
        take(table, _frame(10, "sodium", 190), file="labs.csv")


@pytest.mark.parametrize(
    ("column", "cell", "look_at"),
    [
        ("sex", "1", "sex: are its categories coded otherwise"),
        ("sex", None, "sex: is the file whole, and are its columns in their places"),
        ("age", "SECRETNAME", "age: is it written otherwise, or are columns shifted"),
    ],
)
def test_what_to_look_at_is_said_and_no_cell(column: str, cell: Any, look_at: str) -> None:
    with pytest.raises(Refused, match=look_at) as caught:
        take(TABLE, _frame(20, column, cell), file="labs.csv")

    assert "SECRETNAME" not in str(caught.value)


def test_records_that_could_not_be_read_count_as_left_out() -> None:
    unread = tuple(Fault(file="labs.csv", row=row, reason=Reason.TOO_FEW_CELLS) for row in range(1, 7))

    with pytest.raises(Refused, match=r"6 of 100 rows"):
        take(TABLE, _frame()[6:], file="labs.csv", unread=unread, records=100)
    with pytest.raises(Refused, match=r"100 of the set's 101 records are there; labs.csv: cut short or damaged"):
        take(TABLE, _frame()[6:], file="labs.csv", unread=unread, records=101)


def test_a_table_without_a_good_row_is_refused() -> None:
    with pytest.raises(Refused, match=r"^refused: there are no rows$"):
        take(TABLE, _frame(rows=0), file="labs.csv")


def test_columns_are_found_by_the_files_names_and_those_that_are_missing_or_there_twice_are_named() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "b"])

    assert list(columns_of(frame, {"a": "age"}, file="labs.csv").columns) == ["age"]
    with pytest.raises(Refused, match=r"^refused: labs.csv, b: column twice; labs.csv, c: column missing$"):
        columns_of(frame, {"a": "age", "b": "x", "c": "y"}, file="labs.csv")


@pytest.mark.parametrize("name", ["most_quarantined", "most_impossible"])
@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_a_share_that_is_none_is_refused(name: str, share: float) -> None:
    shares: dict[str, Any] = {name: share}

    with pytest.raises(ValueError, match=f"^{name}: a share from 0 on and below 1"):
        Table(schema=SCHEMA, **shares)
