"""The configuration files, and the one model of the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.config import model_server_config_pb2

from modelserver.config import (
    Batching,
    ConfigError,
    ModelConfig,
    VersionPolicy,
    batching_of_version,
    read_batching,
    read_metrics_path,
    read_models,
    single_model,
)

SERVING_CONFIG = Path(__file__).parents[2] / "serving_config"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        file = tmp_path / "config"
        file.write_text(text, encoding="utf-8")
        return file

    return to_file


def models(*entries: str) -> str:
    return "model_config_list {" + "".join(f"config {{ {entry} }}" for entry in entries) + "}"


A_MODEL = 'name: "m" base_path: "/models/m" model_platform: "tensorflow"'


def test_a_model_has_its_name_path_and_the_latest_version_by_default(write: Write) -> None:
    file = write(models(A_MODEL))

    read = read_models(file)

    assert read == (ModelConfig(name="m", base_path=Path("/models/m"), policy=VersionPolicy(latest=1)),)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("all {}", VersionPolicy(all_versions=True)),
        ("latest { num_versions: 2 }", VersionPolicy(latest=2)),
        ("latest {}", VersionPolicy(latest=1)),
        ("specific { versions: 3 versions: 5 }", VersionPolicy(specific=frozenset({3, 5}))),
    ],
)
def test_a_version_policy_is_read(write: Write, text: str, policy: VersionPolicy) -> None:
    file = write(models(f"{A_MODEL} model_version_policy {{ {text} }}"))

    (model,) = read_models(file)

    assert model.policy == policy


def test_labels_are_read(write: Write) -> None:
    file = write(models(A_MODEL + ' version_labels { key: "stable" value: 2 }'))

    (model,) = read_models(file)

    assert model.labels == {"stable": 2}


REFUSED = {
    "a model that is listed twice": (models(A_MODEL, A_MODEL), "Illegal to list model m multiple times in config list"),
    "no platform": (models('name: "m" base_path: "/m"'), "Illegal setting neither ModelServerConfig::model_type"),
    "another platform": (models('name: "m" base_path: "/m" model_platform: "pytorch"'), "unsupported platform pytorch"),
    "a relative path": (
        models('name: "m" base_path: "models/m" model_platform: "tensorflow"'),
        "Expected model m to have an absolute path or URI; got base_path()=models/m",
    ),
    "no path": (models('name: "m" model_platform: "tensorflow"'), "Expected model m to have an absolute path or URI; got base_path()="),
    "specific versions without one": (models(f"{A_MODEL} model_version_policy {{ specific {{}} }}"), "m: specific: name one version at least"),
    "no list": ("", "only model_config_list is supported"),
    "what isn't a configuration": ("model_config_list {", "Expected"),
    "a field that doesn't exist": (models(f"{A_MODEL} nope: 1"), "nope"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_list_that_cant_be_used_says_why(write: Write, text: str, reason: str) -> None:
    file = write(text)

    with pytest.raises(ConfigError) as caught:
        read_models(file)

    assert reason in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nope"

    with pytest.raises(ConfigError, match="nope"):
        read_models(file)


def test_a_single_models_path_is_absolute() -> None:
    with pytest.raises(ConfigError, match="absolute"):
        single_model("m", "models/m")


@given(versions=st.sets(st.integers(1, 50)), latest=st.integers(1, 5))
def test_the_latest_policy_wants_the_newest_so_many(versions: set[int], latest: int) -> None:
    chosen = VersionPolicy(latest=latest).choose(versions)

    assert len(chosen) == min(latest, len(versions))
    assert all(kept > dropped for kept in chosen for dropped in versions - chosen)


def test_the_specific_policy_wants_what_is_there_of_what_it_names() -> None:
    chosen = VersionPolicy(specific=frozenset({1, 9})).choose({1, 2})

    assert chosen == {1}


def test_batching_has_the_defaults_of_tensorflow_serving(write: Write) -> None:
    file = write("")

    read = read_batching(file)

    assert (read.max_batch_size, read.batch_timeout_micros, read.max_enqueued_batches, read.allowed_batch_sizes) == (1000, 0, 10, ())
    assert read.num_batch_threads >= 1


def test_batching_parameters_are_read(write: Write) -> None:
    file = write(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 5 } max_enqueued_batches { value: 6 } "
        "num_batch_threads { value: 7 } allowed_batch_sizes: [ 2, 8 ]"
    )

    read = read_batching(file)

    assert read == Batching(max_batch_size=8, batch_timeout_micros=5, max_enqueued_batches=6, num_batch_threads=7, allowed_batch_sizes=(2, 8))


@pytest.mark.parametrize("text", ["pad_variable_length_inputs: true", 'thread_pool_name { value: "pool" }'])
def test_what_changes_no_answer_is_taken(write: Write, text: str) -> None:
    read = read_batching(write("num_batch_threads { value: 1 } " + text))

    assert read == Batching(num_batch_threads=1)


def test_a_queue_of_no_batch_is_one_of_one(write: Write) -> None:
    """TensorFlow's shared_batch_scheduler.h, AddQueue."""
    assert read_batching(write("max_enqueued_batches { value: 0 }")).max_enqueued_batches == 1


@pytest.mark.parametrize(
    ("allowed", "execution", "sizes"),
    [((), None, (1, 2, 3, 4, 5, 6)), ((), 2, (1, 2)), ((1, 4, 6), None, (1, 4, 6)), ((1, 4, 6), 5, (1, 4, 5))],
)
def test_a_batch_in_parts_is_padded_to_no_size_that_isnt_allowed(allowed: tuple[int, ...], execution: int | None, sizes: tuple[int, ...]) -> None:
    batching = Batching(max_batch_size=6, allowed_batch_sizes=allowed, enable_large_batch_splitting=True, max_execution_batch_size=execution)

    assert batching.sizes_to_run == sizes


def test_the_kernel_is_told_of_so_many_sizes_and_no_more() -> None:
    sizes = Batching(max_batch_size=1_000_000, enable_large_batch_splitting=True).sizes_to_run

    assert len(sizes) <= 4096
    assert sizes[-1] == 1_000_000


def test_a_version_is_batched_by_its_own_file_with_the_threads_of_all(tmp_path: Path) -> None:
    (tmp_path / "batching_params.pbtxt").write_text("max_batch_size { value: 3 } num_batch_threads { value: 9 }", encoding="utf-8")

    batching = batching_of_version(tmp_path, Batching(max_batch_size=7, num_batch_threads=2))

    assert batching == Batching(max_batch_size=3, num_batch_threads=2)


def test_a_version_without_a_file_isnt_batched(tmp_path: Path) -> None:
    assert batching_of_version(tmp_path, Batching()) is None


REFUSED_BATCHING = {
    "max_batch_size { value: 0 }": "max_batch_size is 0",
    "max_batch_size { value: 4294967296 }": "max_batch_size is 4294967296",
    "batch_timeout_micros { value: -1 }": "batch_timeout_micros is -1",
    "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }": "max_enqueued_batches is 0",
    "max_batch_size { value: 8 } max_execution_batch_size { value: 9 } enable_large_batch_splitting { value: true }": "max_execution_batch_size is 9",
    "num_batch_threads { value: 0 }": "num_batch_threads is 0",
    "max_batch_size { value: 8 } allowed_batch_sizes: [ 8, 2 ]": "must be monotonically increasing",
    "max_batch_size { value: 8 } allowed_batch_sizes: [ 2, 4 ]": "must match max_batch_size; last entry was 4; expected 8",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED_BATCHING.items())
def test_a_batching_parameter_that_cant_be_honoured_says_why(write: Write, text: str, reason: str) -> None:
    file = write(text)

    with pytest.raises(ConfigError) as caught:
        read_batching(file)

    assert reason in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true path: "/metrics" }', "/metrics"),
        ("prometheus_config { enable: false }", None),
        ("", None),
    ],
)
def test_the_metrics_path_is_read(write: Write, text: str, path: str | None) -> None:
    file = write(text)

    read = read_metrics_path(file)

    assert read == path


def test_the_shipped_files_are_read() -> None:
    listed = read_models(SERVING_CONFIG / "models.config")

    assert [(model.name, str(model.base_path)) for model in listed] == [("digits", "/models/digits"), ("ecg-lstm", "/models/ecg-lstm")]
    assert read_batching(SERVING_CONFIG / "batching_parameters.txt").max_batch_size == 64
    assert read_metrics_path(SERVING_CONFIG / "monitoring.config") == "/monitoring/prometheus/metrics"


def test_the_shipped_list_has_no_label_that_could_stop_tensorflow_serving() -> None:
    """A label on a version that isn't loaded stops its start (tfserving_observed.md, section 7)."""
    text = (SERVING_CONFIG / "models.config").read_text(encoding="utf-8")

    message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())

    assert not any(config.version_labels for config in message.model_config_list.config)
