"""A network fitted to training items, as the tasks that learn one have it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.fitting import checkpoint
from training.fitting.fit import Fitted, fit
from training.fitting.plan import Plan
from training.fitting.source import Arrays, Source
from training.tasks.task import Bench

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from training.dataset import Part

Targets = Callable[[NDArray[Any]], NDArray[Any]]
"""Makes of a part's targets, [items], what the loss compares with, [items, …]."""

BATCH = 256
"""Items that are asked about at once when a network is measured."""


def fitted(
    build: Callable[[], "keras.Model"],
    plan: Plan,
    training: "Part",
    validation: "Part",
    bench: Bench,
    *,
    targets: Targets | None = None,
) -> Fitted:
    """The network after the plan, or after the bench's epochs; fitted to the set that `training` is a sample of, where it is one.

    `targets` makes what the loss compares with; None: it compares with the targets as they are.
    A fit that was killed goes on from its checkpoints, and one that had ended is as it was; those of another fit are removed, for its network is no
    longer this one. They stay when the fit ends: who set up the bench knows when they are of no use any more.
    """
    plan = plan if bench.epochs is None else replace(plan, epochs=bench.epochs)
    learnt, validated = (source_of(part, targets) for part in (training, validation))

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
    if found.seconds_before and bench.resumed is not None:
        bench.resumed(found.seconds_before)
    return found


def source_of(part: "Part", targets: Targets | None = None) -> Source:
    """What a fit reads of a part."""
    source = part.source()
    if targets is None:
        return source
    made = Arrays(inputs=part.inputs, targets=targets(part.targets))
    return made if isinstance(source, Arrays) else _Converted(stream=source, targets=targets, dtype=part.targets.dtype, made=made)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Converted:
    """A stream whose targets become what the loss compares with while they are read.

    Attributes:
        stream: its targets are a tensor, or tensors by name for a structured type.
        targets: how they become it.
        dtype: what `targets` is given.
        made: a sample of the items, with what has become of their targets.
    """

    stream: Source
    targets: Targets
    dtype: np.dtype[Any]
    made: Arrays

    def steps(self, batch_size: int) -> int | None:
        """The stream's."""
        return self.stream.steps(batch_size)

    def identity(self) -> str:
        """The stream's, and the sample's: what a function does is told by what it made."""
        return f"{self.stream.identity()} {self.made.identity()}"

    def epoch(self, number: int, *, batch_size: int, seed: int | None, first: int = 0) -> "tf.data.Dataset":
        """The stream's batches, with other targets."""
        import tensorflow as tf  # noqa: PLC0415 - it takes seconds

        like = np.asarray(self.made.targets)

        def convert(*tensors: Any) -> Any:  # noqa: ANN401 - arrays
            given = np.empty(len(tensors[0]), self.dtype)
            for name, tensor in zip(self.dtype.names or (), tensors, strict=False):
                given[name] = tensor
            return self.targets(given if self.dtype.names else tensors[0].astype(self.dtype)).astype(like.dtype)

        def converted(inputs: Any, targets: Any, *weights: Any) -> Any:  # noqa: ANN401 - tensors
            parts = [targets[name] for name in self.dtype.names] if self.dtype.names else [targets]
            made = tf.numpy_function(convert, parts, tf.as_dtype(like.dtype))
            return inputs, tf.ensure_shape(made, [None, *like.shape[1:]]), *weights

        return self.stream.epoch(number, batch_size=batch_size, seed=seed, first=first).map(converted)


def predicted(model: "keras.Model", inputs: NDArray[Any]) -> Any:  # noqa: ANN401 - an array, or a dictionary of them
    """What the network says of the inputs."""
    return model.predict(inputs, batch_size=BATCH, verbose=0)
