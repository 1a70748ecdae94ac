"""A network fitted to training items, as the tasks that learn one have it."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from training.fitting import checkpoint
from training.fitting.fit import Fitted, fit
from training.fitting.plan import Plan
from training.fitting.source import Arrays
from training.tasks.task import Bench

if TYPE_CHECKING:
    import keras

    from training.dataset import Part

BATCH = 256
"""Items that are asked about at once when a network is measured."""


def fitted(
    build: Callable[[], "keras.Model"],
    plan: Plan,
    training: "Part",
    validation: "Part",
    bench: Bench,
    *,
    targets: Callable[[NDArray[Any]], NDArray[Any]] = lambda targets: targets,
) -> Fitted:
    """The network after the plan, or after the bench's epochs; `targets` makes what the loss compares with.

    A fit that was killed goes on from its checkpoints; those of another fit are removed, for their job, data or plan is no longer this one.
    """
    plan = plan if bench.epochs is None else replace(plan, epochs=bench.epochs)
    learnt, validated = (Arrays(inputs=part.inputs, targets=targets(part.targets)) for part in (training, validation))

    def run() -> Fitted:
        return fit(build, plan, learnt, validated, checkpoints=bench.checkpoints, events=bench.events, say=bench.say)

    try:
        found = run()
    except checkpoint.NotThisFit:
        if bench.checkpoints is None:
            raise
        bench.say("checkpoints of another fit removed")
        checkpoint.clear(bench.checkpoints)
        found = run()
    if bench.checkpoints is not None:
        checkpoint.clear(bench.checkpoints)
    return found


def predicted(model: "keras.Model", inputs: NDArray[Any]) -> Any:  # noqa: ANN401 - an array, or a dictionary of them
    """What the network says of the inputs."""
    return model.predict(inputs, batch_size=BATCH, verbose=0)
