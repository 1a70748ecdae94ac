"""What a version must show before it is published, declared by its job: `judge(gates, evidence)` says of each gate whether it is passed and why.

A gate that can't be judged, because the evidence for it is missing or is not a number, is not passed: nothing is published by default.
"""

from collections.abc import Sequence

from training.gates.comparison import NotBehindBaseline, NotWorse, SubgroupGap
from training.gates.evidence import Evidence, Group, Measured, Resamples, Scores
from training.gates.figure import Ceiling, Floor
from training.gates.serving import AnswersThroughGateway, Latency, ManifestComplete, TrainToServe
from training.gates.verdict import Verdict

__all__ = [
    "OF_FIGURES",
    "AnswersThroughGateway",
    "Ceiling",
    "Evidence",
    "Floor",
    "Gate",
    "Group",
    "Latency",
    "ManifestComplete",
    "Measured",
    "NotBehindBaseline",
    "NotEarned",
    "NotWorse",
    "Resamples",
    "Scores",
    "SubgroupGap",
    "TrainToServe",
    "Verdict",
    "ask_gateway",
    "judge",
    "require",
]

OF_FIGURES = (Floor, Ceiling, NotWorse, NotBehindBaseline, SubgroupGap)
"""Gates that a trial, which did less than its job asks for, can't be expected to pass."""

Gate = Floor | Ceiling | NotWorse | NotBehindBaseline | SubgroupGap | Latency | TrainToServe | AnswersThroughGateway | ManifestComplete


class NotEarned(ValueError):
    """At least one gate isn't passed; the message has them all."""


def ask_gateway(gates: Sequence[Gate]) -> bool:
    """Whether a gate among these can't be judged without the gateway, which takes most of a second to start."""
    return any(isinstance(gate, AnswersThroughGateway) for gate in gates)


def judge(gates: Sequence[Gate], evidence: Evidence) -> list[Verdict]:
    """A verdict for each gate, in their order. Raises ValueError where there is no gate: what nobody asks anything of has earned nothing."""
    if not gates:
        raise ValueError("a job declares at least one gate: what nobody asks anything of has earned nothing")
    return [gate.judge(evidence) for gate in gates]


def require(verdicts: Sequence[Verdict]) -> None:
    """Raises NotEarned, which says of each gate that isn't passed why. Raised within `training.publish.publish`, nothing is published."""
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed or not verdicts:
        message = "\n".join(["nothing published:", *(f"  {verdict.gate}: {verdict.reason}" for verdict in failed)])
        raise NotEarned(message)
