"""HandleReloadConfigRequest, and what else puts a list of models into effect (tfserving_observed.md, section 6)."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import any_pb2
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.config import model_server_config_pb2

Publish = Callable[..., Path]
Wait = Callable[..., None]
Start = Callable[..., Any]

POLL = "--file_system_poll_wait_seconds=0.05"


class Client:
    """A server without retries whose models a test lists."""

    def __init__(self, server: Any, root: Path) -> None:
        self.server = server
        self.root = root

    def entry(self, name: str, /, *, labels: dict[str, int] | None = None, **fields: Any) -> model_server_config_pb2.ModelConfig:
        """A model below the root; a field that is given holds instead."""
        config = model_server_config_pb2.ModelConfig(**{"name": name, "base_path": str(self.root / name), "model_platform": "tensorflow"} | fields)
        config.version_labels.update(labels or {})
        return config

    def request(self, *entries: model_server_config_pb2.ModelConfig | str) -> model_management_pb2.ReloadConfigRequest:
        request = model_management_pb2.ReloadConfigRequest()
        request.config.model_config_list.SetInParent()
        for entry in entries:
            request.config.model_config_list.config.append(self.entry(entry) if isinstance(entry, str) else entry)
        return request

    def reload(self, *entries: model_server_config_pb2.ModelConfig | str, timeout: float = 30.0) -> model_management_pb2.ReloadConfigResponse:
        return self.server.models.HandleReloadConfigRequest(self.request(*entries), timeout=timeout)

    def begin(self, *entries: model_server_config_pb2.ModelConfig | str, timeout: float = 250.0) -> Any:
        return self.server.models.HandleReloadConfigRequest.future(self.request(*entries), timeout=timeout)

    def begin_in_order(self, wait_until: Wait, *lists: list[str]) -> list[Any]:
        """Begins reloads, each when the one before is in effect."""
        calls = []
        for entries in lists:
            before = self.taken()
            calls.append(self.begin(*entries))
            wait_until(lambda before=before: self.taken() > before)
        return calls

    def refusal(self, *entries: model_server_config_pb2.ModelConfig | str) -> str:
        return status_of(lambda: self.reload(*entries))

    def predict(self, name: str, *, label: str = "", version: int = 0) -> int:
        """The version that answers."""
        request = self.server.request(name, x=np.array([2], np.float32))
        if label:
            request.model_spec.version_label = label
        if version:
            request.model_spec.version.value = version
        return self.server.prediction.Predict(request, timeout=20).model_spec.version.value

    def publish_broken(self, name: str, version: int) -> None:
        """A version that can't be loaded, there at once."""
        unfinished = self.root / f"{name}.{version}"
        unfinished.mkdir()
        (unfinished / "saved_model.pb").write_bytes(b"no graph")
        (self.root / name).mkdir(exist_ok=True)
        unfinished.rename(self.root / name / str(version))

    def taken(self) -> int:
        """How many lists were put into effect."""
        return int(self.server.log().count("configuration taken"))

    def no_answer(self, name: str, **options: Any) -> str:
        return status_of(lambda: self.predict(name, **options))


def status_of(call: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return f"{error.code().name} {error.details()}"


@pytest.fixture(scope="module")
def process(new_server: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("reload") / "models.config"
    file.write_text("model_config_list {}", encoding="utf-8")
    server = new_server(f"--model_config_file={file}", POLL, "--max_num_load_retries=0")
    yield server
    server.end()


@pytest.fixture
def client(process: Any, publish: Publish, tmp_path: Path) -> Client:
    """With the model `m`, version 1, and nothing else."""
    client = Client(process, tmp_path)
    client.reload()
    publish("half_plus_two", tmp_path / "m", 1)
    client.reload("m")
    return client


def test_a_list_that_changes_nothing_is_taken(client: Client) -> None:
    reply = client.reload("m")

    assert reply.HasField("status")
    assert (reply.status.error_code, reply.status.error_message) == (0, "")
    assert client.predict("m") == 1


def test_counters_that_are_asked_for_have_not_grown(client: Client) -> None:
    request = client.request("m")
    request.metric_names.extend(["/a", "/b", "/a"])

    reply = client.server.models.HandleReloadConfigRequest(request, timeout=30)

    assert [(metric.name, metric.int64_value_increase) for metric in reply.metric] == [("/a", 0), ("/b", 0)]


def test_a_new_model_serves_when_the_call_returns(client: Client, publish: Publish) -> None:
    publish("half_plus_two", client.root / "n", 3)

    client.reload("m", "n")

    assert client.predict("n") == 3
    assert client.predict("m") == 1


def test_a_model_that_is_left_out_ends(client: Client, publish: Publish, wait_until: Wait) -> None:
    publish("half_plus_two", client.root / "n", 1)
    client.reload("m", "n")

    client.reload("n")

    wait_until(lambda: client.server.states("m") == {1: "END"})
    assert client.no_answer("m") == "NOT_FOUND Servable not found for request: Latest(m)"
    assert client.predict("n") == 1


def test_an_empty_list_unloads_every_model(client: Client, wait_until: Wait) -> None:
    client.reload()

    wait_until(lambda: client.server.states("m") == {1: "END"})


@pytest.mark.parametrize("kind", ["no config", "an empty config", "a custom config"])
def test_what_is_no_list_is_refused(client: Client, kind: str) -> None:
    request = model_management_pb2.ReloadConfigRequest()
    if kind == "an empty config":
        request.config.SetInParent()
    elif kind == "a custom config":
        request.config.custom_model_config.CopyFrom(any_pb2.Any())

    refusal = status_of(lambda: client.server.models.HandleReloadConfigRequest(request, timeout=20))

    message = "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
    assert refusal == f"INVALID_ARGUMENT {message}"
    assert client.predict("m") == 1


REFUSED = {
    "a model that is listed twice": (["m", "m"], "Illegal to list model m multiple times in config list"),
    "a relative path": (
        ["m", {"name": "up", "base_path": "models/x"}],
        "Expected model up to have an absolute path or URI; got base_path()=models/x",
    ),
    "no path": (["m", {"name": "up", "base_path": ""}], "Expected model up to have an absolute path or URI; got base_path()="),
    "no platform": (
        [{"name": "up", "model_platform": ""}],
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, model name is up",
    ),
    "no platform any more": (
        [{"name": "m", "model_platform": ""}],
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, model name is m",
    ),
    "two platforms": (
        [{"name": "up", "model_type": 1}],
        "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, model name is up",
    ),
    "another type": ([{"name": "up", "model_platform": "", "model_type": 2}], "ModelServerConfig::model_type choice 2 not supported."),
    "an unknown platform": ([{"name": "up", "model_platform": "pytorch"}], "Model up requests unsupported platform pytorch"),
    "a changed platform": (
        [{"name": "m", "model_platform": "other"}],
        "Illegal to change a model's platform. For model m platform was tensorflow and new platform requested is other",
    ),
    "a log of requests": (
        [{"name": "up", "logging_config": model_server_config_pb2.ModelConfig().logging_config}], "No request-logger-creator provided."
    ),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_list_that_is_refused_changes_nothing(client: Client, entries: list[Any], message: str, publish: Publish) -> None:
    """In TensorFlow Serving a list without a platform is stored all the same, and every later one fails."""
    listed = [entry if isinstance(entry, str) else client.entry(entry["name"], **entry) for entry in entries]

    refusal = client.refusal(*listed)

    assert refusal == f"INVALID_ARGUMENT {message}"
    assert client.predict("m") == 1
    publish("half_plus_two", client.root / "n", 1)
    client.reload("m", "n")
    assert client.predict("n") == 1


def test_the_deprecated_type_is_a_platform(client: Client, publish: Publish) -> None:
    publish("half_plus_two", client.root / "n", 1)

    client.reload(client.entry("n", model_platform="", model_type=model_server_config_pb2.TENSORFLOW))

    assert client.predict("n") == 1


def test_a_model_may_have_an_empty_name(client: Client, publish: Publish) -> None:
    publish("half_plus_two", client.root / "n", 1)

    client.reload("m", client.entry("", base_path=str(client.root / "n")))

    assert client.server.states("") == {1: "AVAILABLE"}


def test_a_changed_base_path_serves_from_there_when_the_call_returns(client: Client, publish: Publish, wait_until: Wait) -> None:
    publish("half_plus_two", client.root / "moved", 2)

    client.reload(client.entry("m", base_path=str(client.root / "moved")))

    assert client.predict("m") == 2
    wait_until(lambda: client.server.states("m") == {2: "AVAILABLE", 1: "END"})


def test_a_model_that_cant_be_loaded_is_said_and_stops_no_other(client: Client) -> None:
    client.publish_broken("bad", 1)

    refusal = client.refusal("m", "bad")

    message = "1 model(s) did not become available: {{{name: bad version: 1} due to error: OUT_OF_RANGE: Read less bytes than requested}, }"
    assert refusal == f"UNKNOWN {message}"
    assert client.server.states("bad") == {1: "END"}
    assert client.predict("m") == 1


def test_one_version_of_many_that_serves_is_enough(client: Client, publish: Publish) -> None:
    client.publish_broken("n", 2)
    publish("half_plus_two", client.root / "n", 1)
    every = client.entry("n")
    every.model_version_policy.all.SetInParent()

    client.reload(every)

    assert client.predict("n") == 1


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_model_without_versions_is_waited_for_and_holds_nobody_up(client: Client, publish: Publish, kind: str, wait_until: Wait) -> None:
    """In TensorFlow Serving every later reload hangs, and soon every call."""
    if kind == "empty":
        (client.root / "late").mkdir()
    waiting = client.begin_in_order(wait_until, ["m", "late"], ["m", "late", "later"])
    publish("half_plus_two", client.root / "n", 1)

    client.reload("m", "late", "later", "n")
    meanwhile = (client.predict("m"), client.predict("n"), client.no_answer("late"), any(call.done() for call in waiting))
    for name in ("late", "later"):
        publish("half_plus_two", client.root / name, 1)

    for call in waiting:
        call.result()
    assert (client.predict("late"), client.predict("later")) == (1, 1)
    assert meanwhile == (1, 1, "NOT_FOUND Servable not found for request: Latest(late)", False)


def test_however_many_wait_the_rest_is_answered(client: Client, wait_until: Wait) -> None:
    late = [f"late{number}" for number in range(129)]
    waiting = client.begin_in_order(wait_until, *(["m", *late[:count]] for count in range(1, 129)))

    one_more = client.refusal("m", *late)
    meanwhile = client.server.states("m")
    client.reload("m")

    message = "The configuration is in effect, but 128 calls wait for models already: ask for the models' status instead"
    assert one_more == f"RESOURCE_EXHAUSTED {message}"
    assert meanwhile[1] == "AVAILABLE"
    assert {call.code() for call in waiting} == {grpc.StatusCode.ABORTED}


def test_a_wait_ends_when_its_caller_goes(client: Client, wait_until: Wait) -> None:
    # Calls that are begun at once may arrive in any order, and the later list replaces the earlier.
    (cancelled,) = client.begin_in_order(wait_until, ["m", "late"])
    expired = client.begin("m", "late", "late2", timeout=0.5)
    wait_until(expired.done)
    cancelled.cancel()

    client.reload("m")

    assert expired.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert client.server.process.poll() is None


def test_a_later_list_without_the_model_ends_the_wait(client: Client, wait_until: Wait) -> None:
    before = client.taken()
    waiting = client.begin("m", "late")
    wait_until(lambda: client.taken() > before)

    client.reload("m")

    message = f"A later configuration does not list model late with base path {client.root / 'late'}: it is not waited for any more"
    assert (waiting.code(), waiting.details()) == (grpc.StatusCode.ABORTED, message)


def test_labels_are_put_and_taken_away(client: Client) -> None:
    client.reload(client.entry("m", labels={"stable": 1}))
    labelled = client.predict("m", label="stable")

    client.reload("m")

    assert labelled == 1
    assert client.no_answer("m", label="stable") == "INVALID_ARGUMENT Unrecognized servable version label: stable"


def test_a_label_on_what_isnt_there_is_refused_and_the_old_ones_stay(client: Client, publish: Publish) -> None:
    client.reload(client.entry("m", labels={"stable": 1}))
    publish("half_plus_two", client.root / "n", 1)

    refusal = client.refusal(client.entry("m", labels={"stable": 999}), "n")

    message = "Request to assign label to version 999 of model m, which is not currently available for inference"
    assert refusal == f"FAILED_PRECONDITION {message}"
    assert client.predict("m", label="stable") == 1
    assert client.no_answer("n") == "NOT_FOUND Servable not found for request: Latest(n)"


def test_a_label_on_what_the_policy_leaves_out_is_refused(client: Client, publish: Publish) -> None:
    for version in (1, 2):
        publish("half_plus_two", client.root / "n", version)

    refusal = client.refusal(client.entry("n", labels={"old": 1}))

    message = "Request to assign label to version 1 of model n, which is not currently available for inference"
    assert refusal == f"FAILED_PRECONDITION {message}"


def test_a_label_on_a_version_that_is_yet_to_be_loaded_is_there_when_the_call_returns(client: Client, publish: Publish) -> None:
    """In TensorFlow Serving, a model can't be added with its labels."""
    publish("half_plus_two", client.root / "n", 1)
    publish("half_plus_two", client.root / "n", 2)
    entry = client.entry("n", labels={"stable": 1, "canary": 2})
    entry.model_version_policy.specific.versions.extend([1, 2])

    client.reload("m", entry)

    assert (client.predict("n", label="stable"), client.predict("n", label="canary"), client.predict("n")) == (1, 2, 2)


def test_a_label_moves_when_its_new_version_serves_and_not_before(client: Client, publish: Publish, wait_until: Wait) -> None:
    publish("half_plus_two", client.root / "moving", 1)
    client.reload(client.entry("moving", labels={"stable": 1}))
    client.publish_broken("moving", 2)
    wait_until(lambda: client.server.states("moving") == {2: "END", 1: "AVAILABLE"})

    refusal = client.refusal(client.entry("moving", labels={"stable": 2}))
    meanwhile = client.predict("moving", label="stable")
    shutil.rmtree(client.root / "moving" / "2")
    publish("half_plus_two", client.root / "moving", 2)
    client.reload(client.entry("moving", labels={"stable": 2}))

    assert refusal.startswith("FAILED_PRECONDITION Request to assign label to version 2 of model moving")
    assert meanwhile == 1
    assert client.predict("moving", label="stable") == 2


def test_labels_of_the_file_at_the_start_apply_once_their_versions_serve(start: Start, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    """They stop TensorFlow Serving's start."""
    publish("half_plus_two", tmp_path / "m", 1)
    file = tmp_path / "models.config"
    labels = 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    entry = f'name: "m" base_path: "{tmp_path / "m"}" model_platform: "tensorflow" model_version_policy {{ all {{}} }} {labels}'
    file.write_text(f"model_config_list {{ config {{ {entry} }} }}", encoding="utf-8")

    server = start(f"--model_config_file={file}", POLL, available=(("m", 1),))

    client = Client(server, tmp_path)
    stable, canary = client.predict("m", label="stable"), client.no_answer("m", label="canary")
    publish("half_plus_two", tmp_path / "m", 2)
    wait_until(lambda: server.states("m").get(2) == "AVAILABLE")
    assert (stable, canary) == (1, "INVALID_ARGUMENT Unrecognized servable version label: canary")
    assert client.predict("m", label="canary") == 2


def test_with_the_flag_a_new_label_may_be_on_what_isnt_there(start: Start, publish: Publish, tmp_path: Path) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    flags = (f"--model_base_path={tmp_path / 'm'}", "--model_name=m", "--allow_version_labels_for_unavailable_models", POLL)
    client = Client(start(*flags, available=(("m", 1),)), tmp_path)

    client.reload(client.entry("m", labels={"new": 7, "stable": 1}))
    moved = client.refusal(client.entry("m", labels={"new": 7, "stable": 7}))

    assert client.no_answer("m", label="new") == "NOT_FOUND Servable not found for request: Specific(m, 7)"
    assert client.predict("m", label="stable") == 1
    assert moved.startswith("FAILED_PRECONDITION Request to assign label to version 7 of model m")
    assert client.server.process.stop() == 0


def test_a_stop_ends_the_waits(start: Start, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    server = start("--model_name=m", f"--model_base_path={tmp_path / 'm'}", available=(("m", 1),))
    client = Client(server, tmp_path)
    waiting = client.begin("m", "late")
    wait_until(lambda: client.taken() > 0)

    status = server.process.stop()

    assert status == 0
    assert (waiting.code(), waiting.details()) == (grpc.StatusCode.UNAVAILABLE, "The model server stops")
