"""Puts a version into the model repository, `<root>/<model>/<version>/`, by one rename.

A version is written into a folder beside its place, flushed to the disk, and renamed: at no moment, whatever is killed, does a reader meet half of
one. One publisher a model holds the lock from its first byte to the rename, so two never take the same number, and a staging folder that is
found under the lock belongs to a publisher that died. Numbers only grow, also after the newest version was removed.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = ".publish.lock"
_LAST = ".last_version"
_STAGING = ".staging"


def prepare(root: Path, model: str) -> Path:
    """Makes the model's folder and returns it. Raises OSError where nothing could be published there: ask before you train."""
    folder = root / model
    folder.mkdir(parents=True, exist_ok=True)
    _flush(root)
    with _opened_lock(folder):
        return folder


def publish(root: Path, model: str, write: Callable[[Path, int], None]) -> int:
    """Publishes a version and returns its number. `write` is given an empty folder and the number, and writes the version there.

    Raises what `write` raises, and then nothing is published.
    """
    folder = prepare(root, model)
    with _locked(folder):
        staging = folder / _STAGING
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir()
        try:
            version = _next_version(folder)
            write(staging, version)
            _flush_tree(staging)
            # The number is spent before it is used: after a crash in between it is left out, which harms nobody.
            _write_flushed(folder / _LAST, str(version))
            staging.rename(folder / str(version))
            _flush(folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return version


def versions(root: Path, model: str) -> list[int]:
    """The versions that are published, oldest first."""
    folder = root / model
    return sorted(int(path.name) for path in folder.iterdir() if _is_number(path.name) and path.is_dir()) if folder.is_dir() else []


def _is_number(name: str) -> bool:
    """As readers tell a version from other names: digits, and none but those of ASCII."""
    return name.isascii() and name.isdecimal()


def _next_version(folder: Path) -> int:
    last = folder / _LAST
    spent = int(last.read_text()) if last.exists() else 0
    # Whatever bears a number is in its way, a folder or not.
    return max([spent, *(int(path.name) for path in folder.iterdir() if _is_number(path.name))]) + 1


def _write_flushed(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _flush_tree(root: Path) -> None:
    """Files first, then the folders that name them."""
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            _flush(Path(folder, name))
        _flush(Path(folder))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _opened_lock(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The kernel lets go of the lock when its holder dies."""
    with _opened_lock(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
