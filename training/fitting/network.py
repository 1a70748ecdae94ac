"""The network as Keras fits it: with its augmentation, its optimizer, and all the variables that a step changes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from training.fitting.plan import Metrics, Plan

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

_BFLOAT16 = (8, 0)  # the compute capability from which on a GPU has it


@contextmanager
def precision(plan: Plan) -> Iterator[None]:
    """Within it, layers are made that compute in bfloat16, where the plan asks for it and every GPU has it; their weights stay float32."""
    import keras  # noqa: PLC0415 - it takes seconds
    import tensorflow as tf  # noqa: PLC0415

    gpus = tf.config.list_physical_devices("GPU")
    capable = gpus and all(tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) >= _BFLOAT16 for gpu in gpus)
    former = keras.config.dtype_policy()
    if plan.mixed_precision and capable:
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)


def compiled(model: "keras.Model", plan: Plan, *, steps: int | None) -> "keras.Model":
    """What is fitted: the model, with augmentation before it where the plan has some. The weights are the model's own.

    `steps` is how many an epoch has. Raises ValueError where a cosine isn't told, or a model that is to be augmented has several inputs.
    """
    import keras  # noqa: PLC0415 - it takes seconds

    fitted = model
    if plan.augmentation is not None:
        if len(model.inputs) != 1:
            message = f"augmentation: for models with one input, not {len(model.inputs)}"
            raise ValueError(message)
        fitted = keras.Sequential([*plan.augmentation(), model])
    rate: Any = plan.learning_rate
    if plan.schedule == "cosine":
        if steps is None:
            message = "schedule: a cosine has to know how many items the stream has"
            raise ValueError(message)
        rate = keras.optimizers.schedules.CosineDecay(rate, plan.epochs * steps)
    decay = {"weight_decay": plan.weight_decay} if plan.weight_decay else {}
    fitted.compile(
        optimizer=(keras.optimizers.AdamW if decay else keras.optimizers.Adam)(rate, global_clipnorm=plan.clip_norm, **decay),
        loss=plan.loss,
        loss_weights=plan.loss_weights,
        metrics=made(plan.metrics),
        # `auto` is where there is a GPU and all layers can be compiled.
        jit_compile="auto" if plan.xla else False,
    )
    return fitted


def made(metrics: Metrics | Mapping[str, Metrics]) -> Any:  # noqa: ANN401 - what Keras takes
    """The metrics, made anew."""
    if isinstance(metrics, Mapping):
        return {output: made(own) for output, own in metrics.items()}
    return [metric if isinstance(metric, str) else metric() for metric in metrics]


class Network:
    """A compiled model and its two steps, Keras's own `train_step` and `test_step`, each traced once for batches of every size.

    Keras's `train_function` won't do: it looks for the next batch within the step. At an epoch's end, where there is none, the optimizer and the seed
    generators were seen to count a step that wasn't done.
    """

    def __init__(self, model: "keras.Model", *, training: Any, validation: Any) -> None:  # noqa: ANN401 - specs of a dataset's elements
        """Makes all variables of a fit. Keras makes those of metrics and optimizer at the first step: too late to put values into them."""
        import tensorflow as tf  # noqa: PLC0415

        def step(of: Any, spec: Any) -> Any:  # noqa: ANN401
            return tf.function(of, input_signature=[spec], autograph=False, jit_compile=model.jit_compile)

        self.model = model
        self._train, self._test = step(model.train_step, training), step(model.test_step, validation)
        self._test.get_concrete_function()
        model.optimizer.build(model.trainable_variables)

    def variables(self) -> dict[str, Any]:
        """What a step changes, by kind and number: weights and the state of seed generators, the optimizer's, and the metrics'."""
        kinds = {"model": self.model.variables, "optimizer": self.model.optimizer.variables, "metric": self.model.metrics_variables}
        return {f"{kind}/{number}": variable for kind, own in kinds.items() for number, variable in enumerate(own)}

    def train(self, batches: "tf.data.Dataset") -> Iterator[Mapping[str, Any]]:
        """A step for each batch; yields the figures so far, as tensors."""
        for batch in batches:
            yield self._train(batch)

    def evaluate(self, batches: "tf.data.Dataset") -> dict[str, float]:
        """The figures on these items. It resets the metrics, as Keras's own does."""
        self.model.reset_metrics()
        for batch in batches:
            self._test(batch)
        return self.figures()

    def figures(self) -> dict[str, float]:
        """Loss and metrics since they were reset."""
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}

    def is_finite(self) -> bool:
        """Whether every weight is a number."""
        return all(np.isfinite(weight).all() for weight in self.model.get_weights() if weight.dtype.kind == "f")

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        return float(self.model.optimizer.learning_rate)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.model.optimizer.learning_rate = value
