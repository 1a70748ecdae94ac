"""Fits a job's network."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from training.job import Dataset, Job

if TYPE_CHECKING:
    import keras


def fit(job: Job, data: Dataset, *, epochs: int, say: Callable[[str], None]) -> "keras.Model":
    """The network after `epochs` epochs of the job's schedule; `say` is told how each went.

    On the CPU of one machine the same seed gives the same weights, bit for bit. On a GPU the order of additions is left to cuDNN.
    """
    import keras  # noqa: PLC0415 - it takes seconds

    schedule = job.schedule
    fitted = schedule.training_items(len(data.train_labels))
    keras.utils.set_random_seed(schedule.seed)
    model = job.build(data.train_inputs[:fitted], data.train_labels[:fitted])
    # The layers that augment are around the network and share its weights: what comes out never had them.
    fitted_model = keras.Sequential([*schedule.augmentation(), model]) if schedule.augmentation is not None else model
    steps = epochs * math.ceil(fitted / schedule.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(schedule.learning_rate, steps) if schedule.falls else schedule.learning_rate
    fitted_model.compile(optimizer=keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    started = time.monotonic()

    def told(epoch: int, logs: dict[str, float]) -> None:
        say(
            f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}"
            f"  loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}"
            f"  validation loss {logs['val_loss']:.4f}  accuracy {logs['val_accuracy']:.4f}"
            f"  {time.monotonic() - started:.0f} s"
        )

    fitted_model.fit(
        data.train_inputs[:fitted],
        data.train_labels[:fitted],
        validation_data=(data.train_inputs[fitted:], data.train_labels[fitted:]),
        batch_size=schedule.batch_size,
        epochs=epochs,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=told)],
        verbose=0,
    )
    return model
