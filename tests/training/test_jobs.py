import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.manifest_file import manifest_of
from gateway.tensor import DType
from medserve.v1 import manifest_pb2
from training.fit import fit
from training.job import Dataset, Job, Schedule, softmax_output
from training.jobs import JOBS

Build = Callable[[Job], Any]
Network = list[tuple[str, dict[str, Any]]]


def _network(model: Any) -> Network:
    """Each layer's type, and what this test's table asks of it."""
    asked = ("filters", "kernel_size", "strides", "padding", "pool_size", "units", "activation", "return_sequences", "height", "width")
    return [(type(layer).__name__, {key: value for key, value in layer.get_config().items() if key in asked}) for layer in model.layers]


def _conv(filters: int) -> tuple[str, dict[str, Any]]:
    return "Conv2D", {"filters": filters, "kernel_size": (3, 3), "strides": (1, 1), "padding": "valid", "activation": "relu"}


def _recurrent(cell: str) -> Network:
    """Three layers of 64 cells, the last of which gives its end state only."""
    layers = [(cell, {"units": 64, "activation": "tanh", "return_sequences": goes_on}) for goes_on in (True, True, False)]
    return [("LayerNormalization", {}), *layers, ("Dense", {"units": 5, "activation": "softmax"})]


_POOL = "MaxPooling2D", {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"}

# An independent copy of what was asked for.
NETWORKS: dict[str, Network] = {
    "digits": [
        ("Resizing", {"height": 28, "width": 28}),
        ("Rescaling", {}),
        _conv(32),
        _POOL,
        _conv(64),
        _POOL,
        ("Flatten", {}),
        ("Dense", {"units": 64, "activation": "relu"}),
        ("Dense", {"units": 10, "activation": "softmax"}),
    ],
    "ecg-lstm": _recurrent("LSTM"),
    "ecg-gru": _recurrent("GRU"),
}
# Without preprocessing: 320 + 18,496 + 102,464 + 650; 16,896 + 2 x 33,024 + 325; and 12,864 + 2 x 24,960 + 325.
PARAMETERS = {"digits": 121_930, "ecg-lstm": 83_269, "ecg-gru": 63_109}
SCHEDULES = {
    "digits": Schedule(epochs=60, batch_size=128, validation_split=0.1, learning_rate=0.003, falls=True, seed=2),
    "ecg-lstm": Schedule(epochs=40, batch_size=32, validation_split=0.1, learning_rate=0.001, seed=2),
    "ecg-gru": Schedule(epochs=40, batch_size=32, validation_split=0.1, learning_rate=0.001, seed=2),
}

every_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)


def test_every_job_stands_in_these_tables() -> None:
    assert JOBS.keys() == NETWORKS.keys() == PARAMETERS.keys() == SCHEDULES.keys()


@every_job
def test_a_job_is_found_by_its_name(job: Job) -> None:
    assert JOBS[job.name] is job


@every_job
def test_the_network_is_the_one_that_was_asked_for(job: Job, build: Build) -> None:
    model = build(job)

    assert _network(model) == NETWORKS[job.name]
    assert model.count_params() == PARAMETERS[job.name]


@every_job
def test_the_schedule_is_the_one_that_was_asked_for(job: Job) -> None:
    assert dataclasses.replace(job.schedule, augmentation=None) == SCHEDULES[job.name]
    assert (job.schedule.augmentation is not None) is (job.name == "digits")


@every_job
def test_the_manifest_and_the_network_agree_on_input_and_output(job: Job, build: Build) -> None:
    facts, model = job.facts(), build(job)

    (given,), (wanted,) = manifest_of_facts(facts).inputs.values(), manifest_of_facts(facts).outputs.values()

    assert model.inputs[0].dtype == given.dtype.name.lower()
    assert tuple(-1 if size is None else size for size in model.inputs[0].shape[1:]) == given.shape
    assert model.inputs[0].name == given.name
    assert wanted.dtype is DType.FLOAT32
    assert tuple(model.outputs[0].shape[1:]) == wanted.shape


@every_job
def test_there_is_one_label_for_each_class_of_the_data_and_each_has_a_code_of_its_own(job: Job, loaded: dict[str, Dataset]) -> None:
    data = loaded[job.name]

    labels = job.facts().outputs[0].classification.labels

    assert {int(label) for label in data.test_labels} == set(range(len(labels)))
    assert len({label.code.code for label in labels}) == len(labels)


@every_job
def test_the_floor_is_out_of_reach_for_a_model_that_always_says_the_same(job: Job, loaded: dict[str, Dataset]) -> None:
    labels = loaded[job.name].test_labels

    assert job.accuracy_floor > np.bincount(labels).max() / len(labels) + 0.1


@every_job
def test_a_job_says_what_its_model_is_not_for(job: Job) -> None:
    use = job.facts().intended_use

    assert use.demonstration_only
    assert "Any patient's care" in use.not_for


def manifest_of_facts(facts: manifest_pb2.ModelManifest) -> Any:
    """As the gateway reads them; the name, the version and the digest come with the weights."""
    facts.name, facts.version, facts.weights_digest = "model", 1, f"sha256:{'0' * 64}"
    return manifest_of(facts)


@pytest.mark.parametrize(("rows", "columns"), [(28, 28), (1, 1), (9, 200), (64, 48)])
def test_digits_takes_an_image_of_any_size(rows: int, columns: int, build: Build) -> None:
    image = np.full((1, rows, columns, 1), 200, np.uint8)

    probabilities = np.asarray(build(JOBS["digits"])(image))

    assert probabilities.shape == (1, 10)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_digits_scales_grey_values_to_0_to_1_inside_the_graph(build: Build) -> None:
    model = build(JOBS["digits"])
    image = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1).repeat(28, axis=1).repeat(10, axis=2)[:, :, 1:29]

    scaled = np.asarray(model.layers[1](model.layers[0](image)))

    assert scaled.shape == (1, 28, 28, 1)
    assert np.unique(scaled).tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize("name", ["ecg-lstm", "ecg-gru"])
def test_a_heartbeat_gets_the_same_answer_in_any_unit(loaded: dict[str, Dataset], build: Build, name: str) -> None:
    model = build(JOBS[name])
    beats = loaded[name].test_inputs[:4]

    in_millivolts, in_microvolts = np.asarray(model(beats)), np.asarray(model(beats * 1000 + 250))

    assert np.allclose(in_millivolts, in_microvolts, atol=1e-4)


def test_a_sample_of_digits_is_a_png_of_the_very_pixels(loaded: dict[str, Dataset], tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415

    pixels = loaded["digits"].test_inputs[0]

    path = JOBS["digits"].write_sample(tmp_path, "one", pixels)

    assert path == tmp_path / "one.png"
    with Image.open(path) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), pixels[:, :, 0])


def test_a_sample_of_ecg_lstm_is_a_time_series_with_the_manifests_channel_and_unit(loaded: dict[str, Dataset], tmp_path: Path) -> None:
    job = JOBS["ecg-lstm"]
    beat = loaded[job.name].test_inputs[0]

    document = json.loads(job.write_sample(tmp_path, "one", beat).read_text())

    (channel,) = document["channels"]
    (spec,) = job.facts().inputs[0].time_series.channels
    assert (channel["name"], channel["unit"]) == (spec.name, spec.unit)
    assert np.allclose(channel["values"], beat[:, 0], atol=1e-6)


def test_a_softmax_output_holds_its_classes_in_order() -> None:
    output = softmax_output("urn:made:up", {"b": "second letter", "a": "first letter"})

    codes = [label.code for label in output.classification.labels]
    assert [(code.system, code.code, code.display) for code in codes] == [
        ("urn:made:up", "b", "second letter"),
        ("urn:made:up", "a", "first letter"),
    ]
    assert output.classification.exclusive
    assert list(output.shape) == [2]


@pytest.mark.parametrize(("items", "fitted"), [(4000, 3600), (500, 450), (2, 1), (19, 17)])
def test_the_last_tenth_validates(items: int, fitted: int) -> None:
    assert SCHEDULES["digits"].training_items(items) == fitted


@pytest.mark.parametrize(("falls", "last"), [(False, 0.002), (True, 0.0)])
def test_a_fit_uses_adam_at_the_schedules_rate(loaded: dict[str, Dataset], *, falls: bool, last: float) -> None:
    schedule = dataclasses.replace(SCHEDULES["digits"], learning_rate=0.002, falls=falls)
    job = dataclasses.replace(JOBS["digits"], schedule=schedule)

    model = fit(job, loaded["digits"].limited(300), epochs=2, say=lambda _: None)

    assert type(model.optimizer).__name__ == "Adam"
    assert float(model.optimizer.learning_rate) == pytest.approx(last, abs=1e-9)
    assert model.loss == "sparse_categorical_crossentropy"


def test_a_fit_tells_of_each_epoch_in_one_line(trained: Any) -> None:
    assert len(trained.said) == 3
    assert trained.said[0].startswith("epoch 1/3  loss 2.")
    assert all("validation loss" in line and line.endswith(" s") for line in trained.said)


def _weights(model: Any) -> bytes:
    return b"".join(array.tobytes() for array in model.get_weights())


def test_the_same_seed_gives_the_same_weights_bit_for_bit(trained: Any) -> None:
    again = fit(JOBS["digits"], trained.data, epochs=len(trained.said), say=lambda _: None)

    assert _weights(again) == _weights(trained.model)


def test_another_seed_gives_other_weights(trained: Any) -> None:
    job = dataclasses.replace(JOBS["digits"], schedule=dataclasses.replace(JOBS["digits"].schedule, seed=3))

    other = fit(job, trained.data, epochs=len(trained.said), say=lambda _: None)

    assert _weights(other) != _weights(trained.model)
