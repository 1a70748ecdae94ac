"""Parquet files: row groups are read for themselves, and what is damaged is named."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.quality.fault import Fault
from training.streams.columns import Kind, Part
from training.streams.parquet_files import ParquetFiles

PARTS = (Part(name="x", columns=("a", "b")), Part(name="sex", columns="sex", kind=Kind.INT64, categories=("f", "m")))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "icu.parquet"


def write(path: Path, rows: int = 10, **options: Any) -> dict[str, list[Any]]:
    table: dict[str, list[Any]] = {
        "a": [float(row) for row in range(rows)],
        "b": list(range(rows)),
        "sex": ["fm"[row % 2] for row in range(rows)],
        "unread": [b"\xff"] * rows,
    }
    pq.write_table(pa.table(table), path, **{"row_group_size": 4} | options)
    return table


def test_what_was_written_is_read(read: Any, file: Path) -> None:
    table = write(file, use_dictionary=["sex"])

    items, faults = read(ParquetFiles(root=file, parts=PARTS))

    assert not faults
    assert items == {"x": [[a, b] for a, b in zip(table["a"], table["b"], strict=True)], "sex": [row % 2 for row in range(10)]}


def test_each_row_group_is_a_shard_that_is_read_from_any_record_on(file: Path) -> None:
    write(file)
    source = ParquetFiles(root=file, parts=PARTS)

    assert [(shard.first, shard.records) for shard in source.shards()] == [(0, 4), (4, 4), (8, 2)]
    blocks = [block for block in source.read(source.shards()[1], 3) if not isinstance(block, Fault)]
    assert [block["x"].tolist() for block in blocks] == [[[7, 7]]]
    assert list(source.read(source.shards()[1], 4)) == []


def test_cells_that_do_not_fit_are_named_by_record_and_column(read: Any, file: Path) -> None:
    numbers = pa.array([1.0, None, np.nan, np.inf, 5.0, 6.0], pa.float64())
    pq.write_table(pa.table({"a": numbers, "b": [1, 2, 3, 4, None, 6], "sex": ["f", "m", "f", "f", "x", None]}), file, row_group_size=4)

    items, faults = read(ParquetFiles(root=file, parts=PARTS))

    assert items["x"] == [[1, 1]]
    assert faults == [
        "icu.parquet, record 2, a: missing",
        "icu.parquet, record 3, a: not finite",
        "icu.parquet, record 4, a: not finite",
        "icu.parquet, record 5, b: missing",
        "icu.parquet, record 5, sex: unknown category",
        "icu.parquet, record 6, sex: missing",
    ]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["1.5", " 2 ", "-3e0"]), [1.5, 2, -3]),
        (pa.array([b"1.5", b"2", b"-3"]), [1.5, 2, -3]),
        (pa.array([True, False, True]), [1, 0, 1]),
        (pa.array([Decimal("1.5"), Decimal("2.0"), Decimal("-3.0")]), [1.5, 2, -3]),
        (pa.array(["1.5", "2", "2"]).dictionary_encode(), [1.5, 2, 2]),
    ],
)
def test_numbers_are_read_of_every_type_that_has_them(read: Any, file: Path, column: Any, expected: list[float]) -> None:
    pq.write_table(pa.table({"a": column}), file)

    items, faults = read(ParquetFiles(root=file, parts=(Part(name="x", columns="a"),)))

    assert not faults
    assert items["x"] == expected


def test_large_integers_are_read_to_the_last_digit(read: Any, file: Path) -> None:
    pq.write_table(pa.table({"id": [2**53 + 1, -(2**62) + 1, 2**53 + 2]}), file)

    items, faults = read(ParquetFiles(root=file, parts=(Part(name="id", columns="id", kind=Kind.INT64, maximum=2**53 + 1),)))

    assert items["id"] == [2**53 + 1, -(2**62) + 1]
    assert faults == ["icu.parquet, record 3, id: above maximum"]


def test_a_file_with_other_columns_is_named_whole(read: Any, file: Path) -> None:
    pq.write_table(pa.table({"a": [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], "sex": [1.5]}), file)

    items, faults = read(ParquetFiles(root=file, parts=PARTS))

    assert not items["x"]
    assert faults == ["icu.parquet, b: column missing", "icu.parquet, a: wrong type", "icu.parquet, sex: wrong type"]


def test_a_column_that_stands_twice_is_named(read: Any, file: Path) -> None:
    pq.write_table(pa.table([[1.0], [2.0], [3.0], ["f"]], names=["a", "a", "b", "sex"]), file)

    assert read(ParquetFiles(root=file, parts=PARTS))[1] == ["icu.parquet, a: column twice"]


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
def test_a_file_that_was_cut_short_is_named_and_the_others_are_read(read: Any, tmp_path: Path, keep: float) -> None:
    write(tmp_path / "1.parquet")
    write(tmp_path / "2.parquet")
    content = (tmp_path / "1.parquet").read_bytes()
    (tmp_path / "1.parquet").write_bytes(content[: int(len(content) * keep)])
    (tmp_path / "3.parquet").write_bytes(b"")
    pq.write_table(
        pa.table({"a": pa.array([], pa.float64()), "b": pa.array([], pa.int64()), "sex": pa.array([], pa.string())}), tmp_path / "4.parquet"
    )

    items, faults = read(ParquetFiles(root=tmp_path, parts=PARTS))

    assert len(items["x"]) == 10
    assert faults == ["1.parquet: cut short or damaged", "3.parquet: empty file", "4.parquet: no records"]


def test_a_damaged_page_costs_the_rest_of_its_row_group_only(read: Any, file: Path) -> None:
    write(file, write_page_checksum=True, compression="none", use_dictionary=False)
    column = pq.ParquetFile(file).metadata.row_group(1).column(0)
    content = bytearray(file.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 5] ^= 0xFF
    file.write_bytes(content)

    items, faults = read(ParquetFiles(root=file, parts=PARTS))

    assert [a for a, _ in items["x"]] == [0, 1, 2, 3, 8, 9]
    assert faults == ["icu.parquet, record 5: cut short or damaged"]


def test_a_file_that_may_not_be_read_is_an_error_and_no_fault(file: Path) -> None:
    write(file)
    source = ParquetFiles(root=file, parts=PARTS)
    shard = source.shards()[0]
    file.unlink()

    with pytest.raises(FileNotFoundError):
        list(source.read(shard))
