"""Sets as tf.data.Datasets: in batches, resumed, shared, and with what is wrong told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from training.fitting.source import Source as FitSource
from training.quality.fault import Reason
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.dataset import dataset
from training.streams.image_folder import ImageFolder
from training.streams.quarantine import Quarantine
from training.streams.streamed import Streamed
from training.streams.survey import survey

ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Table:
    source: CsvFiles
    frame: pd.DataFrame


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Of 500 records every hundredth is bad."""
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(ROWS, 3)).round(4), columns=["a", "b", "c"])
    frame.insert(0, "id", [f"patient {row}" for row in range(ROWS)])
    written = frame.astype(object)
    written.loc[::100, "b"] = "?"
    written.to_csv(path, index=False)
    parts = (Part(name="x", columns=("a", "b", "c")), Part(name="id", columns="id", kind=Kind.STRING))
    return Table(source=CsvFiles(root=path, parts=parts, shard_bytes=1000, buffer=64), frame=frame.set_index("id"))


def ids(batches: tf.data.Dataset) -> list[str]:
    return [text.decode() for batch in batches for text in batch["id"].numpy().tolist()]


def test_batches_hold_all_items_once_and_each_with_its_own_values(table: Table) -> None:
    quarantine = Quarantine()

    batches = list(dataset(table.source, batch_size=32, seed=1, epoch=0, quarantine=quarantine))

    assert [len(batch["x"]) for batch in batches] == [32] * 15 + [15]
    assert batches[0]["x"].dtype == tf.float32
    seen = [text.decode() for batch in batches for text in batch["id"].numpy().tolist()]
    assert sorted(seen) == sorted(table.frame.index[np.arange(ROWS) % 100 != 0])
    np.testing.assert_array_equal(np.concatenate([batch["x"] for batch in batches]), table.frame.loc[seen].to_numpy(np.float32))
    assert quarantine.reasons == {Reason.NOT_A_NUMBER: 5}


def test_a_dataset_can_be_gone_through_again(table: Table) -> None:
    batches = dataset(table.source, batch_size=32, seed=1, epoch=0)

    assert ids(batches) == ids(batches)


def test_the_order_does_not_depend_on_the_size_of_a_batch(table: Table) -> None:
    assert ids(dataset(table.source, batch_size=7, seed=1, epoch=0)) == ids(dataset(table.source, batch_size=100, seed=1, epoch=0))


@pytest.mark.parametrize("is_surveyed", [True, False])
def test_a_resumed_epoch_goes_on_with_the_same_batches(table: Table, is_surveyed: bool) -> None:
    known = survey(table.source) if is_surveyed else None
    whole = list(dataset(table.source, batch_size=32, seed=1, epoch=0, survey=known))

    rest = list(dataset(table.source, batch_size=32, seed=1, epoch=0, start=5 * 32, survey=known))

    for batch, expected in zip(rest, whole[5:], strict=True):
        np.testing.assert_array_equal(batch["x"], expected["x"])


def test_a_surveyed_set_says_how_many_batches_there_are(table: Table) -> None:
    known = survey(table.source)

    batches = dataset(table.source, batch_size=32, seed=1, epoch=0, start=40, survey=known)

    assert batches.cardinality() == len(list(batches)) == 15
    assert dataset(table.source, batch_size=32, seed=1, epoch=0).cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert list(dataset(table.source, batch_size=32, seed=1, epoch=0, start=10_000, survey=known)) == []


def test_workers_share_the_items(table: Table) -> None:
    shares = [ids(dataset(table.source, batch_size=32, seed=1, epoch=0, worker=(index, 3))) for index in range(3)]

    assert sorted(text for share in shares for text in share) == sorted(ids(dataset(table.source, batch_size=32, seed=1, epoch=0)))
    assert min(map(len, shares)) > 100


def test_items_of_open_shape_come_one_by_one(tmp_path: Path) -> None:
    for rows in (3, 5, 4):
        Image.fromarray(np.full((rows, rows + 1), rows, np.uint8)).save(tmp_path / f"{rows}.png")
    source = ImageFolder(root=tmp_path, shape=(None, None, 1))

    batches = list(dataset(source, batch_size=1, seed=4, epoch=0))

    assert {batch["image"].shape[1] for batch in batches} == {3, 4, 5}
    assert all((batch["image"].numpy() == batch["image"].shape[1]).all() for batch in batches)
    with pytest.raises(ValueError, match="batch_size: 1 where items differ in shape"):
        dataset(source, batch_size=2, seed=4, epoch=0)


def test_a_fit_reads_it_and_goes_on_where_it_stopped(numbers: Any, tmp_path: Path) -> None:
    source = numbers(good=[[True, True, False] * 10] * 4, buffer=100)
    streamed: FitSource = Streamed(source=source, inputs="twice", targets="number", survey=survey(source))
    by_name = Streamed(source=source, inputs=("twice",), targets="number", weights="number", cache=tmp_path)

    whole = list(streamed.epoch(3, batch_size=32, seed=1))

    assert streamed.steps(32) == len(whole) == by_name.steps(32) == 3
    inputs, targets = whole[0]
    np.testing.assert_array_equal(inputs[:, 0], targets)
    np.testing.assert_array_equal(next(iter(streamed.epoch(3, batch_size=32, seed=1, first=2)))[1], whole[2][1])
    named, targets, weights = next(iter(by_name.epoch(3, batch_size=32, seed=1)))
    np.testing.assert_array_equal(named["twice"][:, 0], targets)
    np.testing.assert_array_equal(weights, targets)
    assert Streamed(source=source, inputs="twice", targets="number").steps(32) is None
    assert len({streamed.identity(), by_name.identity()}) == 2
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1, use_bias=False)])
    model.compile("adam", "mse")
    assert len(model.fit(streamed.epoch(0, batch_size=32, seed=1), shuffle=False, verbose=0).history["loss"]) == 1


@pytest.mark.parametrize("options", [{"inputs": "nothing"}, {"inputs": ()}, {"targets": "nothing"}, {"weights": "nothing"}])
def test_a_fit_names_arrays_that_there_are(numbers: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Streamed(**{"source": numbers(good=[[True]]), "inputs": "twice", "targets": "number"} | options)


@pytest.mark.parametrize(
    ("options", "field"), [({"batch_size": 0}, "batch_size"), ({"start": -1}, "start"), ({"worker": (0, 1000)}, "worker"), ({"seed": -1}, "seed")]
)
def test_arguments_that_mean_nothing_are_refused_at_once(table: Table, options: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        dataset(table.source, **{"batch_size": 1, "seed": 0, "epoch": 0} | options)


def test_a_survey_beside_a_cache_is_refused(table: Table, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="survey: not beside a cache"):
        dataset(table.source, batch_size=1, seed=0, epoch=0, cache=tmp_path, survey=survey(table.source))


def test_a_file_that_vanishes_on_the_way_is_an_error(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(table.source.root.read_bytes())
    batches = dataset(CsvFiles(root=path, parts=table.source.parts), batch_size=1, seed=0, epoch=0)
    path.unlink()

    with pytest.raises(tf.errors.OpError):
        list(batches)
