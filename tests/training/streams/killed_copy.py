"""A process that is killed by SIGKILL while it copies a set: python killed_copy.py FOLDER WHERE.

The set is FOLDER/set.csv; its copy, FOLDER/cache. A test starts this."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from training.streams import cache
from training.streams.columns import Part
from training.streams.csv_files import CsvFiles


def killing(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    folder, where = Path(sys.argv[1]), sys.argv[2]
    source = CsvFiles(root=folder / "set.csv", parts=(Part(name="x", columns=("a", "b")),), shard_bytes=100)
    if where == "survey":
        cache.flush = killing  # type: ignore[attr-defined] # the items are written, and not yet flushed
    elif where == "rename":
        Path.rename = killing  # type: ignore[method-assign]
    else:
        cache._batch = killing  # the file is begun, and nothing is in it
    cache.cached(source, folder / "cache")
