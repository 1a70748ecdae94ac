"""Data that comes with a package, or that somebody else has to bring."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


class NotAtHand(FileNotFoundError):
    """A data set isn't on this machine, and nothing is downloaded; the message names it and says how it gets there."""


def installed(package: str, *files: str, data: str) -> tuple[str, tuple[Path, ...]]:
    """The version of the package that `data` comes with, and its files there. Raises NotAtHand where it isn't installed.

    They are found by their path: to import a package would run it, and may read all of its data.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError:
        message = f"{data}: it comes with a package that isn't installed: pip install {package}"
        raise NotAtHand(message) from None
    return found.version, tuple(Path(str(found.locate_file(file))) for file in files)
