"""How many rows a second the streams give, against loops over the same rows in memory.

    python -m benchmarks.training.streams [--rows 200000] [--rounds 7]

Every way gives an epoch of batches of 128 in another order, of 20 numbers and a label a row. `numpy loop` only indexes arrays, and makes no tensors:
nothing can be quicker, and no network can be fed by it. `tensor loop` makes tensors of what it indexes, as a training step needs them. `tf.data in
memory` is the usual Dataset.from_tensor_slices(...).shuffle(...).batch(...). The files are in the system's cache: it is reading, parsing and
shuffling that is measured, and not the disk. Images are measured against a loop over decoded ones.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from benchmarks.paired import Figures, in_turn, report
from benchmarks.training import sets
from training.streams.dataset import dataset
from training.streams.source import Source

BATCH = 128
BUFFER = 16_384
IMAGES = 4000

Arrays = tuple[Any, Any]


def numpy_loop(arrays: Arrays) -> Iterator[object]:
    """Batches of arrays."""
    order = np.random.default_rng().permutation(len(arrays[0]))
    for begin in range(0, len(order), BATCH):
        chosen = order[begin : begin + BATCH]
        yield [array[chosen] for array in arrays]


def tensor_loop(arrays: Arrays) -> Iterator[object]:
    """Batches of tensors."""
    for batch in numpy_loop(arrays):
        yield [tf.constant(array) for array in batch]  # type: ignore[attr-defined]


def streamed(source: Source, cache: Path | None = None) -> Callable[[], Iterable[object]]:
    """An epoch of the set, each time another one."""
    epochs = iter(range(1_000_000))
    # Where its records begin is looked up once for all epochs, as a fit does.
    source.shards()
    return lambda: dataset(source, batch_size=BATCH, seed=0, epoch=next(epochs), cache=cache)


def measured(epoch: Callable[[], Iterable[object]], rows: int) -> Callable[[], Figures]:
    """One epoch to its end."""

    def run() -> Figures:
        began = time.perf_counter()
        batches = sum(1 for _ in epoch())
        seconds = time.perf_counter() - began
        if batches != -(-rows // BATCH):
            message = f"{batches} batches of {rows} rows"
            raise RuntimeError(message)
        return {"rows/s": rows / seconds}

    return run


def compare(ways: dict[str, Callable[[], Iterable[object]]], rows: int, rounds: int) -> None:
    """Prints each way against each of the loops."""
    runs = {name: measured(epoch, rows) for name, epoch in ways.items()}
    for run in runs.values():
        run()  # what is done once only: imports, pools of threads, traces
    samples = in_turn(runs, rounds)
    for baseline in (name for name in ("numpy loop", "tensor loop", "tf.data in memory") if name in ways):
        report(samples, dict.fromkeys(ways, baseline))
        print()


def run(folder: Path, rows: int, rounds: int) -> None:
    """Makes the files in `folder`, measures, and prints."""
    numbers, labels = (np.concatenate(arrays) for arrays in zip(*sets.blocks(rows), strict=True))
    arrays = (numbers, labels)
    csv = sets.csv(folder, rows)
    ways: dict[str, Callable[[], Iterable[object]]] = {
        "numpy loop": lambda: numpy_loop(arrays),
        "tensor loop": lambda: tensor_loop(arrays),
        "tf.data in memory": lambda: tf.data.Dataset.from_tensor_slices(arrays).shuffle(BUFFER).batch(BATCH).prefetch(4),
        "CSV": streamed(csv),
        "Parquet": streamed(sets.parquet(folder, rows)),
        "TFRecord": streamed(sets.tfrecord(folder, rows)),
        "CSV, by its cache": streamed(csv, folder / "cache"),
    }
    print(f"{rows} rows of {len(sets.COLUMNS)} numbers and a label")
    compare(ways, rows, rounds)
    images = sets.images(folder, IMAGES)
    decoded = np.concatenate([block["image"] for shard in images.shards() for block in images.read(shard) if isinstance(block, dict)])
    ways = {
        "numpy loop": lambda: numpy_loop((decoded, labels[:IMAGES])),
        "tensor loop": lambda: tensor_loop((decoded, labels[:IMAGES])),
        "PNG": streamed(images),
        "PNG, by its cache": streamed(images, folder / "cache"),
    }
    print(f"{IMAGES} images of {sets.IMAGE_SIDE} x {sets.IMAGE_SIDE} grey values")
    compare(ways, IMAGES, rounds)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.streams", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medserve-streams-") as folder:
        run(Path(folder), arguments.rows, arguments.rounds)


if __name__ == "__main__":
    main()
