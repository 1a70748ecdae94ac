"""What a step of `training.fitting` takes, against a plain `model.fit` of the same network on the same items.

    python -m benchmarks.training.steps [--job digits] [--rounds 30]

Three fits stand side by side, and one of them at a time goes on for an epoch: a round is an epoch of each, in another order each time. `CPU ms` is of
the process's own time, which other work on the machine changes less. The first epoch, with the tracing, is told apart. Kept is with event files, and
a checkpoint a minute and at the end, as a job has it; what one checkpoint takes is printed beside: most of it is the wait for the disk.
"""

import argparse
import os
import shutil
import tempfile
import threading
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


class _Lane:
    """A fit in a thread of its own, which waits for its turn before each epoch."""

    def __init__(self, fitting: Callable[[Callable[..., None]], object]) -> None:
        """`fitting` is given what it has to call at each epoch's end."""
        self._may_go, self._is_done = threading.Event(), threading.Event()
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, args=(fitting,), daemon=True)
        self._thread.start()

    def _run(self, fitting: Callable[[Callable[..., None]], object]) -> None:
        self._wait()
        try:
            fitting(self._epoch_ends)
        finally:
            self._has_ended = True
            self._is_done.set()

    def _epoch_ends(self, *_: object) -> None:
        self._is_done.set()
        self._wait()

    def _wait(self) -> None:
        self._may_go.wait()
        self._may_go.clear()

    def turn(self) -> tuple[float, float]:
        """Goes on for an epoch; returns the seconds, and the process's own."""
        wall, own = time.perf_counter(), time.process_time()
        self._may_go.set()
        self._is_done.wait()
        self._is_done.clear()
        if self._has_ended:
            message = "a fit ended before its time"
            raise RuntimeError(message)
        return time.perf_counter() - wall, time.process_time() - own

    def finish(self) -> None:
        """Lets it come to its end."""
        self._may_go.set()
        self._thread.join()


def _plain(build: Callable[[], Any], plan: Plan, items: Arrays, epoch_ends: Callable[..., None]) -> None:
    keras.utils.set_random_seed(plan.seed)
    model = build()
    model.compile(keras.optimizers.Adam(plan.learning_rate), loss=plan.loss, metrics=list(plan.metrics))
    told = keras.callbacks.LambdaCallback(on_epoch_end=epoch_ends)
    model.fit(items.inputs, items.targets, batch_size=plan.batch_size, epochs=plan.epochs, callbacks=[told], verbose=0)


def _fitting(build: Callable[[], Any], plan: Plan, items: Arrays, folder: Path | None, epoch_ends: Callable[..., None]) -> None:
    checkpoints, events = (None, None) if folder is None else (folder / "checkpoints", folder / "events")
    fit(build, plan, items, checkpoints=checkpoints, events=events, say=epoch_ends)


def _checkpoint(model: Any, folder: Path) -> tuple[float, float]:  # noqa: ANN401 - Keras ships no types
    """The median milliseconds that one takes, and its MiB: the weights, and Adam's two moments of each."""
    arrays = {f"{kind}/{number}": weight for kind in range(3) for number, weight in enumerate(model.get_weights())}
    seconds = []
    for step in range(20):
        started = time.perf_counter()
        checkpoint.write(folder, checkpoint.Snapshot(identity={}, epoch=0, step=step, state={}, arrays=arrays))
        seconds.append(time.perf_counter() - started)
    return median(seconds) * 1000, max(path.stat().st_size for path in folder.iterdir()) / 2**20


def run(name: str, *, rounds: int) -> None:
    """Measures a job's network, and prints."""
    data, task = JOBS[name].load(), NETWORKS[name]
    items = Arrays(inputs=data.training.inputs, targets=data.training.targets)
    plan = Plan(epochs=1 + rounds, batch_size=task.plan.batch_size, learning_rate=task.plan.learning_rate)
    steps = items.steps(plan.batch_size)
    build = partial(task.build, data.training)
    folder = Path(tempfile.mkdtemp(prefix="medserve-steps-"))

    def figures(lane: _Lane) -> Figures:
        wall, own = lane.turn()
        return {"ms a step": wall / steps * 1000, "CPU ms a step": own / steps * 1000}

    try:
        lanes = {
            _PLAIN: _Lane(partial(_plain, build, plan, items)),
            _FITTING: _Lane(partial(_fitting, build, plan, items, None)),
            _KEPT: _Lane(partial(_fitting, build, plan, items, folder / "kept")),
        }
        firsts = {way: lane.turn()[0] for way, lane in lanes.items()}
        samples = in_turn({way: partial(figures, lane) for way, lane in lanes.items()}, rounds)
        for lane in lanes.values():
            lane.finish()
        checkpoint_ms, checkpoint_mib = _checkpoint(build(), folder / "one")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{name}: {len(items)} items, {steps} steps an epoch; {rounds} rounds; median ratio (least-greatest)")
    report(samples, dict.fromkeys(lanes, _PLAIN))
    print(f"first epoch: {', '.join(f'{way} {seconds:.1f} s' for way, seconds in firsts.items())}")
    print(f"a checkpoint of {checkpoint_mib:.1f} MiB: {checkpoint_ms:.0f} ms")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.steps", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--job", choices=NETWORKS, action="append", help="whose network; more than once for several (default: digits and ecg-gru)")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    for name in arguments.job or ("digits", "ecg-gru"):
        run(name, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
