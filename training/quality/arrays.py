"""Holds series and images against what is declared of them, as `check` does a table's rows: what isn't so is left out, and said where and why."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.quality.fault import Fault, Reason, Refused, Tally, require_few

_LABEL = "label"
# By so much the mean and the spread of a normalised item may be off: files have six digits, or so.
_NORMALISED = 0.01
_LOOK_AT = {
    Reason.UNKNOWN_CATEGORY: "are its classes coded otherwise?",
    Reason.DUPLICATE_ROW: "was the file joined with itself?",
    Reason.ALSO_HELD_OUT: "is it the file that is held out?",
    Reason.CONFLICTING_LABEL: "were files joined that contradict each other?",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One of the last axis of an item: a lead, a pressure, a colour.

    Attributes:
        name: for people; it stands for the column in what is wrong.
        minimum, maximum: the least and the largest value that can be true, each included.
        is_integer: whether values are whole numbers.
        is_normalised: whether each item has a mean of 0 and a standard deviation, that of a sample, of 1.
    """

    name: str
    minimum: float
    maximum: float
    is_integer: bool = False
    is_normalised: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where there is no name, or nothing between the bounds."""
        if not self.name or not -math.inf < self.minimum < self.maximum < math.inf:
            message = f"name, minimum, maximum: a text, and finite numbers, minimum below maximum; {self.name or 'one without a name'} has others"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """What each item of a set is to be like.

    Attributes:
        channels: what the last axis has.
        classes: the labels that there are, by the files' own codes.
        most_quarantined: the share of a part's items that may be left out. Of what is left when it is more, nobody knows whether it is like the rest.
    """

    channels: tuple[Channel, ...]
    classes: tuple[int, ...]
    most_quarantined: float = 0.05

    def __post_init__(self) -> None:
        """Raises ValueError where there is no channel or class, one is there twice, or the share is none."""
        names = [channel.name for channel in self.channels]
        if not names or not self.classes or len(set(names)) < len(names) or len(set(self.classes)) < len(self.classes):
            message = "channels, classes: one of each at least, and none of them twice"
            raise ValueError(message)
        if not 0 <= self.most_quarantined < 1:
            message = f"most_quarantined: a share from 0 on and below 1; it is {self.most_quarantined}"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AsRead:
    """A part of the set, as its files have it.

    Attributes:
        files: the file of each channel, or the one that has all of them.
        inputs: [items, …, channels], of any type of numbers: in double precision where the file is a text, so that no value fits by being rounded.
        labels: [items], numbers that may be none of the classes.
        unread: what was found to be wrong while it was read. Records are items, counted from 1.
        inputs_name, labels_name: what the parts of the file are called; the channel's name, and `label`, where empty.
    """

    files: tuple[str, ...]
    inputs: NDArray[Any]
    labels: NDArray[Any]
    unread: tuple[Fault, ...] = ()
    inputs_name: str = ""
    labels_name: str = _LABEL

    def __post_init__(self) -> None:
        """Raises ValueError where the arrays aren't of the same items, or it isn't known which file a channel is of."""
        if len(self.inputs) != len(self.labels) or self.labels.ndim != 1:
            message = f"labels: one for each of {len(self.inputs)} inputs; there are {self.labels.shape}"
            raise ValueError(message)
        if len(self.files) not in {1, self.inputs.shape[-1]}:
            message = f"files: one, or one for each of {self.inputs.shape[-1]} channels; there are {len(self.files)}"
            raise ValueError(message)

    def file(self, channel: int) -> str:
        """The file that this channel is in."""
        return self.files[channel % len(self.files)]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Kept:
    """What may be learnt from.

    Attributes:
        items: of each part, the places of the items that are as declared, rising.
        records: how many all parts have.
        faults: what is wrong with the others, by part and record.
    """

    items: tuple[NDArray[np.int64], ...]
    records: int
    faults: tuple[Fault, ...]

    @property
    def taken(self) -> int:
        """How many items of all parts are left."""
        return sum(map(len, self.items))


def check_items(declared: Items, parts: Sequence[AsRead], *, holds_out_last: bool = False) -> Kept:
    """The items of all parts that are as declared, equal no earlier one, and contradict none.

    Left out are items with a value that isn't finite, is out of range, no whole number or not normalised; whose values in a channel are all the same;
    whose label is no class; that equal an earlier item; and all that equal one of another label, for nobody knows which is right. Where the last part
    is held out, an item of another part that equals one of it is left out and not the held-out one. Raises Refused where more of a part is left out
    than may be.
    """
    found = [dict(_not_as_declared(declared, part)) for part in parts]
    for part, wrong in zip(parts, found, strict=True):
        for fault in part.unread:
            wrong[(fault.row or 1) - 1] = fault
    for place, item, reason in _equal_to_others(parts, [np.array(sorted(wrong), np.int64) for wrong in found], holds_out_last=holds_out_last):
        part = parts[place]
        column = part.labels_name if reason is Reason.CONFLICTING_LABEL else part.inputs_name or None
        found[place][item] = Fault(file=part.file(0), row=item + 1, column=column, reason=reason)
    for part, wrong in zip(parts, found, strict=True):
        faults = tuple(wrong[item] for item in sorted(wrong))
        require_few(len(wrong), len(part.inputs), faults, most=declared.most_quarantined, look_at=_look_at, what="items")
    return Kept(
        items=tuple(np.setdiff1d(np.arange(len(part.inputs)), list(wrong)) for part, wrong in zip(parts, found, strict=True)),
        records=sum(len(part.inputs) for part in parts),
        faults=tuple(wrong[item] for wrong in found for item in sorted(wrong)),
    )


def _not_as_declared(declared: Items, part: AsRead) -> Iterator[tuple[int, Fault]]:
    """Items that are wrong by themselves, each with what is wrong first: of its values, or else of its label. Later ones are yielded earlier."""
    is_class = np.isin(part.labels, declared.classes)
    for item in np.flatnonzero(~is_class):
        reason = Reason.MISSING if np.isnan(part.labels[item]) else Reason.UNKNOWN_CATEGORY
        yield int(item), Fault(file=part.file(0), row=int(item) + 1, column=part.labels_name, reason=reason)
    if part.inputs.shape[-1] != len(declared.channels):
        raise Refused((Fault(file=part.file(0), reason=Reason.WRONG_SIZE),), why=f"it has {len(declared.channels)} channels")
    values = part.inputs.reshape(len(part.inputs), -1, len(declared.channels))
    for place, channel in reversed(list(enumerate(declared.channels))):
        for reason, wrong in reversed(list(_wrong(channel, values[:, :, place]))):
            for item in np.flatnonzero(wrong):
                yield int(item), Fault(file=part.file(place), row=int(item) + 1, column=part.inputs_name or channel.name, reason=reason)


def _wrong(channel: Channel, values: NDArray[Any]) -> Iterator[tuple[Reason, NDArray[np.bool_]]]:
    """Each rule and [items], whether an item breaks it; `values` is [items, values]."""
    is_finite = np.isfinite(values).all(axis=1)
    least, most = values.min(axis=1), values.max(axis=1)
    yield Reason.NOT_FINITE, ~is_finite
    yield Reason.BELOW_MINIMUM, least < channel.minimum
    yield Reason.ABOVE_MAXIMUM, most > channel.maximum
    yield Reason.CONSTANT, least == most
    if channel.is_integer and values.dtype.kind not in "iu":
        yield Reason.NOT_AN_INTEGER, is_finite & (values != np.round(values)).any(axis=1)
    if channel.is_normalised:
        finite = np.where(is_finite[:, np.newaxis], values, 0)
        off = np.maximum(np.abs(finite.mean(axis=1)), np.abs(finite.std(axis=1, ddof=1) - 1))
        yield Reason.NOT_NORMALISED, is_finite & (off > _NORMALISED)


def _equal_to_others(parts: Sequence[AsRead], wrong: list[NDArray[np.int64]], *, holds_out_last: bool) -> Iterator[tuple[int, int, Reason]]:
    """Part, item and reason of what is wrong beside other items: of those that aren't wrong by themselves."""
    items = [
        (part.inputs[item].tobytes(), place, int(item), float(part.labels[item]))
        for place, part in enumerate(parts)
        for item in np.setdiff1d(np.arange(len(part.inputs)), wrong[place])
    ]
    last = len(parts) - 1
    # Equal items beside each other; those of the part that is held out first, for they stay.
    items.sort(key=lambda each: (each[0], holds_out_last and each[1] != last, each[1], each[2]))
    for _, group in groupby(items, key=lambda each: each[0]):
        first, *others = group
        is_contradicted = any(label != first[3] for *_, label in others)
        if is_contradicted:
            yield first[1], first[2], Reason.CONFLICTING_LABEL
        for _, place, item, _ in others:
            is_held_out_too = holds_out_last and first[1] == last != place
            copy = Reason.ALSO_HELD_OUT if is_held_out_too else Reason.DUPLICATE_ROW
            yield place, item, Reason.CONFLICTING_LABEL if is_contradicted else copy


def _look_at(worst: Tally) -> str:
    if worst.reason in {Reason.BELOW_MINIMUM, Reason.ABOVE_MAXIMUM, Reason.NOT_NORMALISED}:
        return f"is {worst.column} in another unit, or on another scale?"
    return _LOOK_AT.get(worst.reason, "")
