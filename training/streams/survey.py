"""A set read through once: how many items each shard has, and what is wrong with the others.

With a survey the items that were seen before can be skipped without being read: only then is it known which records were left out.
"""

import json
from dataclasses import asdict, dataclass

from training.quality.fault import Fault, Reason
from training.streams.quarantine import Quarantine
from training.streams.source import Source, count_of, files_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What a set held when it was read.

    Attributes:
        identity: the set's.
        items: of each shard, in the order of `Source.shards`.
        records: how many there were in all, good or bad.
        faults: the first ones.
        faults_found: how many there were.
        files: how many files of many records there are; 0 where each item is a file of its own.
        files_lost: how many of these aren't taken at all.
    """

    identity: str
    items: tuple[int, ...]
    records: int
    faults: tuple[Fault, ...]
    faults_found: int
    files: int = 0
    files_lost: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError where there are more items than records, or fewer faults than are listed."""
        if any(count < 0 for count in self.items) or sum(self.items) > self.records:
            message = f"items: none is negative, and together at most the {self.records} records"
            raise ValueError(message)
        if self.faults_found < len(self.faults):
            message = f"faults_found: at least the {len(self.faults)} that are listed"
            raise ValueError(message)

    def __len__(self) -> int:
        """How many items there are."""
        return sum(self.items)

    @property
    def share_quarantined(self) -> float:
        """Of the records, from 0 to 1; 0 for a set without records. Files that could not be counted are in `faults` only."""
        return 1 - len(self) / self.records if self.records else 0.0

    def as_json(self) -> str:
        """To be kept beside a checkpoint."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> "Survey":
        """What `as_json` gave. Raises ValueError where it isn't that."""
        try:
            fields = json.loads(text)
            faults = tuple(Fault(**each | {"reason": Reason(each["reason"])}) for each in fields.pop("faults"))
            return cls(faults=faults, items=tuple(fields.pop("items")), **fields)
        except (KeyError, TypeError, AttributeError, ValueError):
            message = "this is no survey"
            raise ValueError(message) from None


def survey(source: Source, *, at_most: int = 10_000) -> Survey:
    """Reads the whole set, and keeps the first `at_most` faults. Raises OSError."""
    quarantine = Quarantine(at_most)
    shards = source.shards()
    counts = []
    for shard in shards:
        count = 0
        for block in source.read(shard):
            if isinstance(block, Fault):
                quarantine.add(block)
            else:
                count += count_of(block)
        counts.append(count)
    files, lost = files_of(shards)
    return Survey(
        identity=source.identity(),
        items=tuple(counts),
        records=sum(shard.records for shard in shards),
        faults=quarantine.faults,
        faults_found=quarantine.count,
        files=files,
        files_lost=lost,
    )
