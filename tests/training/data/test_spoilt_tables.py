"""Copies of the packages' own tables, spoilt: what is wrong is quarantined or the file is refused, and no cell is repeated."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.data import actg175, at_hand, breast_cancer, pickled_table, support2
from training.dataset import Dataset
from training.quality.fault import Refused

Load = Callable[[Any], Dataset]
SECRET = "SECRETNAME"


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    """Of each package's file what it holds: lines, or a table. Nobody may change them."""
    _, (trial,) = at_hand.installed("lifelines", "lifelines/datasets/ACTG175.csv", data="ACTG 175")
    _, (tumours,) = at_hand.installed("scikit-learn", "sklearn/datasets/data/breast_cancer.csv", data="tumours")
    _, (patients,) = at_hand.installed("survset", "SurvSet/resources/pickles/support2.pickle", data="SUPPORT")
    return {"trial": pd.read_csv(trial, dtype=str), "tumours": tumours.read_text().splitlines(), "patients": pickled_table.read(patients)}


def _loader(load: Callable[[], Dataset], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads what is given, from a file of that name."""

    def of(content: Any) -> Dataset:
        file = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content = pickle.dumps(content) if name.endswith("pickle") else content.to_csv(index=False).encode()
        file.write_bytes("\n".join(content).encode() if isinstance(content, list) else content)
        monkeypatch.setattr(at_hand, "installed", lambda *_, **__: ("1", (file,)))
        return load()

    return of


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return _loader(actg175.load_actg175, "trial.csv", tmp_path, monkeypatch)


@pytest.fixture
def tumours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return _loader(breast_cancer.load_breast_cancer, "tumours.csv", tmp_path, monkeypatch)


@pytest.fixture
def patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return _loader(support2.load_support2, "patients.pickle", tmp_path, monkeypatch)


def _faults(data: Dataset) -> set[tuple[str, ...]]:
    """Reason, column and first records."""
    table = data.notes[0].table
    return {(row[0], row[1], row[4]) for row in table.rows} if table else set()


def test_codes_that_nobody_knows_are_quarantined_and_become_no_class(trial: Load, tumours: Load, patients: Load, tables: dict[str, Any]) -> None:
    spoilt = tables["trial"].copy()
    spoilt.loc[[0, 1, 2, 3], ["gender"]] = [["9"], [None], ["F"], ["1.0"]]
    spoilt.loc[4, "hemo"] = "7"
    lines = [line[:-1] + "2" if row in {5, 6} else line[:-1] if row == 7 else line for row, line in enumerate(tables["tumours"])]
    ill = tables["patients"].astype({"fac_diabetes": object})
    ill.loc[10, "fac_diabetes"] = 2

    of_trial, of_tumours, of_patients = trial(spoilt), tumours(lines), patients(ill)

    assert _faults(of_trial) == {("unknown category", "sex", "1, 3"), ("missing", "sex", "2"), ("unknown category", "haemophilia", "5")}
    assert _faults(of_tumours) == {("unknown category", "diagnosis", "5, 6"), ("missing", "diagnosis", "7")}
    assert _faults(of_patients) == {("unknown category", "diabetes", "11")}
    assert of_patients.notes[0].text[0] == "9104 rows were taken and 1 quarantined."
    assert of_patients.notes[0].of_single_items == "numbers of records"


def _with_copies(frame: pd.DataFrame, count: int, other: dict[str, str]) -> pd.DataFrame:
    """As many of its first rows come again, with another value in a column where `other` has one; a patient's number in each row its own."""
    copies = frame.iloc[:count].assign(**other)
    if "pidnum" in other:
        copies["pidnum"] = np.arange(count).astype(str)
    return pd.concat([frame, copies], ignore_index=True)


@pytest.mark.parametrize(
    ("other", "reason", "left"), [({}, "duplicate row", 2139), ({"pidnum": ""}, "duplicate row", 2139), ({"cd420": "0"}, "conflicting label", 2119)]
)
def test_copies_and_contradictions_are_left_out_and_many_of_them_are_refused(
    trial: Load, tables: dict[str, Any], other: dict[str, str], reason: str, left: int
) -> None:
    data = trial(_with_copies(tables["trial"], 20, other))
    with pytest.raises(Refused, match=rf"up to 5% may be: .*{reason}"):
        trial(_with_copies(tables["trial"], 200, other))

    assert {row[0] for row in _faults(data)} == {reason}
    assert sum(map(len, (data.training, data.validation, data.held_out))) == left


def _patients(column: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda tables: tables["patients"].assign(**{column: change(tables["patients"][column])})


def _in_half(values: Any) -> Any:
    return values.where(np.arange(len(values)) % 2 == 0, -1.0)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_patients("num_age", _in_half), r"4552 of 9105 rows \(50.0%\) aren't as declared, and up to 5% may be: is age in another unit than a\?"),
        (
            _patients("num_temp", lambda of: of * 1.8 + 32),
            r"values of temperature \(100.0%\) can't be true, .*: is temperature in another unit than Cel\?",
        ),
        (
            _patients("num_crea", lambda of: of.where(np.arange(len(of)) % 3 > 0, of * 88.42)),
            r"of creatinine \(3\d.\d%\) can't be true, .*than mg/dL\?",
        ),
        (lambda tables: tables["patients"].drop(columns="num_ph"), "^refused: patients.pickle, num_ph: column missing$"),
        (lambda tables: tables["patients"][:9000], "9000 of the set's 9105 records are there; patients.pickle: cut short or damaged"),
        (lambda _: pickle.dumps({"age": SECRET}), "patients.pickle: it holds no table"),
    ],
)
def test_a_table_of_patients_that_nobody_should_learn_from_is_refused(patients: Load, tables: dict[str, Any], spoil: Any, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        patients(spoil(tables))

    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text[: len(text) // 2], r"\d+ of the set's 2139 records are there"),
        (lambda _: b"", "trial.csv: empty file"),
        (lambda text: text.replace(b"cd40,", b"cd4O,", 1), "trial.csv, cd40: column missing"),
        (lambda text: text.replace(b"symptom,", b"age,", 1), "trial.csv, age: column twice; trial.csv, symptom: column missing"),
        (lambda text: text.replace(b"\n2,", b"\n\xff,", 1), "trial.csv, record 2: wrong encoding"),
    ],
)
def test_a_file_that_is_no_table_is_refused(trial: Load, tables: dict[str, Any], spoil: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        trial(spoil(tables["trial"].to_csv(index=False).encode()))


def test_a_line_that_is_no_record_is_quarantined_by_its_number(trial: Load, tables: dict[str, Any]) -> None:
    lines = tables["trial"].to_csv(index=False).splitlines()
    lines[1], lines[2], lines[3] = lines[1] + "," + SECRET, lines[2].rpartition(",")[0], '"' + lines[3]
    lines[4] = lines[4].replace(",", f",{SECRET}", 1).replace(f"{SECRET}", f"{SECRET},", 1).rpartition(",")[0]

    data = trial(lines)

    found = _faults(data)
    assert {("too many cells", "the row", "1"), ("too few cells", "the row", "2"), ("quotes don't match", "the row", "3")} <= found
    assert SECRET not in repr(data.notes)


def test_a_measure_that_nucleus_has_none_of_is_quarantined(tumours: Load, tables: dict[str, Any]) -> None:
    lines = list(tables["tumours"])
    lines[1] = "1e30," + lines[1].partition(",")[2]

    assert _faults(tumours(lines)) == {("above maximum", "mean_radius", "1")}


def test_labels_of_another_kind_in_many_rows_are_refused(tumours: Load, tables: dict[str, Any]) -> None:
    lines = [line[:-1] + "2" if 0 < row <= 50 else line for row, line in enumerate(tables["tumours"])]

    with pytest.raises(Refused, match=r"50 of 569 rows \(8.8%\) .*: diagnosis: are its categories coded otherwise\?"):
        tumours(lines)
