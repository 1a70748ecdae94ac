"""`python -m training`: runs jobs, lists them, and writes held-out items as files."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

# TensorFlow's notes on its build are of no use to who trains; its errors are. `quiet` leaves out those that obey no level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from training import publish as repository
from training.job import Job
from training.jobs import JOBS
from training.quiet import quiet

_REFUSED = 1
_UNUSABLE = 2
# What a shell says of a command that Ctrl-C ended.
_INTERRUPTED = 130


def _say(message: str) -> None:
    print(message, flush=True)


def run(job: Job, root: Path, *, epochs: int | None, limit: int | None, floor: float | None) -> int:
    """Trains a job and publishes what it made; returns the process's exit status: 1 where it isn't good enough to publish.

    `epochs` and `floor` stand in for the job's own; `limit` trains and tests on the first items only. Raises OSError where the repository
    can't be written to: before the training, where that shows by then.
    """

    def say(message: str) -> None:
        _say(f"{job.name}: {message}")

    started = time.monotonic()
    repository.prepare(root, job.name)
    say("starting TensorFlow")
    import tensorflow as tf  # noqa: PLC0415 - not before it is needed: it takes seconds

    from training.evaluate import evaluate  # noqa: PLC0415
    from training.export import export  # noqa: PLC0415
    from training.fit import fit  # noqa: PLC0415

    data = job.load().limited(limit)
    gpus = len(tf.config.list_physical_devices("GPU"))
    device = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "the CPU"
    say(f"{len(data.train_labels)} items of {data.name} to train on, {len(data.test_labels)} held out; on {device}")
    model = fit(job, data, epochs=epochs or job.schedule.epochs, say=say)
    figures = evaluate(model.predict(data.test_inputs, batch_size=256, verbose=0), data.test_labels, seed=job.schedule.seed)
    for figure in figures:
        say(f"held-out {figure}")
    accuracy, wanted = figures[0].value, job.accuracy_floor if floor is None else floor
    if accuracy < wanted:
        shortened = epochs is not None or limit is not None
        remedy = "leave out --epochs and --limit" if shortened else "look at the data and the schedule"
        say(f"nothing published: held-out accuracy {accuracy:.4f} is below the floor of {wanted}; {remedy}, or publish a trial with --floor 0")
        return _REFUSED

    def write(folder: Path, version: int) -> None:
        export(folder, version, job=job, model=model, data=data, figures=figures)

    version = repository.publish(root, job.name, write)
    say(f"published version {version} in {root / job.name / str(version)} after {time.monotonic() - started:.0f} s")
    return 0


def write_samples(job: Job, folder: Path, count: int) -> None:
    """Writes `count` held-out items, spread over the labels, as `<number>-label-<code>.<ending>`. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    data = job.load()
    codes = [label.code.code for label in job.facts().outputs[0].classification.labels]
    by_label = [np.flatnonzero(data.test_labels == label) for label in range(len(codes))]
    # Round by round, one item of each label.
    rounds = (rows[number] for number in range(max(map(len, by_label))) for rows in by_label if number < len(rows))
    for index, _ in zip(rounds, range(count), strict=False):
        path = job.write_sample(folder, f"{index:04d}-label-{codes[data.test_labels[index]]}", data.test_inputs[index])
        _say(f"wrote {path}")


def _at_least(lowest: int) -> Callable[[str], int]:
    """Reads an argument that is a whole number from `lowest` on."""

    def whole_number(text: str) -> int:
        number = int(text)
        if number < lowest:
            message = f"{number} is too few: give {lowest} or more"
            raise argparse.ArgumentTypeError(message)
        return number

    return whole_number


def accuracy(text: str) -> float:
    """Reads an argument that is an accuracy."""
    number = float(text)
    if not 0 <= number <= 1:
        message = f"{text} is no accuracy: give a number from 0 to 1"
        raise argparse.ArgumentTypeError(message)
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Trains models and publishes them.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the jobs")
    running = commands.add_parser("run", help="train a job's model and publish it")
    running.add_argument("job", choices=JOBS)
    running.add_argument("--repository", type=Path, required=True, help="the model repository's folder; made where there is none")
    running.add_argument("--epochs", type=_at_least(1), help="fewer or more than the job's schedule")
    # One to fit and one to validate.
    running.add_argument("--limit", type=_at_least(2), help="train and test on this many items only")
    running.add_argument("--floor", type=accuracy, help="the held-out accuracy to publish from, instead of the job's: for trials")
    sampling = commands.add_parser("samples", help="write held-out items as files to send")
    sampling.add_argument("job", choices=JOBS)
    sampling.add_argument("--out", type=Path, required=True, help="the folder to write to; made where there is none")
    sampling.add_argument("--count", type=_at_least(1), default=10, help="how many (default: 10)")
    return parser


def main() -> int:
    """Runs the command; returns the process's exit status: 2 where the command or its folder can't be used."""
    arguments = _parser().parse_args()
    try:
        match arguments.command:
            case "list":
                for job in JOBS.values():
                    _say(f"{job.name}: {job.facts().description}")
            case "run":
                with quiet():
                    return run(JOBS[arguments.job], arguments.repository, epochs=arguments.epochs, limit=arguments.limit, floor=arguments.floor)
            case "samples":
                write_samples(JOBS[arguments.job], arguments.out, arguments.count)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"python -m training: {error.strerror or error}{where}; give a folder that can be written to and has room", file=sys.stderr)
        return _UNUSABLE
    except KeyboardInterrupt:
        print("python -m training: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
