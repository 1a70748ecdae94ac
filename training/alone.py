"""One process at a time works in a folder; a second one is told so at once, instead of waiting for hours."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AtWork(OSError):
    """Another process works there."""


@contextmanager
def alone(lock: Path, *, who: str) -> Iterator[None]:
    """Holds the file `lock`, which is made where there is none and stays; the kernel lets go of it when its holder ends, however it ends.

    Raises AtWork, whose words begin with `who`, where another process holds it; OSError where it can't be opened.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AtWork(errno.EAGAIN, f"{who} is at work here", str(lock.parent)) from None
        yield
    finally:
        os.close(descriptor)
