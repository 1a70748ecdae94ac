"""Publishers that a test can hurt: a batch of lines `<repository> <kill or fail> <step>`, and an empty line that ends it, forks one for each line.

Just before its <step>-th step on the disk a publisher ends itself by SIGKILL, or finds the disk full; by step 0 all goes well. A step is a call of
C's that touches the disk, whoever makes it. Python's profiling hook tells of each before it is made. Printed is a word for each line: the number
that was published (with a `!` where the fault came and did no harm), `killed`, or `failed`. To fork takes a millisecond, to start a Python for each
a third of a second.
"""

import errno
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from training.publish import publish

# Enough for several blocks of the disk.
BODY = 20_000
STEPS = {
    "chmod",
    "open",
    "write",
    "flush",
    "fsync",
    "close",
    "__exit__",
    "mkdir",
    "rename",
    "replace",
    "unlink",
    "rmdir",
    "scandir",
    "listdir",
    "flock",
}


def write(folder: Path, version: int) -> None:
    """A version of three files."""
    (folder / "variables").mkdir()
    for name in ("saved_model.pb", "variables/data", "manifest"):
        with (folder / name).open("w") as file:
            for _ in range(2):
                file.write(f"{version}\n" * (BODY // 2))
                file.flush()


def _publisher(root: Path, how: str, fatal: int, said: int) -> None:
    steps = 0

    def hook(_: FrameType, event: str, called: Any) -> None:
        nonlocal steps
        if event == "c_call" and called.__name__ in STEPS:
            steps += 1
            if steps == fatal and how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif steps == fatal:
                # Python takes the hook away when it raises: the disk is full this once.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sys.setprofile(hook)
    try:
        version = publish(root, "model", write)
        answer = f"{version}!" if 0 < fatal <= steps else f"{version}"
    except OSError as error:
        answer = "failed" if error.errno == errno.ENOSPC else f"{error}"
    sys.setprofile(None)
    os.write(said, answer.encode())


def main() -> None:
    """The publishers of a batch run beside each other."""
    running: list[tuple[int, int]] = []
    for line in sys.stdin:
        if line.strip():
            root, how, fatal = line.rsplit(maxsplit=2)
            out, into = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    _publisher(Path(root), how, int(fatal), into)
                finally:
                    os._exit(0)
            os.close(into)
            running.append((child, out))
            continue
        answers = []
        for child, out in running:
            with os.fdopen(out, "rb") as pipe:
                answer = pipe.read().decode()
            _, status = os.waitpid(child, 0)
            answers.append(answer or ("killed" if os.WIFSIGNALED(status) else "ended"))
        running.clear()
        print(*answers, flush=True)


if __name__ == "__main__":
    main()
