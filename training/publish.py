"""Puts a version into the model repository, `<root>/<model>/<version>/`, by one rename.

A version is written into a folder beside its place, flushed to the disk, and renamed: at no moment, whatever is killed, does a reader meet half of
one. One publisher a model holds the lock from its first byte to the rename, so two never take the same number, and a staging folder that is
found under the lock belongs to a publisher that died. Numbers only grow, also after the newest version was removed.

The layout, the lock and `retire` are `medserve.repository`'s: `medserve repository` works on the same folders without a trainer.
"""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from medserve.repository import STAGING, InUse, flush, is_number, last_number, locked, opened_lock, retire, versions, write_last_number
from medserve.repository_digests import write_digests

__all__ = ["InUse", "prepare", "publish", "retire", "versions"]


def prepare(root: Path, model: str) -> Path:
    """Makes the model's folder and returns it. Raises OSError where nothing could be published there: ask before you train."""
    folder = root / model
    folder.mkdir(parents=True, exist_ok=True)
    flush(root)
    with opened_lock(folder):
        return folder


def publish(root: Path, model: str, write: Callable[[Path, int], None]) -> int:
    """Publishes a version and returns its number. `write` is given an empty folder and the number, and writes the version there.

    The digests of what it wrote are added (`medserve.repository_digests`).

    What `write` raises is how a version is refused (`training.gates.require`). Whatever is raised, nothing is published.

    Raises what `write` raises; OSError where the disk refuses; `medserve.repository.RepositoryError` where the count of numbers is damaged.
    """
    folder = prepare(root, model)
    with locked(folder):
        staging = folder / STAGING
        if staging.exists():
            shutil.rmtree(staging)
        try:
            staging.mkdir()
            version = _next_version(folder)
            write(staging, version)
            write_digests(staging)
            _flush_tree(staging)
            # The number is spent before it is used, and on the disk before a reader can see it: after a crash in between it is left out,
            # which harms nobody; used twice it would be another model under a name that readers know.
            write_last_number(folder, version)
            _show(staging, folder / str(version))
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return version


def _show(staging: Path, place: Path) -> None:
    """Renames, and takes it back where the disk won't confirm: what might be gone after a power cut wasn't published."""
    try:
        staging.rename(place)
        flush(place.parent)
    except BaseException:
        # Only what this publisher moved: where the rename failed, something else stands at the place.
        if not staging.exists():
            place.rename(staging)
        raise


def _next_version(folder: Path) -> int:
    # Whatever bears a number is in its way, a folder or not.
    return max([last_number(folder), *(int(path.name) for path in folder.iterdir() if is_number(path.name))]) + 1


def _flush_tree(root: Path) -> None:
    """Files first, then the folders that name them. None but their owner may change them from now on, whatever the umask was."""

    def fail(error: OSError) -> None:
        # `os.walk` would leave out a folder that it can't read.
        raise error

    for folder, _, files in os.walk(root, topdown=False, onerror=fail):
        for name in files:
            _close_and_flush(Path(folder, name))
        _close_and_flush(Path(folder))


def _close_and_flush(path: Path) -> None:
    path.chmod(path.stat().st_mode & ~(stat.S_IWGRP | stat.S_IWOTH))
    flush(path)
