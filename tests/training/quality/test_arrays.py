"""Series and images, held against what is declared of them."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.quality.arrays import AsRead, Channel, Items, Kept, check_items
from training.quality.fault import Fault, Reason, Refused

ONE = Items(channels=(Channel(name="ecg", minimum=-12, maximum=12, is_normalised=True),), classes=(1, 2), most_quarantined=0.9)
GREY = Items(channels=(Channel(name="pixels", minimum=0, maximum=255, is_integer=True),), classes=(0, 1), most_quarantined=0.5)


def _beats(count: int, seed: int = 0) -> NDArray[np.float64]:
    """[items, 20 samples, 1], normalised."""
    beats = np.random.default_rng(seed).normal(size=(count, 20, 1))
    found: NDArray[np.float64] = (beats - beats.mean(axis=1, keepdims=True)) / beats.std(axis=1, ddof=1, keepdims=True)
    return found


def _part(inputs: NDArray[Any], labels: Any = None, file: str = "train", **more: Any) -> AsRead:
    return AsRead(files=(file,), inputs=inputs, labels=np.ones(len(inputs)) if labels is None else np.asarray(labels), **more)


def _said(kept: Kept) -> list[str]:
    return [str(fault) for fault in kept.faults]


def test_what_is_as_declared_is_kept_whole() -> None:
    kept = check_items(ONE, [_part(_beats(5)), _part(_beats(3, seed=1), file="test")], holds_out_last=True)

    assert [items.tolist() for items in kept.items] == [[0, 1, 2, 3, 4], [0, 1, 2]]
    assert (kept.taken, kept.records, kept.faults) == (8, 8, ())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda beat: beat * np.where(np.arange(20) == 7, math.nan, 1)[:, None], "not finite"),
        (lambda beat: beat - np.where(np.arange(20) == 7, math.inf, 0)[:, None], "not finite"),
        (lambda beat: beat * 1000, "below minimum"),
        (lambda beat: abs(beat) * 1000, "above maximum"),
        (lambda beat: beat * 0, "all values the same"),
        (lambda beat: beat * 1.1, "not normalised"),
        (lambda beat: beat + 0.1, "not normalised"),
    ],
)
def test_an_item_that_isnt_as_declared_is_left_out_with_its_channel_and_the_reason(spoil: Any, reason: str) -> None:
    beats = _beats(4)
    beats[2] = spoil(beats[2])

    kept = check_items(ONE, [_part(beats)])

    assert _said(kept) == [f"train, record 3, ecg: {reason}"]
    assert kept.items[0].tolist() == [0, 1, 3]


def test_labels_that_are_no_class_are_none() -> None:
    kept = check_items(ONE, [_part(_beats(8), labels=[1, 0, 9, 1.7, math.nan, 2, 2, 1])])

    assert _said(kept) == [
        "train, record 2, label: unknown category",
        "train, record 3, label: unknown category",
        "train, record 4, label: unknown category",
        "train, record 5, label: missing",
    ]


def test_grey_values_are_whole_and_a_type_of_whole_numbers_needs_no_look() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1))
    broken = images.astype(np.float64)
    broken[1, 0, 0] += 0.5

    assert _said(check_items(GREY, [_part(broken, labels=[0, 1, 1])])) == ["train, record 2, pixels: not an integer"]
    assert check_items(GREY, [_part(images.astype(np.uint8), labels=[0, 1, 1])]).faults == ()


def test_copies_contradictions_and_what_is_held_out_as_well_are_left_out() -> None:
    learnt, tested = _beats(6), _beats(3, seed=1)
    learnt[1], learnt[3], learnt[5] = learnt[0], learnt[2], tested[0]
    tested[2] = tested[1]

    parts = [_part(learnt, labels=[1, 1, 1, 2, 1, 1]), _part(tested, file="test")]

    assert _said(check_items(ONE, parts, holds_out_last=True)) == [
        "train, record 2: duplicate row",
        "train, record 3, label: conflicting label",
        "train, record 4, label: conflicting label",
        "train, record 6: held out as well",
        "test, record 3: duplicate row",
    ]
    # One set that is cut later: the first of the copies stays.
    assert "test, record 1: duplicate row" in _said(check_items(ONE, parts))


def test_what_could_not_be_read_is_named_as_it_was_found() -> None:
    beats = _beats(3)
    beats[1] = math.nan
    fault = Fault(file="train", row=2, column="column 9", reason=Reason.NOT_A_NUMBER)

    assert check_items(ONE, [_part(beats, unread=(fault,))]).faults == (fault,)


def test_a_part_of_which_too_much_is_wrong_is_refused_though_the_others_are_larger() -> None:
    few = Items(channels=ONE.channels, classes=ONE.classes)

    with pytest.raises(
        Refused, match=r"20 of 20 items .* up to 5% may be: is ecg in another unit, or on another scale\?; 20 × not normalised in ecg"
    ):
        check_items(few, [_part(_beats(20) * 0.5), _part(_beats(400, seed=1), file="test")])


def test_each_channel_is_of_its_own_file() -> None:
    two = Items(channels=tuple(Channel(name=name, minimum=0, maximum=1) for name in "ab"), classes=(1,), most_quarantined=0.5)
    values = np.random.default_rng(0).random((3, 5, 2))
    values[1, 2, 1] = 2

    part = AsRead(files=("a.tsv", "b.tsv"), inputs=values, labels=np.ones(3))

    assert _said(check_items(two, [part])) == ["b.tsv, record 2, b: above maximum"]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Channel(name="a", minimum=1, maximum=1), "minimum below maximum"),
        (lambda: Channel(name="a", minimum=0, maximum=math.inf), "finite numbers"),
        (lambda: Items(channels=(), classes=(1,)), "channels, classes"),
        (lambda: Items(channels=ONE.channels, classes=(1, 1)), "channels, classes"),
        (lambda: Items(channels=ONE.channels, classes=(1,), most_quarantined=1), "most_quarantined"),
        (lambda: _part(_beats(3), labels=[1, 2]), "labels: one for each of 3 inputs"),
        (lambda: AsRead(files=("a", "b"), inputs=_beats(3), labels=np.ones(3)), "files: one, or one for each of 1 channels"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(make: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make()


def test_items_with_other_channels_than_declared_are_refused() -> None:
    with pytest.raises(Refused, match="wrong size"):
        check_items(ONE, [_part(np.zeros((3, 20, 2)))])
