"""Where versions come from: the numbered folders below a model's base path (sources/storage_path/file_system_storage_path_source.cc)."""

from pathlib import Path

from modelserver.config import ModelConfig

Fingerprint = tuple[tuple[str, int, int], ...]

# What a version number is on the wire.
_MAX_VERSION = (1 << 63) - 1


def aspired_versions(config: ModelConfig) -> dict[int, Path] | None:
    """The versions that the policy wants, of those that are there; None where the base path can't be read, which says nothing about them."""
    try:
        names = [path for path in config.base_path.iterdir() if _is_version(path.name) and path.is_dir()]
    except OSError:
        return None
    # `00001` is version 1; where two names say the same number, the first in order has it.
    folders: dict[int, Path] = {}
    for path in sorted(names):
        folders.setdefault(int(path.name), path)
    return {version: folders[version] for version in config.policy.choose(set(folders))}


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal() and int(name) <= _MAX_VERSION


def fingerprint(folder: Path) -> Fingerprint:
    """What changes when a version's files do: so that one that failed to load is tried again, and one that didn't change isn't."""
    try:
        return tuple(
            sorted((str(path), status.st_size, status.st_mtime_ns) for path in folder.rglob("*") if path.is_file() for status in (path.stat(),))
        )
    except OSError:
        return ()
