"""Logs as lines of JSON on standard error, with no patient data in them.

Our own events are words and typed values, chosen where they are logged. What other libraries log may quote the data that they met
(pydicom does), so of theirs only the logger's name, the level and the place in the code are written. Of an exception the type and the places
are written, never its text or the values of local variables.
"""

import logging
import sys
import traceback
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger


def configure(*, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sets logging up for the process, once. `stream` is standard error where it isn't given."""
    stream = stream if stream is not None else sys.stderr
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _named,
            _exception_without_values,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_Factory(stream),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Foreign()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class _Named(structlog.PrintLogger):
    """Knows the name that it was asked for."""

    def __init__(self, stream: TextIO, name: str) -> None:
        super().__init__(stream)
        self.name = name


class _Factory:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, *args: object) -> _Named:
        return _Named(self._stream, str(args[0]) if args else "")


def _named(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    event["logger"] = getattr(logger, "name", "")
    return event


def _exception_without_values(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """`exc_info` becomes the type and the frames of each exception in the chain."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    chain = []
    while isinstance(error, BaseException):
        frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
        chain.append({"type": type(error).__qualname__, "frames": frames})
        error = error.__cause__ or error.__context__
    if chain:
        event["exception"] = chain
    return event


class _Foreign(logging.Handler):
    """Notes that another library logged something, and not what."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).warning("another library logged", level_there=record.levelname, place=f"{record.module}:{record.lineno}")
