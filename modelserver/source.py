"""Where versions come from: the numbered folders below a model's base path (sources/storage_path/file_system_storage_path_source.cc).

Every look costs one listing of the base path, however many versions there are. A folder's own files are looked at only until it is loaded.
"""

import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelserver.config import ModelConfig

Fingerprint = tuple[tuple[str, int, int], ...]

# What a version number is on the wire.
_MAX_VERSION = (1 << 63) - 1
_SHARD = re.compile(r"variables\.data-[0-9]+-of-([0-9]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a look at a base path found of what is wanted: versions to serve, and those that are still being copied."""

    versions: Mapping[int, Path]
    unfinished: Mapping[int, Path]


class Source:
    """Looks at the base path of one model."""

    def __init__(self, config: ModelConfig, *, patience_seconds: float) -> None:
        """Takes the model, and how long a folder that isn't complete may stay unchanged before it is taken for what it is."""
        self._config = config
        self._patience_seconds = patience_seconds
        self._changed_at: dict[Path, tuple[Fingerprint, float]] = {}

    def look(self, known: Collection[Path]) -> Found | None:
        """The versions that the policy wants; None where the base path can't be read, which says nothing about them.

        Of folders that aren't `known` to have been complete, those that are still being copied don't count: an older version may be wanted meanwhile.
        """
        folders = published_versions(self._config.base_path)
        if folders is None:
            return None
        unfinished: dict[int, Path] = {}
        while True:
            chosen = self._config.policy.choose(set(folders))
            being_copied = [version for version in chosen if folders[version] not in known and self._is_unfinished(folders[version])]
            if not being_copied:
                break
            for version in being_copied:
                unfinished[version] = folders.pop(version)
        self._changed_at = {folder: seen for folder, seen in self._changed_at.items() if folder in unfinished.values()}
        return Found(versions={version: folders[version] for version in chosen}, unfinished=unfinished)

    def _is_unfinished(self, folder: Path) -> bool:
        if not self._patience_seconds or is_complete(folder):
            return False
        now, seen = time.monotonic(), fingerprint(folder)
        before, changed_at = self._changed_at.get(folder, (None, now))
        if seen != before:
            self._changed_at[folder] = (seen, now)
            return True
        return now - changed_at < self._patience_seconds


def published_versions(base_path: Path) -> dict[int, Path] | None:
    """The folders that are named like a version, by its number: `00001` is version 1. None where the base path can't be read."""
    try:
        with os.scandir(base_path) as entries:
            names = [entry.name for entry in entries if _is_version(entry.name) and entry.is_dir()]
    except OSError:
        return None
    # Where two names say the same number, the last in order has it.
    return {int(name): base_path / name for name in sorted(names)}


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal() and int(name) <= _MAX_VERSION


def is_complete(folder: Path) -> bool:
    """Whether a version's folder has what a SavedModel is made of: the graph, and each part that the checkpoint's names tell of."""
    if not any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return False
    try:
        names = {entry.name for entry in os.scandir(folder / "variables")}
    except OSError:
        return True
    shards = [match for match in map(_SHARD.fullmatch, names) if match is not None]
    counts = {int(match[1]) for match in shards}
    if not counts:
        return "variables.index" not in names
    return "variables.index" in names and counts == {len(shards)}


def fingerprint(folder: Path) -> Fingerprint:
    """What changes when a version's files do: so that one that failed to load is tried again, and one that didn't change isn't."""
    try:
        return tuple(sorted(_files(str(folder))))
    except OSError:
        return ()


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            else:
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns
