"""A server of ours in a process of its own, which says where it listens, and ends with this process, however that ends."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# The model server imports TensorFlow, and loads and warms up the version; a slow machine takes this long.
START_SECONDS = 180.0
LOOK_SECONDS = 0.02
_STOP_SECONDS = 40.0
_LAST_LINES = 5
# Settings of the gateways that are in use here, which a verdict isn't to depend on.
_SETTINGS = "MEDSERVE_GATEWAY__"


class NotServed(RuntimeError):
    """A server didn't start, didn't load the version, or didn't answer; the message has its words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """A server that runs.

    Attributes:
        who: for people: "the model server".
        process: the process.
        port: where it listens on this machine.
        log: what it says on its standard error.
    """

    who: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def last_words(self, what: str) -> str:
        """`what`, and what it said last."""
        return _last_words(what, self.who, self.log)


@contextmanager
def linked(folder: Path, model: str, version: int) -> Iterator[Path]:
    """A folder of its own, in which `models` is a repository of this one version; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="medserve-") as scratch:
        base = Path(scratch, "models", model)
        base.mkdir(parents=True)
        (base / str(version)).symlink_to(folder.resolve(), target_is_directory=True)
        yield Path(scratch)


@contextmanager
def child(module: str, *arguments: str, who: str, ready: re.Pattern[bytes], folder: Path) -> Iterator[Child]:
    """Runs `python -m module` in `folder`, from when it says that it is `ready`, whose group 1 is the port, until the context is left.

    The folder is removed where this process dies (`training.leashed`). Raises NotServed where the server doesn't start.
    """
    said, log = folder / f"{module}.stdout", folder / f"{module}.stderr"
    with said.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", "training.leashed", str(folder), module, *arguments],
            # A Ctrl-C reaches it through this process only, and so does its end: `leashed` tells how.
            cwd=folder, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)} | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    try:
        port = _port(process, said, ready)
        if port is None:
            raise NotServed(_last_words(f"{who} didn't start", who, log))
        yield Child(who=who, process=process, port=port, log=log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _port(process: subprocess.Popen[bytes], said: Path, ready: re.Pattern[bytes]) -> int | None:
    """The port that it says it listens on; None where it has ended, or says nothing in time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        match = ready.search(said.read_bytes())
        if match:
            return int(match[1])
        if ended:
            break
        time.sleep(LOOK_SECONDS)
    return None


def _last_words(what: str, who: str, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    return "\n".join([f"{what}. {who[0].upper()}{who[1:]}'s last words:", *(f"  {line}" for line in lines or ["(none)"])])
