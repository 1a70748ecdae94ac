"""`python -m modelserver`: runs the embedded model server until it is told to stop."""

import os
import sys

# TensorFlow's notes on its build are of no use here; its errors are.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import structlog

from modelserver.config import ConfigError
from modelserver.flags import parse
from modelserver.server import serve


def main() -> int:
    """Runs the command; returns the process's exit status: 0 after a clean stop, 2 for a configuration that can't be used."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        serve(parse())
    except ConfigError as error:
        print(f"modelserver: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
