"""What a job is given, made of a set that is larger than memory: its items are streamed to the fit, and so many of them are drawn to be held."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.dataset import Dataset, Part, Sample
from training.quality.fault import Fault, Reason, Refused, Tally, as_table, require_few
from training.quality.split import Leak
from training.report.page import Section
from training.streams.ledger import Ledger
from training.streams.parts import NAMES, Name, Parts, text_of
from training.streams.quarantine import Quarantine
from training.streams.reservoir import Reservoir
from training.streams.source import STRING, Items, Source, Spec, files_of, passed_over, require_counts
from training.streams.streamed import Streamed
from training.streams.survey import Survey

# What a report lists; the others are counted.
_LISTED = 200
_WORDS = {"training": "to train on", "validation": "to validate", "held_out": "held out"}
_PATIENTS, _NUMBER = ".patients", ".number"
# Of how many kinds of files that aren't looked at the report says how many there are.
_SUFFIXES = 10
# How many records are named where a patient is in two parts.
_NAMED = 5
_LOOK_AT = {
    Reason.DUPLICATE_ROW: "was a file read twice, or may items repeat?",
    Reason.ALSO_HELD_OUT: "is it what is held out, or may items repeat?",
    Reason.CONFLICTING_LABEL: "were files joined that contradict each other, or may items repeat?",
    Reason.BELOW_MINIMUM: "are classes coded otherwise?",
    Reason.ABOVE_MAXIMUM: "are classes coded otherwise?",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Which of an item's arrays is what.

    Attributes:
        inputs: what a request would send.
        targets: the labels; or a structured type whose fields are arrays, such as `time_days` and `event`, for tasks that learn more than one number.
        attributes: arrays to look at subgroups by: texts, with no bounds, of which an empty one is unknown; or numbers such as ages, with the bounds
            between their levels (`evidence.subgroups.banded`).
        classes: how many there are, where the targets are classes counted from 0: an item of another one is at fault. None: only one below 0 is.
    """

    inputs: str
    targets: str | np.dtype[Any]
    attributes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    classes: int | None = None

    @property
    def learnt(self) -> str | tuple[str, ...]:
        """The targets' roles."""
        return self.targets if isinstance(self.targets, str) else self.targets.names or ()

    @property
    def target_names(self) -> tuple[str, ...]:
        """The same, as a tuple also where there is one."""
        return (self.learnt,) if isinstance(self.learnt, str) else self.learnt

    def specs(self, spec: Mapping[str, Spec]) -> dict[str, Spec]:
        """Of all these roles. Raises ValueError where items don't have one, or an attribute has bounds and is a text, or the other way round."""
        names = (self.inputs, *self.target_names, *self.attributes)
        if missing := [name for name in names if name not in spec]:
            message = f"roles: {', '.join(missing)}: not among {', '.join(spec)}"
            raise ValueError(message)
        if wrong := [name for name, bounds in self.attributes.items() if (spec[name].dtype == STRING) == bool(bounds) or spec[name].shape]:
            message = f"attributes: {', '.join(wrong)}: one text an item without bounds, or one number with bounds"
            raise ValueError(message)
        return {name: spec[name] for name in names}


def streamed_dataset(
    parts: Parts,
    roles: Roles,
    *,
    name: str,
    source: str,
    license: str,  # noqa: A002 - as a `Dataset` calls it
    sample: int,
    at_most: int,
    most_quarantined: float = 0.05,
    may_repeat: bool = False,
    seed: int = 0,
    cache: Path | None = None,
) -> Dataset:
    """The parts as a job's data. All files are read once: to count what there is to learn from, to draw what is held, and to say what is wrong.

    In memory are then at most `sample` items to train on and `at_most` of each other part, with what reading takes; the weights are fitted to all
    items to train on. Which are drawn depends on `seed`. An item's patient is known by a number (`Patients.hashes`) and not by the ID. Besides, 13
    bytes an item are held while the files are read, and as many again at their end, to find items with equal inputs; `Ledger.left_out` says which of
    them are left out of all parts. So is an item of no class.

    Args:
        parts: where the items come from.
        roles: what is what.
        name, source, license: as a `Dataset` has them.
        sample: how many items to train on are held, for what is fitted in memory.
        at_most: of how many items to validate, and of how many held out, all are held; of more, so many are drawn.
        most_quarantined: the share of what there is that may be at fault, and of what each part has that may be left out; of files with many items,
            the share that may not be taken at all. Of what is left when it is more, nobody knows whether it is like the rest.
        may_repeat: whether items with equal inputs may be of different patients, as in a table of a few coarse columns. Nobody looks for copies then.
        seed: of what is drawn.
        cache: a folder for a copy of the set, IDs included, as large as its decoded items: its files are read and decoded once, not in each epoch.

    Raises ValueError where an argument isn't as above, Refused where more is at fault or a part has no items, Leak where a patient is in two parts,
    and OSError.
    """
    require_counts(sample=sample, at_most=at_most)
    reading = _Reading(parts, roles, dict(zip(NAMES, (sample, at_most, at_most), strict=True)), may_repeat=may_repeat, seed=seed, cache=cache)
    reading.to_the_end()
    reading.leave_out_copies(most_quarantined)
    reading.require_few_faults(most_quarantined)
    training = reading.parts.part("training")
    stream = Streamed(source=training, inputs=roles.inputs, targets=roles.learnt, survey=reading.survey_of(training))
    notes = (reading.note(),)
    fitted, validation, held_out = (_part(reading.drawn(part), roles) for part in NAMES)
    return Dataset(
        name=name,
        source=source,
        license=license,
        training=Sample(inputs=fitted.inputs, targets=fitted.targets, patients=fitted.patients, attributes=fitted.attributes, stream=stream),
        validation=validation,
        held_out=held_out,
        notes=notes,
    )


class _Reading:
    """A set read through once."""

    def __init__(self, parts: Parts, roles: Roles, limits: Mapping[Name, int], *, may_repeat: bool, seed: int, cache: Path | None) -> None:
        specs = roles.specs(parts.part("training").spec())
        self._quarantine, self._untold = Quarantine(_LISTED), 0
        self._counts: Counter[int] = Counter()
        self._roles, self.parts = roles, parts
        self._passed_over = passed_over(source for _, source in parts.sources)
        if cache is not None:
            self.parts, surveys = parts.copied(cache)
            for part, survey in surveys:
                for fault in survey.faults:
                    self._tell(part, fault)
                self._untold += survey.faults_found - len(survey.faults)
            files = [(survey.files, survey.files_lost) for _, survey in surveys]
            self._records = sum(survey.records for _, survey in surveys)
        else:
            files = [files_of(source.shards()) for _, source in parts.sources]
            self._records = sum(shard.records for _, source in parts.sources for shard in source.shards())
        self._files, self._files_lost = (sum(each) for each in zip(*files, strict=True))
        self._ledger = Ledger(self._records, looks_for_copies=not may_repeat, classes=roles.classes)
        self._left_out = self._ledger.left_out()
        whose = {} if parts.patients is None else {_PATIENTS: Spec(dtype="int64")}
        self.reservoirs: dict[Name, Reservoir] = {}
        for number, (part, limit) in enumerate(limits.items()):
            # No room for more than there can be.
            records = sum(shard.records for shard in self.parts.part(part).shards())
            self.reservoirs[part] = Reservoir(
                {**specs, **whose, _NUMBER: Spec(dtype="int64")}, items=max(1, min(limit, records)), seed=[seed, number]
            )

    def to_the_end(self) -> None:
        """Reads all. Raises Refused where a part has no items, and Leak."""
        others, leaks, first = None, 0, np.zeros(0, np.int64)
        for block in self.parts.read(self._tell):
            whole = {**block.items, _NUMBER: self._ledger.add(block, self._roles.inputs, self._roles.target_names)}
            if self.parts.patients is not None:
                whole[_PATIENTS] = self.parts.hashes(block.items)
            for number, part in enumerate(NAMES):
                if not (rows := block.parts == number).any():
                    continue
                items = whole if rows.all() else {name: array[rows] for name, array in whole.items()}
                if part == "training":
                    self._counts[block.place] += int(rows.sum())
                    if self.parts.may_leak:
                        # All others have been read by now; of those that aren't held no figure is made.
                        others = self._held("validation", "held_out") if others is None else others
                        leaked = items[_NUMBER][np.isin(items[_PATIENTS], others)]
                        leaks, first = leaks + len(leaked), np.concatenate([first, leaked[: _NAMED - len(first)]])
                self.reservoirs[part].add(items)
        if empty := [_WORDS[part] for part in NAMES if not self.reservoirs[part].seen]:
            why = f"parts: none has no items, but there are none {' and none '.join(empty)}; {self._quarantine.count} faults were found"
            raise Refused(self._quarantine.faults, why=why)
        if self.parts.may_leak and len(shared := np.intersect1d(self._held("validation"), self._held("held_out"))):
            of = np.sort(self.reservoirs["validation"].array(_NUMBER)[np.isin(self.reservoirs["validation"].array(_PATIENTS), shared)])
            message = f"{len(shared)} patients have items to validate and items held out{self._such_as(of[:_NAMED])}"
            raise Leak(message)
        if leaks:
            told = f"{leaks} of {self.reservoirs['training'].seen} items to train on are of patients with items to validate or held out"
            raise Leak(told + self._such_as(first))

    def leave_out_copies(self, most: float) -> None:
        """Takes items out of all parts that equal others, or are of no class. Raises Refused where more than this share of a part is one."""
        left = self._left_out = self._ledger.left_out()
        if not len(left.items):
            return
        listed = left.items[:_LISTED]
        faults = []
        for (source, file, row), reason in zip(self._ledger.where(listed, self.parts), left.reasons, strict=False):
            column = None if row else self._roles.inputs
            if reason in {Reason.CONFLICTING_LABEL, Reason.BELOW_MINIMUM, Reason.ABOVE_MAXIMUM}:
                column = ", ".join(self._roles.target_names)
            faults.append(Fault(file=_file_of(self.parts.sources[source][0], file), row=row, column=column, reason=reason))
            self._quarantine.add(faults[-1])
        self._untold += len(left.items) - len(listed)
        for number, part in enumerate(NAMES):
            of = left.parts == number
            some = tuple(fault for fault, is_of in zip(faults, of.tolist(), strict=False) if is_of)
            require_few(int(of.sum()), self.reservoirs[part].seen, some, most=most, look_at=_look_at, what=f"items {_WORDS[part]}")
        for (_, place), some_of in self._ledger.by_shard(left.items[left.parts == 0]):
            self._counts[place] -= len(some_of)
        self.parts = self.parts.without(self._ledger.skipped(left.items, len(self.parts.sources)))

    def require_few_faults(self, most: float) -> None:
        """Raises Refused where more than this share of what there is was at fault, or of files with many items wasn't taken at all."""
        if self._files_lost:
            lost = tuple(fault for fault in self._quarantine.faults if fault.row is None)
            require_few(self._files_lost, self._files, lost, most=most, look_at=lambda _: "", what="files")
        # Where a file is damaged in its middle, one fault stands for all records behind it.
        taken = sum(self.taken.values())
        wrong = max(self._faults(), self._records - taken)
        require_few(wrong, wrong + taken, self._quarantine.faults, most=most, look_at=lambda _: "", what="items")

    @property
    def taken(self) -> dict[Name, int]:
        """How many items each part has."""
        left = np.bincount(self._left_out.parts, minlength=len(NAMES)).tolist()
        return {part: self.reservoirs[part].seen - left[number] for number, part in enumerate(NAMES)}

    def drawn(self, part: Name) -> dict[str, NDArray[Any]]:
        """What is held of a part."""
        held = self.reservoirs[part].drawn()
        is_taken = ~np.isin(held[_NUMBER], self._left_out.items)
        return held if is_taken.all() else {name: array[is_taken] for name, array in held.items()}

    def survey_of(self, training: Source) -> Survey:
        """How many items to train on each shard has."""
        shards = training.shards()
        return Survey(
            identity=training.identity(),
            items=tuple(self._counts[place] for place in range(len(shards))),
            records=sum(shard.records for shard in shards),
            faults=(),
            faults_found=0,
        )

    def note(self) -> Section:
        """How much there is, what of it is held, and what was quarantined; without a value."""
        taken, count = self.taken, self._faults()
        text = [f"{sum(taken.values()):,} items were taken: {', '.join(f'{taken[part]:,} {_WORDS[part]}' for part in NAMES)}."]
        if drawn := [f"{self.reservoirs[part].held:,} of those {_WORDS[part]}" for part in NAMES if self.reservoirs[part].held < taken[part]]:
            text.append(f"Drawn at random to be held in memory, for all but the fit of the weights: {', '.join(drawn)}.")
        if count:
            listed = f"; the first {_LISTED} are listed" if count > _LISTED else ""
            text.append(f"What is at fault was quarantined: {count:,} fault{'s' if count > 1 else ''}{listed}.")
        if reasons := Counter(self._left_out.reasons):
            told = ", ".join(f"{found:,} × {reason}" for reason, found in reasons.most_common())
            text.append(f"Among these are items that were left out when all had been compared: {told}.")
        if self._passed_over:
            told = ", ".join(f"{found:,} × {what}" for what, found in self._passed_over.most_common(_SUFFIXES))
            text.append(f"What else lies in its folders wasn't looked at: {told}{', and others' if len(self._passed_over) > _SUFFIXES else ''}.")
        table = as_table(self._quarantine.faults) if count else None
        shown = "numbers of records" if count else ""
        return Section(title="The data as it was read", text=tuple(text), table=table, of_single_items=shown)

    def _tell(self, part: Name | None, fault: Fault) -> None:
        self._quarantine.add(replace(fault, file=_file_of(part, fault.file)))

    def _such_as(self, items: NDArray[np.int64]) -> str:
        places = []
        for source, file, row in self._ledger.where(items, self.parts):
            places.append(f"{_file_of(self.parts.sources[source][0], file)}{'' if row is None else f', record {row}'}")
        return f": {'; '.join(places)}"

    def _faults(self) -> int:
        return self._quarantine.count + self._untold

    def _held(self, *parts: Name) -> NDArray[Any]:
        return np.unique(np.concatenate([self.reservoirs[part].array(_PATIENTS) for part in parts]))


def _file_of(part: Name | None, file: str) -> str:
    """Two folders may have files of one name."""
    return file if part is None else f"{file} ({_WORDS[part]})"


def _look_at(worst: Tally) -> str:
    return _LOOK_AT.get(worst.reason, "")


def _part(held: Mapping[str, NDArray[Any]], roles: Roles) -> Part:
    patients = held.get(_PATIENTS)
    return Part(
        inputs=held[roles.inputs],
        targets=held[roles.targets] if isinstance(roles.targets, str) else _structured(held, roles.targets),
        # Where each is somebody else's, there is nothing to group.
        patients=None if patients is None or len(np.unique(patients)) == len(patients) else patients,
        attributes={name: _levels(held[name], bounds) for name, bounds in roles.attributes.items()},
    )


def _structured(held: Items, dtype: np.dtype[Any]) -> NDArray[Any]:
    names = dtype.names or ()
    targets = np.empty(len(held[names[0]]), dtype)
    for name in names:
        targets[name] = held[name]
    return targets


def _levels(values: NDArray[Any], bounds: tuple[float, ...]) -> NDArray[Any]:
    """[items], texts; None where nothing is known."""
    from training.evidence.subgroups import banded  # noqa: PLC0415 - slow to import

    return banded(values.astype(np.float64), bounds) if bounds else np.array([text_of(value) or None for value in values.tolist()], object)
