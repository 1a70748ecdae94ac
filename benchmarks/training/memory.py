"""The peak of memory while a set is streamed, and while one ten times as large is.

    python -m benchmarks.training.memory [--rows 200000] [--images 2000] [--rounds 3] [--way WAY ...]

Each figure is of a process of its own, which imports TensorFlow, goes through one shuffled epoch in batches of 128, and says what the most was that
it held (the kernel's ru_maxrss). `nothing` imports the same and reads nothing. `in memory` holds the table as arrays, which is what streams are for
not doing. `CSV, making its cache` copies the set on the way. `a job's data` is all that a job is given: the set is cut by patient, 1,000 items of
each part are held, and the epoch is of those to train on.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks.training import sets
from training.dataset import Dataset
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.dataset import dataset
from training.streams.image_folder import ImageFolder
from training.streams.labels import ByFolder
from training.streams.parts import ByPatient, Patients
from training.streams.source import Source
from training.streams.streamed_dataset import Roles, streamed_dataset

BATCH = 128
TIMES = 10
_MAKING, _BY, _JOB = ", making its cache", ", by its cache", ", a job's data"
WAYS = ("nothing", "in memory", *sets.MAKERS, f"CSV{_MAKING}", f"CSV{_BY}", f"CSV{_JOB}", f"PNG{_JOB}")
HELD = 1000
# Between two runs of the same the peak differs by so much: threads and their arenas of memory come and go.
FLAT = 1.1


def peak_mebibytes(way: str, folder: Path, rows: int) -> float:
    """In this process: go through an epoch, and say what the most was."""
    import tensorflow as tf  # noqa: PLC0415 - the parent doesn't need it

    if way == "in memory":
        arrays = tuple(np.concatenate(one) for one in zip(*sets.blocks(rows), strict=True))
        batches = tf.data.Dataset.from_tensor_slices(arrays).shuffle(16_384).batch(BATCH)
    elif way == "nothing":
        batches = tf.data.Dataset.range(rows).batch(BATCH)
    elif way.endswith(_JOB):
        data = of_a_job(sets.MAKERS[way.removesuffix(_JOB)](folder, rows))
        batches, rows = data.training.source().epoch(0, batch_size=BATCH, seed=0), data.items_to_learn
    else:
        cache = folder / way if "cache" in way else None
        batches = dataset(sets.MAKERS[way.removesuffix(_MAKING).removesuffix(_BY)](folder, rows), batch_size=BATCH, seed=0, epoch=0, cache=cache)
    count = sum(int(next(iter(tf.nest.flatten(batch))).shape[0]) for batch in batches)
    if count != rows:
        message = f"{count} of {rows} rows came"
        raise RuntimeError(message)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def of_a_job(source: Source) -> Dataset:
    """The set as a job is given it."""
    match source:
        case CsvFiles():
            # A number of four decimals is of one row or of a few.
            source = replace(source, parts=(*source.parts, Part(name="whose", columns="x0", kind=Kind.STRING)))
            patients, arrays = Patients(array="whose"), Roles(inputs="x", targets="label")
        case ImageFolder():
            classes = tuple(sorted(path.name for path in source.root.iterdir()))
            source = replace(source, labels=ByFolder(classes=classes))
            patients, arrays = Patients(array="file"), Roles(inputs="image", targets="label")
        case _:
            raise ValueError(source)
    parts = ByPatient(source=source, patients=patients)
    # There are more images than different ones.
    repeats = isinstance(source, ImageFolder)
    return streamed_dataset(parts, arrays, name="made up", source="here", license="none", sample=HELD, at_most=HELD, may_repeat=repeats)


def in_a_process(way: str, folder: Path, rows: int) -> float:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training.memory", "--child", way, "--folder", str(folder), "--rows", str(rows)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def run(folder: Path, rows: int, images: int, rounds: int, ways: Sequence[str]) -> None:
    """Makes the files in `folder`, measures, and prints."""
    print(f"{'way':<26}{'rows':>10}{'MiB':>8}{'rows':>10}{'MiB':>8}   ratio, median of {rounds} (least-greatest)")
    for way in ways:
        few = images if way.startswith("PNG") else rows
        places = [(folder / str(count), count) for count in (few, TIMES * few)]
        # Files are made by a process that isn't measured; so is the cache that is only read.
        for place, count in places:
            place.mkdir(exist_ok=True)
            if way not in {"nothing", "in memory", f"CSV{_MAKING}"}:
                in_a_process(way, place, count)
        peaks = []
        for _ in range(rounds):
            peaks.append([in_a_process(way, place, count) for place, count in places])
            if way.endswith(_MAKING):
                for place, _count in places:
                    for path in sorted((place / way).rglob("*"), reverse=True):
                        path.rmdir() if path.is_dir() else path.unlink()
        ratios = [large / small for small, large in peaks]
        small, large = (median(one) for one in zip(*peaks, strict=True))
        line = f"{way:<26}{few:>10}{small:>8.0f}{TIMES * few:>10}{large:>8.0f}   {median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{line}{'' if median(ratios) <= FLAT else '   grows'}", flush=True)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.memory", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, action="append", help="only this one; may be given several times")
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(peak_mebibytes(arguments.child, arguments.folder, arguments.rows))
        return
    with tempfile.TemporaryDirectory(prefix="medserve-memory-") as folder:
        run(Path(folder), arguments.rows, arguments.images, arguments.rounds, arguments.way or WAYS)


if __name__ == "__main__":
    main()
