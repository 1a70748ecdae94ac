"""`python -m training`: runs jobs, lists them, and writes held-out items as files."""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

# TensorFlow's notes on its build are of no use to who trains; its errors are.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from training import publish as repository
from training.job import Job
from training.jobs import JOBS


def _say(message: str) -> None:
    print(message, flush=True)


def run(job: Job, root: Path, *, epochs: int | None, limit: int | None, floor: float) -> int:
    """Trains a job and publishes what it made; returns the process's exit status: 1 where it isn't good enough to publish."""
    from training.evaluate import evaluate  # noqa: PLC0415 - they bring TensorFlow: not before they are needed
    from training.export import export  # noqa: PLC0415
    from training.fit import fit  # noqa: PLC0415

    started = time.monotonic()
    data = job.load().limited(limit)
    _say(f"{job.name}: {len(data.train_labels)} items of {data.name} to train on, {len(data.test_labels)} held out")
    model = fit(job, data, epochs=epochs, say=lambda text: _say(f"{job.name}: {text}"))
    figures = evaluate(model.predict(data.test_inputs, batch_size=256, verbose=0), data.test_labels, seed=job.schedule.seed)
    for figure in figures:
        _say(f"{job.name}: held-out {figure}")
    if figures[0].value < floor:
        _say(f"{job.name}: nothing published: accuracy {figures[0].value:.4f} is below the floor of {floor}")
        return 1

    def write(folder: Path, version: int) -> None:
        export(folder, version, job=job, model=model, data=data, figures=figures, seed=job.schedule.seed)

    version = repository.publish(root, job.name, write)
    _say(f"{job.name}: published version {version} in {root / job.name / str(version)} after {time.monotonic() - started:.0f} s")
    return 0


def write_samples(job: Job, folder: Path, count: int) -> None:
    """Writes `count` held-out items, spread over the labels, as `<number>-label-<code>.<ending>`."""
    data = job.load()
    codes = [label.code.code for label in job.facts().outputs[0].classification.labels]
    folder.mkdir(parents=True, exist_ok=True)
    by_label = [np.flatnonzero(data.test_labels == label) for label in range(len(codes))]
    # Round by round, one item of each label.
    rounds = (rows[number] for number in range(max(map(len, by_label))) for rows in by_label if number < len(rows))
    for index, _ in zip(rounds, range(count), strict=False):
        path = job.write_sample(folder, f"{index:04d}-label-{codes[data.test_labels[index]]}", data.test_inputs[index])
        _say(f"wrote {path}")


def main() -> int:
    """Runs the command; returns the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Trains models and publishes them.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the jobs")
    running = commands.add_parser("run", help="train a job's model and publish it")
    running.add_argument("job", choices=JOBS)
    running.add_argument("--repository", type=Path, required=True, help="the model repository's folder")
    running.add_argument("--epochs", type=int, help="fewer or more than the job's schedule")
    running.add_argument("--limit", type=int, help="train and test on this many items only")
    running.add_argument("--floor", type=float, help="the held-out accuracy to publish from, instead of the job's: for trials")
    sampling = commands.add_parser("samples", help="write held-out items as files to send")
    sampling.add_argument("job", choices=JOBS)
    sampling.add_argument("--out", type=Path, required=True, help="the folder to write to")
    sampling.add_argument("--count", type=int, default=10, help="how many")
    arguments = parser.parse_args()
    match arguments.command:
        case "list":
            for job in JOBS.values():
                _say(f"{job.name}: {job.facts().description}")
        case "run":
            job = JOBS[arguments.job]
            floor = job.accuracy_floor if arguments.floor is None else arguments.floor
            return run(job, arguments.repository, epochs=arguments.epochs, limit=arguments.limit, floor=floor)
        case "samples":
            write_samples(JOBS[arguments.job], arguments.out, arguments.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
