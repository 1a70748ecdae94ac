"""What stands in for a job's own plan when somebody tries something out, and which gates are asked then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training import gates, summary
from training.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What stands in for a job's own plan.

    Attributes:
        epochs: fewer or more of them.
        limit: trains and tests on the first items of each part only.
        floor: instead of the job's; then no other gate asks for a figure either, but for the one that `stable` is for.
        stable: the version that the candidate isn't to be worse than; None: the newest one of the same data set that isn't a trial.
        is_compared: whether it is held against a version at all.
        events: the folder for each epoch's figures, as TensorBoard reads them; None writes none.
    """

    epochs: int | None = None
    limit: int | None = None
    floor: float | None = None
    stable: int | None = None
    is_compared: bool = True
    events: Path | None = None

    @property
    def is_shortened(self) -> bool:
        """Whether less was done than the job asks for."""
        return self.epochs is not None or self.limit is not None

    def asks(self, job: Job) -> tuple[tuple[gates.Gate, ...], tuple[gates.Gate, ...]]:
        """The gates that a version has to pass, and those of the job that aren't asked."""
        if self.floor is None:
            return (job.floor, *job.gates), ()
        kept = tuple(
            gate
            for gate in job.gates
            if not isinstance(gate, gates.OF_FIGURES) or (isinstance(gate, gates.NotWorse) and self.stable is not None and self.is_compared)
        )
        return (replace(job.floor, least=self.floor), *kept), (job.floor, *(gate for gate in job.gates if gate not in kept))

    def shortened(self, not_asked: Sequence[gates.Gate]) -> summary.Shortened | None:
        """What the version remembers of it; None where nothing was left out or put in the place of what the job asks for."""
        if not self.is_shortened and self.floor is None:
            return None
        return summary.Shortened(epochs=self.epochs, limit=self.limit, floor=self.floor, not_asked=tuple(map(_named, not_asked)))


def _named(gate: gates.Gate) -> str:
    """A trial has a floor of its own, so the job's is told from that by its number."""
    return f"{gate.name} {gate.least:g}" if isinstance(gate, gates.Floor) else gate.name
