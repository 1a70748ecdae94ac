"""A job's data made of a stream: bounded in memory, with what is at fault told, and never with a patient in two parts."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from training.dataset import Dataset, Sample
from training.quality.fault import Refused
from training.quality.split import Leak
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.image_folder import ImageFolder
from training.streams.labels import ByFolder
from training.streams.parquet_files import ParquetFiles
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
    parts: Parts,
    *,
    sample: int = 1000,
    at_most: int = 1000,
    most_quarantined: float = 0.1,
    may_repeat: bool = False,
    cache: Path | None = None,
    **arrays: Any,
) -> Dataset:
    roles = Roles(**{"inputs": "x", "targets": "label"} | arrays)
    return streamed_dataset(
        parts, roles, name="rows", source="here", license="none", sample=sample, at_most=at_most, most_quarantined=most_quarantined,
        may_repeat=may_repeat, cache=cache,
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
        (
            (range(10), range(9, 12), range(12, 20)),
            r"2 of 20 items to train on are of patients with items to validate or held out: .*, record 19; rows.csv \(to train on\), record 20$",
        ),
        (
            (range(8), range(8, 12), range(10, 20)),
            r"2 patients have items to validate and items held out: rows.csv \(to validate\), record 5; .*, record 8$",
        ),
    ],
)
def test_given_parts_with_a_patient_in_two_of_them_are_refused(tmp_path: Path, parts: tuple[range, ...], message: str) -> None:
    training, validation, held_out = (write(tmp_path / name, patients) for name, patients in zip("abc", parts, strict=True))

    with pytest.raises(Leak, match=message):
        made(Given(training=training, validation=validation, held_out=held_out, patients=PATIENT))


def rows(patients: Iterable[int], labels: Mapping[int, int] = {}, whose: str = "p") -> str:
    """One row of each; patients of one number have the same inputs, whoever they are."""
    lines = [f"{of},{of},{labels.get(of, of % 2)},{whose}{of},f,{20 + of}" for of in patients]
    return "\n".join(["a,b,label,patient,sex,age", *lines, ""])


def folder(path: Path, *files: str) -> CsvFiles:
    path.mkdir()
    for number, text in enumerate(files):
        (path / f"{number}.csv").write_text(text)
    return CsvFiles(root=path, parts=PARTS, shard_bytes=100)


def faults_of(data: Dataset) -> list[tuple[str, ...]]:
    assert data.notes[0].table is not None
    return sorted(tuple(row) for row in data.notes[0].table.rows)


@pytest.mark.parametrize("is_copied", [False, True])
def test_what_is_learnt_from_is_never_held_out_as_well_and_nothing_contradicts_itself(tmp_path: Path, *, is_copied: bool) -> None:
    # After what is to be learnt from: one that is held out, one that validates, a copy, and one of another label. No ID gives them away.
    others = rows([115, 105, 7], whose="q").replace("115,115", "none\n115,115", 1)
    training = folder(tmp_path / "a", rows(range(60)), others, rows([9], {9: 0}, whose="r"))
    parts = Given(
        training=training,
        validation=folder(tmp_path / "b", rows(range(100, 110))),
        held_out=folder(tmp_path / "c", rows(range(110, 130))),
        patients=PATIENT,
    )

    data = made(parts, cache=tmp_path / "cache" if is_copied else None)

    assert rows_of(data) == [set(range(60)) - {9}, set(range(100, 110)), set(range(110, 130))]
    assert data.items_to_learn == 59 == len(data.training)
    assert data.training.inputs[:, 0].tolist().count(7) == 1
    assert text_of(data).endswith("all had been compared: 2 × conflicting label, 2 × duplicate row, 1 × held out as well.")
    of = [(reason, column, file, first) for reason, column, file, _, first in faults_of(data)]
    if is_copied:
        assert ("held out as well", "the row", "items.arrow (to train on)", "61") in of
    else:
        assert of == [
            ("conflicting label", "label", "0.csv (to train on)", "10"),
            ("conflicting label", "label", "2.csv (to train on)", "1"),
            ("duplicate row", "the row", "1.csv (to train on)", "3, 4"),
            ("held out as well", "the row", "1.csv (to train on)", "2"),
            ("too few cells", "the row", "1.csv (to train on)", "1"),
        ]  # fmt: skip


def test_copies_under_other_ids_are_used_once_in_whichever_part_they_are(tmp_path: Path) -> None:
    source = folder(tmp_path / "a", rows(range(100)), rows(range(4), whose="q"))
    parts = ByPatient(source=source, patients=PATIENT, validation=0.2, held_out=0.3)

    data, repeated = made(parts), made(parts, may_repeat=True)

    found = rows_of(data)
    assert sum(map(len, found)) == len(set.union(*found)) == 100
    assert sum(len(part) for part in (data.training, data.validation, data.held_out)) == 100
    assert sum(len(part) for part in (repeated.training, repeated.validation, repeated.held_out)) == 104
    assert isinstance(data.training, Sample)
    assert set(map(float, data.training.inputs[:, 0])) == found[0]
    # An epoch that is begun in its middle has the same order.
    whole, rest = ([inputs.numpy().tolist() for inputs, _ in data.training.stream.epoch(1, batch_size=7, seed=3, first=first)] for first in (0, 4))
    assert rest == whole[4:]


def test_more_copies_and_contradictions_than_may_be_are_refused_by_part(tmp_path: Path) -> None:
    many, few = folder(tmp_path / "a", rows(range(500))), folder(tmp_path / "b", rows(range(600, 610)))

    for others, message in (
        ((few, many), r"500 of 500 items to train on .* is it what is held out, .* 200 × held out as well: 0.csv \(to train on\), records 1, 2"),
        ((few, few), r"10 of 10 items to validate .* held out as well: 0.csv \(to validate\)"),
    ):
        with pytest.raises(Refused, match=message):
            made(Given(training=many, validation=others[0], held_out=others[1]))


def test_images_in_two_folders_are_of_no_class(tmp_path: Path) -> None:
    for place in range(40):
        path = tmp_path / "ab"[place % 2] / f"{place}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (2, 2), place).save(path)
    for place, name in ((4, "b/other"), (6, "a/other")):
        shutil.copy(tmp_path / "a" / f"{place}.png", tmp_path / f"{name}.png")
    (tmp_path / "a" / "0.png").write_bytes(b"damaged")
    images = ImageFolder(root=tmp_path, shape=(2, 2, 1), labels=ByFolder(classes=("a", "b")))
    parts = ByPatient(source=images, patients=Patients(array="file"), validation=0.3, held_out=0.3)

    data = streamed_dataset(
        parts, Roles(inputs="image", targets="label"), name="x", source="x", license="x", sample=99, at_most=99, most_quarantined=0.3
    )  # fmt: skip

    assert text_of(data).startswith("38 items were taken")
    assert {row[:3] for row in faults_of(data)} >= {("conflicting label", "label", "a/4.png"), ("conflicting label", "label", "b/other.png")}
    assert len([row for row in faults_of(data) if row[:2] == ("duplicate row", "image")]) == 1


def test_a_folder_without_a_good_image_is_refused_in_a_line_that_can_be_read(tmp_path: Path) -> None:
    for place in range(30):
        (tmp_path / f"{place:02}.png").write_bytes(b"damaged")
    images = ImageFolder(root=tmp_path, shape=(2, 2, 1))

    with pytest.raises(Refused, match=r"; 19.png: cut short or damaged; and 10 more like these$"):
        made(ByPatient(source=images, patients=Patients(array="file")), inputs="image", targets="image")


@pytest.mark.parametrize(("label", "reason"), [(-1, "below minimum"), (2, "above maximum")])
def test_an_item_of_no_class_is_left_out_with_its_record(tmp_path: Path, label: int, reason: str) -> None:
    parts = ByPatient(source=folder(tmp_path / "a", rows(range(60), {17: label})), patients=PATIENT, validation=0.2, held_out=0.3)

    data = made(parts, classes=2)

    assert 17 not in set.union(*rows_of(data))
    assert faults_of(data) == [(reason, "label", "0.csv", "1", "18")]


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_file_that_isnt_taken_at_all_is_more_than_one_fault(tmp_path: Path, *, is_copied: bool) -> None:
    parts = ByPatient(source=folder(tmp_path / "a", rows(range(500)), rows(range(500, 900)).replace("label", "labels", 1)), patients=PATIENT)
    cache = tmp_path / "cache" if is_copied else None

    with pytest.raises(Refused, match=r"1 of 2 files \(50.0%\) aren't as declared, and up to 10% may be; 1.csv, label: column missing"):
        made(parts, cache=cache)
    (tmp_path / "a" / "2.csv.gz").touch()
    data = made(parts, cache=cache, most_quarantined=0.5)

    assert "1 fault" in text_of(data)
    assert text_of(data).endswith("What else lies in its folders wasn't looked at: 1 × .gz.")


def test_all_records_behind_a_damage_count(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    columns = {"a": np.arange(3000.0), "b": np.arange(3000.0), "label": np.arange(3000) % 2, "patient": [f"p{row}" for row in range(3000)]}
    pq.write_table(pa.table(columns), path, row_group_size=1000, compression="gzip", use_dictionary=False)
    content = bytearray(path.read_bytes())
    begin = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset + 50
    content[begin : begin + 50] = bytes(50)
    path.write_bytes(content)
    source = ParquetFiles(root=path, parts=tuple(part for part in PARTS if part.name in {"x", "label", "patient"}))

    with pytest.raises(Refused, match=r"1000 of 3000 items \(33.3%\) aren't as declared"):
        made(ByPatient(source=source, patients=PATIENT))


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
