import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.item import Item
from gateway.manifest import Manifest, OutputSpec
from gateway.manifest_file import manifest_of
from gateway.preprocess import InputLimits, Preprocessor
from gateway.rpc.inference import item_input_of
from gateway.tensor import DType
from medserve.commands.files import read_input
from medserve.inputs import to_input
from medserve.v1 import manifest_pb2, tensor_pb2
from training.dataset import Dataset
from training.fitting.plan import Plan
from training.gates import NotWorse, SubgroupGap
from training.job import Job
from training.jobs import JOBS
from training.tasks import network
from training.tasks.classification import Classification
from training.tasks.task import Bench

Build = Callable[[Any], Any]
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
PLANS = {
    "digits": Plan(epochs=60, batch_size=128, learning_rate=0.003, schedule="cosine", seed=2),
    "ecg-lstm": Plan(epochs=40, batch_size=32, learning_rate=0.001, seed=2),
    "ecg-gru": Plan(epochs=40, batch_size=32, learning_rate=0.001, seed=2),
}
TASKS = {
    "digits": manifest_pb2.TASK_DIAGNOSIS,
    "ecg-lstm": manifest_pb2.TASK_DIAGNOSIS,
    "ecg-gru": manifest_pb2.TASK_DIAGNOSIS,
    "tumour": manifest_pb2.TASK_DIAGNOSIS,
    "bleeding": manifest_pb2.TASK_PREDICTION,
    "mortality": manifest_pb2.TASK_PREDICTION,
    "hiv-treatment": manifest_pb2.TASK_TREATMENT,
}

every_job = pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
every_network = pytest.mark.parametrize("name", NETWORKS)
every_classification = pytest.mark.parametrize(
    "job", [job for job in JOBS.values() if isinstance(job.task, Classification)], ids=lambda job: job.name
)


@every_job
def test_a_job_is_found_by_its_name_and_is_of_the_task_that_was_asked_for(job: Job) -> None:
    assert JOBS[job.name] is job
    assert job.facts().task == TASKS[job.name]


def test_every_job_that_was_asked_for_is_there() -> None:
    assert JOBS.keys() == TASKS.keys()


def test_a_job_on_another_of_its_sets_is_of_the_same_model() -> None:
    digits = JOBS["digits"]

    assert digits.on(None) is digits
    assert digits.on("full").name == "digits"
    for other in (JOBS["tumour"], digits):
        with pytest.raises(ValueError, match=r"^sets: other: the job digits, without sets of its own$"):
            dataclasses.replace(digits, sets={"other": other})


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".staging"])
def test_a_job_whose_name_would_lead_out_of_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^name: .* is no model's name"):
        dataclasses.replace(JOBS["digits"], name=name, sets={})


def test_a_job_with_a_gate_that_its_task_cannot_answer_is_refused_when_it_is_declared() -> None:
    digits = JOBS["digits"]

    with pytest.raises(ValueError, match=r"gates: auroc not worse than stable: versions are held against each other by accuracy, macro_f1$"):
        dataclasses.replace(digits, gates=(NotWorse(figure="auroc", margin=0.01),))
    with pytest.raises(ValueError, match=r"gates: auroc gap between subgroups: subgroups are looked at by accuracy$"):
        dataclasses.replace(digits, gates=(SubgroupGap(figure="auroc", most=0.1),))
    assert dataclasses.replace(JOBS["tumour"], gates=(NotWorse(figure="auroc", margin=0.01),)).gates


@every_network
def test_the_network_is_the_one_that_was_asked_for(name: str, build: Build) -> None:
    model = build(JOBS[name])

    assert _network(model) == NETWORKS[name]
    assert model.count_params() == PARAMETERS[name]


@every_network
def test_the_plan_is_the_one_that_was_asked_for(name: str) -> None:
    plan = _classification(name).plan

    assert dataclasses.replace(plan, augmentation=None) == PLANS[name]
    assert (plan.augmentation is not None) is (name == "digits")


def _classification(name: str) -> Classification:
    task = JOBS[name].task
    assert isinstance(task, Classification)
    return task


@every_job
def test_the_gateway_reads_a_jobs_input_and_the_data_fits_it(job: Job, loaded: dict[str, Dataset]) -> None:
    (given,) = inputs_of(job.facts()).values()

    inputs = loaded[job.name].held_out.inputs
    assert inputs.dtype.name == given.dtype.value
    assert all(size in {-1, found} for size, found in zip(given.shape, inputs.shape[1:], strict=True))
    assert given.allows_missing or not np.issubdtype(inputs.dtype, np.floating) or not np.isnan(inputs).any()


@every_classification
def test_there_is_one_class_for_each_label_of_the_data(job: Job, loaded: dict[str, Dataset]) -> None:
    data = loaded[job.name]

    assert {int(label) for label in data.held_out.targets} == set(range(len(_classification(job.name).classes)))


@pytest.mark.parametrize("name", ["digits", "ecg-lstm", "ecg-gru"])
def test_the_floor_is_out_of_reach_for_a_model_that_always_says_the_same(name: str, loaded: dict[str, Dataset]) -> None:
    labels = loaded[name].held_out.targets

    assert JOBS[name].floor.figure == "accuracy"
    assert JOBS[name].floor.least > np.bincount(labels).max() / len(labels) + 0.1


@every_job
def test_a_job_says_what_its_model_is_not_for(job: Job) -> None:
    use = job.facts().intended_use

    assert use.demonstration_only
    assert "Any patient's care" in use.not_for


def inputs_of(facts: manifest_pb2.ModelManifest) -> Any:
    """As the gateway reads them; the rest comes with the weights."""
    facts.name, facts.version, facts.weights_digest = "model", 1, f"sha256:{'0' * 64}"
    facts.outputs.add(name="y", data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[1])
    return manifest_of(facts).inputs


@every_job
def test_a_sample_is_taken_by_the_gateway_and_becomes_the_very_item(job: Job, loaded: dict[str, Dataset], tmp_path: Path) -> None:
    item = loaded[job.name].held_out.inputs[0]
    facts = job.facts()
    (given,) = inputs_of(facts).values()

    sent = read_input(job.write_sample(tmp_path, "one", item))

    message = to_input(sent)
    prepared = Preprocessor(InputLimits(max_elements=10_000, max_pixels=10_000)).prepare(
        Manifest(
            name="m", version=1, signature_name="s", inputs={given.name: given},
            outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))}, weights_digest="d",
        ),
        Item(inputs={given.name: item_input_of(message)}),
    )  # fmt: skip
    np.testing.assert_allclose(prepared.tensors[given.name].array, item, rtol=1e-5, atol=1e-4)


@every_job
def test_what_kind_an_item_is_of_can_be_a_files_name(job: Job, loaded: dict[str, Dataset]) -> None:
    kinds = job.task.kinds(loaded[job.name].held_out.targets)

    assert len(kinds) == len(loaded[job.name].held_out)
    assert len(set(kinds)) > 1
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", kind) for kind in kinds)


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
    beats = loaded[name].held_out.inputs[:4]

    in_millivolts, in_microvolts = np.asarray(model(beats)), np.asarray(model(beats * 1000 + 250))

    assert np.allclose(in_millivolts, in_microvolts, atol=1e-4)


def test_a_sample_of_digits_is_a_png_of_the_very_pixels(loaded: dict[str, Dataset], tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415

    pixels = loaded["digits"].held_out.inputs[0]

    path = JOBS["digits"].write_sample(tmp_path, "one", pixels)

    assert path == tmp_path / "one.png"
    with Image.open(path) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), pixels[:, :, 0])


def test_a_sample_of_ecg_lstm_is_a_time_series_with_the_manifests_channel_and_unit(loaded: dict[str, Dataset], tmp_path: Path) -> None:
    job = JOBS["ecg-lstm"]
    beat = loaded[job.name].held_out.inputs[0]

    document = json.loads(job.write_sample(tmp_path, "one", beat).read_text())

    (channel,) = document["channels"]
    (spec,) = job.facts().inputs[0].time_series.channels
    assert (channel["name"], channel["unit"]) == (spec.name, spec.unit)
    assert np.allclose(channel["values"], beat[:, 0], atol=1e-6)


def test_a_fit_tells_of_each_epoch_in_one_line(trained: Any) -> None:
    epochs = [line for line in trained.said if line.startswith("epoch ")]
    assert len(epochs) == 3
    assert epochs[0].startswith("epoch 1/3  loss 2.")
    assert all("validation loss" in line and line.endswith(" s") for line in epochs)


def _weights(model: Any) -> bytes:
    return b"".join(array.tobytes() for array in model.get_weights())


def test_the_same_seed_gives_the_same_weights_bit_for_bit(trained: Any) -> None:
    again = _trained(trained, JOBS["digits"].task)

    assert _weights(again) == _weights(trained.model)


def test_another_seed_gives_other_weights(trained: Any) -> None:
    task = _classification("digits")

    other = _trained(trained, dataclasses.replace(task, plan=dataclasses.replace(task.plan, seed=3)))

    assert _weights(other) != _weights(trained.model)


def _trained(trained: Any, task: Any) -> Any:
    return task.train(trained.data, Bench(say=lambda _: None, epochs=3)).model


def test_the_reference_network_and_schedule_reach_their_floor(loaded: dict[str, Dataset]) -> None:
    """Adam, batches of 128, ten epochs, a tenth to validate, no augmentation: 0.95 was asked for."""
    task, data = _classification("digits"), loaded["digits"]

    fitted = network.fitted(
        lambda: task.build(data.training), Plan(epochs=10, batch_size=128), data.training, data.validation, Bench(say=lambda _: None)
    )

    said = network.predicted(fitted.model, data.held_out.inputs)
    assert (said.argmax(axis=1) == data.held_out.targets).mean() >= 0.95
