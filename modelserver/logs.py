"""What the process says of itself: JSON, a line an event, on standard error."""

import os
from contextlib import suppress

import structlog

_STANDARD_ERROR = 2


def configure() -> None:
    """Sets the log up."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without the locals of its frames: they hold what callers sent.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=_Lines,
    )


class _Lines:
    """Writes lines. What can't be written is lost, and nothing else: a full disk stops no load and no answer."""

    def __init__(self, *_: object) -> None:
        """Takes nothing of what structlog offers."""

    def msg(self, line: str) -> None:
        """Writes a line."""
        with suppress(OSError):
            os.write(_STANDARD_ERROR, f"{line}\n".encode(errors="backslashreplace"))

    debug = info = warning = error = critical = exception = log = fatal = msg
