"""A real trial's file with one of everything that goes wrong, from the disk to the parts that are learnt from."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from training.quality import cleaning, fault
from training.quality.check import Checked, check
from training.quality.cleaning import Cleaned, ConflictingLabels, Duplicates, Impossible, Outliers, Sentinel, Unit
from training.quality.drift import compare
from training.quality.schema import Schema
from training.quality.split import Leak, at_random, by_patient, require_no_leak

FILE = "ACTG175.csv"
DECLARATIONS = (
    Sentinel(column="cd40", values=(-999, "NK")),
    Unit(column="wtkg", from_unit="[lb_av]", to_unit="kg", factor=0.45359237, unit_column="weight_unit"),
    Impossible(column="karnof", minimum=10, maximum=100),
    Duplicates(),
    ConflictingLabels(columns=("pidnum", "days"), label="cens"),
    Outliers(column="cd496", most=8, become="quarantined"),
)


@dataclass(frozen=True, kw_only=True)
class Read:
    cleaned: Cleaned
    checked: Checked


@pytest.fixture(scope="module")
def read(trial_file: Path, trial_schema: Schema, tmp_path_factory: pytest.TempPathFactory) -> Read:
    with trial_file.open(encoding="utf-8") as lines:
        records = [record | {"weight_unit": "kg"} for record in csv.DictReader(lines)]
    records[0]["cd40"] = "NK"
    records[1]["cd40"] = "-999"
    records[2] |= {"wtkg": "195.0", "weight_unit": "[lb_av]"}
    records[3]["karnof"] = "1000"
    records[4]["age"] = "4O"
    records[5]["gender"] = "M"
    records[6]["wtkg"] = "8.8"
    records[7]["cd40"] = "422.5"
    records[8]["cens"] = ""
    records[9]["cd496"] = "9e4"
    records.append(dict(records[10]))
    records.append(records[11] | {"cens": str(1 - int(records[11]["cens"]))})
    path = tmp_path_factory.mktemp("spoilt") / FILE
    pd.DataFrame(records).to_csv(path, index=False)

    cleaned = cleaning.clean(DECLARATIONS, pd.read_csv(path), file=FILE)
    return Read(cleaned=cleaned, checked=check(trial_schema, cleaned.frame.drop(columns="weight_unit"), file=FILE))


def test_each_record_that_cant_be_mended_is_named_with_its_column_and_reason(read: Read) -> None:
    assert [str(each) for each in (*read.cleaned.faults, *read.checked.faults)] == [
        "ACTG175.csv, record 10, cd496: outlier",
        "ACTG175.csv, record 12, cens: conflicting label",
        "ACTG175.csv, record 2140: duplicate row",
        "ACTG175.csv, record 2141, cens: conflicting label",
        "ACTG175.csv, record 1, cd40: missing",
        "ACTG175.csv, record 2, cd40: missing",
        "ACTG175.csv, record 4, karnof: missing",
        "ACTG175.csv, record 5, age: not a number",
        "ACTG175.csv, record 6, gender: unknown category",
        "ACTG175.csv, record 7, wtkg: below minimum",
        "ACTG175.csv, record 8, cd40: not an integer",
        "ACTG175.csv, record 9, cens: missing",
    ]
    assert read.checked.clean.loc[2, "wtkg"] == pytest.approx(88.45, abs=0.01)
    assert len(read.checked.clean) + len(read.checked.quarantined) + len(read.cleaned.quarantined) == 2141


def test_the_report_says_how_many_of_each_and_what_was_mended(read: Read) -> None:
    assert fault.as_text((*read.cleaned.faults, *read.checked.faults)).splitlines()[:2] == [
        "2 × conflicting label in cens: ACTG175.csv, records 12, 2141",
        "2 × missing in cd40: ACTG175.csv, records 1, 2",
    ]
    assert cleaning.as_text(read.cleaned.changes).splitlines() == [
        "2 × sentinel, made missing in cd40",
        "1 × [lb_av] made kg in wtkg",
        "1 × impossible, made missing in karnof",
        "1 × duplicate row, left out",
        "2 × conflicting label, left out in cens",
        "1 × outlier, left out in cd496",
    ]


def test_what_is_left_is_as_the_whole_was_and_is_split_by_patient_without_a_leak(read: Read, trial: pd.DataFrame, trial_schema: Schema) -> None:
    visits = pd.concat([read.checked.clean] * 2)
    patients = visits["pidnum"].to_numpy()

    by_row, split = at_random(len(visits)), by_patient(patients, labels=visits["cens"].to_numpy())

    assert not compare(trial_schema, check(trial_schema, trial, file=FILE).clean, read.checked.clean).has_drifted
    require_no_leak(split, patients=patients, rows=visits)
    with pytest.raises(Leak, match=r"patients are in more than one part.* same features"):
        require_no_leak(by_row, patients=patients, rows=visits)
