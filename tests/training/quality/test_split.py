from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.quality.split import Leak, Split, at_random, by_patient, by_time, require_no_leak

visits = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.integers(0, 50)), min_size=8, max_size=120).filter(
    lambda rows: len({patient for patient, _, _ in rows}) >= 6
)
shares = st.sampled_from([(0.1, 0.2), (0.0, 0.5), (0.25, 0.25), (0.05, 0.33)])


def columns(rows: list[tuple[int, int, int]]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    patients, labels, times = np.array(rows).T
    return patients, labels, times


def sizes(split: Split) -> list[int]:
    return [len(part) for part in split.parts.values()]


@given(visits, shares, st.integers(0, 9))
@settings(max_examples=80)
def test_by_patient_no_patient_is_in_two_parts(rows: list[tuple[int, int, int]], share: tuple[float, float], seed: int) -> None:
    patients, labels, _ = columns(rows)
    validation, held_out = share

    split = by_patient(patients, labels=labels, validation=validation, held_out=held_out, seed=seed)

    found = [set(patients[part].tolist()) for part in split.parts.values()]
    assert sum(map(len, found)) == len(set().union(*found)) == len(set(patients.tolist()))
    require_no_leak(split, patients=patients)
    many = len(set(patients.tolist()))
    assert len(found[2]) == max(1, round(many * held_out))
    assert abs(len(found[1]) - many * validation) <= 1


@given(visits, shares, st.integers(0, 9))
@settings(max_examples=80)
def test_by_patient_each_class_has_its_share_of_what_is_held_out_to_within_one(
    rows: list[tuple[int, int, int]], share: tuple[float, float], seed: int
) -> None:
    patients, labels, _ = columns(rows)
    rarity = sorted(set(labels.tolist()), key=lambda label: ((labels == label).sum(), label))
    rarest = {patient: min(rarity.index(label) for label in labels[patients == patient]) for patient in patients.tolist()}

    split = by_patient(patients, labels=labels, validation=share[0], held_out=share[1], seed=seed)

    held_out = set(patients[split.held_out].tolist())
    real_share = len(held_out) / len(rarest)
    for label in range(len(rarity)):
        of_class = {patient for patient, place in rarest.items() if place == label}
        assert abs(len(of_class & held_out) - len(of_class) * real_share) <= 1


@given(visits, st.integers(0, 9), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_by_patient_the_order_of_the_rows_doesnt_matter_and_the_seed_does(rows: list[tuple[int, int, int]], seed: int, random: Any) -> None:
    patients, labels, _ = columns(rows)
    order = np.array(random.sample(range(len(rows)), len(rows)))

    split = by_patient(patients, labels=labels, seed=seed)
    shuffled = by_patient(patients[order], labels=labels[order], seed=seed)

    for part, other in zip(split.parts.values(), shuffled.parts.values(), strict=True):
        assert set(patients[part].tolist()) == set(patients[order][other].tolist())
    others = {tuple(by_patient(patients, labels=labels, seed=other).held_out.tolist()) for other in range(20)}
    assert len(others) > 1


@given(visits, st.integers(1, 50), st.integers(0, 49), st.sampled_from(["removed", "assigned"]))
@settings(max_examples=80)
def test_by_time_what_is_held_out_is_later_than_all_else_and_no_patient_is_in_two_parts(
    rows: list[tuple[int, int, int]], held_out_from: int, before: int, straddlers: Any
) -> None:
    patients, _, times = columns(rows)
    validation_from = max(0, held_out_from - before)
    try:
        split = by_time(times, held_out_from=held_out_from, validation_from=validation_from, patients=patients, straddlers=straddlers)
    except ValueError as error:
        assume("training and held_out" not in str(error))
        raise

    require_no_leak(split, patients=patients, times=times)
    assert times[split.training].max() < held_out_from <= times[split.held_out].min()
    assert ((times[split.validation] >= validation_from) & (times[split.validation] < held_out_from)).all()
    found = [set(patients[part].tolist()) for part in split.parts.values()]
    assert sum(map(len, found)) == len(set().union(*found))
    if straddlers == "assigned":
        assert sorted([*split.held_out, *split.removed[times[split.removed] >= held_out_from]]) == np.flatnonzero(times >= held_out_from).tolist()
        assert set().union(*found) == set(patients.tolist()), "each patient is somewhere"


def test_by_time_says_what_becomes_of_patients_who_straddle_the_cut() -> None:
    patients, times = np.array(["a", "a", "b", "b", "c", "d"]), np.array([1, 9, 2, 3, 9, 5])

    removed = by_time(times, held_out_from=8, validation_from=4, patients=patients)
    assigned = by_time(times, held_out_from=8, validation_from=4, patients=patients, straddlers="assigned")
    unknown = by_time(times, held_out_from=8)

    assert [part.tolist() for part in (*removed.parts.values(), removed.removed)] == [[2, 3], [5], [4], [0, 1]]
    assert [part.tolist() for part in (*assigned.parts.values(), assigned.removed)] == [[2, 3], [5], [1, 4], [0]]
    assert [part.tolist() for part in (*unknown.parts.values(), unknown.removed)] == [[0, 2, 3, 5], [], [1, 4], []]


def test_by_time_takes_the_calendar() -> None:
    times = pd.to_datetime(pd.Series(["2020-01-01", "2021-01-01", "2022-01-01"])).to_numpy()

    split = by_time(times, held_out_from=np.datetime64("2021-01-01"))

    assert split.held_out.tolist() == [1, 2]
    require_no_leak(split, times=times)


def test_a_real_trial_is_split_by_patient_with_as_many_events_in_each_part(trial: pd.DataFrame) -> None:
    rows = pd.concat([trial, trial.sample(frac=0.5, random_state=0)], ignore_index=True)

    split = by_patient(rows["pidnum"].to_numpy(), labels=rows["cens"].to_numpy(), validation=0.15, held_out=0.25, seed=3)

    assert [rows["pidnum"].iloc[part].nunique() for part in split.parts.values()] == [1283, 321, 535]
    rates = [rows.iloc[part].drop_duplicates("pidnum")["cens"].mean() for part in split.parts.values()]
    assert rates == pytest.approx([trial["cens"].mean()] * 3, abs=0.003)
    assert [len(part) / len(rows) for part in split.parts.values()] == pytest.approx([0.6, 0.15, 0.25], abs=0.005)
    require_no_leak(split, patients=rows["pidnum"].to_numpy(), rows=rows[["pidnum", "age", "cd40"]])


def test_a_real_trial_is_no_worse_balanced_than_by_scikit_learn(trial: pd.DataFrame) -> None:
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415

    patients, labels = trial["pidnum"].to_numpy(), trial["arms"].to_numpy()
    _, theirs = next(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(patients, labels, patients))

    ours = by_patient(patients, labels=labels, held_out=0.2).held_out

    mine, sklearns = (np.abs(np.bincount(labels[part]) / len(part) - np.bincount(labels) / len(labels)).max() for part in (ours, theirs))
    assert mine <= sklearns + 1 / len(ours)


def test_at_random_tumours_are_split_by_label_and_none_is_in_two_parts(tumours: pd.DataFrame) -> None:
    labels = tumours["target"].to_numpy()

    split = at_random(len(labels), labels=labels, seed=1)

    assert sizes(split) == [398, 57, 114]
    assert [labels[part].mean() for part in split.parts.values()] == pytest.approx([labels.mean()] * 3, abs=1 / 57)
    require_no_leak(split, rows=tumours.drop(columns="target"))


def test_at_random_numbers_are_balanced_as_well_as_classes(trial: pd.DataFrame) -> None:
    outcome = trial["cd420"].to_numpy()

    split = at_random(len(outcome), labels=outcome)

    for share in (0.1, 0.5, 0.9):
        assert [np.quantile(outcome[part], share) for part in split.parts.values()] == pytest.approx([np.quantile(outcome, share)] * 3, rel=0.01)


def test_each_seed_gives_another_split_and_the_held_out_rows_are_no_pattern() -> None:
    found = [at_random(60, seed=seed).held_out for seed in range(20)]

    assert len({tuple(rows) for rows in found}) == 20
    assert len({step for rows in found for step in np.diff(rows)}) > 10


def test_of_few_patients_one_at_least_is_held_out_and_one_validates() -> None:
    assert sizes(at_random(3, validation=0.05, held_out=0.05)) == [1, 1, 1]


def split_of(training: list[int], held_out: list[int], removed: tuple[int, ...] = ()) -> Split:
    return Split(training=np.array(training), validation=np.array([], int), held_out=np.array(held_out), removed=np.array(removed, int))


def test_patients_in_two_parts_are_counted_and_not_named() -> None:
    patients = np.array(["Smith", "Jones", "Smith", "Brown", "Jones", "Brown"])

    with pytest.raises(Leak, match=r"^2 of 3 patients are in more than one part$"):
        require_no_leak(split_of([0, 1], [2, 4, 3], (5,)), patients=patients)
    require_no_leak(split_of([0, 2], [1, 4], (3, 5)), patients=patients)


def test_rows_without_a_patient_might_be_of_one() -> None:
    with pytest.raises(Leak, match="1 of 3 patients"):
        require_no_leak(split_of([0, 1], [2, 3]), patients=np.array(["a", None, "", "b"], object))


def test_equal_rows_in_two_parts_are_counted() -> None:
    rows = pd.DataFrame({"x": [1.0, np.nan, 1.0, np.nan, 2.0], "y": ["a", "b", "a", "b", "a"]})

    with pytest.raises(Leak, match=r"^2 of 3 rows of held out have the same features as rows of training$"):
        require_no_leak(split_of([0, 1], [2, 3, 4]), rows=rows)
    with pytest.raises(Leak, match="1 of 3 rows of held out"):
        require_no_leak(split_of([0, 2], [1, 3, 4]), rows=rows.assign(y="a", x=[1.0, 1, 1, 2, 3]))
    with pytest.raises(Leak, match="1 of 2 rows of held out"):
        require_no_leak(split_of([0, 1], [2, 3]), rows=np.array([[1, 2], [3, 4], [3, 4], [5, 6]]))
    require_no_leak(split_of([0, 2], [1, 3], (4,)), rows=rows)


def test_a_row_that_isnt_before_a_later_part_is_counted() -> None:
    with pytest.raises(Leak, match=r"^1 of 2 rows of training aren't before all of held out$"):
        require_no_leak(split_of([0, 1], [2, 3]), times=np.array([1, 5, 5, 7]))
    require_no_leak(split_of([0, 1], [2, 3]), times=np.array([1, 4, 5, 7]))


def test_all_that_leaks_is_said_at_once() -> None:
    with pytest.raises(Leak, match=r"patients .*; .* aren't before .*; .* same features"):
        require_no_leak(split_of([0], [1]), patients=np.array([1, 1]), times=np.array([1, 1]), rows=np.array([[1], [1]]))


@pytest.mark.parametrize(
    ("training", "held_out", "message"),
    [([0, 1], [1, 2], "each of 4 rows is in one"), ([0], [2], "each of 2 rows is in one"), ([], [0], "some rows each"), ([0], [], "some rows each")],
)
def test_a_split_that_isnt_one_is_refused(training: list[int], held_out: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_of(training, held_out)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda: by_patient(np.array(["a", None], object)), "patients: none of them missing; 1 of 2 are"),
        (lambda: by_patient(np.arange(9.0), labels=np.array([np.nan] * 9)), "labels: none of them missing; 9 of 9"),
        (lambda: by_patient(np.arange(9), labels=np.arange(8)), "labels: one for each of 9 rows"),
        (lambda: by_patient(np.arange(9).reshape(3, 3)), "patients: "),
        (lambda: by_patient(np.arange(9), held_out=0), "validation, held_out: shares"),
        (lambda: by_patient(np.arange(9), validation=0.5, held_out=0.5), "validation, held_out: shares"),
        (lambda: by_patient(np.arange(9), validation=float("nan")), "validation, held_out: shares"),
        (lambda: by_patient(np.zeros(9)), "training and held_out: some rows each"),
        (lambda: by_patient(np.array([])), "training and held_out: some rows each"),
        (lambda: by_time(np.array([1.0, np.nan]), held_out_from=1), "times: none of them missing; 1 of 2"),
        (lambda: by_time(np.array(["NaT", "2020"], "datetime64[ns]"), held_out_from=np.datetime64("2020")), "times: none of them missing"),
        (lambda: by_time(np.array(["1", "2"]), held_out_from=1), "times: numbers or datetime64"),
        (lambda: by_time(np.arange(9), held_out_from=1, validation_from=2), "validation_from: not after held_out_from"),
        (lambda: by_time(np.arange(9), held_out_from=10), "training and held_out: some rows each"),
        (lambda: by_time(np.arange(9), held_out_from=5, straddlers="kept"), "straddlers: removed or assigned"),  # type: ignore[arg-type]
        (lambda: require_no_leak(split_of([0], [1]), patients=np.arange(3)), "patients: one for each of 2 rows; there are 3"),
        (lambda: require_no_leak(split_of([0], [1]), rows=np.ones((3, 1))), "rows: one for each of 2 rows; there are 3"),
    ],
)
def test_what_cant_be_split_is_refused(split: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split()
