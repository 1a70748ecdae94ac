"""The real process, over a real socket, with TensorFlow Serving's own stubs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

Start = Callable[..., Any]
Publish = Callable[..., Path]
Wait = Callable[..., None]

ROOT = Path(__file__).parents[2]


def write_list(file: Path, root: Path, *names: str) -> None:
    entries = "".join(f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}\n' for name in names)
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text("model_config_list {\n" + entries + "}\n", encoding="utf-8")
    unfinished.rename(file)


def health(server: Any) -> int:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    return stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status


def test_it_answers_on_the_port_that_it_says(shared: Any, floats: Callable[..., Any], wait_until: Wait) -> None:
    reply = shared.predict("half_plus_two", x=floats(2, 4))

    assert shared.process.port > 0
    assert list(reply.outputs["y"].float_val) == [3.0, 4.0]
    wait_until(lambda: health(shared) == health_pb2.HealthCheckResponse.SERVING)


def test_its_own_lines_are_json(start: Start, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    """What TensorFlow's libraries write while they are loaded can't be kept from the standard error; its Python half's warnings can."""
    publish("half_plus_two", tmp_path / "m", 1)

    server = start("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    wait_until(lambda: '"available"' in server.log())
    server.process.stop()

    ours = [line for line in server.log().splitlines() if not re.match(r"[IWE]\d{4} |WARNING: All log messages before", line)]
    assert [json.loads(line)["event"] for line in ours] == ["loading", "available", "stopping", "stopped"]


def test_a_new_version_takes_over_without_a_failed_request(
    start: Start, publish: Publish, tmp_path: Path, floats: Callable[..., Any], wait_until: Wait
) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    server = start("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--file_system_poll_wait_seconds=0.05", available=(("m", 1),))
    outcomes: Counter[str] = Counter()
    done = threading.Event()

    def callers() -> None:
        while not done.is_set():
            try:
                outcomes[f"version {server.predict('m', x=floats(2)).model_spec.version.value}"] += 1
            except grpc.RpcError as error:
                outcomes[str(error)] += 1

    threads = [threading.Thread(target=callers) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: outcomes["version 1"] > 0)
    publish("half_plus_two", tmp_path / "m", 2)
    wait_until(lambda: server.states("m") == {2: "AVAILABLE", 1: "END"})
    wait_until(lambda: outcomes["version 2"] > 0)
    done.set()
    for thread in threads:
        thread.join()

    assert set(outcomes) == {"version 1", "version 2"}


def test_a_model_is_added_and_removed_by_its_list(
    start: Start, publish: Publish, tmp_path: Path, floats: Callable[..., Any], wait_until: Wait
) -> None:
    for name in ("first", "second"):
        publish("half_plus_two", tmp_path / name, 1)
    file = tmp_path / "models.config"
    write_list(file, tmp_path, "first")
    server = start(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=0.05", available=(("first", 1),))

    write_list(file, tmp_path, "first", "second")
    wait_until(lambda: server.states("second") == {1: "AVAILABLE"})
    file.write_text("model_config_list {", encoding="utf-8")
    wait_until(lambda: "configuration can't be used" in server.log())
    still = server.predict("second", x=floats(2)).outputs["y"].float_val[0]
    write_list(file, tmp_path, "second")
    wait_until(lambda: server.states("first") == {1: "END"})

    assert still == 3.0
    assert list(server.predict("second", x=floats(2)).outputs["y"].float_val) == [3.0]


def test_it_gathers_requests_by_the_shipped_parameters(shared: Any, floats: Callable[..., Any]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        shared.predict("half_plus_two", x=np.zeros(65, np.float32))

    assert caught.value.details() == "Task size 65 is larger than maximum input batch size 64"
    assert list(shared.predict("half_plus_two", x=floats(2)).outputs["y"].float_val) == [3.0]


def test_its_metrics_count_the_calls(shared: Any) -> None:
    port = next(line["port"] for line in map(json.loads, re.findall(r"^\{.*\}$", shared.log(), re.MULTILINE)) if line["event"] == "rest")

    def counted() -> dict[tuple[str, str], float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/monitoring/prometheus/metrics", timeout=20) as reply:
            scraped = reply.read().decode()
        found = re.findall(r'^:tensorflow:serving:request_count\{model_name="(.*)",status="(.*)"\} (.*)$', scraped, re.MULTILINE)
        return {(model, status): float(number) for model, status, number in found}

    before = counted()
    shared.predict("several", signature="double", x=np.float32(2))
    for name in ("several", "made-up"):
        with pytest.raises(grpc.RpcError):
            shared.predict(name, x=np.zeros(1))

    after = counted()
    grown = {key: number - before.get(key, 0) for key, number in after.items() if number != before.get(key, 0)}
    assert grown == {("", "NOT_FOUND"): 1, ("several", "INVALID_ARGUMENT"): 1, ("several", "OK"): 1}


def test_sigterm_answers_what_it_has_taken_on_and_exits_with_0(start: Start, publish: Publish, tmp_path: Path, wait_until: Wait) -> None:
    publish("held", tmp_path / "m", 1)
    # Four calls for two threads: two of them wait for a thread when the signal comes.
    server = start("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--grpc_max_threads=2", available=(("m", 1),))
    pipes = [tmp_path / f"pipe{number}" for number in range(4)]
    calls = []
    for pipe in pipes:
        os.mkfifo(pipe)
        request = server.request("m", begun=str(pipe.with_suffix(".begun")), held_by=str(pipe))
        calls.append(server.prediction.Predict.future(request, timeout=250))
    wait_until(lambda: len(list(tmp_path.glob("*.begun"))) == 2)
    # One more on the same connection, refused at once, shows that the four before it have arrived.
    idle = server.channel.unary_unary("/tensorflow.serving.PredictionService/Nope")
    with pytest.raises(grpc.RpcError):
        idle(b"", timeout=20)

    os.kill(server.process.pid, signal.SIGTERM)
    wait_until(lambda: '"stopping"' in server.log())
    were_done = [call.done() for call in calls]
    for pipe in pipes:
        threading.Thread(target=pipe.read_bytes, daemon=True).start()
    status = server.process.stop()

    assert were_done == [False] * 4
    assert [call.result().outputs["done"].bool_val[0] for call in calls] == [True] * 4
    assert status == 0


def test_callers_at_work_when_it_stops_are_told_to_go_elsewhere(
    start: Start, publish: Publish, tmp_path: Path, floats: Callable[..., Any], wait_until: Wait
) -> None:
    """gRPC by itself cancels what has arrived and waits to be taken on: of thirty callers, ten. Who is late finds nobody: UNAVAILABLE, too."""
    publish("half_plus_two", tmp_path / "m", 1)
    server = start("--model_name=m", f"--model_base_path={tmp_path / 'm'}", available=(("m", 1),))
    request = server.request("m", x=floats(2))
    outcomes: Counter[str] = Counter()

    def call_until_it_fails() -> None:
        try:
            while True:
                server.prediction.Predict(request, timeout=20)
                outcomes["answered"] += 1
        except grpc.RpcError as error:
            failed: Any = error
            outcomes[failed.code().name] += 1

    threads = [threading.Thread(target=call_until_it_fails) for _ in range(16)]
    for thread in threads:
        thread.start()
    wait_until(lambda: outcomes["answered"] > 200)
    status = server.process.stop()
    for thread in threads:
        thread.join()

    assert status == 0
    assert outcomes.keys() == {"answered", "UNAVAILABLE"}
    assert outcomes["UNAVAILABLE"] == len(threads)


def test_after_a_crash_it_serves_again_on_its_port(
    start: Start, publish: Publish, tmp_path: Path, floats: Callable[..., Any], keep_port: Callable[[int], None]
) -> None:
    publish("half_plus_two", tmp_path / "m", 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}")
    killed = start(*flags, available=(("m", 1),))

    killed.process.kill()
    keep_port(killed.process.port)
    restarted = start(*flags, port=killed.process.port, available=(("m", 1),))

    assert killed.process.poll() == -signal.SIGKILL
    # The client that was there before needs nothing new.
    request = killed.request("m", x=floats(2))
    assert killed.prediction.Predict(request, timeout=30, wait_for_ready=True).outputs["y"].float_val[0] == 3.0
    assert restarted.process.port == killed.process.port


def test_a_port_that_is_taken_ends_the_start_with_2_and_the_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        command = [sys.executable, "-m", "modelserver", f"--model_base_path={tmp_path}", f"--port={port}"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)

    assert ended.returncode == 2
    assert f"modelserver: --port: can't listen on 127.0.0.1:{port}: another process may hold it" in ended.stderr
    assert "Traceback" not in ended.stderr
