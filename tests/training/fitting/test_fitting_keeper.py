import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.fitting.keeper import Keeper, Standing
from training.fitting.monitor import Waiting

IDENTITY = {"plan": "p"}


class Variable:
    """As much of Keras's as a keeper needs."""

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.value

    def assign(self, value: Any) -> None:
        self.value = value


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def keeper(folder: Path, seconds: float | None, **variables: Variable) -> Keeper:
    return Keeper(folder, identity=IDENTITY, variables=variables, seconds=seconds)


def kept(folder: Path) -> list[str]:
    return sorted(path.name[len("checkpoint-") :][:16] for path in folder.glob("*"))


def test_all_that_a_fit_is_comes_back(tmp_path: Path) -> None:
    standing = Standing(
        epoch=3,
        step=2,
        seconds=1.5,
        history=({"loss": 0.1 + 0.2, "val_loss": float("inf")},) * 3,
        stopping=Waiting(best=0.1, best_epoch=1, epochs=1),
        plateau=Waiting(epochs=2),
        best=[np.array([1.0, 2.0], np.float32), np.array(3)],
    )
    keeper(tmp_path, 0, weight=Variable([0.5, -0.0]), seed=Variable(np.array([7, 8], np.uint32))).keep(standing)
    weight, seed = Variable([0.0, 0.0]), Variable(np.zeros(2, np.uint32))

    restored = keeper(tmp_path, 0, weight=weight, seed=seed).restore(lambda _: None)

    assert restored is not None
    for field in ("epoch", "step", "seconds", "finished", "history", "stopping", "plateau"):
        assert getattr(restored, field) == getattr(standing, field)
    assert [array.tobytes() for array in restored.best or ()] == [array.tobytes() for array in standing.best or ()]
    assert weight.value.tobytes() == np.array([0.5, -0.0]).tobytes()
    assert seed.value.tolist() == [7, 8]


def test_a_checkpoint_is_kept_when_so_many_seconds_have_passed_since_the_last(tmp_path: Path, clock: Clock) -> None:
    own = keeper(tmp_path, 60)

    for step, now in ((1, 59.0), (2, 61.0), (3, 120.0), (4, 121.0)):
        clock.now = now
        own.keep(Standing(step=step))

    assert kept(tmp_path) == ["000000-000000002", "000000-000000004"]


def test_one_an_epoch_is_kept_where_no_seconds_are_given(tmp_path: Path) -> None:
    own = keeper(tmp_path, None)

    for epoch, step in ((0, 1), (0, 2), (1, 0), (1, 1)):
        own.keep(Standing(epoch=epoch, step=step))

    assert kept(tmp_path) == ["000001-000000000"]


def test_a_fit_that_has_finished_is_kept_whenever_that_is(tmp_path: Path, clock: Clock) -> None:
    assert clock.now == 0

    keeper(tmp_path, 60).keep(Standing(epoch=5, finished=True))

    restored = keeper(tmp_path, 60).restore(lambda _: None)
    assert restored is not None
    assert restored.finished
    assert restored.best is None
