"""A job's data made of a stream: bounded in memory, with what is at fault told, and never with a patient in two parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.dataset import Dataset, Sample
from training.quality.fault import Refused
from training.quality.split import Leak
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.parts import ByPatient, Given, Parts, Patients
from training.streams.streamed_dataset import Roles, streamed_dataset

PARTS = (
    Part(name="x", columns=("a", "b")),
    Part(name="label", columns="label", kind=Kind.INT64),
    Part(name="days", columns="b"),
    Part(name="patient", columns="patient", kind=Kind.STRING),
    Part(name="sex", columns="sex", kind=Kind.STRING, may_be_missing=True),
    Part(name="age", columns="age", may_be_missing=True),
)
PATIENT = Patients(array="patient")


def write(folder: Path, patients: range, *, each: int = 2, bad: int = 0) -> CsvFiles:
    """`each` rows of these patients, and some bad ones; a row's first number is its own."""
    folder.mkdir()
    rows = [
        f"{each * patient + row},{patient},{patient % 2},p{patient},{'fm'[patient % 2]},{20 + patient}" for patient in patients for row in range(each)
    ]
    (folder / "rows.csv").write_text("\n".join(["a,b,label,patient,sex,age", *rows, *["x,0,0,p0,f,3"] * bad, ""]))
    return CsvFiles(root=folder, parts=PARTS, shard_bytes=256)


def made(
    parts: Parts, *, sample: int = 1000, at_most: int = 1000, most_quarantined: float = 0.1, cache: Path | None = None, **arrays: Any
) -> Dataset:
    roles = Roles(**{"inputs": "x", "targets": "label"} | arrays)
    return streamed_dataset(
        parts, roles, name="rows", source="here", license="none", sample=sample, at_most=at_most, most_quarantined=most_quarantined, cache=cache
    )  # fmt: skip


def text_of(data: Dataset) -> str:
    (note,) = data.notes
    return " ".join(note.text)


def rows_of(data: Dataset) -> list[set[float]]:
    """Each part's rows, by their numbers; those of the stream for what is learnt from."""
    assert isinstance(data.training, Sample)
    streamed = {float(row) for inputs, _ in data.training.stream.epoch(0, batch_size=16, seed=0) for row in inputs.numpy()[:, 0]}
    return [streamed, *({float(row) for row in part.inputs[:, 0]} for part in (data.validation, data.held_out))]


def test_all_is_learnt_from_and_so_much_is_held(tmp_path: Path) -> None:
    source = write(tmp_path / "rows", range(100))

    data = made(ByPatient(source=source, patients=PATIENT, validation=0.2, held_out=0.3), sample=20, at_most=15)

    training, validation, held_out = rows_of(data)
    assert (len(data.training), len(data.validation), len(data.held_out)) == (20, 15, 15)
    assert data.items_to_learn == len(training) > 60
    assert {float(row) for row in data.training.inputs[:, 0]} < training
    assert not training & validation | training & held_out | validation & held_out
    assert text_of(data).startswith(f"200 items were taken: {len(training)} to train on, ")
    assert "20 of those to train on, 15 of those to validate, 15 of those held out" in text_of(data)


def test_a_set_that_fits_is_held_whole_with_whose_each_item_is_and_its_levels(tmp_path: Path) -> None:
    parts = ByPatient(source=write(tmp_path / "rows", range(60)), patients=PATIENT, validation=0.2, held_out=0.3)

    data = made(parts, attributes={"sex": (), "age": (40.0, 60.0)})

    held_out = data.held_out
    assert sum(map(len, rows_of(data))) == 120
    assert "Drawn" not in text_of(data)
    assert held_out.patients is not None
    of = held_out.inputs[:, 1].astype(int)
    assert len(np.unique(held_out.patients)) == len(np.unique(of)) == len(held_out) // 2
    assert held_out.targets.tolist() == (of % 2).tolist()
    assert held_out.attributes["sex"].tolist() == ["fm"[patient % 2] for patient in of]
    assert held_out.attributes["age"].tolist() == ["below 40" if age < 40 else "40 to 60" if age < 60 else "60 and above" for age in of + 20]


def test_items_that_are_each_somebody_elses_have_no_patients_to_group_by(tmp_path: Path) -> None:
    data = made(ByPatient(source=write(tmp_path / "rows", range(60), each=1), patients=PATIENT, validation=0.2, held_out=0.3))

    assert [part.patients for part in (data.training, data.validation, data.held_out)] == [None] * 3


def test_targets_of_several_arrays_are_structured(tmp_path: Path) -> None:
    dtype = np.dtype([("days", np.float64), ("label", np.bool_)])

    data = made(ByPatient(source=write(tmp_path / "rows", range(40)), patients=PATIENT, validation=0.2, held_out=0.3), targets=dtype)

    assert data.held_out.targets.dtype == dtype
    assert data.held_out.targets["days"].tolist() == data.held_out.inputs[:, 1].tolist()
    assert data.held_out.targets["label"].tolist() == (data.held_out.inputs[:, 1] % 2 == 1).tolist()
    assert isinstance(data.training, Sample)
    _, targets = next(iter(data.training.stream.epoch(0, batch_size=4, seed=0)))
    assert set(targets) == {"days", "label"}


@pytest.mark.parametrize("is_copied", [False, True])
def test_what_is_at_fault_is_listed_with_the_part_that_it_is_in(tmp_path: Path, *, is_copied: bool) -> None:
    parts = Given(
        training=write(tmp_path / "a", range(10), bad=2),
        validation=write(tmp_path / "b", range(10, 14), bad=1),
        held_out=write(tmp_path / "c", range(14, 20)),
    )

    data = made(parts, cache=tmp_path / "cache" if is_copied else None)

    assert list(map(len, rows_of(data))) == [20, 8, 12]
    assert "What is at fault was quarantined: 3 faults." in text_of(data)
    assert data.notes[0].of_single_items == "numbers of records"
    (note,) = data.notes
    assert note.table is not None
    assert [row[:4] for row in note.table.rows] == [
        ("not a number", "a", "rows.csv (to train on)", "2"), ("not a number", "a", "rows.csv (to validate)", "1"),
    ]  # fmt: skip


def test_many_faults_are_counted_and_some_are_listed(tmp_path: Path) -> None:
    parts = ByPatient(source=write(tmp_path / "rows", range(40), bad=300), patients=PATIENT, validation=0.2, held_out=0.3)

    with pytest.raises(Refused, match=r"300 of 380 items \(78.9%\) aren't as declared"):
        made(parts)
    data = made(parts, most_quarantined=0.8)

    assert "300 faults; the first 200 are listed" in text_of(data)
    assert data.notes[0].table is not None
    assert sum(int(row[3]) for row in data.notes[0].table.rows) == 200


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((range(10), range(9, 12), range(12, 20)), "2 of 20 items to train on are of patients with items to validate or held out"),
        ((range(8), range(8, 12), range(10, 20)), "2 patients have items to validate and items held out"),
    ],
)
def test_given_parts_with_a_patient_in_two_of_them_are_refused(tmp_path: Path, parts: tuple[range, ...], message: str) -> None:
    training, validation, held_out = (write(tmp_path / name, patients) for name, patients in zip("abc", parts, strict=True))

    with pytest.raises(Leak, match=message):
        made(Given(training=training, validation=validation, held_out=held_out, patients=PATIENT))


def test_a_part_without_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none to validate"):
        made(ByPatient(source=write(tmp_path / "rows", range(1)), patients=PATIENT, validation=0.001, held_out=0.001))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": "y"}, "roles: y: not among"),
        ({"attributes": {"sex": (1.0,)}}, "attributes: sex: one text an item without bounds"),
        ({"attributes": {"age": ()}}, "attributes: age: one text"),
        ({"sample": 0}, "sample: 1 or more, not 0"),
        ({"at_most": 0}, "at_most: 1 or more, not 0"),
    ],
)
def test_what_the_items_dont_have_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(ByPatient(source=write(tmp_path / "rows", range(5)), patients=PATIENT), **changes)


def test_the_same_seed_draws_the_same_items(tmp_path: Path) -> None:
    parts = ByPatient(source=write(tmp_path / "rows", range(60)), patients=PATIENT)

    first, second = (made(parts, sample=10, at_most=10) for _ in range(2))

    for name in ("training", "validation", "held_out"):
        np.testing.assert_array_equal(getattr(first, name).inputs, getattr(second, name).inputs)
