"""A model repository on disk, `<root>/<model>/<version>/`: what is in it, whether it is whole, and how a version leaves it.

Whoever publishes holds the model's lock from the first byte to the rename, and whoever retires holds it too (flock: Linux and macOS). A version is
a folder whose name is a number, as TensorFlow Serving reads names; a name with a leading dot is a publisher's own, and no reader looks there.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from medserve.v1 import manifest_pb2

EXTRA = "assets.extra"
MANIFEST = "medserve_manifest.json"
GOLDEN = "medserve_golden_predictions"
# A manifest is a few kilobytes; the gateway reads none that is larger.
MAX_MANIFEST_BYTES = 4 << 20
LOCK = ".publish.lock"
LAST = ".last_version"
STAGING = ".staging"
RETIRED = ".retired"


class RepositoryError(ValueError):
    """The repository doesn't hold what was asked for, or holds it damaged; the message says what, where, and what to do."""


class RetirementRefused(RepositoryError):
    """It couldn't be shown that nobody needs the version; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InUse:
    """What the gateway says of a model just now.

    Attributes:
        labels: the version that each label names.
        serving: versions that answer.
        coming: versions that don't answer yet and may: published, loading, or of a state that nobody knows.
        default: the version that answers a call which names none; 0 where the gateway doesn't say. It isn't the newest where that is a trial.
    """

    labels: Mapping[str, int]
    serving: frozenset[int]
    coming: frozenset[int]
    default: int = 0


def models(root: Path) -> list[str]:
    """The models that have a version, in order of name. Raises OSError where there is no such folder."""
    return sorted(path.name for path in root.iterdir() if not path.name.startswith(".") and path.is_dir() and versions(root, path.name))


def versions(root: Path, model: str) -> list[int]:
    """The versions that are published, oldest first."""
    folder = root / model
    return sorted(int(path.name) for path in folder.iterdir() if is_number(path.name) and path.is_dir()) if folder.is_dir() else []


def version_folder(root: Path, model: str, version: int) -> Path:
    """The folder of a version, whatever zeros stand before its number. Raises RepositoryError where there is none."""
    require_name(model)
    published = versions(root, model)
    if version not in published:
        has = f"it has {', '.join(map(str, published))}" if published else "it has none"
        message = f"{root / model}: there is no version {version}; {has}"
        raise RepositoryError(message)
    return next(path for path in sorted((root / model).iterdir()) if is_number(path.name) and int(path.name) == version and path.is_dir())


def require_name(model: str) -> None:
    """Raises RepositoryError where a model's name would lead out of the repository, or into a publisher's own folder."""
    if not model or model.startswith(".") or "/" in model or "\0" in model:
        message = f"{model!r} is no model's name: it is that of a folder below the root"
        raise RepositoryError(message)


def is_number(name: str) -> bool:
    """As readers tell a version from other names: digits, and none but those of ASCII."""
    return name.isascii() and name.isdecimal()


def read_manifest(folder: Path) -> manifest_pb2.ModelManifest:
    """The manifest of a version's folder. Raises RepositoryError where it can't be read as one, OSError where there is none."""
    file = folder / EXTRA / MANIFEST
    if file.stat().st_size > MAX_MANIFEST_BYTES:
        message = f"{file}: more than {MAX_MANIFEST_BYTES} bytes, which the gateway doesn't read; publish the version again"
        raise RepositoryError(message)
    try:
        # A newer release may say more than this one knows.
        return json_format.Parse(file.read_text(encoding="utf-8"), manifest_pb2.ModelManifest(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        message = f"{file}: not a ModelManifest in JSON ({error}); publish the version again"
        raise RepositoryError(message) from None


def weights_digest(folder: Path) -> str:
    """The digest of a version's files as `medserve.v1.ModelManifest.weights_digest` defines it. Raises OSError."""
    lines = (f"{digest}  {name}\n" for name, digest in digests(folder, lambda name: not name.startswith(f"{EXTRA}/")).items())
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def digests(folder: Path, counts: Callable[[str], bool]) -> dict[str, str]:
    """SHA-256 in hexadecimal of the files below a folder by path with `/`, in order; of those whose path `counts`. Raises OSError."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: _sha256(folder / name) for name in names if counts(name)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def retire(root: Path, model: str, version: int, *, in_use: InUse) -> Path:
    """Moves a version to `<root>/<model>/.retired/<version>` by one rename and returns that path. Its number is never used again.

    A version stays where it is if a label names it, if it is the newest that answers or the one that answers a call without a version or a label, if
    it may become that, or if nothing else answers. Servers let go of a version that they have loaded when they next look at the folder.

    Raises RetirementRefused or RepositoryError, and then nothing has changed; OSError where the disk refuses, and then the version is whole in the
    one place or the other.
    """
    require_name(model)
    if not (root / model).is_dir():
        message = f"{root / model}: there is no such model"
        raise RepositoryError(message)
    with locked(root / model):
        source = version_folder(root, model, version)
        _require_dispensable(model, version, in_use)
        folder = root / model / RETIRED
        folder.mkdir(exist_ok=True)
        target = folder / str(version)
        if target.exists():
            message = f"{target}: exists already: move it elsewhere first"
            raise RepositoryError(message)
        flush(root / model)
        # Before the rename: the next publisher counts what it sees, and wouldn't see this one.
        if last_number(root / model) < version:
            write_last_number(root / model, version)
        source.rename(target)
        flush(folder)
        flush(root / model)
    return target


def _require_dispensable(model: str, version: int, in_use: InUse) -> None:
    labels = sorted(label for label, number in in_use.labels.items() if number == version)
    if labels:
        message = f"{model} version {version} has the label {', '.join(labels)}: move the label to another version first"
    elif not in_use.serving - {version}:
        message = f"no other version of {model} answers just now: it can't be shown that version {version} isn't needed"
    elif version in in_use.serving and version == max(in_use.serving):
        message = f"{model} version {version} is the newest that answers: a call that names no version gets it; publish a newer one first"
    elif version == in_use.default:
        message = f"{model} version {version} is the newest that is no trial: a call that names no version gets it; publish a newer one first"
    elif version in in_use.coming and version > max(in_use.serving):
        message = f"{model} version {version} may still come to answer: try again when the gateway says what has become of it"
    else:
        return
    raise RetirementRefused(message)


def last_number(folder: Path) -> int:
    """The greatest number that a publisher has spent in a model's folder; 0 where there was none. Raises RepositoryError where it is damaged."""
    file = folder / LAST
    try:
        text = file.read_text(encoding="ascii")
    except FileNotFoundError:
        return 0
    if not is_number(text):
        message = f"{file}: not a number; write the greatest number there that this model ever had, {RETIRED} included"
        raise RepositoryError(message)
    return int(text)


def write_last_number(folder: Path, number: int) -> None:
    """Spends a number, for good: the file and the folder that names it are on the disk when this returns. Raises OSError."""
    file = folder / LAST
    temporary = file.with_name(f"{LAST}.new")
    try:
        with temporary.open("w", encoding="ascii") as opened:
            opened.write(str(number))
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(folder)


def flush(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def opened_lock(folder: Path) -> Iterator[int]:
    """The model's lock file, opened, and made where there is none. Raises OSError."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield descriptor
    finally:
        # Nothing was written to it; and what was done under the lock is done.
        with suppress(OSError):
            os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Waits for the model's lock and holds it. The kernel lets go of it when its holder dies."""
    with opened_lock(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
