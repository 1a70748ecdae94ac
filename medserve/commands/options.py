"""The global options: what was given, else the environment, else the default."""

import os
from argparse import Namespace
from pathlib import Path

from medserve.client import Client
from medserve.commands.failure import UsageError
from medserve.connection import DEFAULT_TARGET, DEFAULT_TIMEOUT_SECONDS
from medserve.keys import read_private


def client_of(arguments: Namespace) -> Client:
    """The client that the options ask for. Raises UsageError or OSError."""
    key_file = _option(arguments, "key_file", "MEDSERVE_KEY_FILE")
    ca_file = _option(arguments, "ca_file", "MEDSERVE_CA_FILE")
    try:
        return Client(
            _option(arguments, "target", "MEDSERVE_TARGET") or DEFAULT_TARGET,
            api_key=read_key(Path(key_file)) if key_file else None,
            ca_certificates=ca_file,
            timeout_seconds=getattr(arguments, "timeout_seconds", DEFAULT_TIMEOUT_SECONDS),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def has_key(arguments: Namespace) -> bool:
    """Whether the caller has a key."""
    return bool(_option(arguments, "key_file", "MEDSERVE_KEY_FILE"))


def read_key(path: Path) -> str:
    """The key in a file. Raises ValueError where others may read the file or it holds no key, OSError where it can't be read."""
    key = read_private(path, most_bytes=4096).decode("ascii", errors="replace").strip()
    if not key or len(key.split()) > 1:
        message = f"{path}: not an API key: the file holds one word, which starts with 'msk_'"
        raise UsageError(message)
    return key


def _option(arguments: Namespace, name: str, variable: str) -> str | None:
    given: str | None = getattr(arguments, name, None)
    return given or os.environ.get(variable) or None
