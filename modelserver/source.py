"""Where versions come from: the numbered folders below a model's base path (sources/storage_path/file_system_storage_path_source.cc)."""

from pathlib import Path

from modelserver.config import ModelConfig

Fingerprint = tuple[tuple[str, int, int], ...]


def aspired_versions(config: ModelConfig) -> dict[int, Path] | None:
    """The versions that the policy wants, of those that are there; None where the base path isn't, which says nothing about them."""
    try:
        names = [path for path in config.base_path.iterdir() if path.name.isascii() and path.name.isdecimal() and path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return None
    # `00001` is version 1; where two names say the same number, the first in order has it.
    folders: dict[int, Path] = {}
    for path in sorted(names):
        folders.setdefault(int(path.name), path)
    return {version: folders[version] for version in config.policy.choose(set(folders))}


def fingerprint(folder: Path) -> Fingerprint:
    """What changes when a version's files do: so that one that failed to load is tried again, and one that didn't change isn't."""
    try:
        return tuple(
            sorted(
                (str(path.relative_to(folder)), status.st_size, status.st_mtime_ns)
                for path in folder.rglob("*")
                if path.is_file()
                for status in (path.stat(),)
            )
        )
    except OSError:
        return ()
