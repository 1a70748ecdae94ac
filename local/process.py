"""One child process: started, awaited until it says that it is ready, and ended cleanly."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

# The model server imports TensorFlow, which takes a slow machine this long.
START_SECONDS = 120.0
# Longer than each server's own drain, so that it is never cut off in it.
STOP_SECONDS = 40.0
_LAST_LINES = 5


class StartError(RuntimeError):
    """A process ended, or said nothing, before it was ready; the message has its last words."""


class Process:
    """A Python module of this environment, run as a process of its own session: a Ctrl-C reaches it only through whoever started it."""

    def __init__(self, module: str, arguments: Sequence[str], *, folder: Path, log_file: Path, ready: re.Pattern[str]) -> None:
        """Starts `python -m module` in `folder` and waits for a line on its standard output that `ready` matches; its group 1 is the port.

        What it says otherwise is appended to `log_file`. Raises StartError.
        """
        self.module = module
        self.log_file = log_file
        log_file.parent.mkdir(parents=True, exist_ok=True)
        began_at = log_file.stat().st_size if log_file.exists() else 0
        with log_file.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", module, *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._ready = ready
        self._said: Future[int | None] = Future()
        self._reader = threading.Thread(target=self._read, name=f"{module} output", daemon=True)
        self._reader.start()
        try:
            port = self._said.result(START_SECONDS)
        except TimeoutError:
            port = None
        except BaseException:
            self.kill()
            raise
        if port is None:
            self.kill()
            message = f"{module} didn't start. Its last words:\n{_tail(log_file, began_at)}"
            raise StartError(message)
        self.port = port

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._popen.pid

    def poll(self) -> int | None:
        """Its exit status; None while it runs. A negative one is the signal that ended it."""
        return self._popen.poll()

    def stop(self) -> int:
        """Asks it to end what it has taken on, and returns its exit status. Kills it where that takes longer than a drain may."""
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
        return self._close()

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        self._popen.kill()
        self._close()

    def _close(self) -> int:
        status = self._popen.wait()
        self._reader.join()
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        return status

    def _read(self) -> None:
        output = self._popen.stdout
        if output is None:
            return
        for line in output:
            match = self._ready.search(line.decode(errors="replace"))
            if match and not self._said.done():
                self._said.set_result(int(match[1]))
        if not self._said.done():
            self._said.set_result(None)


def _tail(file: Path, offset: int) -> str:
    """The last lines that were written after `offset`."""
    with file.open("rb") as log:
        log.seek(offset)
        lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:]) or "  (none)"
