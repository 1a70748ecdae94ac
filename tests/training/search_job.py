"""A job with two numbers to tell two classes by, whose held-out part can't be read; as a script, a search that the kernel kills in its second trial.

`search_job.py FOLDER KILLED_AT` searches with `FOLDER` as the storage, and is killed as the network of trial `KILLED_AT` has been made.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, Never

import numpy as np

from medserve.v1 import manifest_pb2
from training.baseline import Baseline, support_vectors
from training.dataset import Dataset, Part
from training.fitting.plan import Plan
from training.gates import Floor
from training.job import Job
from training.search import search
from training.search_space import Number, OneOf, Space
from training.tasks.classification import Classification

SPACE = Space(settings={"learning_rate": Number(low=1e-3, high=1.0, log=True), "batch_size": OneOf(choices=(8, 16))})
TRIALS = 3


class HeldOut:
    """Raises whatever is read of it."""

    def __getattribute__(self, name: str) -> Never:
        message = f"the held-out {name} was read"
        raise AssertionError(message)

    def __len__(self) -> int:
        message = "the held-out items were counted"
        raise AssertionError(message)


def build(_: Part) -> Any:
    import keras  # noqa: PLC0415

    given = keras.Input((2,), dtype="float32", name="record")
    return keras.Model(given, keras.layers.Dense(2, activation="softmax")(given), name="told")


def _part(items: int, seed: int) -> Part:
    inputs = np.random.default_rng(seed).normal(size=(items, 2)).astype(np.float32)
    return Part(inputs=inputs, targets=(inputs[:, 0] > inputs[:, 1]).astype(np.int64))


def data() -> Dataset:
    held_out: Any = HeldOut()
    return Dataset(name="made up", source="here", license="none", training=_part(64, 0), validation=_part(32, 1), held_out=held_out)


def job(build: Any = build, **plan: Any) -> Job:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "checkpoint_seconds": 0.0} | plan
    return Job(
        name="told",
        load=data,
        task=Classification(
            system="urn:test", classes={"0": "less", "1": "more"}, build=build, plan=Plan(**settings),
            baseline=Baseline(name="none", make=support_vectors),
        ),
        facts=manifest_pb2.ModelManifest,
        floor=Floor(figure="accuracy", least=0.5),
        write_sample=lambda folder, _stem, _item: folder,
    )  # fmt: skip


if __name__ == "__main__":
    folder, killed_at = Path(sys.argv[1]), int(sys.argv[2])
    made = 0

    def build_and_die(part: Part) -> Any:
        global made  # noqa: PLW0603 - a script
        made += 1
        if made == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return build(part)

    search(job(build_and_die), data(), SPACE, trials=TRIALS, storage=folder, say=lambda _: None)
