"""A fit's state on the disk: files that are whole from the moment that they have their name.

Keras's own aren't enough to go on from bit for bit. `BackupAndRestore` overwrites its weights where they lie and writes the epoch to a second file
after them; it goes on at the start of an epoch only, and keeps neither what early stopping has counted nor the order of the items.

One process at a time works in a folder.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medserve.repository import flush

_KEPT = 2
_NEW = ".checkpoint.new"
_DAMAGED = ".damaged"
_STATE = "state"


class NotThisFit(ValueError):
    """A checkpoint that another fit left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A fit between two steps.

    Attributes:
        identity: a digest of each thing that the fit is of; a fit that differs in any can't go on from here.
        epoch, step: where it stands: how many epochs are done, and how many steps of the next one.
        state: what else is to be known, as JSON. Python's JSON keeps every bit of a float.
        arrays: variables by name, of numpy's own dtypes.
    """

    identity: Mapping[str, str]
    epoch: int
    step: int
    state: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)


def write(folder: Path, snapshot: Snapshot) -> None:
    """Adds a checkpoint by a rename, after every byte of it is on the disk; the one before is kept as well. Raises OSError.

    The name ends in the content's digest, by which a reader knows that the file is what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {"identity": dict(snapshot.identity), "epoch": snapshot.epoch, "step": snapshot.step, "state": dict(snapshot.state)}
    named: dict[str, Any] = {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8), **snapshot.arrays}
    new = folder / _NEW
    try:
        with new.open("wb") as file:
            np.savez(file, **named)
            file.flush()
            os.fsync(file.fileno())
        new.rename(folder / f"checkpoint-{snapshot.epoch:06d}-{snapshot.step:09d}-{_digest(new)}.npz")
    except OSError:
        # A disk that is full isn't kept full by half a file.
        new.unlink(missing_ok=True)
        raise
    flush(folder)
    for old in _files(folder)[_KEPT:]:
        old.unlink(missing_ok=True)


def newest(folder: Path, *, identity: Mapping[str, str], say: Callable[[str], None]) -> Snapshot | None:
    """The folder's newest checkpoint that is whole; None where there is none.

    A damaged one is set aside under another name, and `say` is told. Raises NotThisFit where it is of another fit, and OSError where a file can't be
    opened or moved.
    """
    for path in _files(folder):
        snapshot = _read(path)
        if snapshot is None:
            aside = path.with_name(path.name + _DAMAGED)
            path.rename(aside)
            say(f"checkpoint damaged: {path} isn't as it was written; set aside as {aside.name}, going on from what came before it")
            continue
        differing = [part for part in identity if snapshot.identity.get(part) != identity[part]]
        if differing:
            message = f"{path} is of another fit, which differs in {' and '.join(differing)}; give another folder, or remove this one"
            raise NotThisFit(message)
        return snapshot
    return None


def clear(folder: Path) -> None:
    """Removes the folder's checkpoints, damaged and half-written ones too, and nothing else that lies there. Raises OSError."""
    for path in (*_files(folder), *folder.glob(f"checkpoint-*.npz{_DAMAGED}"), folder / _NEW):
        path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """The newest first."""
    return sorted(folder.glob("checkpoint-*.npz"), reverse=True)


def _read(path: Path) -> Snapshot | None:
    """None where the file isn't what was written. Raises OSError where it can't be opened."""
    if _digest(path) != path.stem.rpartition("-")[2]:
        return None
    with np.load(path, allow_pickle=False) as arrays:
        state = json.loads(arrays[_STATE].tobytes())
        return Snapshot(**state, arrays={name: arrays[name] for name in arrays.files if name != _STATE})


def _digest(path: Path) -> str | None:
    """None where the disk can't give what it holds."""
    with path.open("rb") as file:
        try:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            if error.errno == errno.EIO:
                return None
            raise
