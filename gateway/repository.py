"""Watches the model repository, `<root>/<model>/<version>/`, and keeps the catalog's table of what is published.

A version is published by one rename and never edited, so a manifest is read once. A version without a manifest, or with one that can't be
served, is left out and logged: the others are served all the same.
"""

import asyncio
from pathlib import Path
from types import MappingProxyType

import structlog
from google.protobuf import json_format

from gateway.catalog import Catalog, Published, PublishedVersion
from gateway.manifest_file import manifest_of
from medserve.repository import EXTRA, MANIFEST, MAX_MANIFEST_BYTES, is_number
from medserve.v1 import manifest_pb2

_log = structlog.get_logger("gateway.repository")


def read_version(folder: Path) -> PublishedVersion:
    """Reads the manifest of `<root>/<model>/<version>`. Raises ValueError or OSError where it can't be served."""
    file = folder / EXTRA / MANIFEST
    if file.stat().st_size > MAX_MANIFEST_BYTES:
        message = f"the manifest has more than {MAX_MANIFEST_BYTES} bytes"
        raise ValueError(message)
    try:
        # A manifest of a newer release may say more than this one knows.
        message_ = json_format.Parse(file.read_text(encoding="utf-8"), manifest_pb2.ModelManifest(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        message = f"the manifest isn't a ModelManifest in JSON: {error}"
        raise ValueError(message) from None
    manifest = manifest_of(message_)
    if (manifest.name, manifest.version) != (folder.parent.name, int(folder.name)):
        message = f"the manifest is of {manifest.name} version {manifest.version}, not of the folder's"
        raise ValueError(message)
    return PublishedVersion(manifest=manifest, document=message_.SerializeToString())


class Repository:
    """Keeps `catalog.published` equal to what the folder holds."""

    def __init__(self, root: Path, catalog: Catalog) -> None:
        """Takes the repository's root, which may come to be later, and the catalog to keep."""
        self._root = root
        self._catalog = catalog
        self._refused: dict[Path, str] = {}

    def scan(self) -> Published:
        """Reads what is new on disk and keeps what is known. Blocks."""
        found: dict[str, MappingProxyType[int, PublishedVersion]] = {}
        for model in _folders(self._root):
            known = self._catalog.published.get(model.name, {})
            versions: dict[int, PublishedVersion] = {}
            for folder in _folders(model):
                # As TensorFlow Serving reads names: digits only; `00001` is version 1.
                if not is_number(folder.name):
                    continue
                number = int(folder.name)
                published = known.get(number) or self._read(folder)
                if published is not None:
                    versions[number] = published
            if versions:
                found[model.name] = MappingProxyType(versions)
        return MappingProxyType(found)

    def _read(self, folder: Path) -> PublishedVersion | None:
        """Reads a version; logs once why one is left out."""
        try:
            published = read_version(folder)
        except (OSError, ValueError) as error:
            why = "no manifest" if isinstance(error, FileNotFoundError) else str(error)
            if self._refused.get(folder) != why:
                self._refused[folder] = why
                _log.warning("version left out", model=folder.parent.name, version=folder.name, why=why)
            return None
        self._refused.pop(folder, None)
        _log.info("version published", model=folder.parent.name, version=folder.name, weights_digest=published.manifest.weights_digest)
        return published

    async def refresh(self) -> None:
        """Brings the catalog up to date."""
        self._catalog.published = await asyncio.to_thread(self.scan)


def _folders(folder: Path) -> list[Path]:
    """The folders below, in order of name; none where there is no such folder. A name with a leading dot is a publisher's own."""
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir())
    except FileNotFoundError:
        return []
