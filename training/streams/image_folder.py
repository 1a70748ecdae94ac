"""Folders of PNG and JPEG files, decoded as the gateway decodes them, so that a network learns from what it will be asked about.

What Pillow says of a damaged file can quote it, so none of its messages leaves this file.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from training.quality.fault import Fault, Reason
from training.streams.folder import Listing, listing, shards_of
from training.streams.labels import Labels, files_of, spec_of
from training.streams.source import STRING, Items, Shard, Spec, digest, path_of, require_counts

# Told apart by content: a name says what someone believed.
_FORMATS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
_PATTERNS = ("*.png", "*.jpg", "*.jpeg")
_MODES = {1: "L", 3: "RGB"}
_BLOCK_BYTES = 1 << 20

# Pillow warns of odd EXIF data and of images that its own limit finds large; ours is held against the header below.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Images, an item each: `image`, uint8 [rows, columns, channels]; `label`, int64, where there are labels; and `file`, its name below the folder.

    Attributes:
        root: the folder.
        shape: rows, columns and channels: 1 for grey values, 3 for colours. An image of another size isn't taken; None for rows and columns where
            each may have its own.
        labels: gives the classes; None where there are none.
        max_pixels: of an image.
        buffer: how many items are held to be shuffled.
        shard_files: how many files follow one another in the folder's order: few, where a folder is a class.
    """

    root: Path
    shape: tuple[int | None, int | None, int]
    labels: Labels | None = None
    max_pixels: int = 64_000_000
    buffer: int = 1024
    shard_files: int = 16

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_counts(max_pixels=self.max_pixels, buffer=self.buffer, shard_files=self.shard_files)
        if len(self.shape) != 3 or self.shape[2] not in _MODES or (self.shape[0] is None) != (self.shape[1] is None):  # noqa: PLR2004 - as said
            message = f"shape: rows, columns (or None for both) and 1 or 3 channels, not {self.shape}"
            raise ValueError(message)
        self.spec()

    def spec(self) -> Mapping[str, Spec]:
        """The image, its class and its name."""
        return {"image": Spec(dtype="uint8", shape=self.shape), **spec_of(self.labels), "file": Spec(dtype=STRING)}

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files' names, in small letters or capitals."""
        return _PATTERNS

    def identity(self) -> str:
        """Of the declaration, the files and the table of classes."""
        return digest(self, self._listing.names, files_of(self.labels))

    def shards(self) -> Sequence[Shard]:
        """So many files each. None of them is opened."""
        return self._shards

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """Blocks of about a mebibyte; an image each, where their size is open. The files before `start` aren't opened."""
        if start == 0:
            yield from shard.faults
        names, images = [], []
        size = 1 if self.shape[0] is None else max(1, _BLOCK_BYTES // math.prod(side or 1 for side in self.shape))
        for name in self._listing.names[shard.first + start : shard.first + shard.records]:
            image = self._decoded(path_of(self.root, name).read_bytes())
            if isinstance(image, Reason):
                yield Fault(file=name, reason=image)
                continue
            names.append(name)
            images.append(image)
            if len(images) == size:
                yield self._items(names, images)
                names, images = [], []
        if images:
            yield self._items(names, images)

    def _items(self, names: list[str], images: list[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
        return {"image": np.stack(images), **self._listing.label_of(names), "file": np.array(names, object)}

    def _decoded(self, content: bytes) -> NDArray[np.uint8] | Reason:
        """[rows, columns, channels], or why not."""
        if not content:
            return Reason.EMPTY_FILE
        form = next((form for magic, form in _FORMATS.items() if content.startswith(magic)), None)
        if form is None:
            return Reason.DAMAGED
        try:
            return decoded(content, form, self.shape, self.max_pixels)
        except Exception:  # noqa: BLE001 - Pillow raises OSError, SyntaxError, ValueError, struct.error, zlib.error, and others yet
            return Reason.DAMAGED

    @cached_property
    def _listing(self) -> Listing:
        return listing(self.root, self.patterns, self.labels)

    @cached_property
    def _shards(self) -> tuple[Shard, ...]:
        return tuple(shards_of(self._listing.names, self.shard_files, self._listing.faults))


def decoded(content: bytes, form: str, shape: tuple[int | None, int | None, int], max_pixels: int) -> NDArray[np.uint8] | Reason:
    """[rows, columns, channels] of `form`, PNG or JPEG; or why it isn't taken. Raises all kinds where the content is damaged.

    As `gateway/preprocess/image.py` does it: upright as EXIF says, 16 bits to 8 over the whole range, what is see-through on black.
    """
    from io import BytesIO  # noqa: PLC0415

    with Image.open(BytesIO(content), formats=[form]) as opened:
        if opened.width * opened.height > max_pixels:
            return Reason.TOO_LARGE
        if shape[0] is not None and {opened.width, opened.height} != {shape[0], shape[1]}:
            return Reason.WRONG_SIZE
        if form == "PNG" and getattr(opened, "is_animated", False):
            return Reason.NOT_SUPPORTED
        opened.load()
        image = ImageOps.exif_transpose(opened)
    if shape[0] is not None and (image.height, image.width) != shape[:2]:
        return Reason.WRONG_SIZE
    mode = _MODES[shape[2]]
    if image.mode in {"I;16", "I;16B", "I;16L", "I"}:
        # Pillow's convert("L") clips 16-bit greys at 255, which turns most of a radiograph white.
        pixels = np.rint(np.asarray(image).astype(np.uint16).astype(np.float32) * np.float32(255 / 65535)).astype(np.uint8)
        return np.repeat(pixels[..., np.newaxis], shape[2], axis=2)
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", coloured.size, (0, 0, 0, 255)), coloured).convert("RGB")
    pixels = np.asarray(image.convert(mode))
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels  # noqa: PLR2004 - rows, columns
