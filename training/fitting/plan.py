"""How a model is fitted, as a declaration: nothing here imports Keras, so that jobs can be listed at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from training.augmentation import Layers
from training.fitting.checks import is_count, is_number, require
from training.fitting.monitor import EarlyStopping, Limits, Monitor, ReduceOnPlateau

Metrics = Sequence[str | Callable[[], Any]]
"""Names that Keras knows, or functions that make a metric: a metric holds state, so each fit makes its own."""

_SEEDS = 2**32


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a model is fitted, with Adam (D. P. Kingma and J. Ba, 2015).

    Attributes:
        epochs, batch_size: how often each item is seen, and how many make one step.
        learning_rate: where the schedule begins.
        schedule: `constant`; `cosine`, down to 0 along half a cosine over all steps (I. Loshchilov and F. Hutter, SGDR, 2017); or a ReduceOnPlateau.
        loss: what Keras's `compile` takes: a name, a function, a loss, or these by the output's name.
        loss_weights: what each output's loss counts in their sum, by the output's name.
        metrics: for one output, or by the output's name.
        class_weights: what an item counts in the loss, by its label; `balanced` is items / (classes × items of its class), so that each class
            counts the same. For one output of labels, in memory; a stream brings its own weights.
        early_stopping: None goes on to the last epoch.
        limits: gives the fit up where it isn't as good by then; None never does. A search sets them.
        augmentation: layers that change a model's one input in training; they are no part of the model that comes out.
        weight_decay: decoupled from the gradient (Loshchilov and Hutter, 2019); 0 is none.
        clip_norm: the greatest norm of all gradients together; None clips nothing.
        mixed_precision: computes in bfloat16, which needs no loss scaling, where a GPU has it (compute capability 8.0). No effect elsewhere.
        xla: compiles the step with XLA where there is a GPU and every layer can be compiled. No effect elsewhere.
        checkpoint_seconds: how much work a crash may cost, where there is a folder for checkpoints: 0 keeps one at every step, None one an epoch.
        seed: of the weights, the order of the items, augmentation and dropout.
    """

    epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] | ReduceOnPlateau = "constant"
    loss: Any = "sparse_categorical_crossentropy"
    loss_weights: Mapping[str, float] | None = None
    metrics: Metrics | Mapping[str, Metrics] = ("accuracy",)
    class_weights: Mapping[int, float] | Literal["balanced"] | None = None
    early_stopping: EarlyStopping | None = None
    limits: Limits | None = None
    augmentation: Layers | None = None
    weight_decay: float = 0.0
    clip_norm: float | None = None
    mixed_precision: bool = False
    xla: bool = True
    checkpoint_seconds: float | None = 60.0
    seed: int = 2

    def __post_init__(self) -> None:
        """Raises ValueError where a field is out of its range."""
        require(is_count(self.epochs), "epochs", "a whole number from 1 on", self.epochs)
        require(is_count(self.batch_size), "batch_size", "a whole number from 1 on", self.batch_size)
        require(is_number(self.learning_rate, above=0), "learning_rate", "above 0", self.learning_rate)
        is_schedule = isinstance(self.schedule, ReduceOnPlateau) or self.schedule in ("constant", "cosine")
        require(is_schedule, "schedule", "constant, cosine or a ReduceOnPlateau", self.schedule)
        if isinstance(self.class_weights, Mapping):
            right = all(is_count(label, least=0) and is_number(weight, least=0) for label, weight in self.class_weights.items())
            require(right, "class_weights", "weights of 0 or more by labels from 0 on", dict(self.class_weights))
        else:
            require(self.class_weights in (None, "balanced"), "class_weights", "a weight for each label, balanced, or None", self.class_weights)
        require(is_number(self.weight_decay, least=0), "weight_decay", "0 or more", self.weight_decay)
        require(self.clip_norm is None or is_number(self.clip_norm, above=0), "clip_norm", "above 0, or None", self.clip_norm)
        right = self.checkpoint_seconds is None or is_number(self.checkpoint_seconds, least=0)
        require(right, "checkpoint_seconds", "0 or more, or None", self.checkpoint_seconds)
        require(is_count(self.seed, least=0) and self.seed < _SEEDS, "seed", f"a whole number from 0 to {_SEEDS - 1}", self.seed)

    @property
    def monitors(self) -> list[Monitor | Limits]:
        """The figures that decide something."""
        return [monitor for monitor in (self.early_stopping, self.schedule, self.limits) if isinstance(monitor, Monitor | Limits)]
