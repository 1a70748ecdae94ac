"""Who is calling: finds the principal of an API key.

The table of keys is read from a file that `medserve keys` writes, and read again when it changes: a new or revoked key needs no restart.
A call meets the table in memory only: a disk that stalls keeps no caller waiting.
"""

import asyncio
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import structlog

from gateway.call import Action, Principal
from gateway.errors import CredentialsInvalid, CredentialsMissing
from medserve.keys import ApiKey, KeysFileError, hash_secret, parse_key, read_keys

_log = structlog.get_logger("gateway.authenticate")

_SCHEME = "bearer "
# What an unknown key id is compared with, so that it takes as long as a wrong secret.
_NO_HASH = "0" * 64


class Authenticator:
    """Holds the table of keys, which is replaced as a whole."""

    def __init__(self, keys_file: Path) -> None:
        """Reads the file. Without one no key is valid."""
        self._keys_file = keys_file
        self._seen: tuple[int, ...] | None = ()
        self._table: Mapping[str, tuple[ApiKey, Principal]] = MappingProxyType({})
        self.read()

    def authenticate(self, authorization: str) -> Principal:
        """The principal of `Bearer <key>`, the value of the `authorization` metadata.

        Raises:
            CredentialsMissing: nothing came.
            CredentialsInvalid: the key is unknown, malformed, expired or revoked.
        """
        if not authorization:
            message = "send your API key as metadata: authorization: Bearer <key>"
            raise CredentialsMissing(message)
        if authorization[: len(_SCHEME)].lower() == _SCHEME:
            parsed = parse_key(authorization[len(_SCHEME) :].strip())
            if parsed is not None:
                key_id, secret = parsed
                key, principal = self._table.get(key_id, (None, None))
                matches = hmac.compare_digest(hash_secret(secret), _NO_HASH if key is None else key.secret_sha256)
                if matches and key is not None and principal is not None and key.is_valid_at(datetime.now(UTC)):
                    return principal
        message = "the API key isn't valid: it has the form 'Bearer msk_…', and may have expired or been revoked"
        raise CredentialsInvalid(message)

    async def refresh(self) -> None:
        """Brings the table up to date."""
        await asyncio.to_thread(self.read)

    def read(self) -> None:
        """Reads the file where it has changed. Blocks."""
        seen = self._seen
        try:
            status = self._keys_file.stat()
            # The time of the last change of state, too: `chmod 600` mends a file and leaves its content as it was.
            self._seen = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            if self._seen == seen:
                return
            keys = read_keys(self._keys_file)
        except FileNotFoundError:
            self._seen, self._table = None, MappingProxyType({})
            if seen is not None:
                _log.warning("no key file: no key is valid", file=str(self._keys_file))
        except (OSError, KeysFileError) as error:
            # Better the keys of a moment ago than none: the file is replaced by hand now and then.
            _log.error("key file not read: keys stay as they were", file=str(self._keys_file), why=str(error))
        else:
            self._table = MappingProxyType({key.key_id: (key, _principal_of(key)) for key in keys})
            _log.info("keys read", keys=len(keys))


def _principal_of(key: ApiKey) -> Principal:
    """An action that this release doesn't know allows nothing."""
    known = {action.value for action in Action}
    return Principal(
        key_id=key.key_id,
        tenant=key.tenant,
        models=frozenset(key.models),
        actions=frozenset(Action(action) for action in key.actions if action in known),
    )
