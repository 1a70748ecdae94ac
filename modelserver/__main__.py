"""`python -m modelserver`: runs the embedded model server until it is told to stop."""

import logging
import os
import sys

# TensorFlow's notes on its build are of no use here; its errors are. The lines that its libraries write while they are being loaded come before
# this is read, and stay: hiding them would take the standard error away from everything else that has something to say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# TensorFlow imports Keras with itself, and Keras imports pandas, scikit-learn and matplotlib where they are: half of the start and 170 MiB, of which
# nothing is called here. A module that is None can't be imported, and TensorFlow does without a Keras that can't be.
sys.modules["keras"] = None  # type: ignore[assignment]

import tensorflow as tf

from modelserver import logs
from modelserver.config import ConfigError
from modelserver.flags import parse
from modelserver.server import serve


def main() -> int:
    """Runs the command; returns the process's exit status: 0 after a clean stop, 2 for a configuration that can't be used."""
    logs.configure()
    # Its Python half warns of functions that it deprecates in favour of eager ones: a session is what this server is made of.
    tf.get_logger().setLevel(logging.ERROR)
    try:
        serve(parse())
    except ConfigError as error:
        print(f"modelserver: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
