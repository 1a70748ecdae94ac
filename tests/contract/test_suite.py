"""The suite about itself: how many rows it holds, each once, and that the table of the gateway's differences names rows that there are."""

import importlib
from pathlib import Path
from types import ModuleType

from tests.contract.gateway_differences import DIFFERENCES
from tests.contract.wire import Case

HERE = Path(__file__).parent
FEWEST = 150


def _modules() -> list[ModuleType]:
    return [importlib.import_module(f"tests.contract.{file.stem}") for file in sorted(HERE.glob("test_*.py"))]


def _rows() -> list[str]:
    return [case.row for module in _modules() for case in getattr(module, "CASES", ())]


def test_each_row_is_there_once_and_there_are_enough() -> None:
    rows = _rows()

    assert sorted({row for row in rows if rows.count(row) > 1}) == []
    assert len(rows) >= FEWEST


def test_every_difference_of_the_gateways_is_about_a_row() -> None:
    rows = _rows()

    assert [difference.rows for difference in DIFFERENCES if not any(difference.covers(row) for row in rows)] == []


def test_no_difference_of_the_gateways_is_none() -> None:
    cases = {case.row: case for module in _modules() for case in getattr(module, "CASES", ())}

    same = [
        difference.rows
        for difference in DIFFERENCES
        for row, case in cases.items()
        if difference.covers(row) and isinstance(case, Case) and (difference.code, difference.message) == (case.code, case.message)
    ]

    assert same == []
