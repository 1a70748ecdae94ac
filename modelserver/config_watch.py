"""`--model_config_file`, read again while the server runs: models are added, removed and changed without a restart."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from modelserver.config import ConfigError, ModelConfig, read_models

_log = structlog.get_logger("modelserver.config_watch")


class ConfigWatch:
    """Looks at the file every so often, and hands on what it says whenever its contents have changed.

    A file that can't be used changes nothing, and is logged once, however long it stays so.
    """

    def __init__(self, file: Path, *, poll_seconds: float, apply: Callable[[tuple[ModelConfig, ...]], None]) -> None:
        """Takes the file, how often to look, and what takes the models."""
        self._file = file
        self._poll_seconds = poll_seconds
        self._apply = apply
        self._seen: bytes | str | None = None
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
            seen: bytes | str = self._file.read_bytes()
        except OSError as error:
            seen = str(error)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            models = read_models(self._file)
        except ConfigError as error:
            _log.error("configuration can't be used: everything stays as it is", why=str(error))
            return
        self._apply(models)

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.look()
