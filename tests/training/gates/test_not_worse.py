from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import ttest_1samp

from training.gates import Evidence, NotWorse, Resamples, Scores, Verdict
from training.gates.paired import items_to_show, lower_of_shares

ONE_SIDED = 1.6448536269514722


def judged(paired: Scores | Resamples, *, margin: float = 0.1, higher_is_better: bool = True, doubt: str = "") -> Verdict:
    gate = NotWorse(figure="accuracy", margin=margin, higher_is_better=higher_is_better)
    return gate.judge(Evidence(stable_version=3, paired={"accuracy": paired}, doubt=doubt))


def right(items: int, *wrong: int) -> NDArray[np.float64]:
    """1 for each item but for those."""
    scores = np.ones(items)
    scores[list(wrong)] = 0
    return scores


@given(seed=st.integers(0, 10_000), items=st.integers(3, 60), shift=st.floats(-0.3, 0.3), higher=st.booleans())
def test_not_worse_decides_as_the_paired_t_test_of_scipy(seed: int, items: int, shift: float, higher: bool) -> None:
    random = np.random.default_rng(seed)
    stable = random.normal(size=items)
    candidate = stable + shift + random.normal(scale=0.3, size=items)

    verdict = judged(Scores(candidate=candidate, stable=stable), higher_is_better=higher)

    sign = 1 if higher else -1
    p = ttest_1samp(sign * (candidate - stable), -0.1, alternative="greater").pvalue
    assert verdict.passed == (p < 0.05)
    assert verdict.found == pytest.approx(sign * (candidate - stable).mean())


@given(seed=st.integers(0, 10_000), groups=st.integers(2, 20), each=st.integers(2, 6))
def test_groups_of_one_size_are_judged_by_the_t_test_of_their_means(seed: int, groups: int, each: int) -> None:
    gained = np.random.default_rng(seed).normal(size=(groups, each))
    patients = np.repeat(np.arange(groups), each)
    order = np.random.default_rng(seed).permutation(groups * each)

    verdict = judged(Scores(candidate=gained.ravel()[order], stable=np.zeros(groups * each), groups=patients[order]))

    wanted = ttest_1samp(gained.mean(axis=1), 0).confidence_interval(0.9).low
    assert verdict.lower == pytest.approx(wanted)
    assert verdict.found == pytest.approx(gained.mean())


def test_a_patient_of_most_items_counts_by_its_items_as_in_the_figure() -> None:
    """One patient of 1,000 items, of which 400 are newly wrong, among 30 of one item each."""
    patients = np.concatenate([np.zeros(1000, int), np.arange(1, 31)])
    stable, candidate = right(1030), right(1030, *range(400))

    worse = judged(Scores(candidate=candidate, stable=stable, groups=patients), margin=0.05)
    better = judged(Scores(candidate=stable, stable=candidate, groups=patients), margin=0.05)

    assert not worse.passed
    assert worse.found == pytest.approx(candidate.mean() - stable.mean())
    # And what rests on one patient isn't shown of others.
    assert not better.passed
    assert better.found == pytest.approx(400 / 1030)


def test_the_error_of_unequal_groups_is_that_of_leaving_out_each() -> None:
    patients, gained = np.repeat([0, 1, 2, 3], [1, 2, 5, 9]), np.random.default_rng(4).normal(size=17)

    verdict = judged(Scores(candidate=gained, stable=np.zeros(17), groups=patients))

    without = np.array([gained[patients != each].mean() for each in range(4)])
    error = np.sqrt(3 / 4 * ((without - gained.mean()) ** 2).sum())
    assert verdict.lower == pytest.approx(gained.mean() - 2.3533634 * error)


@pytest.mark.parametrize(
    ("gains", "losses", "items", "ends"),
    [
        # What R has: contingencytables 3.0 in its tests (Cavo 2012), and ratesci in its examples (Bentur 2009).
        (6, 16, 161, (-0.1240, -0.0054)),
        (1, 7, 21, (-0.517, -0.026)),
    ],
)
def test_shares_of_pairs_have_tangos_interval(gains: int, losses: int, items: int, ends: tuple[float, float]) -> None:
    z = float(ndtri(0.975))

    lower, upper = lower_of_shares(gains, losses, items, z=z), -lower_of_shares(losses, gains, items, z=z)

    assert (lower, upper) == pytest.approx(ends, abs=5e-4 if items == 21 else 5e-5)


@given(gains=st.integers(0, 20), losses=st.integers(0, 20), same=st.integers(0, 100))
def test_a_bound_of_shares_is_below_what_was_found_and_falls_with_each_loss(gains: int, losses: int, same: int) -> None:
    items = gains + losses + same + 1

    lower, with_one_more = (lower_of_shares(gains, lost, items, z=ONE_SIDED) for lost in (losses, losses + 1))

    assert -1 <= with_one_more < lower < (gains - losses) / items or lower == pytest.approx(-1)


@pytest.mark.parametrize("groups", [None, np.arange(20)])
def test_a_set_that_is_too_small_to_tell_doesnt_pass_and_says_how_many_it_takes(groups: Any) -> None:
    """Both are right about each of 20 items, whoever they are of."""
    verdict = judged(Scores(candidate=right(20), stable=right(20), groups=groups), margin=0.01)

    assert (verdict.passed, verdict.found) == (False, 0)
    assert verdict.lower == pytest.approx(-(ONE_SIDED**2) / (20 + ONE_SIDED**2))
    assert "20 independent items are few: where none differs, it takes 268 to show this margin" in verdict.reason
    assert [judged(Scores(candidate=right(items), stable=right(items)), margin=0.01).passed for items in (267, 268)] == [False, True]


def test_as_many_items_are_independent_as_there_are_patients() -> None:
    """400 items of 8 patients, none of which differs."""
    verdict = judged(Scores(candidate=right(400, 3), stable=right(400, 3), groups=np.arange(400) // 50))

    assert not verdict.passed
    assert "8 independent items are few: where none differs, it takes 25" in verdict.reason


@pytest.mark.parametrize(
    "paired", [Scores(candidate=right(3, 1), stable=right(3, 1), same_answers=True), Resamples(differences=np.zeros(9), same_answers=True)]
)
def test_the_same_answers_are_not_worse_however_few_they_are(paired: Scores | Resamples) -> None:
    verdict = judged(paired, margin=0.001)

    assert (verdict.passed, verdict.found) == (True, 0.0)
    assert verdict.reason == "stable version 3 gives the same answers to every item, in all outputs"


def test_the_size_that_shows_a_margin_is_the_least_one() -> None:
    for margin in (0.3, 0.05, 0.004):
        needed = items_to_show(margin, significance_level=0.05)
        assert lower_of_shares(0, 0, needed, z=ONE_SIDED) > -margin >= lower_of_shares(0, 0, needed - 1, z=ONE_SIDED)


def test_one_item_or_one_patient_says_nothing() -> None:
    assert not judged(Scores(candidate=np.ones(1), stable=np.ones(1)), margin=0.5).passed
    one_patient = judged(Scores(candidate=np.ones(9), stable=np.ones(9), groups=np.zeros(9)), margin=0.5)
    assert (one_patient.passed, one_patient.reason.split(" of ")[0]) == (False, "can't be judged without a spread")


def test_resamples_are_held_against_the_margin_by_their_lower_quantile() -> None:
    differences = np.linspace(-0.02, 0.08, 1001)

    better, mirrored = (judged(Resamples(differences=differences), margin=0.02, higher_is_better=higher) for higher in (True, False))

    assert (better.passed, mirrored.passed) == (True, False)
    assert (better.lower, better.found) == pytest.approx((-0.015, 0.03))
    assert (mirrored.lower, mirrored.found) == pytest.approx((-0.075, -0.03))
    # Where none differs, as of two models that part all items rightly, they show no error.
    assert not any(judged(Resamples(differences=each), margin=0.02).passed for each in (np.array([]), np.zeros(99)))


def test_without_a_stable_version_there_is_nothing_to_be_worse_than() -> None:
    verdict = NotWorse(figure="accuracy", margin=0.01).judge(Evidence())

    assert verdict.passed
    assert str(verdict) == "gate accuracy not worse than stable: not compared: there is no stable version to be worse than"


def test_why_the_stable_version_may_seem_better_than_it_is_is_said() -> None:
    scores = Scores(candidate=right(99), stable=right(99))

    assert judged(scores, doubt="it may know them").reason.endswith("; it may know them")


def test_paired_scores_of_different_items_and_margins_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        Scores(candidate=np.zeros(2), stable=np.zeros(3))
    with pytest.raises(ValueError, match="a margin above 0"):
        NotWorse(figure="accuracy", margin=0)
