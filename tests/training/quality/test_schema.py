import math
import subprocess
import sys
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.quality.fault import Reason
from training.quality.schema import Category, Field, Schema

AGE = Field(name="age", description="age", unit="a", minimum=0, maximum=120)
SEX = Field(name="sex", description="sex", unit="1", categories=(Category(code="f", display="female"), Category(code="m", display="male")))


def field(**given: Any) -> Field:
    return Field(**{"name": "x", "description": "a number", "unit": "1"} | given)


def schema(**given: Any) -> Schema:
    return Schema(**{"name": "table", "fields": (AGE, SEX)} | given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "name: "),
        ({"name": " x"}, "name: "),
        ({"name": "x\n"}, "name: "),
        ({"description": ""}, "x: description"),
        ({"unit": ""}, "x: unit"),
        ({"unit": "mm Hg"}, "x: unit"),
        ({"unit": "µg"}, "x: unit"),
        ({"minimum": 2.0, "maximum": 2.0}, "x: minimum is below maximum; they are 2.0 and 2.0"),
        ({"minimum": math.nan}, "x: minimum is a finite number"),
        ({"maximum": math.inf}, "x: maximum is a finite number"),
        ({"minimum": 0.5, "is_integer": True}, "x: minimum is an integer"),
        ({"categories": SEX.categories, "minimum": 0}, "x: categories have no minimum"),
        ({"categories": SEX.categories, "maximum": 0}, "x: categories have no minimum"),
        ({"categories": SEX.categories, "is_integer": True}, "x: categories have no minimum"),
        ({"categories": SEX.categories, "unit": "a"}, "x: categories have no minimum"),
        ({"categories": SEX.categories * 2}, "x: categories: each one once; f, m is there twice"),
    ],
)
def test_a_field_that_contradicts_itself_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        field(**given)


@pytest.mark.parametrize(("code", "display"), [("", "none"), ("1", ""), (" 1", "one")])
def test_a_category_has_a_code_and_a_name(code: str, display: str) -> None:
    with pytest.raises(ValueError, match=r"^(code|display): "):
        Category(code=code, display=display)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fields": ()}, "table: fields"),
        ({"fields": (AGE, AGE)}, "table: columns: each one once; age is there twice"),
        ({"patient": "age"}, "table: columns: each one once; age"),
        ({"labels": (AGE,)}, "table: columns: each one once; age"),
        ({"ignored": ("age",)}, "table: columns: each one once; age"),
        ({"patient": "p", "time": "p"}, "table: columns: each one once; p"),
        ({"patient": ""}, "table: column: "),
        ({"time_is_calendar": True}, "table: time_is_calendar"),
        ({"time": "age", "time_is_calendar": True}, "table: time_is_calendar"),
        ({"time": "sex"}, "table: time: "),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        schema(**given)


def test_columns_are_read_in_one_order_and_a_field_that_is_the_time_once() -> None:
    label = field(name="died", categories=SEX.categories)

    assert schema(patient="id", time="day", labels=(label,), ignored=("note",)).columns == ("id", "day", "age", "sex", "died")
    assert schema(patient="id", time="age").columns == ("id", "age", "sex")


@settings(max_examples=50)
@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(allow_nan=False, allow_infinity=False))
def test_panderas_schema_takes_a_number_where_it_is_within_the_bounds(one: float, other: float, value: float) -> None:
    low, high = sorted((one, other))
    if low == high:
        high += 1
    wanted = Schema(name="table", fields=(field(minimum=low, maximum=high),)).as_pandera()

    frame = pd.DataFrame({"x": [value]})
    if low <= value <= high:
        wanted.validate(frame, lazy=True)
    else:
        with pytest.raises(pa.errors.SchemaErrors) as error:
            wanted.validate(frame, lazy=True)
        assert error.value.failure_cases["check"].tolist() == [Reason.BELOW_MINIMUM if value < low else Reason.ABOVE_MAXIMUM]


@pytest.mark.parametrize(
    "cells", [{"x": [1]}, {"x": ["1"]}, {"x": [math.inf]}, {"y": [1.0]}, {"x": [1.0], "y": [1.0]}, {"x": [math.nan]}, {"x": [1.5]}]
)
def test_panderas_schema_takes_typed_columns_only_and_all_of_them(cells: dict[str, list[Any]]) -> None:
    wanted = Schema(name="table", fields=(field(is_integer=True),)).as_pandera()

    wanted.validate(pd.DataFrame({"x": [1.0]}), lazy=True)
    with pytest.raises(pa.errors.SchemaErrors):
        wanted.validate(pd.DataFrame(cells), lazy=True)


def test_to_declare_a_schema_loads_neither_pandas_nor_pandera() -> None:
    """Listing jobs stays fast."""
    imports = "; ".join(f"import training.quality.{name}" for name in ("check", "cleaning", "drift", "fault", "schema", "split"))
    program = f"import sys; {imports}; print({{'pandas', 'pandera', 'scipy', 'sklearn'}} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
