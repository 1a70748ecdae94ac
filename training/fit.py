"""Fits a job's network."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from training.job import Dataset, Job

if TYPE_CHECKING:
    import keras


def fit(job: Job, data: Dataset, *, epochs: int | None, say: Callable[[str], None]) -> "keras.Model":
    """The fitted network. `epochs` shortens the schedule for a trial; `say` is told how each epoch went."""
    import keras  # noqa: PLC0415 - it takes seconds

    schedule = job.schedule
    epochs = epochs or schedule.epochs
    keras.utils.set_random_seed(schedule.seed)
    model = job.build()
    model.compile(optimizer=keras.optimizers.Adam(schedule.learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def told(epoch: int, logs: dict[str, float] | None) -> None:
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in (logs or {}).items())
        say(f"epoch {epoch + 1}/{epochs}: {figures}")

    model.fit(
        data.train_inputs,
        data.train_labels,
        batch_size=schedule.batch_size,
        epochs=epochs,
        validation_split=schedule.validation_split,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=told)],
        verbose=0,
    )
    return model
