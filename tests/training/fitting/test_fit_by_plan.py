"""What a plan does to a fit, held against Keras's own."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.util import event_pb2

from training.augmentation import series_augmentation
from training.fitting.checkpoint import NotThisFit
from training.fitting.fit import Diverged, Fitted, GivenUp, fit
from training.fitting.monitor import EarlyStopping, Limits, ReduceOnPlateau
from training.fitting.network import compiled, precision
from training.fitting.plan import Plan
from training.fitting.source import Arrays, Source, Stream

Said = list[str]
PLAN = Plan(epochs=3, batch_size=16, learning_rate=0.01)


def build() -> Any:
    layers = keras.layers
    return keras.Sequential([keras.Input((140, 1)), layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(5, activation="softmax")])


@pytest.fixture(scope="module")
def items(beats: tuple[NDArray[Any], NDArray[Any]]) -> tuple[Arrays, Arrays]:
    """Real heartbeats, to fit to and to validate with."""
    series, labels = beats
    return Arrays(inputs=series[:100], targets=labels[:100]), Arrays(inputs=series[100:160], targets=labels[100:160])


def quietly(build: Callable[[], Any], plan: Plan, training: Source, validation: Source | None = None, **options: Any) -> Fitted:
    return fit(build, plan, training, validation, **{"say": lambda _: None} | options)


def weights(fitted: Fitted) -> list[bytes]:
    return [weight.tobytes() for weight in fitted.model.get_weights()]


def test_the_weights_are_those_of_keras_on_the_same_batches_with_class_weights_decay_clipping_and_a_cosine(items: tuple[Arrays, Arrays]) -> None:
    class_weights = {label: 1.0 + label for label in range(5)}
    plan = replace(PLAN, schedule="cosine", class_weights=class_weights, weight_decay=0.01, clip_norm=0.5)
    training, validation = items

    fitted = quietly(build, plan, training, validation)

    keras.utils.set_random_seed(plan.seed)
    model = build()
    rate = keras.optimizers.schedules.CosineDecay(0.01, 3 * 7)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=0.5),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    history: list[dict[str, float]] = []
    for number in range(3):
        batches = training.epoch(number, batch_size=16, seed=plan.seed)
        asked = {"class_weight": class_weights, "validation_data": validation.epoch(0, batch_size=16, seed=None)}
        done = model.fit(batches, epochs=1, shuffle=False, verbose=0, **asked)
        history.append({name: values[0] for name, values in done.history.items()})
    for got, wanted in zip(fitted.model.get_weights(), model.get_weights(), strict=True):
        assert got == pytest.approx(wanted, abs=1e-6)
    assert list(fitted.history) == [pytest.approx(figures, abs=1e-5) for figures in history]
    assert fitted.epoch == 3


@pytest.fixture(scope="module")
def kept(items: tuple[Arrays, Arrays], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fitted, Said]:
    """The checkpoints of a fit that had finished, what came out, and what was said."""
    folder = tmp_path_factory.mktemp("kept")
    said: Said = []
    return folder, fit(build, replace(PLAN, checkpoint_seconds=None), *items, checkpoints=folder, say=said.append), said


def test_each_epoch_is_told_in_a_line(kept: tuple[Path, Fitted, Said]) -> None:
    figures = [line.split("  ") for line in kept[2]]

    assert [words[0] for words in figures] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert [word.rpartition(" ")[0] for word in figures[0][1:-1]] == ["loss", "accuracy", "validation loss", "accuracy"]


def test_a_fit_that_had_finished_comes_out_again_without_a_step(kept: tuple[Path, Fitted, Said], items: tuple[Arrays, Arrays]) -> None:
    said: Said = []

    again = fit(build, PLAN, *items, checkpoints=kept[0], say=said.append)

    assert said == [f"going on from the checkpoint of a fit that had finished, in {kept[0]}"]
    assert weights(again) == weights(kept[1])
    assert (again.history, again.epoch) == (kept[1].history, 3)


def test_a_damaged_checkpoint_is_told_and_the_one_before_leads_to_the_same_weights(
    kept: tuple[Path, Fitted, Said], items: tuple[Arrays, Arrays], tmp_path: Path
) -> None:
    for path in kept[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    last = max(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:-1])
    said: Said = []

    again = fit(build, PLAN, *items, checkpoints=tmp_path, say=said.append)

    assert said[0].startswith(f"checkpoint damaged: {last}")
    assert said[1] == f"going on from the checkpoint of epoch 3, after step 0, in {tmp_path}"
    assert weights(again) == weights(kept[1])


def test_the_checkpoint_of_another_plan_is_refused_before_anything_is_fitted(kept: tuple[Path, Fitted, Said], items: tuple[Arrays, Arrays]) -> None:
    with pytest.raises(NotThisFit, match="which differs in plan and validation items"):
        quietly(build, replace(PLAN, learning_rate=0.1), items[0], checkpoints=kept[0])


def test_another_seed_gives_other_weights(kept: tuple[Path, Fitted, Said], items: tuple[Arrays, Arrays]) -> None:
    assert weights(quietly(build, replace(PLAN, seed=3), *items)) != weights(kept[1])


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read: dict[str, list[tuple[int, float]]] = {}
    for record in tf.data.TFRecordDataset([str(path) for path in folder.iterdir()]):
        event = event_pb2.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            read.setdefault(value.tag, []).append((event.step, float(tf.make_ndarray(value.tensor))))
    return read


def test_each_epochs_figures_and_rate_are_in_event_files(items: tuple[Arrays, Arrays], tmp_path: Path) -> None:
    fitted = quietly(build, replace(PLAN, schedule="cosine"), *items, events=tmp_path / "events")

    train, validation = (events(tmp_path / "events" / kind) for kind in ("train", "validation"))

    assert train.keys() == {"loss", "accuracy", "learning_rate"}
    assert validation.keys() == {"loss", "accuracy"}
    assert dict(validation["loss"]) == pytest.approx({epoch: figures["val_loss"] for epoch, figures in enumerate(fitted.history)})
    half_cosine = {epoch: 0.005 * (1 + math.cos(math.pi * (epoch + 1) / 3)) for epoch in range(3)}
    assert dict(train["learning_rate"]) == pytest.approx(half_cosine, abs=1e-9)


def test_a_stream_of_unknown_length_that_breaks_off_is_gone_on_with_and_fitted_to_like_the_same_items_in_memory(
    kept: tuple[Path, Fitted, Said], items: tuple[Arrays, Arrays], tmp_path: Path
) -> None:
    training, validation = items

    def read(*, batch_size: int, seed: int | None, epoch: int, start: int) -> Any:
        return training.epoch(epoch, batch_size=batch_size, seed=seed, first=start // batch_size)

    def breaking(*, epoch: int, **options: Any) -> Any:
        def check(number: Any, batch: Any) -> Any:
            last = tf.constant(2 if epoch == 1 else 100, tf.int64)
            with tf.control_dependencies([tf.debugging.assert_less(number, last, "the network is gone")]):
                return tf.nest.map_structure(tf.identity, batch)

        return read(epoch=epoch, **options).enumerate().map(check)

    plan = replace(PLAN, checkpoint_seconds=0)
    said: Said = []
    with pytest.raises(tf.errors.InvalidArgumentError, match="the network is gone"):
        quietly(build, plan, Stream(name="beats", read=breaking), validation, checkpoints=tmp_path)

    fitted = quietly(build, plan, Stream(name="beats", read=read), validation, checkpoints=tmp_path, say=said.append)

    assert said[0] == f"going on from the checkpoint of epoch 2, after step 2, in {tmp_path}"
    assert weights(fitted) == weights(kept[1])


def test_several_inputs_and_outputs_go_by_their_names() -> None:
    random = np.random.default_rng(0)
    one, two = random.normal(size=(2, 64, 3)).astype(np.float32)

    def two_headed() -> Any:
        inputs = {name: keras.Input((3,), name=name) for name in ("one", "two")}
        joined = keras.layers.Concatenate()(list(inputs.values()))
        return keras.Model(inputs, {"sign": keras.layers.Dense(1, activation="sigmoid")(joined), "sum": keras.layers.Dense(1)(joined)})

    plan = replace(
        PLAN, epochs=8, learning_rate=0.05, loss={"sign": "binary_crossentropy", "sum": "mse"}, loss_weights={"sign": 1.0, "sum": 0.5},
        metrics={"sign": ["accuracy"], "sum": [lambda: keras.metrics.MeanAbsoluteError(name="mae")]},
        early_stopping=EarlyStopping(figure="sum_mae"),
    )  # fmt: skip
    targets = {"sign": one[:, :1] > two[:, :1], "sum": one.sum(axis=1, keepdims=True)}

    fitted = quietly(two_headed, plan, Arrays(inputs={"one": one, "two": two}, targets=targets))

    assert fitted.history[0].keys() >= {"loss", "sign_accuracy", "sum_mae"}
    assert fitted.history[-1]["sum_mae"] < fitted.history[0]["sum_mae"] / 2
    assert fitted.history[-1]["sign_accuracy"] > 0.8
    with pytest.raises(ValueError, match="augmentation: for models with one input, not 2"):
        compiled(two_headed(), replace(plan, augmentation=series_augmentation(jitter=0.1)), steps=1)


def noise(size: int = 40) -> NDArray[Any]:
    return np.random.default_rng(0).normal(size=(size, 140, 1)).astype(np.float32)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_what_is_no_number_ends_the_fit_with_a_word_on_what_to_do_even_where_the_loss_does_not_show_it(activation: str) -> None:
    def small() -> Any:
        layers = keras.layers
        return keras.Sequential([keras.Input((140, 1)), layers.Flatten(), layers.Dense(5, activation=activation), layers.Softmax()])

    lacking = Arrays(inputs=np.where(noise() > 3, np.nan, noise()), targets=np.zeros(40, np.int64))

    with pytest.raises(Diverged, match=r"^epoch 1: loss or weights are no numbers any more; lower the learning rate"):
        quietly(small, PLAN, lacking)


def test_a_fit_that_does_not_keep_its_limits_is_given_up_with_its_figures_so_far(
    items: tuple[Arrays, Arrays], kept: tuple[Path, Fitted, Said]
) -> None:
    figures = kept[1].history
    limits = Limits(of_epochs=(None, figures[1]["val_loss"] - 1e-3))

    with pytest.raises(GivenUp, match="given up after epoch 2") as caught:
        quietly(build, replace(PLAN, limits=limits), *items)

    assert caught.value.history == figures[:2]


def test_what_has_no_items_is_said() -> None:
    empty = Stream(name="nothing", read=lambda **_: tf.data.Dataset.from_tensor_slices((noise(), np.zeros(40, np.int64))).batch(16).take(0))

    with pytest.raises(ValueError, match="training: no items came in epoch 1"):
        quietly(build, PLAN, empty)
    with pytest.raises(ValueError, match="a cosine has to know how many items the stream has"):
        quietly(build, replace(PLAN, schedule="cosine"), empty)


@pytest.mark.parametrize(
    "changes", [{"early_stopping": EarlyStopping()}, {"schedule": ReduceOnPlateau(figure="auroc")}, {"limits": Limits(of_epochs=())}]
)
def test_a_figure_that_there_will_not_be_is_refused_before_anything_is_fitted(changes: Any) -> None:
    with pytest.raises(ValueError, match=r"no figure '(val_loss|auroc)'; there are loss, accuracy$"):
        quietly(build, replace(PLAN, **changes), Arrays(inputs=noise(), targets=np.zeros(40, np.int64)))


@pytest.mark.parametrize(
    ("capabilities", "policy"),
    [([], "float32"), ([(7, 5)], "float32"), ([(9, 0)], "mixed_bfloat16"), ([(9, 0), (7, 0)], "float32")],
)
def test_layers_compute_in_half_the_bits_only_where_every_gpu_can(
    monkeypatch: pytest.MonkeyPatch, capabilities: list[tuple[int, int]], policy: str
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: capabilities)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu})

    with precision(replace(PLAN, mixed_precision=True)):
        inside = build().layers[-1]
    with precision(PLAN):
        unasked = build().layers[-1]

    assert inside.dtype_policy.name == policy
    assert inside.kernel.dtype == "float32"
    assert unasked.dtype_policy.name == keras.config.dtype_policy().name == "float32"


def test_the_step_is_compiled_by_xla_only_where_there_is_something_else_than_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        device_type = "GPU"

    assert not compiled(build(), PLAN, steps=1).jit_compile
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [Device()])

    assert compiled(build(), PLAN, steps=1).jit_compile
    assert not compiled(build(), replace(PLAN, xla=False), steps=1).jit_compile


def test_a_log_is_told_of_some_epochs_and_of_the_last_one_before_what_became_of_it(items: tuple[Arrays, Arrays]) -> None:
    training = items[0]
    said: Said = []

    # The rate is so small that no epoch is better than the first by what counts, and the fit stops at the 43rd.
    plan = replace(
        PLAN, epochs=80, batch_size=100, learning_rate=1e-9, early_stopping=EarlyStopping(figure="loss", patience=42, least_improvement=0.1)
    )
    quietly(build, plan, training, say=said.append)

    told = [int(line.split()[1].partition("/")[0]) for line in said if line.startswith("epoch ")]
    assert told == [1, *range(4, 43, 4), 43]
    assert [line.split()[0] for line in said[-3:]] == ["epoch", "stopped:", "weights"]
