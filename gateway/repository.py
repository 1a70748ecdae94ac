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
from gateway.manifest import (
    ChannelSpec,
    Classification,
    Coding,
    ColorSpace,
    ImageInput,
    InputSpec,
    Label,
    Manifest,
    OutputSpec,
    TimeSeriesInput,
    Windowing,
)
from gateway.tensor import DType
from medserve.repository import EXTRA, MANIFEST, MAX_MANIFEST_BYTES, is_number
from medserve.v1 import manifest_pb2, tensor_pb2

_log = structlog.get_logger("gateway.repository")

_WINDOWING = {
    manifest_pb2.WINDOWING_UNSPECIFIED: Windowing.FROM_OBJECT,
    manifest_pb2.WINDOWING_FROM_OBJECT: Windowing.FROM_OBJECT,
    manifest_pb2.WINDOWING_FIXED: Windowing.FIXED,
    manifest_pb2.WINDOWING_FULL_RANGE: Windowing.FULL_RANGE,
}
_COLOR_SPACE = {
    manifest_pb2.COLOR_SPACE_MONOCHROME: ColorSpace.MONOCHROME,
    manifest_pb2.COLOR_SPACE_RGB: ColorSpace.RGB,
}


def manifest_of(message: manifest_pb2.ModelManifest) -> Manifest:
    """The stages' view of a manifest. Raises ValueError, naming the field, where it can't be served."""
    return Manifest(
        name=message.name,
        version=message.version,
        signature_name=message.signature_name or "serving_default",
        inputs=MappingProxyType({spec.name: _input_of(spec) for spec in message.inputs}),
        outputs=MappingProxyType({spec.name: _output_of(spec) for spec in message.outputs}),
        weights_digest=message.weights_digest,
        demonstration_only=message.intended_use.demonstration_only,
    )


def _dtype_of(value: tensor_pb2.DataType.ValueType, field: str) -> DType:
    try:
        return DType[tensor_pb2.DataType.Name(value).removeprefix("DATA_TYPE_")]
    except (KeyError, ValueError):
        message = f"{field}.data_type: not a type that is served"
        raise ValueError(message) from None


def _input_of(spec: manifest_pb2.InputSpec) -> InputSpec:
    field = f"inputs[{spec.name!r}]"
    medium: ImageInput | TimeSeriesInput | None = None
    if spec.WhichOneof("medium") == "image":
        if spec.image.color_space not in _COLOR_SPACE or spec.image.windowing not in _WINDOWING:
            message = f"{field}.image: its colour space or windowing isn't known"
            raise ValueError(message)
        medium = ImageInput(
            color_space=_COLOR_SPACE[spec.image.color_space],
            windowing=_WINDOWING[spec.image.windowing],
            window_center=spec.image.window_center,
            window_width=spec.image.window_width,
            dicom_modalities=frozenset(spec.image.dicom_modalities),
        )
    elif spec.WhichOneof("medium") == "time_series":
        medium = TimeSeriesInput(
            channels=tuple(ChannelSpec(name=channel.name, unit=channel.unit) for channel in spec.time_series.channels),
            sampling_frequency_hz=spec.time_series.sampling_frequency_hz,
        )
    return InputSpec(
        name=spec.name, dtype=_dtype_of(spec.data_type, field), shape=tuple(spec.shape), medium=medium, allows_missing=spec.allows_missing
    )


def _output_of(spec: manifest_pb2.OutputSpec) -> OutputSpec:
    classification = None
    if spec.WhichOneof("reading") == "classification":
        classification = Classification(
            exclusive=spec.classification.exclusive,
            labels=tuple(
                Label(
                    code=Coding(system=label.code.system, code=label.code.code, display=label.code.display),
                    operating_point=label.operating_point if label.HasField("operating_point") else None,
                )
                for label in spec.classification.labels
            ),
        )
    return OutputSpec(
        name=spec.name, dtype=_dtype_of(spec.data_type, f"outputs[{spec.name!r}]"), shape=tuple(spec.shape), classification=classification
    )


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
