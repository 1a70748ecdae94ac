"""What a job is given, made of a set that is larger than memory: its items are streamed to the fit, and so many of them are drawn to be held."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.dataset import Dataset, Part, Sample
from training.quality.fault import Fault, as_table, require_few
from training.quality.split import Leak
from training.report.page import Section
from training.streams.parts import NAMES, Name, Parts, text_of
from training.streams.quarantine import Quarantine
from training.streams.reservoir import Reservoir
from training.streams.source import STRING, Items, Source, Spec, require_counts
from training.streams.streamed import Streamed
from training.streams.survey import Survey

# What a report lists; the others are counted.
_LISTED = 200
_WORDS = {"training": "to train on", "validation": "to validate", "held_out": "held out"}
_PATIENTS = ".patients"


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Which of an item's arrays is what.

    Attributes:
        inputs: what a request would send.
        targets: the labels; or a structured type whose fields are arrays, such as `time_days` and `event`, for tasks that learn more than one number.
        attributes: arrays to look at subgroups by: texts, with no bounds, of which an empty one is unknown; or numbers such as ages, with the bounds
            between their levels (`evidence.subgroups.banded`).
    """

    inputs: str
    targets: str | np.dtype[Any]
    attributes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def learnt(self) -> str | tuple[str, ...]:
        """The targets' roles."""
        return self.targets if isinstance(self.targets, str) else self.targets.names or ()

    def specs(self, spec: Mapping[str, Spec]) -> dict[str, Spec]:
        """Of all these roles. Raises ValueError where items don't have one, or an attribute has bounds and is a text, or the other way round."""
        targets = (self.learnt,) if isinstance(self.learnt, str) else self.learnt
        names = (self.inputs, *targets, *self.attributes)
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
    seed: int = 0,
    cache: Path | None = None,
) -> Dataset:
    """The parts as a job's data. All files are read once: to count what there is to learn from, to draw what is held, and to say what is wrong.

    In memory are then at most `sample` items to train on and `at_most` of each other part, with what reading takes; the weights are fitted to all
    items to train on. Which are drawn depends on `seed`. An item's patient is known by a number (`Patients.hashes`) and not by the ID.

    Args:
        parts: where the items come from.
        roles: what is what.
        name, source, license: as a `Dataset` has them.
        sample: how many items to train on are held, for what is fitted in memory.
        at_most: of how many items to validate, and of how many held out, all are held; of more, so many are drawn.
        most_quarantined: the share of what there is that may be at fault. Of what is left when it is more, nobody knows whether it is like the rest.
        seed: of what is drawn.
        cache: a folder for a copy of the set, as large as its decoded items: then its files are read and decoded once, and not in each epoch.

    Raises ValueError where an argument isn't as above or a part has no items, Refused where more is at fault, Leak where a patient is in two parts,
    and OSError.
    """
    reading = _Reading(parts, roles.specs(parts.part("training").spec()), sample=sample, at_most=at_most, seed=seed, cache=cache)
    reading.to_the_end()
    reading.require_few_faults(most_quarantined)
    training = reading.parts.part("training")
    stream = Streamed(source=training, inputs=roles.inputs, targets=roles.learnt, survey=reading.survey_of(training))
    notes = (reading.note(),)
    fitted, validation, held_out = (_part(reading.reservoirs[part].drawn(), roles) for part in NAMES)
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

    def __init__(self, parts: Parts, specs: Mapping[str, Spec], *, sample: int, at_most: int, seed: int, cache: Path | None) -> None:
        require_counts(sample=sample, at_most=at_most)
        self._quarantine, self._untold = Quarantine(_LISTED), 0
        self._counts: Counter[int] = Counter()
        self.parts = parts
        if cache is not None:
            self.parts, surveys = parts.copied(cache)
            for part, survey in surveys:
                for fault in survey.faults:
                    self._tell(part, fault)
                self._untold += survey.faults_found - len(survey.faults)
        whose = {} if parts.patients is None else {_PATIENTS: Spec(dtype="int64")}
        self.reservoirs: dict[Name, Reservoir] = {}
        for number, (part, limit) in enumerate(zip(NAMES, (sample, at_most, at_most), strict=True)):
            # No room for more than there can be.
            records = sum(shard.records for shard in self.parts.part(part).shards())
            self.reservoirs[part] = Reservoir({**specs, **whose}, items=max(1, min(limit, records)), seed=[seed, number])

    def to_the_end(self) -> None:
        """Reads all. Raises ValueError where a part has no items, and Leak."""
        others, leaks = None, 0
        for part, place, block in self.parts.read(self._tell):
            items = block if self.parts.patients is None else {**block, _PATIENTS: self.parts.hashes(block)}
            if part == "training":
                self._counts[place] += len(next(iter(block.values())))
                if self.parts.may_leak:
                    # All others have been read by now; of those that aren't held no figure is made.
                    others = self._held("validation", "held_out") if others is None else others
                    leaks += int(np.isin(items[_PATIENTS], others).sum())
            self.reservoirs[part].add(items)
        if empty := [_WORDS[part] for part in NAMES if not self.reservoirs[part].seen]:
            message = f"parts: none has no items, but there are none {' and none '.join(empty)}; {self._quarantine.count} faults were found"
            raise ValueError(message)
        if self.parts.may_leak and (shared := int(np.isin(self._held("validation"), self._held("held_out")).sum())):
            message = f"{shared} patients have items to validate and items held out"
            raise Leak(message)
        if leaks:
            message = f"{leaks} of {self.reservoirs['training'].seen} items to train on are of patients with items to validate or held out"
            raise Leak(message)

    def require_few_faults(self, most: float) -> None:
        """Raises Refused where more than this share of what there is was at fault."""
        faults = self._faults()
        there = faults + sum(reservoir.seen for reservoir in self.reservoirs.values())
        require_few(faults, there, tuple(self._quarantine.faults), most=most, look_at=lambda _: "", what="items")

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
        seen = {part: self.reservoirs[part].seen for part in NAMES}
        count = self._faults()
        text = [f"{sum(seen.values()):,} items were taken: {', '.join(f'{seen[part]:,} {_WORDS[part]}' for part in NAMES)}."]
        if drawn := [f"{self.reservoirs[part].held:,} of those {_WORDS[part]}" for part in NAMES if self.reservoirs[part].held < seen[part]]:
            text.append(f"Drawn at random to be held in memory, for all but the fit of the weights: {', '.join(drawn)}.")
        if count:
            listed = f"; the first {_LISTED} are listed" if count > _LISTED else ""
            text.append(f"What is at fault was quarantined: {count:,} fault{'s' if count > 1 else ''}{listed}.")
        table = as_table(self._quarantine.faults) if count else None
        shown = "numbers of records" if count else ""
        return Section(title="The data as it was read", text=tuple(text), table=table, of_single_items=shown)

    def _tell(self, part: Name | None, fault: Fault) -> None:
        # Two folders may have files of one name.
        self._quarantine.add(fault if part is None else replace(fault, file=f"{fault.file} ({_WORDS[part]})"))

    def _faults(self) -> int:
        return self._quarantine.count + self._untold

    def _held(self, *parts: Name) -> NDArray[Any]:
        return np.unique(np.concatenate([self.reservoirs[part].array(_PATIENTS) for part in parts]))


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
