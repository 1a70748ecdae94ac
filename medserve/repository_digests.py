"""A version's digests: `assets.extra/medserve_digests` has the SHA-256 of each other file of the version, written last, as it is published.

`sha256sum --check assets.extra/medserve_digests` in the version's folder reads it too. By it a file that was changed, lost or added afterwards
shows, the manifest among them. It is no signature: who may write there can write the digests anew.
"""

import re
from pathlib import Path

from medserve.repository import EXTRA, RepositoryError, digests

DIGESTS = "medserve_digests"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def write_digests(folder: Path) -> None:
    """Writes the digests of all that lies in a version's folder. Raises OSError."""
    (folder / EXTRA).mkdir(exist_ok=True)
    lines = [f"{digest}  {name}\n" for name, digest in _digests(folder).items()]
    (folder / EXTRA / DIGESTS).write_text("".join(lines), encoding="utf-8")


def changed_files(folder: Path) -> list[str] | None:
    """The version's files that aren't as they were when it was published, in order of their paths: changed, lost or added.

    None where it has no digests, as versions of earlier releases. Raises RepositoryError where these can't be read as such, OSError.
    """
    file = folder / EXTRA / DIGESTS
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        lines = [""]
    matches = [_LINE.fullmatch(line) for line in lines]
    if not all(matches):
        message = f"{file}: not a list of digests; publish the version again"
        raise RepositoryError(message)
    published = {match[2]: match[1] for match in matches if match}
    found = _digests(folder)
    return sorted(name for name in published.keys() | found.keys() if published.get(name) != found.get(name))


def _digests(folder: Path) -> dict[str, str]:
    """Of all files but that of the digests itself."""
    return digests(folder, lambda name: name != f"{EXTRA}/{DIGESTS}")
