"""`--model_config_file`, read again while the server runs: models are added, removed and changed without a restart."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog
from tensorflow_serving.config import model_server_config_pb2

from modelserver.config import ConfigError, read_model_server_config
from modelserver.errors import ServingError

_log = structlog.get_logger("modelserver.config_watch")


class ConfigWatch:
    """Looks at the file every so often, and hands on what it says whenever its contents have changed.

    A file that can't be used changes nothing. It is tried again at every look, for a label may wait for a version, and its fault is logged once.
    """

    def __init__(self, file: Path, *, poll_seconds: float, apply: Callable[[model_server_config_pb2.ModelServerConfig], None]) -> None:
        """Takes the file, how often to look, and what takes the models, or raises ServingError."""
        self._file = file
        self._poll_seconds = poll_seconds
        self._apply = apply
        self._applied: bytes | None = None
        self._fault: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config watch", daemon=True)

    def start(self) -> None:
        """Begins to look. The first look hands on what is there, for it may have changed since the start."""
        self._thread.start()

    def stop(self) -> None:
        """Ends looking."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Looks once."""
        try:
            seen = self._file.read_bytes()
            if seen == self._applied:
                return
            self._apply(read_model_server_config(self._file))
        except (OSError, ConfigError, ServingError) as error:
            if str(error) != self._fault:
                _log.error("configuration can't be used: everything stays as it is", file=str(self._file), why=str(error))
            self._fault = str(error)
        else:
            self._applied, self._fault = seen, None

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.look()
