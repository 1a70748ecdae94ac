"""The life of versions: loaded, swapped under load, unloaded, failed and tried again, listed and not listed any more."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from modelserver.config import ModelConfig, VersionPolicy
from modelserver.errors import ServingError
from modelserver.manager import Manager
from modelserver.model import Retries
from modelserver.servable import LoadOptions, Servable

Publish = Callable[..., Path]
Wait = Callable[..., None]
Manage = Callable[..., Manager]

POLL_SECONDS = 0.02


@pytest.fixture
def manage() -> Iterator[Manage]:
    """A manager that runs, ended after the test."""
    managers: list[Manager] = []

    def start(*configs: ModelConfig, load: Callable[..., Servable] = Servable, **options: Any) -> Manager:
        load = partial(load, options=LoadOptions(session_config=config_pb2.ConfigProto()))
        options = {"poll_seconds": POLL_SECONDS, "retries": Retries(count=0), "patience_seconds": 0.1, **options}
        manager = Manager(configs, load=load, **options)
        manager.start()
        managers.append(manager)
        return manager

    yield start
    for manager in managers:
        manager.stop()


def model(base_path: Path, name: str = "m", *, policy: VersionPolicy | None = None, labels: dict[str, int] | None = None) -> ModelConfig:
    return ModelConfig(name=name, base_path=base_path, policy=policy or VersionPolicy(), labels=labels or {})


def states(manager: Manager, name: str = "m") -> dict[int, str]:
    try:
        statuses = manager.statuses(name, None)
    except ServingError:
        return {}
    return {version: get_model_status_pb2.ModelVersionStatus.State.Name(status.state) for version, status in statuses}


def spec(text: str) -> model_pb2.ModelSpec:
    return text_format.Parse(text, model_pb2.ModelSpec())


def served(manager: Manager, text: str = 'name: "m"') -> int:
    """The version that answers a request."""
    with manager.serving(spec(text)) as servable:
        return servable.version


def ask(manager: Manager, name: str = "m") -> float:
    """What half_plus_two makes of 2."""
    with manager.serving(spec(f'name: "{name}"')) as servable:
        inputs = {"x": tf.make_tensor_proto(np.array([2], np.float32))}
        return float(servable.signatures["serving_default"].predict(inputs, ())["y"][0])


def refusal(manager: Manager, text: str) -> str:
    with pytest.raises(ServingError) as caught, manager.serving(spec(text)):
        pass
    return f"{caught.value.code.name} {caught.value.message}"


def test_what_is_published_becomes_available(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)

    manager = manage(model(tmp_path / "m"))

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    assert ask(manager) == 3.0


def test_a_version_goes_through_its_states(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    seen: list[dict[int, str]] = []
    may_load = threading.Event()

    def slowly(*arguments: Any, **options: Any) -> Servable:
        seen.append(states(manager))
        may_load.wait(30)
        return Servable(*arguments, **options)

    base_path = tmp_path / "m"
    base_path.mkdir()
    manager = manage(model(base_path), load=slowly)
    publish("half_plus_two", base_path, 1)
    wait_until(lambda: states(manager) == {1: "LOADING"})
    loading = refusal(manager, 'name: "m"')
    may_load.set()
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})

    shutil.rmtree(base_path / "1")

    wait_until(lambda: states(manager) == {1: "END"})
    assert seen == [{1: "LOADING"}]
    assert loading == "NOT_FOUND Servable not found for request: Latest(m)"
    assert refusal(manager, 'name: "m"') == "NOT_FOUND Servable not found for request: Latest(m)"


def test_a_swap_under_load_fails_no_request(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    answers: list[float | BaseException] = []
    done = threading.Event()

    def callers() -> None:
        while not done.is_set():
            try:
                answers.append(ask(manager))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is a failed request
                answers.append(error)

    threads = [threading.Thread(target=callers) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in (2, 3, 4):
        publish("half_plus_two", tmp_path / "m", version)
        wait_until(lambda version=version: states(manager).get(version) == "AVAILABLE" and states(manager).get(version - 1) == "END")
    done.set()
    for thread in threads:
        thread.join()

    assert set(answers) == {3.0}
    assert served(manager) == 4


def test_unloading_waits_for_the_request_under_way(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})

    with manager.serving(spec('name: "m"')) as servable:
        publish("half_plus_two", tmp_path / "m", 2)
        wait_until(lambda: states(manager) == {2: "AVAILABLE", 1: "UNLOADING"})
        meanwhile = (served(manager), bool(servable.signatures))

    wait_until(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})
    assert meanwhile == (2, True)


def test_a_failed_version_leaves_the_former_one_serving_and_says_why(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})

    (tmp_path / "m" / "2").mkdir()

    wait_until(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    (_, failed), _ = manager.statuses("m", None)
    assert failed.error is not None
    assert failed.error.code.name == "NOT_FOUND"
    assert "does not appear to contain a SavedModel bundle" in failed.error.message
    assert served(manager) == 1


def test_a_failed_version_is_tried_again_when_its_files_change_and_not_before(
    manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait
) -> None:
    tries: list[int] = []

    def counted(name: str, version: int, folder: Path, **options: Any) -> Servable:
        tries.append(version)
        return Servable(name, version, folder, **options)

    whole = publish("half_plus_two", tmp_path / "whole", 1)
    half = tmp_path / "m" / "1"
    shutil.copytree(whole, half)
    (half / "saved_model.pb").write_bytes(b"half of it")
    manager = manage(model(tmp_path / "m"), model(tmp_path / "other", "other"), load=counted)
    wait_until(lambda: states(manager) == {1: "END"})
    # Another model that comes to be served shows that the manager went round since.
    publish("half_plus_two", tmp_path / "other", 1)
    wait_until(lambda: states(manager, "other") == {1: "AVAILABLE"})
    tries_before = tries.count(1)

    shutil.copy(whole / "saved_model.pb", half)

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    assert tries_before == 2  # one of each model
    assert ask(manager) == 3.0


def test_a_fault_that_nobody_foresaw_is_that_versions_only(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    def broken(name: str, version: int, folder: Path, **options: Any) -> Servable:
        if version == 2:
            raise KeyError("x")
        return Servable(name, version, folder, **options)

    publish("half_plus_two", tmp_path / "m", 1)
    publish("half_plus_two", tmp_path / "m", 2)

    manager = manage(model(tmp_path / "m", policy=VersionPolicy(all_versions=True)), load=broken)

    wait_until(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    assert served(manager) == 1


def test_a_missing_base_path_stops_no_other_model(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)

    manager = manage(model(tmp_path / "nope", "nope"), model(tmp_path / "m"))

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    assert states(manager, "nope") == {}


def test_a_base_path_that_vanishes_unloads_nothing(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    """tfserving.md, Versions: a missing base path says nothing, an empty one that there are no versions."""
    publish("half_plus_two", tmp_path / "m", 1)
    publish("half_plus_two", tmp_path / "other", 1)
    manager = manage(model(tmp_path / "m"), model(tmp_path / "other", "other"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})

    (tmp_path / "m").rename(tmp_path / "gone")

    publish("half_plus_two", tmp_path / "other", 2)
    wait_until(lambda: states(manager, "other").get(2) == "AVAILABLE")
    assert ask(manager) == 3.0


def test_versions_and_labels_choose(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    for version in (1, 2, 3):
        publish("half_plus_two", tmp_path / "m", version)

    manager = manage(model(tmp_path / "m", policy=VersionPolicy(latest=2), labels={"stable": 2, "old": 1}))

    wait_until(lambda: states(manager) == {3: "AVAILABLE", 2: "AVAILABLE"})
    assert served(manager) == 3
    assert served(manager, 'name: "m" version { value: 2 }') == 2
    assert served(manager, 'name: "m" version_label: "stable"') == 2
    assert refusal(manager, 'name: "m" version_label: "old"') == "INVALID_ARGUMENT Unrecognized servable version label: old"
    assert refusal(manager, 'name: "m" version_label: "nope"') == "INVALID_ARGUMENT Unrecognized servable version label: nope"


def test_a_model_that_is_listed_later_is_served(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(poll_seconds=0)

    manager.configure([model(tmp_path / "m")])

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    assert manager.knows("m")


def test_a_model_that_isnt_listed_any_more_is_unloaded_and_remembered(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    """tfserving_observed.md, section 6, "model removed"."""
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m", labels={"stable": 1}))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})

    manager.configure([])

    wait_until(lambda: states(manager) == {1: "END"})
    assert refusal(manager, 'name: "m"') == "NOT_FOUND Servable not found for request: Latest(m)"
    assert refusal(manager, 'name: "m" version_label: "stable"') == "INVALID_ARGUMENT Unrecognized servable version label: stable"


def test_a_model_that_is_listed_again_is_served_again(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    manager.configure([])
    wait_until(lambda: states(manager) == {1: "END"})

    manager.configure([model(tmp_path / "m")])

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    assert ask(manager) == 3.0


def test_a_changed_base_path_takes_over_even_a_version_of_the_same_number(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    moved = publish("half_plus_two", tmp_path / "moved", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})

    manager.configure([model(tmp_path / "moved")])

    def folder() -> Path:
        with manager.serving(spec('name: "m"')) as servable:
            return servable.folder

    wait_until(lambda: folder() == moved)
    assert states(manager) == {1: "AVAILABLE"}


def test_it_is_ready_when_every_published_model_answers(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    (tmp_path / "broken" / "1").mkdir(parents=True)
    manager = manage(model(tmp_path / "m"), model(tmp_path / "broken", "broken"), model(tmp_path / "unpublished", "unpublished"))
    assert manager.wait_settled(30)
    while_broken = manager.is_ready()

    publish("half_plus_two", tmp_path / "broken", 2)

    wait_until(manager.is_ready)
    assert not while_broken


def test_once_ready_it_stays_so(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    """A model that is listed and broken later makes its own requests fail: to take the server away would fail everybody's."""
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(manager.is_ready)
    (tmp_path / "broken" / "1").mkdir(parents=True)

    manager.configure([model(tmp_path / "m"), model(tmp_path / "broken", "broken")])

    wait_until(lambda: states(manager, "broken") == {1: "END"})
    assert manager.is_ready()


def test_nothing_published_is_not_ready(manage: Manage, tmp_path: Path) -> None:
    manager = manage(model(tmp_path / "nope"))

    assert manager.wait_settled(30)
    assert not manager.is_ready()
