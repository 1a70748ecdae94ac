"""A new drop of a job's table against what the job learns from, by the command line: real patients, and what a hospital may send instead."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training import __main__ as command_line
from training import record_input
from training.data import actg175, breast_cancer, support2
from training.dataset import Dataset
from training.jobs import JOBS
from training.quality.declarations import Impossible
from training.quality.schema import Schema
from training.quality.table import Table

Told = tuple[int, str, str]
WRONG = "Jane Doe"
DOCS = Path(__file__).parents[2] / "docs" / "training.md"


def _table(schema: Schema, data: Dataset) -> pd.DataFrame:
    return record_input.table_of(schema, np.concatenate([part.inputs for part in (data.training, data.validation, data.held_out)]))


@pytest.fixture(scope="module")
def tables() -> dict[str, Dataset]:
    """By the name of each job that has one."""
    return {job.name: job.load() for job in JOBS.values() if job.table is not None}


@pytest.fixture(scope="module")
def patients(tables: dict[str, Dataset]) -> pd.DataFrame:
    """All of SUPPORT, with the names and units of a request."""
    return _table(support2.SCHEMA, tables["mortality"])


@pytest.fixture(scope="module")
def tumours(tables: dict[str, Dataset]) -> pd.DataFrame:
    return _table(breast_cancer.SCHEMA, tables["tumour"])


@pytest.fixture
def drift(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Runs the command in this process; returns the exit status and what was said."""

    def run(*arguments: str | Path) -> Told:
        monkeypatch.setattr(sys, "argv", ["training", "drift", *map(str, arguments)])
        status = command_line.main()
        return status, *capsys.readouterr()

    return run


def test_a_random_half_of_the_patients_has_not_drifted(drift: Any, patients: pd.DataFrame, tmp_path: Path) -> None:
    patients.sample(frac=0.5, random_state=0).to_parquet(tmp_path / "half.parquet", index=False)

    status, said, errors = drift("mortality", "--data", tmp_path / "half.parquet")

    assert (status, errors) == (0, "")
    lines = said.splitlines()
    assert lines[0] == "half.parquet: 4552 of 4552 rows taken, 0 quarantined"
    assert lines[1].split() == ["field", "what", "test", "statistic", "p", "(Holm)", "effect", "from", "what", "to", "what"]
    assert lines[-1] == "4552 new rows beside 5463: nothing has drifted"


def test_patients_who_are_ten_years_older_and_a_column_that_is_gone_have_and_are_named(command: Any, patients: pd.DataFrame, tmp_path: Path) -> None:
    older = patients.assign(age=patients["age"] + 10).drop(columns="albumin")
    older.to_csv(tmp_path / "older.csv", index=False)

    done = command("drift", "mortality", "--data", tmp_path / "older.csv", "--report", tmp_path / "drift.html")

    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    too_old = np.flatnonzero(older["age"] > 110) + 1
    assert lines[1] == f"{len(too_old)} × above maximum in age: older.csv, records {', '.join(map(str, too_old))}"
    assert lines[2] == "column missing: albumin of older.csv"
    assert [line.split()[:2] for line in lines if line.endswith("  drifted")] == [["age", "values"], ["albumin", "missing"]]
    assert lines[-2].endswith(": drifted: age, albumin")
    page = (tmp_path / "drift.html").read_text()
    assert "Survival of seriously ill patients (mortality): drift" in page
    assert lines[-2] in page
    assert 'class="outcome"' in page


def test_what_the_job_mends_is_mended_in_a_drop_and_shows_as_missing(drift: Any, patients: pd.DataFrame, tmp_path: Path) -> None:
    """An albumin in g/L is none that anybody has in g/dL."""
    patients.assign(albumin=patients["albumin"] * 10).to_csv(tmp_path / "unit.csv", index=False)

    status, said, _ = drift("mortality", "--data", tmp_path / "unit.csv", "--report", tmp_path / "unit.html")

    assert status == 1
    assert said.splitlines()[-2].endswith(": drifted: albumin")
    assert "What was cleaned" in (tmp_path / "unit.html").read_text()


def test_a_csv_file_and_a_parquet_file_of_the_same_rows_in_any_order_of_columns_are_one_drop(
    drift: Any, tumours: pd.DataFrame, tmp_path: Path
) -> None:
    some = tumours[tumours.columns[::-1]][:200].assign(hospital="north")
    some.to_csv(tmp_path / "drop.csv", index=False)
    some.to_parquet(tmp_path / "drop.parquet", index=False)

    _, by_csv, _ = drift("tumour", "--data", tmp_path / "drop.csv")
    _, by_parquet, _ = drift("tumour", "--data", tmp_path / "drop.parquet")

    assert by_csv.splitlines()[1:] == by_parquet.splitlines()[1:]


def test_a_row_that_is_not_as_declared_is_named_and_the_others_are_compared(drift: Any, tumours: pd.DataFrame, tmp_path: Path) -> None:
    lines = tumours.sample(n=60, random_state=1).to_csv(index=False).splitlines()
    lines[7] = WRONG + "," + lines[7].partition(",")[2]
    lines[21] = lines[21].rpartition(",")[0]
    (tmp_path / "drop.csv").write_text("\n".join(lines))

    status, said, errors = drift("tumour", "--data", tmp_path / "drop.csv")

    assert (status, errors) == (0, "")
    assert said.splitlines()[:3] == [
        "drop.csv: 58 of 60 rows taken, 2 quarantined",
        "1 × not a number in mean_radius: drop.csv, record 7",
        "1 × too few cells: drop.csv, record 21",
    ]
    assert WRONG not in said


def _without(name: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.drop(columns=name)


def test_a_file_that_the_disk_does_not_give_is_named(drift: Any, tmp_path: Path) -> None:
    (tmp_path / "drop.csv").symlink_to("/proc/self/mem")

    assert drift("tumour", "--data", tmp_path / "drop.csv") == (2, "", "python -m training: drop.csv: Input/output error\n")


def test_the_example_in_the_docs_is_what_the_command_prints(
    drift: Any, tables: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = record_input.table_of(actg175.SCHEMA, tables["hiv-treatment"].held_out.inputs)
    held_out.assign(weight=(held_out["weight"] * 2.2046).round(1)).to_csv(tmp_path / "clinic.csv", index=False)
    monkeypatch.chdir(tmp_path)

    status, said, _ = drift("hiv-treatment", "--data", "clinic.csv", "--report", "drift.html")

    assert status == 1
    assert textwrap.indent(said, "    ") in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("there.csv", None, ["there.csv: no such file"]),
        ("drop.xlsx", "x", ["drop.xlsx: give a file whose name ends in .csv or .parquet"]),
        ("drop.csv", "", ["drop.csv: it can't be read as", "empty file: drop.csv"]),
        ("drop.csv", f"{WRONG}\n1", ["column missing: mean_radius of drop.csv", "column missing: worst_symmetry"]),
        ("drop.csv", _without("mean_area"), ["column missing: mean_area of drop.csv"]),
        ("drop.csv", lambda table: table[:0], ["no records: drop.csv"]),
        ("drop.parquet", f"PAR1{WRONG}PAR1", ["cut short or damaged: drop.parquet"]),
        (
            "drop.csv",
            lambda table: table.assign(mean_area=-table["mean_area"]),
            ["569 of 569 rows aren't as declared", "569 × below minimum in mean_area: drop.csv, records 1, 2, 3, 4, 5, …"],
        ),
        ("drop.csv", lambda table: table.assign(mean_area=WRONG), ["569 × not a number in mean_area: drop.csv, records 1, 2"]),
    ],
)
def test_a_file_that_cant_be_used_is_refused_with_where_and_why_and_without_a_cell(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, content: Any, why: list[str]
) -> None:
    drift, tumours = request.getfixturevalue("drift"), request.getfixturevalue("tumours")
    if content is not None:
        (tmp_path / name).write_text(content if isinstance(content, str) else content(tumours).to_csv(index=False))

    status, said, errors = drift("tumour", "--data", tmp_path / name, "--report", tmp_path / "drift.html")

    assert (status, said) == (2, "")
    assert errors.startswith(f"python -m training: {name}: ")
    assert all(words in errors for words in why)
    assert WRONG not in errors
    assert not (tmp_path / "drift.html").exists()


@pytest.mark.parametrize("name", [job.name for job in JOBS.values() if job.table is None])
def test_a_job_without_a_table_says_so_and_which_have_one(drift: Any, name: str, tmp_path: Path) -> None:
    jobs = "mortality, hiv-treatment, tumour"

    assert drift(name, "--data", tmp_path / "drop.csv") == (
        2,
        "",
        f"python -m training: {name} learns from no table, so it has no fields to compare; jobs that do: {jobs}\n",
    )


@pytest.mark.parametrize("name", [job.name for job in JOBS.values() if job.table is not None])
def test_a_job_declares_the_table_that_its_items_are_rows_of(name: str, tables: dict[str, Dataset]) -> None:
    job, inputs = JOBS[name], tables[name].held_out.inputs
    assert job.table is not None

    table = record_input.table_of(job.table.schema, inputs)

    assert [feature.name for feature in job.facts().inputs[0].record.features] == list(table.columns)
    np.testing.assert_array_equal(record_input.inputs_of(job.table.schema, table), inputs)


def test_a_table_whose_cleaning_is_of_another_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^cleaning: columns of SUPPORT; mean_area isn't one$"):
        Table(schema=support2.SCHEMA, cleaning=(Impossible(column="mean_area", minimum=0),))
