"""Runs a module as its parent's child, which ends when the parent ends, however that ends: `python -m training.leashed FOLDER MODULE ARGUMENT…`.

The child's standard input is a pipe that nobody but the parent holds the other end of, so the kernel closes it when the parent has died, of SIGKILL
too. Then FOLDER, which the parent can't remove any more, is removed, and the module is asked to end by SIGTERM.

Nothing runs between fork and exec, which isn't safe in a process with threads; and unlike Linux's PR_SET_PDEATHSIG it doesn't depend on the
parent's thread, nor on Linux.
"""

import os
import runpy
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

# As long as the model server may take to end what it has begun.
_STOP_SECONDS = 40.0


def _end_with_parent(folder: Path) -> None:
    # Not by `sys.stdin`: a thread that waits within it is in the way of Python's end.
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_SECONDS)
    os._exit(1)


def main() -> None:
    """Becomes the module."""
    folder, module, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with_parent, args=(Path(folder),), daemon=True, name="parent").start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
