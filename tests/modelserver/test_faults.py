"""Faults, to the real process: it is killed at any time, its files are cut short, its disk is full. It lives, or serves right when it is back."""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, prediction_log_pb2

Publish = Callable[..., Path]
Wait = Callable[..., None]
Start = Callable[..., Any]
Floats = Callable[..., Any]

POLL = "--file_system_poll_wait_seconds=0.05"


def errors(server: Any, model: str) -> dict[int, tuple[str, int]]:
    """The state and the error's code of each version."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    try:
        rows = server.models.GetModelStatus(request, timeout=20, wait_for_ready=True).model_version_status
    except grpc.RpcError:
        return {}
    return {row.version: (get_model_status_pb2.ModelVersionStatus.State.Name(row.state), row.status.error_code) for row in rows}


def listing(root: Path, *names: str) -> model_management_pb2.ReloadConfigRequest:
    request = model_management_pb2.ReloadConfigRequest()
    for name in names:
        request.config.model_config_list.config.add(name=name, base_path=str(root / name), model_platform="tensorflow")
    return request


def put(source: Path, base_path: Path, version: int, change: Callable[[Path], None]) -> None:
    """Publishes a changed copy of a version, by one rename."""
    base_path.mkdir(parents=True, exist_ok=True)
    unfinished = base_path / f".{version}.tmp"
    shutil.copytree(source, unfinished)
    change(unfinished)
    unfinished.rename(base_path / str(version))


def cut(name: str, share: float) -> Callable[[Path], None]:
    """Cuts a file short to a share of its bytes."""

    def change(folder: Path) -> None:
        file = folder / name
        contents = file.read_bytes()
        file.write_bytes(contents[: int(len(contents) * share)])

    return change


def garble(name: str) -> Callable[[Path], None]:
    """Turns over every bit of a file's middle third."""

    def change(folder: Path) -> None:
        file = folder / name
        contents = file.read_bytes()
        third = len(contents) // 3
        middle = bytes(255 - byte for byte in contents[third : 2 * third])
        file.write_bytes(contents[:third] + middle + contents[2 * third :])

    return change


def into_folder(name: str) -> Callable[[Path], None]:
    """Puts a folder in the place of a file."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


class Host:
    """A server without retries, with a model `good` that is to go on serving, and a model `m` whose versions a test breaks."""

    def __init__(self, server: Any, root: Path, wait_until: Wait) -> None:
        self.server = server
        self.root = root
        self._wait_until = wait_until
        self._next_version = 1

    def fails(self, change: Callable[[Path], None]) -> str:
        """Publishes a broken version, waits for its end, and returns the name of the error's code."""
        version, self._next_version = self._next_version, self._next_version + 1
        put(self.root / "source" / "1", self.root / "m", version, change)
        self._wait_until(lambda: errors(self.server, "m").get(version, ("", 0))[0] in {"END", "AVAILABLE"})
        state, code = errors(self.server, "m")[version]
        assert state == "END"
        return next(each.name for each in grpc.StatusCode if each.value[0] == code)

    def is_right(self) -> bool:
        """Whether it lives, and answers what it should."""
        reply = self.server.predict("good", x=np.array([2], np.float32))
        return self.server.process.poll() is None and list(reply.outputs["y"].float_val) == [3.0]


@pytest.fixture(scope="module")
def host(new_server: Start, publish: Publish, tmp_path_factory: pytest.TempPathFactory, wait_until: Wait) -> Iterator[Host]:
    root = tmp_path_factory.mktemp("faults")
    publish("half_plus_two", root / "good", 1)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["delta"].CopyFrom(tf.make_tensor_proto(np.float32(1)))
    log.predict_log.request.model_spec.signature_name = "incr_counter_by"
    with tf.io.TFRecordWriter(str(root / "records")) as writer:
        writer.write(log.SerializeToString())
    publish("counter", root / "source", 1, warm_up=(root / "records").read_bytes())
    (root / "m").mkdir()
    entries = "".join(f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}' for name in ("good", "m"))
    (root / "models.config").write_text(f"model_config_list {{ {entries} }}", encoding="utf-8")
    server = new_server(f"--model_config_file={root / 'models.config'}", POLL, "--max_num_load_retries=0", available=(("good", 1),))
    yield Host(server, root, wait_until)
    status = server.process.stop()
    server.end()
    assert status == 0


GRAPH, INDEX, DATA, WARM_UP = (
    "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001", "assets.extra/tf_serving_warmup_requests",
)  # fmt: skip
BROKEN = {f"{name} cut to {share:.0%}": cut(name, share) for name in (GRAPH, INDEX, DATA) for share in (0, 0.01, 0.5, 0.99)}
BROKEN |= {f"{name} garbled": garble(name) for name in (GRAPH, INDEX, DATA)}
BROKEN |= {f"{WARM_UP} cut to {share:.0%}": cut(WARM_UP, share) for share in (0.3, 0.5, 0.99)}
BROKEN |= {f"{WARM_UP} garbled": garble(WARM_UP)}
BROKEN |= {f"{name} is a folder": into_folder(name) for name in (GRAPH, WARM_UP)}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_version_ends_with_an_error_and_nobody_else_notices(host: Host, change: Callable[[Path], None]) -> None:
    code = host.fails(change)

    assert code not in {"OK", "UNKNOWN"}
    assert host.is_right()


def test_after_all_that_a_whole_version_is_served(host: Host, wait_until: Wait) -> None:
    put(host.root / "source" / "1", host.root / "m", 500, lambda _: None)

    wait_until(lambda: errors(host.server, "m").get(500) == ("AVAILABLE", 0))


def test_killed_while_it_loads_it_serves_when_it_is_back(
    start: Start, publish: Publish, tmp_path: Path, wait_until: Wait, records: Callable[..., bytes]
) -> None:
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["begun"].CopyFrom(tf.make_tensor_proto(str(begun)))
    log.predict_log.request.inputs["held_by"].CopyFrom(tf.make_tensor_proto(str(pipe)))
    # Loaded from the newest to the oldest: of the one in the middle the warm-up is held.
    for version in (1, 3):
        publish("conv", tmp_path / "m", version)
    publish("held", tmp_path / "m", 2, warm_up=records(log))
    (tmp_path / "models.config").write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path / "m"}" model_platform: "tensorflow" '
        "model_version_policy { all {} } } }",
        encoding="utf-8",
    )
    flags = (f"--model_config_file={tmp_path / 'models.config'}", POLL)
    killed = start(*flags)
    wait_until(begun.exists)
    states = killed.states("m")

    killed.process.kill()
    publish("half_plus_two", tmp_path / "m", 4)
    threading.Thread(target=pipe.read_bytes, daemon=True).start()
    restarted = start(*flags, available=tuple(("m", version) for version in range(1, 5)))

    assert states == {3: "AVAILABLE", 2: "LOADING", 1: "START"}
    assert killed.process.poll() == -signal.SIGKILL
    assert list(restarted.predict("m", x=np.array([2], np.float32)).outputs["y"].float_val) == [3.0]


def test_killed_while_it_answers_and_reloads_it_serves_when_it_is_back(
    start: Start, publish: Publish, tmp_path: Path, wait_until: Wait, keep_port: Callable[[int], None]
) -> None:
    publish("held", tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", POLL)
    killed = start(*flags, available=(("m", 1),))
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    answering = killed.prediction.Predict.future(killed.request("m", begun=str(begun), held_by=str(pipe)), timeout=250)
    reloading = killed.models.HandleReloadConfigRequest.future(listing(tmp_path, "m", "late"), timeout=250)
    wait_until(lambda: begun.exists() and "configuration taken" in killed.log())
    were_done = (answering.done(), reloading.done())

    killed.process.kill()
    keep_port(killed.process.port)
    codes = (answering.code(), reloading.code())
    restarted = start(*flags, port=killed.process.port, available=(("m", 1),))
    threading.Thread(target=pipe.read_bytes, daemon=True).start()

    assert were_done == (False, False)
    assert codes == (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
    assert restarted.predict("m", begun=str(begun), held_by=str(pipe)).outputs["done"].bool_val[0] is True
    # What a reload put into effect was the killed process's own: the restarted one has what its flags say.
    assert restarted.states("late") == {}


def test_a_base_path_that_vanishes_and_returns_fails_no_call(host: Host, publish: Publish, floats: Floats, wait_until: Wait) -> None:
    host.server.models.HandleReloadConfigRequest(listing(host.root, "good", "m"), timeout=30)
    versions = [host.server.predict("good", x=floats(2)).model_spec.version.value]

    (host.root / "good").rename(host.root / "away")
    publish("half_plus_two", host.root / "m", 1000)
    wait_until(lambda: host.server.states("m").get(1000) == "AVAILABLE")
    versions.append(host.server.predict("good", x=floats(2)).model_spec.version.value)
    publish("half_plus_two", host.root / "away", 2)
    (host.root / "away").rename(host.root / "good")
    wait_until(lambda: host.server.states("good") == {2: "AVAILABLE", 1: "END"})
    versions.append(host.server.predict("good", x=floats(2)).model_spec.version.value)

    assert versions == [1, 1, 2]
    assert host.server.states("m")[1000] == "AVAILABLE"


def test_a_full_disk_for_its_log_stops_no_answer(
    start: Start, publish: Publish, tmp_path: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that may not grow any more is as a full disk is: a line can't be written. It is full before the server's own first one."""
    publish("half_plus_two", tmp_path / "m", 1)
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\nulimit -f 1\nexec {sys.executable} "$@"\n', encoding="utf-8")
    limited.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(limited))

    server = start("--model_name=m", f"--model_base_path={tmp_path / 'm'}", POLL, available=(("m", 1),))
    publish("half_plus_two", tmp_path / "m", 2)
    wait_until(lambda: server.states("m") == {2: "AVAILABLE", 1: "END"})
    reply = server.predict("m", x=np.array([2], np.float32))

    assert list(reply.outputs["y"].float_val) == [3.0]
    assert server.process.stop() == 0
    assert "loading" not in server.log()
