"""A streamed table's cells are held to a schema's fields as a table in memory is: the same rows are taken, the same is said of the others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from training.quality.check import check
from training.quality.fault import Fault
from training.quality.schema import Category, Field, Schema
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.parquet_files import ParquetFiles

FIELDS = (
    Field(name="age", description="Age.", unit="a", minimum=0, maximum=120),
    Field(name="visits", description="Visits so far.", unit="1", minimum=0, is_integer=True, may_be_missing=True),
    Field(name="sex", description="Sex.", unit="1", categories=(Category(code="f", display="female"), Category(code="1", display="male"))),
    Field(name="ward", description="Ward.", unit="1", categories=(Category(code="a", display="A"),), may_be_missing=True),
)
CELLS = {
    "age": ("70", "0", "120", "-0.1", "121", "1e300", "", "old", "inf", " 4 ", "0x10"),
    "visits": ("3", "0", "2.5", "-1", "", "many", "1e2"),
    "sex": ("f", "1", "1.0", " f ", "F", "", "2"),
    "ward": ("a", "", "b", "A"),
}
TABLES = st.lists(st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()}), min_size=1, max_size=12)


def found_in(source: Any) -> tuple[list[list[float]], list[Fault]]:
    blocks = [block for shard in source.shards() for block in source.read(shard)]
    return [row for block in blocks if not isinstance(block, Fault) for row in block["record"].tolist()], [
        block for block in blocks if isinstance(block, Fault)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("declared")


@hypothesis.settings(max_examples=25)
@hypothesis.given(rows=TABLES)
def test_a_stream_takes_what_a_table_in_memory_takes(folder: Path, rows: list[dict[str, str]]) -> None:
    frame = pd.DataFrame(rows, columns=list(CELLS))
    parts = (Part.of("record", FIELDS, Kind.FLOAT64),)
    frame.to_csv(folder / "t.csv", index=False)
    pq.write_table(pa.table({name: pa.array(frame[name], pa.string()) for name in frame}), folder / "t.parquet", row_group_size=5)
    checked = check(Schema(name="t", fields=FIELDS), frame, file="t.csv")
    codes = {field.name: field.codes for field in FIELDS}
    wanted = [
        [codes[name].index(cell) if isinstance(cell, str) else float(cell) for name, cell in zip(CELLS, row, strict=True)]
        for row in checked.clean.astype(object).to_numpy()
    ]

    items, faults = found_in(CsvFiles(root=folder / "t.csv", parts=parts, shard_bytes=60))
    of_parquet = found_in(ParquetFiles(root=folder / "t.parquet", parts=parts))

    np.testing.assert_array_equal(np.array(items).reshape(-1, 4), np.array(wanted).reshape(-1, 4))
    assert faults == list(checked.faults)
    np.testing.assert_array_equal(np.array(of_parquet[0]).reshape(-1, 4), np.array(wanted).reshape(-1, 4))
    assert [replace(fault, file="t.csv") for fault in of_parquet[1]] == faults


def test_what_is_no_text_is_named_and_not_taken_for_missing(folder: Path) -> None:
    (folder / "bytes.csv").write_bytes(b"age,visits,sex,ward\n70,1,f,a\n71,2,f,\xff\n\xfe,3,f,a\n")

    items, faults = found_in(CsvFiles(root=folder / "bytes.csv", parts=(Part.of("record", FIELDS),)))

    assert items == [[70.0, 1.0, 0.0, 0.0]]
    assert [(fault.row, fault.column, fault.reason) for fault in faults] == [(2, "ward", "wrong encoding"), (3, "age", "wrong encoding")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("visits", "age")}, "record: fields: one for each of the columns, in their order"),
        ({"kind": Kind.INT64}, "record: fields: of floats; they say by themselves what is a category and what may be missing"),
        ({"may_be_missing": True}, "record: fields: of floats; they say by themselves what is a category and what may be missing"),
    ],
)
def test_fields_that_contradict_the_part_are_refused(options: dict[str, Any], message: str) -> None:
    given = {"name": "record", "columns": ("age", "visits"), "fields": FIELDS[:2]} | options

    with pytest.raises(ValueError, match=message):
        Part(**given)
