"""Where a fit stands, and how it comes back to there."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.fitting import checkpoint
from training.fitting.monitor import Waiting

_BEST = "best"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A fit between two steps, apart from its variables.

    Attributes:
        epoch, step: how many epochs are done, and how many steps of the next one.
        seconds: spent so far, over all runs.
        finished: nothing is left to do.
        history: each epoch's figures by name.
        stopping, plateau: how it stands with what early stopping and the schedule watch.
        best: the best epoch's weights, where they are to be restored.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    finished: bool = False
    history: tuple[Mapping[str, float], ...] = ()
    stopping: Waiting = field(default_factory=Waiting)
    plateau: Waiting = field(default_factory=Waiting)
    best: Sequence[NDArray[Any]] | None = None


class Keeper:
    """Keeps a fit's variables and its standing in a folder of checkpoints."""

    def __init__(self, folder: Path, *, identity: Mapping[str, str], variables: Mapping[str, Any], seconds: float | None) -> None:
        """`variables` are Keras's, by name; `seconds` at least pass between two checkpoints, or an epoch where it is None."""
        self._folder, self._identity, self._variables, self._seconds = folder, identity, variables, seconds
        self._kept = time.monotonic()

    def restore(self, say: Callable[[str], None]) -> Standing | None:
        """Gives all variables the values of the newest checkpoint; None where there is none. Raises NotThisFit and OSError."""
        snapshot = checkpoint.newest(self._folder, identity=self._identity, say=say)
        if snapshot is None:
            return None
        for name, variable in self._variables.items():
            variable.assign(snapshot.arrays[name])
        state = dict(snapshot.state)
        best = [snapshot.arrays[f"{_BEST}/{number}"] for number in range(state.pop(_BEST))]
        return Standing(
            epoch=snapshot.epoch,
            step=snapshot.step,
            history=tuple(state.pop("history")),
            stopping=Waiting(**state.pop("stopping")),
            plateau=Waiting(**state.pop("plateau")),
            best=best or None,
            **state,
        )

    def keep(self, standing: Standing) -> None:
        """Writes a checkpoint where one is due. Raises OSError."""
        is_due = standing.step == 0 if self._seconds is None else time.monotonic() - self._kept >= self._seconds
        if not (is_due or standing.finished):
            return
        best = standing.best or ()
        arrays = {name: np.asarray(variable) for name, variable in self._variables.items()}
        arrays |= {f"{_BEST}/{number}": array for number, array in enumerate(best)}
        state = asdict(replace(standing, best=None)) | {_BEST: len(best)}
        epoch, step = state.pop("epoch"), state.pop("step")
        checkpoint.write(self._folder, checkpoint.Snapshot(identity=self._identity, epoch=epoch, step=step, state=state, arrays=arrays))
        self._kept = time.monotonic()
