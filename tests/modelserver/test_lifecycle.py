"""What happens to versions in which order: loads before unloads, tries again, and folders that are still being copied."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from modelserver.config import ModelConfig, VersionPolicy
from modelserver.errors import ServingError
from modelserver.manager import Manager
from modelserver.model import Retries, VersionStatus
from modelserver.servable import LoadOptions, Servable

Publish = Callable[..., Path]
Wait = Callable[..., None]
Manage = Callable[..., Manager]
Hook = Callable[[str, int, Path], None]

EVERY = VersionPolicy(all_versions=True)
NEVER = Retries(count=0)


@pytest.fixture
def manage() -> Iterator[Manage]:
    """A manager that runs, ended after the test; `before_load` sees each load first, and may have it fail."""
    managers: list[Manager] = []

    def start(*configs: ModelConfig, before_load: Hook | None = None, **options: Any) -> Manager:
        load = partial(Servable, options=LoadOptions(session_config=config_pb2.ConfigProto(intra_op_parallelism_threads=1)))

        def hooked(name: str, version: int, folder: Path) -> Servable:
            if before_load is not None:
                before_load(name, version, folder)
            return load(name, version, folder)

        manager = Manager(configs, load=hooked, **{"poll_seconds": 0.02, "retries": NEVER, "patience_seconds": 60.0, **options})
        manager.start()
        managers.append(manager)
        return manager

    yield start
    for manager in managers:
        manager.stop()


def model(base_path: Path, name: str = "m", *, policy: VersionPolicy | None = None) -> ModelConfig:
    return ModelConfig(name=name, base_path=base_path, policy=policy or VersionPolicy())


def specific(*versions: int) -> VersionPolicy:
    return VersionPolicy(specific=frozenset(versions))


def statuses(manager: Manager, name: str = "m") -> dict[int, VersionStatus]:
    try:
        return dict(manager.statuses(name, None))
    except ServingError:
        return {}


def states(manager: Manager, name: str = "m") -> dict[int, str]:
    return {version: get_model_status_pb2.ModelVersionStatus.State.Name(status.state) for version, status in statuses(manager, name).items()}


def served(manager: Manager, name: str = "m") -> int:
    with manager.serving(model_pb2.ModelSpec(name=name)) as servable:
        return servable.version


class Failing:
    """Has so many loads of a version fail."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.tries = 0

    def __call__(self, name: str, *_: object) -> None:
        if name != "m":
            return
        self.tries += 1
        self.left -= 1
        if self.left >= 0:
            raise ServingError(grpc.StatusCode.DATA_LOSS, "no good")


def test_a_load_that_failed_is_loading_until_it_is_tried_again_and_keeps_nobody_waiting(
    manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait
) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    publish("half_plus_two", tmp_path / "other", 1)
    failing = Failing(1)

    manager = manage(model(tmp_path / "m"), model(tmp_path / "other", "other"), before_load=failing, retries=Retries(count=1, interval_seconds=3600))

    wait_until(lambda: states(manager, "other") == {1: "AVAILABLE"})
    wait_until(lambda: failing.tries == 1)
    assert states(manager) == {1: "LOADING"}


def test_a_load_that_failed_is_tried_again_after_a_while(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    failing = Failing(2)

    manager = manage(model(tmp_path / "m"), before_load=failing, retries=Retries(count=2, interval_seconds=0.05))

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    assert failing.tries == 3


def test_after_the_last_try_it_ends_with_the_error(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    failing = Failing(99)

    manager = manage(model(tmp_path / "m"), before_load=failing, retries=Retries(count=2, interval_seconds=0))

    wait_until(lambda: states(manager) == {1: "END"})
    error = statuses(manager)[1].error
    assert failing.tries == 3
    assert error is not None
    assert (error.code.name, error.message) == ("DATA_LOSS", "no good")


def test_a_change_of_its_files_has_it_tried_again_at_once(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    folder = publish("half_plus_two", tmp_path / "m", 1)
    failing = Failing(1)
    manager = manage(model(tmp_path / "m"), before_load=failing, retries=Retries(count=1, interval_seconds=3600))
    wait_until(lambda: failing.tries == 1)

    (folder / "more").touch()

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})


def test_a_version_that_isnt_wanted_any_more_isnt_tried_again(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    folder = publish("half_plus_two", tmp_path / "m", 1)
    failing = Failing(1)
    manager = manage(model(tmp_path / "m"), before_load=failing, retries=Retries(count=1, interval_seconds=3600))
    wait_until(lambda: failing.tries == 1)

    shutil.rmtree(folder)

    wait_until(lambda: states(manager) == {1: "END"})
    error = statuses(manager)[1].error
    assert error is not None
    assert error.message == "no good"


def test_a_half_copied_version_isnt_tried_and_the_one_before_serves(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    tried: list[int] = []
    whole = publish("counter", tmp_path / "whole", 1)
    publish("half_plus_two", tmp_path / "m", 1)
    half = tmp_path / "m" / "2"
    shutil.copytree(whole, half, ignore=shutil.ignore_patterns("saved_model.pb", "*.data-*"))

    manager = manage(model(tmp_path / "m"), before_load=lambda _, version, __: tried.append(version))
    wait_until(lambda: states(manager) == {2: "START", 1: "AVAILABLE"})
    shutil.copy(whole / "saved_model.pb", half)
    with_graph = publish("half_plus_two", tmp_path / "other", 1)
    # Another model that comes to be served shows that the files were looked at since.
    manager.configure([model(tmp_path / "m"), model(with_graph.parent, "other")])
    wait_until(lambda: states(manager, "other") == {1: "AVAILABLE"})
    meanwhile = (tried.count(2), served(manager))
    for file in (whole / "variables").iterdir():
        shutil.copy(file, half / "variables")

    wait_until(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})
    assert meanwhile == (0, 1)
    assert tried.count(2) == 1


def test_what_stays_half_copied_fails_as_what_it_is(manage: Manage, tmp_path: Path, wait_until: Wait) -> None:
    """tfserving_observed.md, section 7."""
    (tmp_path / "m" / "1").mkdir(parents=True)

    manager = manage(model(tmp_path / "m"), patience_seconds=0.1)

    wait_until(lambda: states(manager) == {1: "END"})
    error = statuses(manager)[1].error
    assert error is not None
    assert error.code == grpc.StatusCode.NOT_FOUND
    assert error.message.startswith("Specified file path does not appear to contain a SavedModel bundle")


def test_with_two_to_serve_the_oldest_goes_before_the_newest_comes(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    """availability_preserving_policy.cc: one that is wanted is ready, so what isn't wanted goes first, and three are never loaded at once."""
    seen: dict[int, dict[int, str]] = {}
    for version in (1, 2):
        publish("half_plus_two", tmp_path / "m", version)
    manager: Manager | None = None

    def look(_: str, version: int, __: Path) -> None:
        if manager is not None:
            seen[version] = states(manager)

    manager = manage(model(tmp_path / "m", policy=VersionPolicy(latest=2)), before_load=look)
    wait_until(lambda: states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"})

    publish("half_plus_two", tmp_path / "m", 3)

    wait_until(lambda: states(manager) == {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"})
    assert seen[3][1] in {"UNLOADING", "END"}


def test_another_specific_version_comes_before_the_former_goes(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    seen: dict[int, dict[int, str]] = {}
    for version in (1, 2, 3):
        publish("half_plus_two", tmp_path / "m", version)
    manager: Manager | None = None

    def look(_: str, version: int, __: Path) -> None:
        if manager is not None:
            seen[version] = states(manager)

    manager = manage(model(tmp_path / "m", policy=specific(2)), before_load=look)
    wait_until(lambda: states(manager) == {2: "AVAILABLE"})

    manager.configure([model(tmp_path / "m", policy=specific(1))])

    wait_until(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    assert seen[1] == {2: "AVAILABLE", 1: "LOADING"}


def test_when_the_newest_is_deleted_the_one_before_comes_back_first(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    seen: list[dict[int, str]] = []
    for version in (1, 2):
        publish("half_plus_two", tmp_path / "m", version)
    manager: Manager | None = None

    def look(_: str, version: int, __: Path) -> None:
        if manager is not None and version == 1:
            seen.append(states(manager))

    manager = manage(model(tmp_path / "m"), before_load=look)
    wait_until(lambda: states(manager) == {2: "AVAILABLE"})

    shutil.rmtree(tmp_path / "m" / "2")

    wait_until(lambda: states(manager) == {2: "END", 1: "AVAILABLE"})
    assert seen == [{2: "AVAILABLE", 1: "LOADING"}]


def test_a_call_under_way_holds_up_its_own_version_alone(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    for name in ("m", "other"):
        publish("half_plus_two", tmp_path / name, 1)
    manager = manage(model(tmp_path / "m"), model(tmp_path / "other", "other"))
    wait_until(lambda: states(manager) == states(manager, "other") == {1: "AVAILABLE"})

    with manager.serving(model_pb2.ModelSpec(name="m")):
        for name in ("m", "other"):
            for version in (2, 3):
                publish("half_plus_two", tmp_path / name, version)
                wait_until(lambda name=name, version=version: states(manager, name).get(version) == "AVAILABLE")
        meanwhile = states(manager)
        wait_until(lambda: states(manager, "other") == {3: "AVAILABLE", 2: "END", 1: "END"})

    wait_until(lambda: states(manager) == {3: "AVAILABLE", 2: "END", 1: "END"})
    assert meanwhile[1] == "UNLOADING"


def test_a_slow_load_holds_up_no_unload_and_no_new_list(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    may_load = threading.Event()

    def slowly(name: str, _: int, __: Path) -> None:
        if name == "slow":
            may_load.wait(60)

    publish("half_plus_two", tmp_path / "m", 1)
    publish("half_plus_two", tmp_path / "slow", 1)
    manager = manage(model(tmp_path / "m"), before_load=slowly)
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    manager.configure([model(tmp_path / "m"), model(tmp_path / "slow", "slow")])
    wait_until(lambda: states(manager, "slow") == {1: "LOADING"})

    manager.configure([model(tmp_path / "slow", "slow")])
    wait_until(lambda: states(manager) == {1: "END"})
    meanwhile = states(manager, "slow")
    may_load.set()

    wait_until(lambda: states(manager, "slow") == {1: "AVAILABLE"})
    assert meanwhile == {1: "LOADING"}


def test_a_model_that_isnt_listed_any_more_never_serves_what_was_being_loaded(
    manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait
) -> None:
    may_load = threading.Event()
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"), before_load=lambda *_: may_load.wait(60) and None)
    wait_until(lambda: states(manager) == {1: "LOADING"})

    manager.configure([])
    may_load.set()

    wait_until(lambda: states(manager) == {1: "END"})
    with pytest.raises(ServingError):
        served(manager)


def test_several_load_at_once_where_that_is_wanted(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    both = threading.Barrier(2, timeout=60)
    for name in ("m", "other"):
        publish("half_plus_two", tmp_path / name, 1)

    manager = manage(model(tmp_path / "m"), model(tmp_path / "other", "other"), before_load=lambda *_: both.wait() and None, load_threads=2)

    wait_until(lambda: states(manager) == states(manager, "other") == {1: "AVAILABLE"})


def test_a_model_that_has_none_that_serves_loads_before_the_others_further_ones(
    manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait
) -> None:
    order: list[tuple[str, int]] = []
    for version in (1, 2, 3):
        publish("half_plus_two", tmp_path / "m", version)
    publish("half_plus_two", tmp_path / "other", 1)

    manager = manage(
        model(tmp_path / "m", policy=EVERY), model(tmp_path / "other", "other"), before_load=lambda name, version, _: order.append((name, version))
    )

    wait_until(lambda: set(states(manager).values()) == {"AVAILABLE"} and len(states(manager)) == 3)
    assert order == [("m", 3), ("other", 1), ("m", 2), ("m", 1)]


def test_a_base_path_that_comes_back_has_its_new_versions_served(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})

    (tmp_path / "m").rename(tmp_path / "gone")
    publish("half_plus_two", tmp_path / "gone", 2)
    meanwhile = served(manager)
    (tmp_path / "gone").rename(tmp_path / "m")

    wait_until(lambda: states(manager) == {2: "AVAILABLE", 1: "END"})
    assert meanwhile == 1


def test_an_empty_base_path_unloads_all(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    for version in (1, 2):
        publish("half_plus_two", tmp_path / "m", version)
    manager = manage(model(tmp_path / "m", policy=EVERY))
    wait_until(lambda: states(manager) == {2: "AVAILABLE", 1: "AVAILABLE"})

    for version in (1, 2):
        (tmp_path / "m" / str(version)).rename(tmp_path / f"gone-{version}")

    wait_until(lambda: states(manager) == {2: "END", 1: "END"})


def test_a_version_that_comes_back_is_loaded_anew(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    folder = publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    folder.rename(tmp_path / "gone")
    wait_until(lambda: states(manager) == {1: "END"})

    (tmp_path / "gone").rename(folder)

    wait_until(lambda: states(manager) == {1: "AVAILABLE"})


def test_of_versions_that_serve_no_file_is_looked_at(
    manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred versions cost one listing a look."""
    for version in (1, 2, 3):
        publish("half_plus_two", tmp_path / "m", version)
    manager = manage(model(tmp_path / "m", policy=EVERY), model(tmp_path / "other", "other"))
    wait_until(lambda: list(states(manager).values()) == ["AVAILABLE"] * 3)
    # Another model that comes to be served shows that the look which may have been under way is over.
    publish("half_plus_two", tmp_path / "other", 1)
    wait_until(lambda: states(manager, "other") == {1: "AVAILABLE"})
    looked_into: set[Path] = set()

    def noting(result: object) -> Callable[[Path], object]:
        return lambda folder: (looked_into.add(folder), result)[1]  # type: ignore[func-returns-value]

    for module in ("source", "model", "manager"):
        monkeypatch.setattr(f"modelserver.{module}.fingerprint", noting(()))
    monkeypatch.setattr("modelserver.source.is_complete", noting(True))

    publish("half_plus_two", tmp_path / "m", 4)
    wait_until(lambda: states(manager).get(4) == "AVAILABLE")

    assert {folder for folder in looked_into if folder.parent == tmp_path / "m"} == {tmp_path / "m" / "4"}


def test_many_versions_in_a_row_fail_no_call(manage: Manage, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    manager = manage(model(tmp_path / "m"))
    wait_until(lambda: states(manager) == {1: "AVAILABLE"})
    seen: list[int | BaseException] = []
    done = threading.Event()

    def callers() -> None:
        while not done.is_set():
            try:
                seen.append(served(manager))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is a failed call
                seen.append(error)

    threads = [threading.Thread(target=callers) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(2, 12):
        publish("half_plus_two", tmp_path / "m", version)
        wait_until(lambda version=version: states(manager).get(version) == "AVAILABLE")
    done.set()
    for thread in threads:
        thread.join()
    # Of the calls that were under way, one may have been given the version before.
    seen.append(served(manager))

    assert {type(entry) for entry in seen} == {int}
    assert seen[-1] == 11
