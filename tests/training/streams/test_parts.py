"""Three parts of a set: cut by a hash of the patient, in one pass and without remembering anybody, or given as sets of their own."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.quality import cells
from training.quality.fault import Fault
from training.streams.cache import cached
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.image_folder import ImageFolder
from training.streams.parts import NAMES, ByPatient, Given, Patients
from training.streams.source import Located, Source
from training.streams.streamed import Streamed
from training.streams.survey import survey

PATIENT = Patients(array="patient")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> CsvFiles:
    """300 visits of 100 patients in three files, and one without a number."""
    root = tmp_path_factory.mktemp("visits")
    for file in range(3):
        rows = [f"{patient},{100 * file + patient}" for patient in range(100)]
        (root / f"{file}.csv").write_text("\n".join(["patient,visit", *rows, "7,none", ""]))
    return CsvFiles(
        root=root, parts=(Part(name="patient", columns="patient", kind=Kind.STRING), Part(name="visit", columns="visit")), shard_bytes=200
    )


def values(source: Source, name: str) -> list[Any]:
    blocks = (block for shard in source.shards() for block in source.read(shard))
    return [value for block in blocks if isinstance(block, Mapping) for value in block[name].tolist()]


def test_all_visits_of_a_patient_are_in_one_part_in_whichever_file_they_lie(table: CsvFiles) -> None:
    parts = ByPatient(source=table, patients=PATIENT, validation=0.2, held_out=0.3)

    patients = [values(parts.part(name), "patient") for name in NAMES]

    assert sum(map(len, patients)) == 300
    assert [len(each) for each in patients] == [3 * len(set(each)) for each in patients]
    assert len(set.union(*map(set, patients))) == sum(len(set(each)) for each in patients) == 100


def test_one_pass_gives_what_the_parts_give_by_themselves(table: CsvFiles) -> None:
    parts = ByPatient(source=table, patients=PATIENT)
    told: list[str] = []
    together: dict[str, list[Any]] = {name: [] for name in NAMES}
    shards: dict[str, dict[int, int]] = {name: {} for name in NAMES}

    for _, place, block, numbers in parts.read(lambda part, fault: told.append(f"{part} {fault}")):
        for number, name in enumerate(NAMES):
            found = block["visit"][numbers == number].tolist()
            together[name] += found
            shards[name][place] = shards[name].get(place, 0) + len(found)

    assert together == {name: values(parts.part(name), "visit") for name in NAMES}
    assert told == [f"None {file}.csv, record 101, visit: not a number" for file in range(3)]
    for name in NAMES:
        items = survey(parts.part(name)).items
        assert dict(enumerate(items)) == dict.fromkeys(range(len(items)), 0) | shards[name]


@settings(max_examples=10)
@given(validation=st.floats(0.05, 0.4), held_out=st.floats(0.05, 0.5), seed=st.integers(0, 2**64 - 1))
def test_the_parts_have_their_shares_to_within_chance(table: CsvFiles, validation: float, held_out: float, seed: int) -> None:
    parts = ByPatient(source=table, patients=Patients(array="patient"), validation=validation, held_out=held_out, seed=seed)
    block = {"patient": np.array([f"P{number}" for number in range(2000)], object)}

    counts = np.bincount(parts.numbers(Located(items=block, shard=table.shards()[0], rows=np.arange(2000)))[0], minlength=3)

    for count, share in zip(counts, (1 - validation - held_out, validation, held_out), strict=True):
        assert abs(count - 2000 * share) < 6 * np.sqrt(2000 * share * (1 - share)) + 1


def test_another_validation_share_moves_nobody_into_what_is_held_out_and_another_seed_does(table: CsvFiles) -> None:
    parts = ByPatient(source=table, patients=PATIENT, validation=0.1, held_out=0.3)
    held_out = values(parts.part("held_out"), "visit")

    assert values(replace(parts, validation=0.5).part("held_out"), "visit") == held_out
    assert values(replace(parts, seed=1).part("held_out"), "visit") != held_out


def test_a_patient_is_known_by_the_text_without_blanks_or_by_a_part_of_it() -> None:
    names = Patients(array="file", pattern=r"^ward/(\w+)_")

    numbers, known = names.hashes({"file": np.array(["ward/p1_a.png", "ward/p1_b.png", "ward/p2_a.png", "p1.png"], object)}, 0)
    plain, _ = Patients(array="id").hashes({"id": np.array([" p1 ", "p1", "p2", ""], object)}, 0)
    of_bytes, _ = Patients(array="id").hashes({"id": np.array([b"p1", b"p1", b" p2", b""], object)}, 0)
    whole, _ = Patients(array="id").hashes({"id": np.array([1, 1, 2], np.int64)}, 0)

    assert known.tolist() == [True, True, True, False]
    assert numbers.tolist() == plain.tolist() == of_bytes.tolist()
    assert len(set(numbers.tolist())) == 3
    assert whole[0] == whole[1] != whole[2]
    assert not set(Patients(array="id").hashes({"id": np.array(["p1"], object)}, 1)[0].tolist()) & set(plain.tolist())


def test_a_patient_is_the_same_as_in_a_table_in_memory_however_the_id_is_written(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text(
        "\n".join(["patient,visit", *(f"{patient},{row}" for row, patient in enumerate(["17", " 17.0", "17.5", "017", "P1", "P1 ", "18.00"])), ""])
    )
    source = CsvFiles(root=path, parts=(Part(name="patient", columns="patient", kind=Kind.STRING),))
    in_memory = cells.texts(pd.read_csv(path, dtype=str)["patient"])

    streamed, _ = PATIENT.hashes({"patient": np.array(values(source, "patient"), object)}, 0)

    assert pd.factorize(streamed)[0].tolist() == pd.factorize(in_memory)[0].tolist() == [0, 0, 1, 2, 3, 3, 4]


def test_an_id_with_a_byte_of_zero_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(b"patient\nP1\nP\x002\n")
    source = CsvFiles(root=path, parts=(Part(name="patient", columns="patient", kind=Kind.STRING),))

    assert [str(block) for shard in source.shards() for block in source.read(shard) if isinstance(block, Fault)] == [
        "visits.csv, record 2, patient: wrong encoding"
    ]


def test_an_item_whose_patient_isnt_known_is_in_no_part_and_named(table: CsvFiles) -> None:
    parts = ByPatient(source=table, patients=Patients(array="patient", pattern="(..)"))
    told: list[Fault] = []

    count = sum(int((numbers >= 0).sum()) for *_, numbers in parts.read(lambda _, fault: told.append(fault)))

    assert count == 270
    assert [str(fault) for fault in told if fault.column == "patient"] == [
        f"{file}.csv, record {row}, patient: missing" for file in range(3) for row in range(1, 11)
    ]
    assert sum(len(values(parts.part(name), "visit")) for name in NAMES) == 270


def test_a_part_is_told_from_other_parts_sets_and_copies(table: CsvFiles, tmp_path: Path) -> None:
    parts = ByPatient(source=table, patients=PATIENT)
    others = [replace(parts, seed=1), replace(parts, held_out=0.3), parts.copied(tmp_path)[0]]

    identities = {each.part("training").identity() for each in (parts, *others)} | {parts.part("held_out").identity(), table.identity()}

    assert len(identities) == 6
    assert parts.part("training").identity() == replace(parts).part("training").identity()
    plain, copy = (Streamed(source=source, inputs="visit", targets="visit").identity() for source in (table, cached(table, tmp_path)))
    assert plain != copy


@pytest.mark.parametrize("of", ["set", "copy"])
def test_a_part_goes_on_where_it_was_left(table: CsvFiles, tmp_path: Path, of: str) -> None:
    parts = ByPatient(source=table if of == "set" else cached(table, tmp_path), patients=PATIENT, held_out=0.4)
    training = parts.part("training")
    stream = Streamed(source=training, inputs="visit", targets="visit", survey=survey(training))

    whole, rest = ([inputs.numpy().tolist() for inputs, _ in stream.epoch(2, batch_size=20, seed=3, first=first)] for first in (0, 4))

    assert sorted(chain(*whole)) == sorted(values(training, "visit"))
    assert len(whole) == stream.steps(20) == len(rest) + 4
    assert rest == whole[4:]


def test_sets_whose_items_differ_and_shares_that_leave_nothing_are_refused(table: CsvFiles) -> None:
    with pytest.raises(ValueError, match="sets whose items have the same arrays"):
        Given(training=table, validation=replace(table, parts=table.parts[1:]), held_out=table)
    for shares in ((0.5, 0.5), (0.0, 0.2), (0.1, 0.0), (float("nan"), 0.2)):
        with pytest.raises(ValueError, match="shares above 0 that leave something to learn from"):
            ByPatient(source=table, patients=PATIENT, validation=shares[0], held_out=shares[1])
    for array, pattern in (("visit", None), ("file", None)):
        with pytest.raises(ValueError, match=r"an array .* of texts, or of integers"):
            ByPatient(source=table, patients=Patients(array=array, pattern=pattern))
    for pattern in ("no group", "("):
        with pytest.raises(ValueError, match="a regular expression with a group"):
            Patients(array="file", pattern=pattern)


def test_files_of_a_patients_folder_are_told_by_their_names(tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415

    for patient in range(12):
        (tmp_path / f"p{patient}").mkdir()
        for number in range(2):
            Image.new("L", (2, 2), patient).save(tmp_path / f"p{patient}" / f"{number}.png")
    images = ImageFolder(root=tmp_path, shape=(2, 2, 1))

    parts = ByPatient(source=images, patients=Patients(array="file", pattern="^([^/]+)/"), validation=0.3, held_out=0.3)

    folders = [{name.split("/")[0] for name in values(parts.part(part), "file")} for part in NAMES]
    assert sum(map(len, folders)) == len(set.union(*folders)) == 12
