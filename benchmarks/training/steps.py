"""What a step of `training.fitting` takes, against a plain `model.fit` of the same network on the same items.

    python -m benchmarks.training.steps [--job digits] [--rounds 7] [--epochs 5]

Each round fits a new network every way, in another order. A step's time is the median over the epochs after the first, divided by an epoch's steps;
`CPU ms` is the same of the process's own time, which other work on the machine changes less; `start s` is what the first epoch takes more, for
tracing. Kept is with event files, and a checkpoint a minute and at the end, as a job has it. What one checkpoint takes is printed beside: most of it
is the wait for the disk.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from benchmarks.paired import Figures, in_turn, report
from training.fitting import checkpoint
from training.fitting.fit import fit
from training.fitting.plan import Plan
from training.fitting.source import Arrays
from training.jobs import JOBS
from training.tasks.classification import Classification

NETWORKS = {name: job.task for name, job in JOBS.items() if isinstance(job.task, Classification)}
_PLAIN, _FITTING, _KEPT = "model.fit", "fitting", "fitting, kept"


class _Clock:
    """Is told when an epoch ends."""

    def __init__(self) -> None:
        self._ticks = [(time.perf_counter(), time.process_time())]

    def tick(self, *_: Any) -> None:  # noqa: ANN401 - whatever it is told with it
        self._ticks.append((time.perf_counter(), time.process_time()))

    def figures(self, steps: int) -> Figures:
        epochs = [(after[0] - before[0], after[1] - before[1]) for before, after in zip(self._ticks, self._ticks[1:], strict=False)]
        wall, own = (median(epoch[kind] for epoch in epochs[1:]) for kind in (0, 1))
        return {"ms a step": wall / steps * 1000, "CPU ms a step": own / steps * 1000, "start s": epochs[0][0] - wall}


def _plain(build: Callable[[], Any], plan: Plan, items: Arrays) -> Figures:
    clock = _Clock()
    keras.utils.set_random_seed(plan.seed)
    model = build()
    model.compile(keras.optimizers.Adam(plan.learning_rate), loss=plan.loss, metrics=list(plan.metrics))
    told = keras.callbacks.LambdaCallback(on_epoch_end=clock.tick)
    model.fit(items.inputs, items.targets, batch_size=plan.batch_size, epochs=plan.epochs, callbacks=[told], verbose=0)
    return clock.figures(items.steps(plan.batch_size))


def _fitting(build: Callable[[], Any], plan: Plan, items: Arrays, folder: Path | None) -> Figures:
    clock = _Clock()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    checkpoints, events = (None, None) if folder is None else (folder / "checkpoints", folder / "events")
    fit(build, plan, items, checkpoints=checkpoints, events=events, say=clock.tick)
    return clock.figures(items.steps(plan.batch_size))


def _checkpoint(model: Any, folder: Path) -> tuple[float, float]:  # noqa: ANN401 - Keras ships no types
    """The median milliseconds that one takes, and its MiB: the weights, and Adam's two moments of each."""
    arrays = {f"{kind}/{number}": weight for kind in range(3) for number, weight in enumerate(model.get_weights())}
    seconds = []
    for step in range(20):
        started = time.perf_counter()
        checkpoint.write(folder, checkpoint.Snapshot(identity={}, epoch=0, step=step, state={}, arrays=arrays))
        seconds.append(time.perf_counter() - started)
    return median(seconds) * 1000, max(path.stat().st_size for path in folder.iterdir()) / 2**20


def run(name: str, *, rounds: int, epochs: int) -> None:
    """Measures a job's network, and prints."""
    data, task = JOBS[name].load(), NETWORKS[name]
    items = Arrays(inputs=data.training.inputs, targets=data.training.targets)
    plan = Plan(epochs=epochs, batch_size=task.plan.batch_size, learning_rate=task.plan.learning_rate)
    build = partial(task.build, data.training)
    folder = Path(tempfile.mkdtemp(prefix="medserve-steps-"))
    try:
        ways = {
            _PLAIN: partial(_plain, build, plan, items),
            _FITTING: partial(_fitting, build, plan, items, None),
            _KEPT: partial(_fitting, build, plan, items, folder / "kept"),
        }
        samples = in_turn(ways, rounds)
        checkpoint_ms, checkpoint_mib = _checkpoint(build(), folder / "one")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{name}: {len(items)} items, {items.steps(plan.batch_size)} steps an epoch; {rounds} rounds of {epochs} epochs; ratio (least-greatest)")
    report(samples, dict.fromkeys(ways, _PLAIN))
    print(f"a checkpoint of {checkpoint_mib:.1f} MiB: {checkpoint_ms:.0f} ms")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.steps", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--job", choices=NETWORKS, action="append", help="whose network; more than once for several (default: digits and ecg-gru)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=5, help="of each fit, 2 or more")
    arguments = parser.parse_args()
    for name in arguments.job or ("digits", "ecg-gru"):
        run(name, rounds=arguments.rounds, epochs=arguments.epochs)


if __name__ == "__main__":
    main()
