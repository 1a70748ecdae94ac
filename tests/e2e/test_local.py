"""`make run` and `make demo` as a newcomer meets them, and the `medserve` command against what they started."""

import contextlib
import json
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Caller

LOCAL = [sys.executable, "-m", "local"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which the demo has run once, from nothing."""
    folder = tmp_path_factory.mktemp("home")
    result = subprocess.run([*LOCAL, "demo"], cwd=folder, capture_output=True, text=True, timeout=250, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder / "first.txt").write_text(result.stdout)
    return folder


Serving = tuple[subprocess.Popen[str], list[list[str]]]


@pytest.fixture
def serving(home: Path) -> Iterator[Serving]:
    """`run` once it serves, and the commands that it says to try."""
    with subprocess.Popen([*LOCAL, "run", "--port=0"], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            commands = []
            for line in process.stdout or ():
                if "--key-file" in line:
                    commands.append(line.split())
                if " infer " in line:
                    break
            yield process, commands
        finally:
            process.kill()
            for server in servers_of(home):
                server.kill()


def answers(output: str) -> list[tuple[str, str]]:
    """What each line of the table says was answered, and what the image shows."""
    return re.findall(r"\.png +digit (\d) +[\d.]+% +(\d)", output)


def test_the_first_run_trains_publishes_serves_and_asks(home: Path) -> None:
    output = (home / "first.txt").read_text()

    assert "published version 1" in output
    assert sorted(shown for _, shown in answers(output)) == [str(digit) for digit in range(10)]
    assert sum(answer == shown for answer, shown in answers(output)) >= 8
    assert "DEMONSTRATION_ONLY" in output


def test_what_the_first_run_made_only_its_owner_may_read(home: Path) -> None:
    secret = [home / "var" / "keys" / "local.key", home / "var" / "keys" / "api_keys.json", home / "var" / "pki" / "ca-key.pem"]

    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_a_second_run_trains_nothing_and_leaves_no_process(home: Path) -> None:
    result = subprocess.run([*LOCAL, "demo"], cwd=home, capture_output=True, text=True, timeout=250, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "epoch" not in result.stdout
    assert answers(result.stdout) == answers((home / "first.txt").read_text())
    assert servers_of(home) == []


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGHUP], [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]])
def test_run_serves_until_it_is_told_to_stop_and_then_ends_everything(home: Path, serving: Serving, numbers: list[signal.Signals]) -> None:
    process, commands = serving

    tried = [subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=250, check=False) for command in commands]
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.05)  # apart: of two at once one would be lost
    rest, errors = process.communicate(timeout=250)

    assert [result.returncode for result in tried] == [0, 0], [result.stderr for result in tried]
    assert "digits" in tried[0].stdout
    assert "digit" in tried[1].stdout
    assert (process.returncode, errors) == (0, "")
    assert "stopping" in rest
    assert servers_of(home) == []


def test_a_server_that_ends_by_itself_ends_the_run_with_an_error(home: Path, serving: Serving) -> None:
    process, _ = serving

    (victim,) = [server for server in servers_of(home) if "modelserver" in server.cmdline()]
    victim.kill()
    _, errors = process.communicate(timeout=250)

    assert process.returncode == 1
    assert "modelserver has ended" in errors
    assert servers_of(home) == []


def test_a_port_that_is_taken_is_named(home: Path, caller: "Caller") -> None:
    assert caller.stack.gateway is not None
    command = [*LOCAL, "run", f"--port={caller.stack.gateway.port}"]

    result = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=250, check=False)

    assert result.returncode == 1
    assert "can't listen on 127.0.0.1" in result.stderr
    assert "Traceback" not in result.stderr
    assert servers_of(home) == []


def test_the_gateway_stays_small_and_holds_no_tensorflow(caller: "Caller") -> None:
    gateway = caller.stack.gateway
    assert gateway is not None

    resident_bytes = psutil.Process(gateway.pid).memory_info().rss
    mapped = Path(f"/proc/{gateway.pid}/maps").read_text()

    # With TensorFlow it would be half a gigabyte; what it keeps of calls before depends on the machine.
    assert resident_bytes < 200_000_000
    assert "tensorflow" not in mapped
    assert "grpc" in mapped, "or the look at the maps says nothing"


def test_the_command_prints_a_table_for_people_and_json_for_programs(caller: "Caller", home: Path) -> None:
    stack = caller.stack
    image = min((home / "var" / "samples" / "digits").iterdir())
    command = [
        sys.executable, "-m", "medserve", "infer", "digits", "--input", f"images={image}",
        "--target", stack.target, "--ca-file", str(stack.ca_file), "--key-file", str(caller.key_file),
    ]  # fmt: skip

    table = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    document = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=250, check=True)

    answer = json.loads(document.stdout)
    assert answer["servedBy"]["model"] == "digits"
    assert answer["findings"][0]["code"]["display"] in table.stdout


def servers_of(folder: Path) -> list[psutil.Process]:
    """The gateways and model servers that run in a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if {"gateway", "modelserver"} & set(process.cmdline()) and process.cwd() == str(folder):
                found.append(process)
    return found
