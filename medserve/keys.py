"""API keys and the file that holds them, hashed. The gateway reads the file; `medserve keys` writes it.

A key reads `msk_<key id>_<secret>`. The secret is 256 random bits, so a plain SHA-256 is enough to keep it: there is no dictionary of such
secrets to try, which is what slow password hashes defend against, and a fast hash keeps authentication off the critical path.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

ACTIONS = ("infer", "read", "reload")
# What a key allows where nobody says. Replacing the list of models that are served is for operators: it has to be asked for.
DEFAULT_ACTIONS = ("infer", "read")
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_KEY = re.compile(r"msk_(?P<key_id>[a-z0-9]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class KeysFileError(ValueError):
    """The key file can't be used; the message names the file and the fault."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key, without its secret.

    Attributes:
        key_id: names the key; 12 characters, in the key's text and in the audit log.
        secret_sha256: the SHA-256 of the secret, in hexadecimal.
        tenant: whose key it is.
        models: the models that it allows; `*` for any.
        actions: what it allows: `infer`, `read`, `reload`.
        note: for people.
        create_time, expire_time, revoke_time: in UTC; None where it doesn't expire or isn't revoked.
    """

    key_id: str
    secret_sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    tenant: str
    models: tuple[str, ...]
    actions: tuple[str, ...]
    note: str = ""
    create_time: _Time
    expire_time: _Time | None = None
    revoke_time: _Time | None = None

    def is_valid_at(self, now: datetime) -> bool:
        """Whether the key may be used at `now` (with a time zone)."""
        return self.revoke_time is None and (self.expire_time is None or now < self.expire_time)


class _KeysFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keys: tuple[ApiKey, ...] = ()


def parse_key(text: str) -> tuple[str, str] | None:
    """The key id and the secret in a key's text; None where it isn't one."""
    match = _KEY.fullmatch(text)
    return None if match is None else (match["key_id"], match["secret"])


def hash_secret(secret: str) -> str:
    """The SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def read_private(path: Path, most_bytes: int = -1) -> bytes:
    """A file that only its owner may read, up to `most_bytes`. Raises KeysFileError where others may, OSError where it can't be read."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            message = f"{path}: others may read it (mode {mode:04o}): chmod 600 {path}"
            raise KeysFileError(message)
        return file.read(most_bytes)


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys in a file. Raises KeysFileError where it isn't a key file or others may read it, FileNotFoundError where there is none."""
    content = read_private(path)
    try:
        keys = msgspec.json.decode(content, type=_KeysFile).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{path}: not a key file: {error}"
        raise KeysFileError(message) from None
    if len({key.key_id for key in keys}) != len(keys):
        # Which of the two holds, nobody could say: one may be revoked.
        message = f"{path}: two keys have one id: remove one of them"
        raise KeysFileError(message)
    return keys


def create_key(
    path: Path,
    *,
    tenant: str,
    models: Sequence[str],
    actions: Sequence[str],
    note: str = "",
    expire_time: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Adds a key to a file, which is made where there is none. Returns it and its text, which can't be had again.

    Raises KeysFileError for an action that there isn't, no model, too few models for the action, or a time without a time zone.
    """
    unknown = sorted(set(actions) - set(ACTIONS))
    if unknown or not actions:
        message = f"actions: {', '.join(unknown) or 'none'}: choose from {', '.join(ACTIONS)}"
        raise KeysFileError(message)
    if not tenant or not models or not all(models):
        message = "tenant and models: each has to be given; '*' stands for every model"
        raise KeysFileError(message)
    if "reload" in actions and "*" not in models:
        message = "models: the action 'reload' touches every model: give '*'"
        raise KeysFileError(message)
    if expire_time is not None and expire_time.tzinfo is None:
        message = "expire_time: a time zone is missing"
        raise KeysFileError(message)
    secret = secrets.token_urlsafe(32)
    key = ApiKey(
        key_id="".join(secrets.choice(_ALPHABET) for _ in range(12)),
        secret_sha256=hash_secret(secret),
        tenant=tenant,
        models=tuple(models),
        actions=tuple(actions),
        note=note,
        create_time=datetime.now(UTC),
        expire_time=expire_time,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        _write(path, (*_read_or_empty(path), key))
    return key, f"msk_{key.key_id}_{secret}"


def revoke_key(path: Path, key_id: str) -> ApiKey:
    """Revokes a key, which stays in the file. Raises KeysFileError where there is none of that id, FileNotFoundError where there is no file."""
    with _locked(path):
        keys = read_keys(path)
        for number, key in enumerate(keys):
            if key.key_id == key_id:
                revoked = key if key.revoke_time else msgspec.structs.replace(key, revoke_time=datetime.now(UTC))
                _write(path, (*keys[:number], revoked, *keys[number + 1 :]))
                return revoked
    message = f"{path}: there is no key {key_id}"
    raise KeysFileError(message)


def write_secret(path: Path, text: str) -> None:
    """Writes a text into a new file that only its owner may read. Raises FileExistsError where there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _read_or_empty(path: Path) -> tuple[ApiKey, ...]:
    try:
        return read_keys(path)
    except FileNotFoundError:
        return ()


def _write(path: Path, keys: tuple[ApiKey, ...]) -> None:
    """Replaces the file by one rename, so that a reader or a crash never meets half of one."""
    content = msgspec.json.format(msgspec.json.encode(_KeysFile(keys=keys)))
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:  # mkstemp makes it 0600
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        _sync_folder(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Makes a rename last: a key that was revoked must not come back with the power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the file's lock, so that two writers lose nothing."""
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
