"""Cells as they come from a file, as numbers and as texts.

A reader gives a column one type where it can, and leaves texts where one cell doesn't fit. Both come out the same here.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


def are_missing(cells: "pd.Series[Any]") -> NDArray[np.bool_]:
    """[cells], whether nothing stands there: None, NaN, NaT, NA, or a text of blanks."""
    absent = cells.isna().to_numpy(bool)
    if cells.dtype.kind == "O":
        absent |= np.fromiter((isinstance(cell, str) and not cell.strip() for cell in cells), bool, len(cells))
    return absent


def numbers(cells: "pd.Series[Any]") -> NDArray[np.float64]:
    """[cells], NaN where nothing or no number stands: only digits, sign, point and exponent of ASCII make one. Dates and durations are none."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_complex_dtype(cells.dtype):
        return cells.to_numpy(np.float64, na_value=math.nan)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype) or pd.api.types.is_timedelta64_dtype(cells.dtype):
        return np.full(len(cells), math.nan)
    plain = pd.Series([_plain(cell) for cell in cells], dtype=object)
    return pd.to_numeric(plain, errors="coerce").to_numpy(np.float64, na_value=math.nan)


def texts(cells: "pd.Series[Any]") -> NDArray[np.object_]:
    """[cells], str without blanks around it; None where nothing stands. A whole number has no decimal point: 1 and 1.0 are "1"."""
    absent = are_missing(cells)
    found = np.empty(len(cells), object)
    found[:] = [None if gone else text(cell) for gone, cell in zip(absent, cells, strict=True)]
    return found


def text(cell: object) -> str:
    """A cell in which something stands, as `texts` has it."""
    found = str(cell).strip()
    whole, point, zeros = found.partition(".")
    is_whole = point and zeros and not zeros.strip("0") and whole.lstrip("+-").isdecimal()
    return whole if is_whole else found


def named(cells: "pd.Series[Any]", names: Mapping[str, str]) -> NDArray[np.object_]:
    """[cells], the name of each code that is one, by its `texts`. What is none stays as it came: it is the check's to say that nobody knows it."""
    found = np.empty(len(cells), object)
    found[:] = [cell if code is None else names.get(code, cell) for code, cell in zip(texts(cells), cells, strict=True)]
    return found


def row_numbers(frame: "pd.DataFrame") -> NDArray[np.int64]:
    """[rows]: equal numbers for rows that are equal in each column. Numbers are compared as numbers, all else as `texts`; missing equals missing."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    if not frame.shape[1]:
        return np.zeros(len(frame), np.int64)
    columns = (frame.iloc[:, column] for column in range(frame.shape[1]))
    codes = np.column_stack([pd.factorize(column.to_numpy() if column.dtype.kind in "biuf" else texts(column))[0] for column in columns])
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)


def _plain(cell: object) -> str | float | None:
    if isinstance(cell, str):
        return cell
    if not isinstance(cell, Real | Decimal | np.bool_):
        return None
    try:
        return float(cell)
    except OverflowError:
        return math.inf
