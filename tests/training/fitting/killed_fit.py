"""A process whose children fit the same tiny network: some are killed by SIGKILL on the way, and begun again in the same folder.

python killed_fit.py FOLDER, where it leaves what came out as `undisturbed.npz` and `killed.npz`; it prints by which signals the runs ended.

Children are forked before TensorFlow has made a thread, so that its import is paid for once.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

from training.augmentation import series_augmentation
from training.fitting.fit import fit
from training.fitting.monitor import EarlyStopping, ReduceOnPlateau
from training.fitting.plan import Plan
from training.fitting.source import Arrays

# 60 items in batches of 16: 4 steps an epoch, the last one smaller.
PLAN = Plan(
    epochs=10,
    batch_size=16,
    learning_rate=0.05,
    schedule=ReduceOnPlateau(patience=1),
    early_stopping=EarlyStopping(patience=2),
    class_weights="balanced",
    augmentation=series_augmentation(jitter=0.2),
    weight_decay=0.01,
    clip_norm=1.0,
    checkpoint_seconds=0,
)

Trap = Callable[[], None]
"""Kills the process when its time has come."""


def trap_at(count: int) -> Trap:
    """Kills at its call of that number, counted from 1."""
    calls = 0

    def called() -> None:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)

    return called


class Trapped(keras.layers.Layer):  # type: ignore[misc]
    """Passes its input on; a training step passes through the trap."""

    trap: Trap = staticmethod(lambda: None)

    def call(self, inputs: Any, *, training: bool = False) -> Any:
        if not training:
            return inputs

        def spring() -> Any:
            Trapped.trap()
            return np.int64(0)

        with tf.control_dependencies([tf.numpy_function(spring, [], tf.int64)]):
            return tf.identity(inputs)


def build() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((5, 1)),
            Trapped(),
            layers.Flatten(),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )


def run(folder: Path, out: Path) -> None:
    random = np.random.default_rng(0)
    series = random.normal(size=(80, 5, 1)).astype(np.float32)
    # What is learnt doesn't hold elsewhere: the rate falls, the fit stops early and goes back to an epoch before a death.
    labels = random.integers(3, size=80)
    training, validation = Arrays(inputs=series[:60], targets=labels[:60]), Arrays(inputs=series[60:], targets=labels[60:])
    fitted = fit(build, PLAN, training, validation, checkpoints=folder, say=lambda line: print(f"    {line}", flush=True))
    came_out: dict[str, Any] = {f"weight {number}": weight for number, weight in enumerate(fitted.model.get_weights())}
    came_out |= {name: np.array([epoch[name] for epoch in fitted.history]) for name in fitted.history[0]}
    np.savez(out, epoch=fitted.epoch, **came_out)


def at_step(count: int) -> Callable[[], None]:
    def arm() -> None:
        Trapped.trap = staticmethod(trap_at(count))

    return arm


def before_rename(count: int) -> Callable[[], None]:
    """Just before the `count`th checkpoint gets its name."""

    def arm() -> None:
        real, trap = os.rename, trap_at(count)

        def trapped(*arguments: Any) -> None:
            trap()
            real(*arguments)

        os.rename = trapped  # type: ignore[assignment]

    return arm


# Each counts from where its run begins; the run after the last one goes to the end.
DEATHS = [at_step(3), before_rename(5), at_step(25)]


def start(work: Callable[[], None]) -> int:
    """Begins it in a fork; returns the process's number."""
    sys.stdout.flush()
    number = os.fork()
    if number == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    return number


def end(number: int) -> int:
    """Waits; returns the signal that ended it, or 0."""
    status = os.waitpid(number, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def main() -> None:
    root = Path(sys.argv[1])

    def whole(way: str) -> None:
        run(root / way, root / f"{way}.npz")

    def killed(arm: Callable[[], None]) -> None:
        arm()
        whole("killed")

    undisturbed = start(partial(whole, "undisturbed"))
    ends = [end(start(partial(killed, arm))) for arm in DEATHS]
    print("killed", *ends, end(start(partial(whole, "killed"))), flush=True)
    print("undisturbed", end(undisturbed), flush=True)


if __name__ == "__main__":
    main()
