"""One synthetic table in every format that is streamed: numbers drawn at random, and a label."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.image_folder import ImageFolder
from training.streams.parquet_files import ParquetFiles
from training.streams.source import Source
from training.streams.tfrecord_files import Feature, TfRecordFiles

COLUMNS = tuple(f"x{number}" for number in range(20))
PARTS = (Part(name="x", columns=COLUMNS), Part(name="label", columns="label", kind=Kind.INT64))
BLOCK_ROWS = 50_000
IMAGE_SIDE = 64

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]


def blocks(rows: int) -> Iterator[Arrays]:
    """float32 [rows, 20] with four decimals, and int64 [rows], some at a time."""
    random = np.random.default_rng(0)
    for begin in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - begin)
        yield random.normal(size=(count, len(COLUMNS))).round(4).astype(np.float32), random.integers(0, 2, count)


def _tables(rows: int) -> Iterator[pa.Table]:
    for numbers, labels in blocks(rows):
        # A float32 has seven digits and its double many more: what a CSV file has was written as doubles.
        columns = {name: numbers[:, place].astype(np.float64).round(4) for place, name in enumerate(COLUMNS)}
        yield pa.table(columns | {"label": labels})


def csv(folder: Path, rows: int) -> Source:
    """One CSV file."""
    path = folder / "table.csv"
    if not path.exists():
        schema = pa.schema([*((name, pa.float64()) for name in COLUMNS), ("label", pa.int64())])
        with pc.CSVWriter(path, schema) as writer:
            for table in _tables(rows):
                writer.write_table(table)
    return CsvFiles(root=path, parts=PARTS)


def parquet(folder: Path, rows: int) -> Source:
    """One Parquet file; a row group has 50,000 rows."""
    return _parquet(folder / "table.parquet", rows, BLOCK_ROWS)


def parquet_in_one_group(folder: Path, rows: int) -> Source:
    """One Parquet file of one row group, whatever its size; written whole, so that the writer's memory grows, and the reader's must not."""
    return _parquet(folder / "one group.parquet", rows, rows)


def _parquet(path: Path, rows: int, group: int) -> Source:
    if not path.exists():
        pq.write_table(pa.concat_tables(_tables(rows)), path, row_group_size=group)
    return ParquetFiles(root=path, parts=PARTS)


def tfrecord(folder: Path, rows: int) -> Source:
    """One TFRecord file."""
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    path = folder / "table.tfrecord"
    if not path.exists():
        with tf.io.TFRecordWriter(str(path)) as writer:
            for numbers, labels in blocks(rows):
                for row, label in zip(numbers, labels.tolist(), strict=True):
                    features = {
                        "x": tf.train.Feature(float_list=tf.train.FloatList(value=row)),
                        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    }
                    writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return TfRecordFiles(root=path, features=(Feature(name="x", shape=(len(COLUMNS),)), Feature(name="label", dtype="int64")))


def images(folder: Path, rows: int) -> Source:
    """A folder of PNG files, 64 × 64 grey values each."""
    from PIL import Image  # noqa: PLC0415

    root = folder / "images"
    if not root.exists():
        random = np.random.default_rng(0)
        for number in range(rows):
            path = root / f"{number // 1000}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            # Smooth, as images are: noise doesn't compress.
            ramp = np.add.outer(np.arange(IMAGE_SIDE), np.arange(IMAGE_SIDE)) + random.integers(0, 128)
            Image.fromarray(ramp.astype(np.uint8)).save(path, compress_level=1)
    return ImageFolder(root=root, shape=(IMAGE_SIDE, IMAGE_SIDE, 1))


MAKERS: dict[str, Callable[[Path, int], Source]] = {
    "CSV": csv,
    "Parquet": parquet,
    "Parquet, one row group": parquet_in_one_group,
    "TFRecord": tfrecord,
    "PNG": images,
}
