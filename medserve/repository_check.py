"""Whether versions in a repository are whole: digests, manifests, golden predictions, leftovers, and who may change them."""

import os
import stat
import struct
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medserve import repository
from medserve.repository import EXTRA, GOLDEN, LAST, RETIRED, STAGING, RepositoryError
from medserve.repository_digests import DIGESTS, changed_files

# TFRecord: the length, a checksum of it, the record, a checksum of that (tensorflow/core/lib/io/record_writer.h).
_HEADER, _LENGTH_BYTES, _FOOTER_BYTES = 12, 8, 4
_AGAIN = "publish the version again"
_RESTORE = "restore the folder from a copy, or publish the version again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that isn't as it was published: where, what, and what to do."""

    place: Path
    what: str
    remedy: str


def check(root: Path, model: str, versions: Sequence[int]) -> Iterator[Finding]:
    """What is wrong with these versions of a model, and with what publishers left in its folder. Raises OSError where the folder can't be read."""
    folder = root / model
    yield from _leftovers(folder, max(versions, default=0))
    for version in versions:
        yield from _version(repository.version_folder(root, model, version), model)


def not_plain(folder: Path) -> list[Path]:
    """What lies in a version's folder and is neither a file nor a folder: a link, a pipe. Digests pass over pipes, and look through links."""
    return [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not (path.is_file() or path.is_dir())]


def golden_items(folder: Path) -> int | None:
    """How many golden predictions a version's folder has; None where it has no such file. Raises RepositoryError where it is cut short.

    It goes by the records' lengths. Their CRC-32C isn't in Python's library: whoever asks the version again (training/golden.py) checks that.
    """
    file = folder / EXTRA / GOLDEN
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return None
    count = position = 0
    with file.open("rb") as records:
        while position < size:
            records.seek(position)
            header = records.read(_HEADER)
            if len(header) == _HEADER:
                position += _HEADER + struct.unpack("<Q", header[:_LENGTH_BYTES])[0] + _FOOTER_BYTES
                count += 1
            if len(header) < _HEADER or position > size:
                message = f"{file}: cut short in record {count}"
                raise RepositoryError(message)
    return count


def _leftovers(folder: Path, newest: int) -> Iterator[Finding]:
    if (folder / STAGING).exists():
        yield Finding(
            place=folder / STAGING,
            what="half a version: of a publisher that is at work, or that died",
            remedy="nothing where one is at work; otherwise the next one clears it away",
        )
    try:
        last = repository.last_number(folder)
    except RepositoryError as error:
        yield Finding(place=folder / LAST, what="not a number", remedy=str(error).rpartition("; ")[2])
    else:
        if last < newest:
            yield Finding(
                place=folder / LAST,
                what=f"says that {last} is the greatest number so far, and there is version {newest}",
                remedy="something else than a publisher put that version there: publish versions instead of copying them",
            )
    retired = folder / RETIRED
    for path in sorted(folder.iterdir()):
        if repository.is_number(path.name) and not path.is_dir():
            yield Finding(place=path, what="has a version's name and is no folder", remedy="move it elsewhere")
        if repository.is_number(path.name) and path.name != str(int(path.name)) and (folder / str(int(path.name))).exists():
            yield Finding(
                place=path, what=f"is version {int(path.name)} as well, so readers take one or the other", remedy="move one of them elsewhere"
            )
        if repository.is_number(path.name) and (retired / path.name).exists():
            yield Finding(place=path, what="was retired, and its number is in use again", remedy="publish it under a number of its own")


def _version(folder: Path, model: str) -> Iterator[Finding]:
    if not any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        yield Finding(place=folder, what="there is no SavedModel", remedy=_AGAIN)
    unreadable = yield from _modes(folder)
    weights_changed = False
    try:
        manifest = repository.read_manifest(folder)
    except FileNotFoundError:
        yield Finding(place=folder, what="there is no manifest, so the gateway leaves it out", remedy=_AGAIN)
    except RepositoryError as error:
        yield Finding(place=folder, what=f"the manifest can't be read: {error}", remedy=_AGAIN)
    except OSError as error:
        yield Finding(place=folder, what=f"the manifest can't be read: {error.strerror}", remedy="let the servers' account read it")
    else:
        if (manifest.name, manifest.version) != (model, int(folder.name)):
            what = f"the manifest is of {manifest.name or 'no model'} version {manifest.version}, so the gateway leaves it out"
            yield Finding(place=folder, what=what, remedy="move the version back to its own place, or publish it again")
        empty = [name for name in ("task", "inputs", "outputs", "weights_digest") if not getattr(manifest, name)]
        if empty:
            yield Finding(place=folder, what=f"the manifest lacks {', '.join(empty)}", remedy=_AGAIN)
        weights_changed = not unreadable and bool(manifest.weights_digest) and repository.weights_digest(folder) != manifest.weights_digest
    if not unreadable:
        yield from _changed(folder, weights_changed=weights_changed)
    try:
        items = golden_items(folder)
    except RepositoryError as error:
        yield Finding(place=folder / EXTRA / GOLDEN, what=str(error).rpartition(": ")[2], remedy=_AGAIN)
    except OSError as error:
        yield Finding(place=folder / EXTRA / GOLDEN, what=f"can't be read: {error.strerror}", remedy="let the servers' account read it")
    else:
        if not items:
            what = "there are no golden predictions, so nobody can tell whether it still answers as it did"
            yield Finding(place=folder, what=what, remedy=_AGAIN)


def _changed(folder: Path, *, weights_changed: bool) -> Iterator[Finding]:
    """By the digests of each file; by the manifest's, which is one for all the weights, where those name none of them."""
    changed: list[str] = []
    try:
        found = changed_files(folder)
    except RepositoryError:
        yield Finding(place=folder / EXTRA / DIGESTS, what="not a list of digests", remedy=_AGAIN)
    else:
        changed = found or []
        if found is None:
            yield Finding(place=folder, what="there are no digests of its files, so a manifest that was changed doesn't show", remedy=_AGAIN)
    if weights_changed and all(name.startswith(f"{EXTRA}/") for name in changed):
        yield Finding(place=folder, what="the files aren't those that were published: their digest isn't the manifest's", remedy=_RESTORE)
    if changed:
        yield Finding(place=folder, what=f"changed since it was published: {', '.join(changed)}", remedy=_RESTORE)


def _modes(folder: Path) -> Generator[Finding, None, bool]:
    """Files that others than their owner may change, that can't be read, or that are none; returns whether one can't be read."""
    unreadable = False
    strange = set(not_plain(folder))
    for path in sorted([folder, *folder.rglob("*")]):
        if not path.exists():
            unreadable = True
            yield Finding(place=path, what="a link to what isn't there", remedy=_AGAIN)
            continue
        mode = path.stat().st_mode
        if path in strange:
            what = "a link, which may lead out of the version" if path.is_symlink() else "neither a file nor a folder"
            yield Finding(place=path, what=what, remedy=_AGAIN)
        elif mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield Finding(place=path, what=f"others than its owner may change it (mode {stat.S_IMODE(mode):o})", remedy=f"chmod go-w {path}")
        if not os.access(path, os.R_OK):
            unreadable = True
            yield Finding(place=path, what=f"can't be read by who asks (mode {stat.S_IMODE(mode):o})", remedy=f"let the servers' account read {path}")
    return unreadable
