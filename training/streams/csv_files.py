"""CSV files: one, or all in a folder, each with a header.

Arrow reads the cells. What it says of a bad one quotes it, so none of its messages leaves this file: the records are then read again as plain bytes,
and looked through cell by cell.
"""

import codecs
import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason
from training.streams import csv_records
from training.streams.columns import Part, columns_of, items_of, require_parts
from training.streams.source import Items, Shard, Spec, count_of, digest, names_of, path_of, require_counts

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
_HEAD_BYTES = 1 << 20
# What UTF-16 and UTF-32 begin with.
_OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, kw_only=True)
class CsvFiles:
    """Tables of one kind, in one order of items.

    Attributes:
        root: the file, or the folder that holds them.
        parts: what an item has.
        pattern: the files' names, where `root` is a folder, in small letters or capitals.
        delimiter: between two cells.
        names: of the columns, where the files have no header.
        missing: what stands where nothing is known, without the blanks around it.
        encoding: of the texts; one whose ASCII characters are bytes of their own.
        buffer: how many items are held to be shuffled.
        shard_bytes: how much is read at a time.
    """

    root: Path
    parts: tuple[Part, ...]
    pattern: str = "*.csv"
    delimiter: str = ","
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = MISSING
    encoding: str = "utf-8"
    buffer: int = 65_536
    shard_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        """Raises ValueError where a field isn't as above."""
        require_parts(self.parts)
        require_counts(buffer=self.buffer, shard_bytes=self.shard_bytes)
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            message = f"delimiter: one ASCII character that is no quote and no line's end, not {self.delimiter!r}"
            raise ValueError(message)
        if len(set(self.names)) != len(self.names) or not (set(columns_of(self.parts)) <= set(self.names) or not self.names):
            message = "names: each one once, and with those that the parts name"
            raise ValueError(message)
        try:
            is_plain = all(f"\r\n{letter}".encode(self.encoding) == f"\r\n{letter}".encode("ascii") for letter in f'{self.delimiter}"')
        except LookupError:
            is_plain = False
        if not is_plain:
            message = f"encoding: a known one, whose ASCII characters are bytes of their own, not {self.encoding!r}"
            raise ValueError(message)

    def spec(self) -> Mapping[str, Spec]:
        """The parts'."""
        return {part.name: part.spec() for part in self.parts}

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files' names."""
        return (self.pattern,)

    def identity(self) -> str:
        """Of the declaration and the files."""
        return digest(self, self._names)

    def shards(self) -> Sequence[Shard]:
        """Pieces of about `shard_bytes` each. The files are read once to find where records begin; their cells aren't looked at."""
        return self._index[0]

    def read(self, shard: Shard, start: int = 0) -> Iterator[Items | Fault]:
        """One block, and what is wrong. The shard's bytes are read whole."""
        if shard.faults:
            yield from shard.faults if start == 0 else ()
            return
        if start >= shard.records:
            return
        with path_of(self.root, shard.file).open("rb") as file:
            file.seek(shard.begin)
            content = file.read(shard.end - shard.begin)
        table, rows, faults = self._table(content, shard)
        items, more = items_of(table, self.parts, file=shard.file, rows=rows)
        bad = {fault.row for fault in more}
        is_seen = np.array([row <= shard.first + start for row in rows.tolist() if row not in bad], bool) if start else None
        yield from (fault for fault in sorted([*faults, *more], key=_row) if _row(fault) > shard.first + start)
        if is_seen is not None:
            items = {name: array[~is_seen] for name, array in items.items()}
        if count_of(items):
            yield items

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return names_of(self.root, *self.patterns)

    @cached_property
    def _index(self) -> tuple[tuple[Shard, ...], dict[str, tuple[str, ...]]]:
        """All shards, and each file's columns."""
        shards: list[Shard] = []
        columns: dict[str, tuple[str, ...]] = {}
        for name in self._names:
            found = self._header(name, path_of(self.root, name))
            if isinstance(found, tuple):
                columns[name], begin = found
                shards += self._shards_of(name, path_of(self.root, name), begin)
            else:
                shards.append(Shard(file=name, faults=tuple(found)))
        if not self._names:
            shards.append(Shard(file=self.root.name, faults=(Fault(file=self.root.name, reason=Reason.NO_FILES),)))
        return tuple(shards), columns

    def _header(self, file: str, path: Path) -> tuple[tuple[str, ...], int] | list[Fault]:
        """The columns, and where what is beneath them begins; or why the file isn't taken."""
        with path.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
        if not head:
            return [Fault(file=file, reason=Reason.EMPTY_FILE)]
        begin, end = csv_records.first_record(head, delimiter=self.delimiter)
        if not end:
            return [Fault(file=file, reason=Reason.EMPTY_FILE)]
        if head.startswith(_OTHER_MARKS) or b"\0" in head[:end]:
            return [Fault(file=file, reason=Reason.WRONG_ENCODING)]
        if self.names:
            return self.names, begin
        try:
            text = head[begin:end].decode(self.encoding)
        except UnicodeDecodeError:
            return [Fault(file=file, reason=Reason.WRONG_ENCODING)]
        header = tuple(cell.strip() for cell in next(csv.reader([text], delimiter=self.delimiter), []))
        times = Counter(header)
        wanted = columns_of(self.parts)
        if missing := [name for name in wanted if name not in times]:
            # In a file without a header the first record is taken for it: none of its cells is repeated.
            return [Fault(file=file, column=name, reason=Reason.COLUMN_MISSING) for name in missing]
        twice = [name if name in wanted else f"number {header.index(name) + 1}" for name, count in times.items() if count > 1]
        return [Fault(file=file, column=name, reason=Reason.COLUMN_TWICE) for name in twice] or (header, end)

    def _shards_of(self, file: str, path: Path, begin: int) -> list[Shard]:
        shards: list[Shard] = []
        first = 0
        for piece in csv_records.pieces(path, delimiter=self.delimiter, begin=begin, size=self.shard_bytes):
            faults = (Fault(file=file, row=first + 1, reason=Reason.QUOTES),) if piece.is_open else ()
            if piece.records:
                shards.append(Shard(file=file, first=first, records=piece.records, begin=piece.begin, end=piece.end, faults=faults))
            first += piece.records
        return shards or [Shard(file=file, faults=(Fault(file=file, reason=Reason.NO_RECORDS),))]

    def _table(self, content: bytes, shard: Shard) -> tuple["pa.Table", NDArray[np.int64], list[Fault]]:
        """The columns that are wanted, the numbers of their rows' records, and what is wrong with the others."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        columns = self._index[1][shard.file]
        if codecs.lookup(self.encoding).name != "utf-8":
            # What isn't of that encoding stays as it is, which is no UTF-8.
            content = content.decode(self.encoding, "surrogateescape").encode("utf-8", "surrogateescape")
        is_text = _is_utf8(content)
        try:
            if not is_text:
                raise pa.ArrowInvalid  # noqa: TRY301 - as if Arrow had found it
            table, skipped = _cells(content, columns, self.delimiter, self._types, self.missing)
        except pa.ArrowInvalid:
            table, skipped = _cells(content, columns, self.delimiter, dict.fromkeys(columns, pa.binary()))
        numbers = np.arange(1, shard.records + 1)
        faults = []
        if len(table) + len(skipped) != shard.records:
            table, skipped, bad = self._one_by_one(content, columns)
            numbers = np.delete(numbers, bad)
            faults = [Fault(file=shard.file, row=shard.first + place + 1, reason=Reason.QUOTES) for place in bad]
        places = np.array([place - 1 for place, _ in skipped], np.int64)
        faults += [Fault(file=shard.file, row=shard.first + int(numbers[place - 1]), reason=reason) for place, reason in skipped]
        rows = shard.first + np.delete(numbers, places)
        if not is_text:
            others = [name for name in columns if name not in columns_of(self.parts)]
            is_good = np.ones(len(table), bool)
            for name in others:
                wrong = np.array([not _is_utf8(cell or b"") for cell in table.column(name).to_pylist()], bool)
                faults += [Fault(file=shard.file, row=row, column=name, reason=Reason.WRONG_ENCODING) for row in rows[wrong].tolist()]
                is_good &= ~wrong
            table, rows = table.filter(pa.array(is_good)), rows[is_good]
        return self._with_missing(table), rows, faults

    def _one_by_one(self, content: bytes, columns: Sequence[str]) -> tuple["pa.Table", list[tuple[int, Reason]], list[int]]:
        """Where Arrow finds other records than there are: those that it takes for one are read, and the places of the others are named."""
        import pyarrow as pa  # noqa: PLC0415

        types = dict.fromkeys(columns, pa.binary())
        records = csv_records.split(content, delimiter=self.delimiter)
        bad = []
        for place, record in enumerate(records):
            table, skipped = _cells(record, columns, self.delimiter, types)
            if len(table) + len(skipped) != 1:
                bad.append(place)
        table, skipped = _cells(b"".join(record for place, record in enumerate(records) if place not in set(bad)), columns, self.delimiter, types)
        return table, skipped, bad

    @cached_property
    def _types(self) -> dict[str, Any]:
        """What Arrow reads each column as, where all is well. Integers as well are read as floats: as integers `0x10` would be one."""
        import pyarrow as pa  # noqa: PLC0415

        texts = frozenset().union(*(part.texts for part in self.parts))
        return {name: pa.string() if name in texts else pa.float64() for name in columns_of(self.parts)}

    def _with_missing(self, table: "pa.Table") -> "pa.Table":
        """Null where a text says that nothing is known."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        for place, name in enumerate(table.column_names):
            column = table.column(name)
            if column.type == pa.string():
                known = pc.invert(pc.is_in(pc.utf8_trim_whitespace(column), pa.array(self.missing, pa.string())))
            elif column.type == pa.binary():
                known = pa.array([cell is not None and cell.strip() not in self._missing_bytes for cell in column.to_pylist()], pa.bool_())
            else:
                continue
            table = table.set_column(place, name, pc.if_else(known, column, None))
        return table

    @cached_property
    def _missing_bytes(self) -> frozenset[bytes]:
        return frozenset(text.encode("utf-8") for text in self.missing)


def _cells(
    content: bytes, columns: Sequence[str], delimiter: str, types: Mapping[str, Any], missing: Sequence[str] = ()
) -> tuple["pa.Table", list[tuple[int, Reason]]]:
    """The records as a table, and the numbers from 1 of those that have too few or too many cells.

    Raises ArrowInvalid, whose message quotes the cell, where one isn't of its type.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv as arrow  # noqa: PLC0415

    skipped: list[tuple[int, Reason]] = []

    def skip(row: Any) -> str:  # noqa: ANN401 - Arrow's InvalidRow
        skipped.append((row.number, Reason.TOO_FEW_CELLS if row.actual_columns < row.expected_columns else Reason.TOO_MANY_CELLS))
        return "skip"

    if not content:
        return pa.table({name: pa.array([], type_) for name, type_ in types.items()}), []
    table = arrow.read_csv(
        pa.BufferReader(content),
        # One block and one thread: only then do the numbers count from the first record on.
        read_options=arrow.ReadOptions(use_threads=False, column_names=list(columns), block_size=len(content) + 1),
        parse_options=arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
        convert_options=arrow.ConvertOptions(
            column_types=dict(types),
            include_columns=list(types),
            null_values=list(missing),
            strings_can_be_null=False,
            quoted_strings_can_be_null=True,
        ),
    )
    return table, skipped


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _row(fault: Fault) -> int:
    return fault.row or 0
