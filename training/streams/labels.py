"""What class a file of a folder has: by the folder that it lies in, or by a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from training.quality.fault import Fault, Reason
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.source import Spec


class Labels(Protocol):
    """Gives each file its class."""

    def files(self) -> tuple[Path, ...]:
        """What it reads besides the folder: it is part of the set's identity."""

    def of(self, names: Sequence[str]) -> tuple[Mapping[str, int], Sequence[Fault]]:
        """The classes' numbers from 0, by the files' names below the set's folder, and why the others have none. Raises OSError."""


def spec_of(labels: Labels | None) -> dict[str, Spec]:
    """The array `label`, int64, where there are labels."""
    return {} if labels is None else {"label": Spec(dtype="int64")}


def files_of(labels: Labels | None) -> tuple[Path, ...]:
    """What is read for the labels besides the folder."""
    return () if labels is None else labels.files()


@dataclass(frozen=True, kw_only=True, slots=True)
class ByFolder:
    """The class is the first folder below the set's that a file lies in.

    Attributes:
        classes: the folders' names, in the order of the classes' numbers.
    """

    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where there are none, or one stands twice."""
        _require_classes(self.classes)

    def files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def of(self, names: Sequence[str]) -> tuple[Mapping[str, int], Sequence[Fault]]:
        """By the files' names alone."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        folders = {name: name.split("/")[0] if "/" in name else "" for name in names}
        found = {name: numbers[folder] for name, folder in folders.items() if folder in numbers}
        return found, [Fault(file=name, reason=Reason.UNKNOWN_CATEGORY) for name in names if name not in found]


@dataclass(frozen=True, kw_only=True, slots=True)
class ByTable:
    """The class stands in a CSV file, which has a row for each file, or for a folder and all that lies in it. It is held in memory.

    Attributes:
        table: the CSV file.
        file_column: the column of the names below the set's folder, with `/` between folders.
        label_column: the column of the classes' names.
        classes: these names, in the order of the classes' numbers.
    """

    table: Path = field(repr=False)
    file_column: str
    label_column: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where there are no classes, or one stands twice."""
        _require_classes(self.classes)

    def files(self) -> tuple[Path, ...]:
        """The table."""
        return (self.table,)

    def of(self, names: Sequence[str]) -> tuple[Mapping[str, int], Sequence[Fault]]:
        """Where two rows give one name two classes, it has none. A row that no file goes with is a fault as well."""
        table = CsvFiles(
            root=self.table,
            parts=(
                Part(name="file", columns=self.file_column, kind=Kind.STRING),
                Part(name="label", columns=self.label_column, kind=Kind.INT64, categories=self.classes),
            ),
        )
        faults: list[Fault] = []
        rows: dict[str, int | None] = {}
        places: dict[str, int] = {}
        for shard in table.shards():
            bad: set[int | None] = set()
            for block in table.read(shard):
                if isinstance(block, Fault):
                    faults.append(block)
                    bad.add(block.row)
                    continue
                # What is wrong with a shard comes before its one block.
                numbers = [row for row in range(shard.first + 1, shard.first + shard.records + 1) if row not in bad]
                for row, name, label in zip(numbers, block["file"].tolist(), block["label"].tolist(), strict=True):
                    rows[name] = label if rows.get(name, label) == label else None
                    places.setdefault(name, row)
        found: dict[str, int] = {}
        used: set[str] = set()
        for name in names:
            key = next((key for key in _ways(name) if key in rows), None)
            label = None if key is None else rows[key]
            if key is not None:
                used.add(key)
            if label is not None:
                found[name] = label
            else:
                faults.append(Fault(file=name, column=self.label_column, reason=Reason.MISSING if key is None else Reason.CONFLICTING_LABEL))
        # By its record, and not by what stands there.
        faults += [
            Fault(file=self.table.name, row=places[key], column=self.file_column, reason=Reason.NO_SUCH_FILE) for key in rows if key not in used
        ]
        return found, faults


def _ways(name: str) -> list[str]:
    """The file's name, and the folders that it lies in, from the innermost on."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _require_classes(classes: tuple[str, ...]) -> None:
    if not classes or len(set(classes)) != len(classes) or not all(classes):
        message = "classes: one or more, each one once"
        raise ValueError(message)
