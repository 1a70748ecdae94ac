"""TFRecord files: TensorFlow reads them, and what is damaged is named by its record."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from training.quality.fault import Fault
from training.streams.source import files_of
from training.streams.tfrecord_files import Feature, TfRecordFiles

FEATURES = (
    Feature(name="x", shape=(3,)),
    Feature(name="n", key="number", dtype="int64"),
    Feature(name="image", dtype="uint8", shape=(2, 2, 1)),
    Feature(name="id", dtype="string"),
)


def example(place: int, **changed: Any) -> bytes:
    lists = {
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=[place, 0.5, -1])),
        "number": tf.train.Feature(int64_list=tf.train.Int64List(value=[place])),
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes([place, 1, 2, 3])])),
        "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[f"patient {place}".encode()])),
    } | changed
    return tf.train.Example(features=tf.train.Features(feature={name: one for name, one in lists.items() if one is not None})).SerializeToString()


def write(path: Path, records: list[bytes]) -> list[int]:
    """Returns where each record begins."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return np.cumsum([0, *(len(record) + 16 for record in records)]).tolist()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "set.tfrecord"


def test_what_tensorflow_wrote_is_read(read: Any, file: Path) -> None:
    write(file, [example(number) for number in range(7)])

    items, faults = read(TfRecordFiles(root=file, features=FEATURES, shard_records=3))

    assert not faults
    assert items["x"] == [[number, 0.5, -1] for number in range(7)]
    assert items["n"] == list(range(7))
    assert items["image"][6] == [[[6], [1]], [[2], [3]]]
    assert items["id"][6] == b"patient 6"


def test_a_shard_is_read_from_any_record_on(file: Path) -> None:
    write(file, [example(number) for number in range(7)])
    source = TfRecordFiles(root=file, features=FEATURES, shard_records=3)

    blocks = [block for block in source.read(source.shards()[1], 2) if not isinstance(block, Fault)]

    assert [block["n"].tolist() for block in blocks] == [[5]]
    assert list(source.read(source.shards()[1], 3)) == []


@pytest.mark.parametrize(
    ("damage", "left", "fault"),
    [
        # A flipped bit within a record costs that one.
        (lambda content, at: content[: at[2] + 20] + bytes([content[at[2] + 20] ^ 1]) + content[at[2] + 21 :], [0, 1, 3, 4], 3),
        # Where a length is damaged, nobody knows where the next record begins.
        (lambda content, at: content[: at[2]] + bytes([content[at[2]] ^ 1]) + content[at[2] + 1 :], [0, 1], 3),
        (lambda content, at: content[: at[4] + 30], [0, 1, 2, 3], 5),
        (lambda content, at: content[: at[4] + 5], [0, 1, 2, 3], 5),
        (lambda content, _: content + b"\0\0", [0, 1, 2, 3, 4], 6),
        (lambda _, __: b"no records at all", [], 1),
    ],
)
def test_a_damaged_record_is_named(read: Any, file: Path, damage: Callable[[bytes, list[int]], bytes], left: list[int], fault: int) -> None:
    begins = write(file, [example(number) for number in range(5)])
    file.write_bytes(damage(file.read_bytes(), begins))

    items, faults = read(TfRecordFiles(root=file, features=FEATURES, shard_records=4))

    assert items["n"] == left
    assert faults == [f"set.tfrecord, record {fault}: cut short or damaged"]


def test_what_lies_behind_a_damaged_length_counts_as_about_so_many_records(file: Path) -> None:
    begins = write(file, [example(number) for number in range(10)])
    content = file.read_bytes()
    file.write_bytes(content[: begins[4]] + b"\xff" + content[begins[4] + 1 :])
    gone = file.with_name("compressed.tfrecord")
    gone.write_bytes(gzip.compress(content))
    source = TfRecordFiles(root=file.parent, features=FEATURES)

    assert [(shard.file, shard.records) for shard in source.shards()] == [("compressed.tfrecord", 0), ("set.tfrecord", 4), ("set.tfrecord", 6)]
    assert files_of(source.shards()) == (2, 1)


def test_records_that_are_not_as_declared_are_named_by_feature(read: Any, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = b"Meier"
    floats, texts = tf.train.FloatList, tf.train.BytesList
    write(
        file,
        [
            example(0),
            example(1, x=None),
            example(2, number=tf.train.Feature(bytes_list=texts(value=[secret]))),
            example(3, x=tf.train.Feature(float_list=floats(value=[1, 2]))),
            example(4, image=tf.train.Feature(bytes_list=texts(value=[secret]))),
            example(5, x=tf.train.Feature(float_list=floats(value=[1, float("nan"), 2])), id=tf.train.Feature(bytes_list=texts(value=[secret]))),
            b"\xff" + secret,
            example(7, x=None, number=None),
            example(8),
        ],
    )

    items, faults = read(TfRecordFiles(root=file, features=FEATURES))

    assert items["n"] == [0, 8]
    assert sorted(faults) == [
        "set.tfrecord, record 2, x: missing",
        "set.tfrecord, record 3, number: wrong type",
        "set.tfrecord, record 4, x: wrong size",
        "set.tfrecord, record 5, image: wrong size",
        "set.tfrecord, record 6, x: not finite",
        "set.tfrecord, record 7: cut short or damaged",
        "set.tfrecord, record 8, number: missing",
        "set.tfrecord, record 8, x: missing",
    ]
    assert secret.decode() not in "".join(capfd.readouterr())


def test_a_shard_of_bad_records_only_has_no_items(read: Any, file: Path) -> None:
    write(file, [b"\xff", b"\xff"])

    items, faults = read(TfRecordFiles(root=file, features=FEATURES))

    assert items == {"x": [], "n": [], "image": [], "id": []}
    assert len(faults) == 2


def test_nan_is_taken_where_a_number_may_be_missing(read: Any, file: Path) -> None:
    numbers = [[1, np.nan, 2], [1, np.inf, 2]]
    write(file, [example(row, x=tf.train.Feature(float_list=tf.train.FloatList(value=one))) for row, one in enumerate(numbers)])

    items, faults = read(TfRecordFiles(root=file, features=(Feature(name="x", shape=(3,), may_be_missing=True),)))

    np.testing.assert_array_equal(items["x"], numbers[:1])
    assert faults == ["set.tfrecord, record 2, x: not finite"]


def test_an_integer_out_of_its_bounds_is_named(read: Any, file: Path) -> None:
    write(file, [example(place) for place in range(5)])

    items, faults = read(TfRecordFiles(root=file, features=(Feature(name="n", key="number", dtype="int64", minimum=1, maximum=3),)))

    assert items["n"] == [1, 2, 3]
    assert faults == ["set.tfrecord, record 1, number: below minimum", "set.tfrecord, record 5, number: above maximum"]


def test_empty_files_and_folders_are_named(read: Any, tmp_path: Path) -> None:
    assert read(TfRecordFiles(root=tmp_path, features=FEATURES))[1] == [f"{tmp_path.name}: folder without files"]

    (tmp_path / "1.tfrecord-00000-of-00001").write_bytes(b"")

    assert read(TfRecordFiles(root=tmp_path, features=FEATURES))[1] == ["1.tfrecord-00000-of-00001: empty file"]


@pytest.mark.parametrize("options", [{"features": ()}, {"features": (Feature(name="a"), Feature(name="b", key="a"))}, {"shard_records": 0}])
def test_a_declaration_that_contradicts_itself_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"features|shard_records"):
        TfRecordFiles(root=tmp_path, **{"features": FEATURES} | options)


@pytest.mark.parametrize("options", [{"dtype": "float16"}, {"shape": (0,)}, {"minimum": 0}])
def test_a_feature_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"dtype|shape|minimum"):
        Feature(name="x", **options)
