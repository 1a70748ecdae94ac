"""Keeps the notes that TensorFlow's C++ writes on its build and on the machine away from who trains. Its errors come through.

TF_CPP_MIN_LOG_LEVEL can't do it: what a library logs while it is loaded comes before absl's log is initialised, and such lines go to the
standard error whatever the level is (tensorflow/tensorflow#100442). So the standard error goes through a process that leaves those lines
out. It is a process, not a thread, so that the last words of a TensorFlow that aborts are passed on as well.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NOTES = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$"
    # absl's prefix: severity, month and day, time, thread, file and line.
    rb"|[IW]\d{4} \S+ +\d+ \S+\.cc:\d+\] "
    # 303 is CUDA's word for `there is no driver here`; the job says itself which device it uses.
    rb"|E\d{4} \S+ +\d+ cuda_platform\.cc:\d+\] failed call to cuInit: .*\(303\)$"
    # A network, the same calibrated and its part before the head are each asked: a graph each, and none of them traced again.
    rb"|WARNING:tensorflow:\d+ out of the last \d+ calls to .* triggered tf\.function retracing\."
)


def is_note(line: bytes) -> bool:
    """Whether a line of the standard error is one of TensorFlow's C++ that no one needs to read."""
    return _NOTES.match(line) is not None


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, what this process writes to its standard error, C++ included, comes out without the notes."""
    sys.stderr.flush()
    plain = os.dup(2)
    # A session of its own: a Ctrl-C must not end it before it has passed everything on.
    with subprocess.Popen([sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, stdout=plain, start_new_session=True) as sieve:  # noqa: S603 - this file
        if sieve.stdin is None:  # pragma: no cover - it was asked for
            raise RuntimeError
        os.dup2(sieve.stdin.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(plain, 2)
            os.close(plain)


if __name__ == "__main__":
    for line in iter(sys.stdin.buffer.readline, b""):
        if not is_note(line):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
