"""TFRecord files of tf.train.Example: one, or all in a folder.

TensorFlow reads and parses the records, and holds their checksums against them. What it says of a bad one can quote it, so none of its messages
leaves this file: the shard's records are then looked through one by one.
"""

import math
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason
from training.streams.columns import out_of_bounds, require_bounds
from training.streams.source import STRING, Items, Shard, Spec, digest, names_of, path_of, require_counts

if TYPE_CHECKING:
    import tensorflow as tf

_LENGTH = struct.Struct("<QI")
_FOOTER_BYTES = 4
_READ_BYTES = 1 << 20
_SHARD_BYTES = 8 << 20
_LISTS = {"float32": "float_list", "int64": "int64_list", "uint8": "bytes_list", STRING: "bytes_list"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """One array of an item, made of one feature of an Example.

    Attributes:
        name: the array's name.
        key: the feature's key; the name, where it is empty.
        dtype: float32 of a float list, int64 of an int64 list, string of a list of bytes, or uint8 of one text of bytes.
        shape: of the array; its size is that of the feature.
        may_be_missing: whether NaN is taken for a number.
        minimum, maximum: the least and the largest int64 that may stand there, each included: 0 and one less than there are classes, where it is a
            class. None: no bound.
    """

    name: str
    key: str = ""
    dtype: str = "float32"
    shape: tuple[int, ...] = ()
    may_be_missing: bool = False
    minimum: int | None = None
    maximum: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where there is no name, no such type, or bounds are of none."""
        if not self.name or self.dtype not in _LISTS:
            message = f"{self.name or 'name'}: dtype: one of {', '.join(_LISTS)}, not {self.dtype!r}"
            raise ValueError(message)
        require_bounds(self.name, self.minimum, self.maximum, of_integers=self.dtype == "int64")
        self.spec()

    def spec(self) -> Spec:
        """Of the array. Raises ValueError where a dimension isn't positive."""
        return Spec(dtype=self.dtype, shape=self.shape)

    @property
    def column(self) -> str:
        """The feature's key."""
        return self.key or self.name


@dataclass(frozen=True, kw_only=True)
class TfRecordFiles:
    """Examples of one kind.

    Attributes:
        root: the file, or the folder that holds them. They aren't compressed.
        features: what an item has.
        pattern: the files' names, where `root` is a folder, in small letters or capitals.
        buffer: how many items are held to be shuffled.
        shard_records: how many are read for themselves; fewer, where these take more than eight mebibytes.
    """

    root: Path
    features: tuple[Feature, ...]
    pattern: str = "*.tfrecord*"
    buffer: int = 65_536
    shard_records: int = 16_384

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_counts(buffer=self.buffer, shard_records=self.shard_records)
        names, keys = {feature.name for feature in self.features}, {feature.column for feature in self.features}
        if not self.features or len(names) != len(self.features) or len(keys) != len(self.features):
            message = "features: one or more, each with a name and a key of its own"
            raise ValueError(message)

    def spec(self) -> Mapping[str, Spec]:
        """The features'."""
        return {feature.name: feature.spec() for feature in self.features}

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files' names."""
        return (self.pattern,)

    def identity(self) -> str:
        """Of the declaration and the files."""
        return digest(self, self._names)

    def shards(self) -> Sequence[Shard]:
        """So many records each. Of each record only its length is read."""
        return self._shards

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """One block, and what is wrong. The shard's bytes are read whole; the records before `start` aren't parsed."""
        import tensorflow as tf  # noqa: PLC0415 - it takes seconds

        if shard.faults:
            yield from shard.faults if start == 0 else ()
            return
        if start >= shard.records:
            return
        with path_of(self.root, shard.file).open("rb") as file:
            file.seek(shard.begin)
            content = file.read(shard.end - shard.begin)
        borders = _borders(content)
        places = np.arange(start, shard.records)
        try:
            records = _records(content[borders[start] :], len(places))
        except tf.errors.DataLossError:
            whole = {place: _record_or_none(content[borders[place] : borders[place + 1]]) for place in places.tolist()}
            yield from (Fault(file=shard.file, row=shard.first + place + 1, reason=Reason.DAMAGED) for place, one in whole.items() if one is None)
            places = np.array([place for place, one in whole.items() if one is not None], np.int64)
            records = tf.constant([one for one in whole.values() if one is not None], tf.string)
        yield from self._parsed(records, shard, shard.first + places + 1)

    def _parsed(self, records: "tf.Tensor", shard: Shard, rows: NDArray[np.int64]) -> Iterator[Items | Fault]:
        import tensorflow as tf  # noqa: PLC0415

        try:
            items = self._parse(records)
        except (tf.errors.InvalidArgumentError, ValueError):
            wrong = [self._wrong(record) for record in records.numpy()]
            for row, found in zip(rows.tolist(), wrong, strict=True):
                yield from (Fault(file=shard.file, row=row, column=column, reason=reason) for column, reason in found)
            is_good = np.array([not found for found in wrong], bool)
            rows, items = rows[is_good], self._parse(tf.boolean_mask(records, is_good))
        is_good = np.ones(len(rows), bool)
        for feature in self.features:
            array = items[feature.name].reshape(len(rows), feature.spec().size)
            for reason, is_unlike in _unlike(array, feature).items():
                some = is_unlike.any(axis=1)
                yield from (Fault(file=shard.file, row=row, column=feature.column, reason=reason) for row in rows[some & is_good].tolist())
                is_good &= ~some
        if is_good.any():
            yield items if is_good.all() else {name: array[is_good] for name, array in items.items()}

    def _parse(self, records: "tf.Tensor") -> dict[str, NDArray[Any]]:
        """Raises InvalidArgumentError or ValueError where one of the records isn't as declared."""
        import tensorflow as tf  # noqa: PLC0415

        types = {"float32": tf.float32, "int64": tf.int64, "uint8": tf.string, STRING: tf.string}
        wanted = {one.column: tf.io.FixedLenFeature(() if one.dtype == "uint8" else one.shape, types[one.dtype]) for one in self.features}
        with tf.device("CPU"):
            parsed = tf.io.parse_example(records, wanted)
        items = {}
        for feature in self.features:
            array = parsed[feature.column].numpy()
            if feature.dtype == "uint8":
                size = feature.spec().size
                if any(len(text) != size for text in array.tolist()):
                    message = "texts of another size"
                    raise ValueError(message)
                array = np.frombuffer(b"".join(array.tolist()), np.uint8).reshape(len(array), *feature.shape)
            items[feature.name] = array
        return items

    def _wrong(self, record: bytes) -> list[tuple[str | None, Reason]]:
        """What is wrong with one record: by feature, or with the whole of it."""
        import tensorflow as tf  # noqa: PLC0415
        from google.protobuf.message import DecodeError  # noqa: PLC0415

        try:
            features = tf.train.Example.FromString(record).features.feature
        except DecodeError:
            return [(None, Reason.DAMAGED)]
        return [(feature.column, reason) for feature in self.features if (reason := _wrong_with(features, feature)) is not None]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return names_of(self.root, *self.patterns)

    @cached_property
    def _shards(self) -> tuple[Shard, ...]:
        shards: list[Shard] = []
        for name in self._names:
            shards += _shards_of(name, path_of(self.root, name), self.shard_records)
        return tuple(shards) or (Shard(file=self.root.name, faults=(Fault(file=self.root.name, reason=Reason.NO_FILES),)),)


def _unlike(values: NDArray[Any], feature: Feature) -> dict[Reason, NDArray[np.bool_]]:
    """By reason, where a value isn't what is declared."""
    if feature.dtype == "float32":
        return {Reason.NOT_FINITE: np.isinf(values) if feature.may_be_missing else ~np.isfinite(values)}
    return out_of_bounds(values, feature.minimum, feature.maximum)


def _wrong_with(features: Any, feature: Feature) -> Reason | None:  # noqa: ANN401 - a protobuf map
    kind = features[feature.column].WhichOneof("kind") if feature.column in features else None
    if kind is None:
        return Reason.MISSING
    if kind != _LISTS[feature.dtype]:
        return Reason.WRONG_TYPE
    values = getattr(features[feature.column], kind).value
    size = math.prod(feature.shape)
    if feature.dtype == "uint8":
        return None if len(values) == 1 and len(values[0]) == size else Reason.WRONG_SIZE
    return None if len(values) == size else Reason.WRONG_SIZE


def _records(content: bytes, count: int) -> "tf.Tensor":
    """Serialized Examples, string [count]. Raises DataLossError where a checksum doesn't fit.

    TensorFlow reads files only, and each from its beginning on: with `skip`, an epoch of shuffled shards would take the square of the file's size.
    So it is given the shard as a file of its own in memory.
    """
    import tensorflow as tf  # noqa: PLC0415

    name = f"ram://{uuid.uuid4().hex}"
    with tf.io.gfile.GFile(name, "wb") as file:
        file.write(content)
    try:
        with tf.device("CPU"):
            return next(iter(tf.data.TFRecordDataset([name], buffer_size=_READ_BYTES).batch(count)))
    finally:
        tf.io.gfile.remove(name)


def _record_or_none(content: bytes) -> bytes | None:
    import tensorflow as tf  # noqa: PLC0415

    try:
        return _records(content, 1).numpy()[0]
    except tf.errors.DataLossError:
        return None


def _borders(content: bytes) -> list[int]:
    """Where each record begins, and where the last one ends."""
    borders = [0]
    while borders[-1] < len(content):
        borders.append(borders[-1] + _LENGTH.size + _LENGTH.unpack_from(content, borders[-1])[0] + _FOOTER_BYTES)
    return borders


def _shards_of(name: str, path: Path, size: int) -> Iterator[Shard]:
    """Walks from record to record. Where one is cut short, or its length isn't what its checksum says, nobody knows where the next one begins."""
    end = path.stat().st_size
    if not end:
        yield Shard(file=name, faults=(Fault(file=name, reason=Reason.EMPTY_FILE),))
        return
    at = begin = first = records = 0
    with path.open("rb", buffering=_READ_BYTES) as file:
        while at < end:
            header = file.read(_LENGTH.size)
            length, checksum = _LENGTH.unpack(header) if len(header) == _LENGTH.size else (0, -1)
            after = at + _LENGTH.size + length + _FOOTER_BYTES
            if after > end or _masked_crc32c(header[:8]) != checksum:
                break
            file.seek(length + _FOOTER_BYTES, 1)
            at, records = after, records + 1
            if records == size or at - begin >= _SHARD_BYTES:
                yield Shard(file=name, first=first, records=records, begin=begin, end=at)
                begin, first, records = at, first + records, 0
    if records:
        yield Shard(file=name, first=first, records=records, begin=begin, end=at)
    if at < end:
        row = first + records
        # As many as those before were long; where there are none, this is no such file.
        lost = max(1, round((end - at) / at * row)) if row else 0
        yield Shard(file=name, first=row, records=lost, begin=at, end=end, faults=(Fault(file=name, row=row + 1, reason=Reason.DAMAGED),))


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        remainder = value
        for _ in range(8):
            # The reversed polynomial of CRC-32C (RFC 3720, B.4).
            remainder = (remainder >> 1) ^ (0x82F63B78 if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


_TABLE = _crc32c_table()


def _masked_crc32c(content: bytes) -> int:
    """The checksum of a length, masked as TensorFlow's `lib/hash/crc32c.h` does. Of eight bytes only: records are TensorFlow's to check."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
