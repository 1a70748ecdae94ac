"""A publisher that a test can kill: `publisher.py <repository> <step>` ends itself by SIGKILL just before its <step>-th step on the disk.

A step is a call of C's that touches the disk, whoever makes it. Python's profiling hook tells of each before it is made. The number that
was published is printed.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from training.publish import publish

# Enough for several blocks of the disk.
BODY = 20_000
STEPS = {"open", "write", "flush", "fsync", "close", "__exit__", "mkdir", "rename", "replace", "unlink", "rmdir", "scandir", "listdir", "flock"}


def main() -> None:
    root, fatal = Path(sys.argv[1]), int(sys.argv[2])
    steps = 0

    def hook(_: FrameType, event: str, called: Any) -> None:
        nonlocal steps
        if event == "c_call" and called.__name__ in STEPS:
            steps += 1
            if steps == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    def write(folder: Path, version: int) -> None:
        (folder / "variables").mkdir()
        for name in ("saved_model.pb", "variables/data", "manifest"):
            with (folder / name).open("w") as file:
                for _ in range(2):
                    file.write(f"{version}\n" * (BODY // 2))
                    file.flush()

    sys.setprofile(hook)
    version = publish(root, "model", write)
    sys.setprofile(None)
    print(version, flush=True)


if __name__ == "__main__":
    main()
