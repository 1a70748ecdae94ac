from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.evidence import resampling
from training.evidence.resampling import Bootstrap, Method, Rows
from training.gates import Evidence, NotWorse, judge

VALUES = np.random.default_rng(1).lognormal(size=60)


def mean(rows: Rows) -> float:
    return float(VALUES[rows].mean())


def skew(rows: Rows) -> float:
    return float(VALUES[rows].std() / VALUES[rows].mean())


@settings(max_examples=50)
@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=30).filter(lambda names: len(set(names)) > 1), st.integers(0, 1000))
def test_a_group_is_drawn_whole_or_not_at_all(names: list[str], seed: int) -> None:
    groups = np.array(names)
    bootstrap = Bootstrap(items=len(names), seed=seed, groups=groups, resamples=5)

    for rows in bootstrap.rows():
        times = np.bincount(rows, minlength=len(names))
        drawn = {name: set(times[groups == name].tolist()) for name in set(names)}
        assert all(len(counts) == 1 for counts in drawn.values())
        assert sum(counts.pop() for counts in drawn.values()) == len(set(names))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30).filter(lambda numbers: len(set(numbers)) > 1))
def test_the_jackknife_leaves_each_group_out_once(numbers: list[int]) -> None:
    groups = np.array(numbers)

    left = [sorted(set(range(len(numbers))) - set(rows.tolist())) for rows in Bootstrap(items=len(numbers), seed=1, groups=groups).left_out()]

    assert left == [np.flatnonzero(groups == number).tolist() for number in sorted(set(numbers))]


@pytest.mark.parametrize("groups", [None, np.arange(60) // 3])
def test_the_same_seed_draws_the_same_and_another_draws_others(groups: Any) -> None:
    first, second, third = (resampling.distribution(mean, Bootstrap(items=60, seed=seed, groups=groups, resamples=20)) for seed in (1, 1, 2))

    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("statistic", [mean, skew])
def test_the_interval_is_scipys_of_the_same_resamples(method: Method, statistic: Any) -> None:
    from scipy.stats import bootstrap as scipys  # noqa: PLC0415
    from scipy.stats import norm, t  # noqa: PLC0415

    plan = Bootstrap(items=60, seed=5, resamples=2000)
    resampled = resampling.distribution(statistic, plan)

    found = resampling.figure("x", statistic, plan, method=method)

    # A percentile interval is expanded, as Hesterberg has it, for 60 groups.
    level = 0.95 if method == "bca" else 1 - 2 * norm.cdf(np.sqrt(60 / 59) * t.ppf(0.025, 59))
    wanted = scipys(
        (np.arange(60),), statistic, n_resamples=0, vectorized=False, method=method, confidence_level=level,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=resampled),
    ).confidence_interval  # fmt: skip
    assert (found.lower, found.upper) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert found.value == statistic(np.arange(60))


def test_patients_with_many_items_make_the_interval_wider_than_items_alone_would() -> None:
    """Twenty equal items a patient say no more than one."""
    patients = np.repeat(np.arange(30), 20)
    values = np.random.default_rng(2).normal(size=30)[patients]

    by_item, by_patient = (
        resampling.figure("mean", lambda rows: float(values[rows].mean()), Bootstrap(items=600, seed=1, groups=groups)) for groups in (None, patients)
    )

    assert by_patient.upper - by_patient.lower == pytest.approx(np.sqrt(20) * (by_item.upper - by_item.lower), rel=0.15)
    assert (by_item.interval_method, by_patient.interval_method) == (
        "bootstrap expanded percentile, 1000 resamples",
        "bootstrap expanded percentile, 1000 resamples of 30 groups",
    )


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_nineteen_of_twenty_intervals_hold_the_truth(method: Method) -> None:
    random = np.random.default_rng(11)
    groups = np.arange(120) // 3

    def holds(seed: int) -> bool:
        values = np.repeat(random.exponential(size=40), 3) + random.normal(size=120) / 10
        found = resampling.figure(
            "mean", lambda rows: float(values[rows].mean()), Bootstrap(items=120, seed=seed, groups=groups, resamples=150), method=method
        )
        return found.lower <= 1 <= found.upper

    # Forty skewed values are few: below 95 % by a little is what theory promises. Four standard errors of 150 trials are 0.07.
    assert np.mean([holds(seed) for seed in range(150)]) >= 0.86


def test_of_few_groups_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """As many as there are pigs held out. Without the expansion it is 0.91."""
    trials = np.random.default_rng(12).normal(size=(400, 13))

    def holds(values: NDArray[Any]) -> bool:
        found = resampling.figure("mean", lambda rows: float(values[rows].mean()), Bootstrap(items=13, seed=1, resamples=200))
        return found.lower <= 0 <= found.upper

    assert np.mean([holds(each) for each in trials]) >= 0.93


def test_bca_mends_the_skew_of_a_percentile_interval() -> None:
    plan = Bootstrap(items=60, seed=5, resamples=2000)

    percentile, bca = (resampling.figure("mean", mean, plan, method=method) for method in ("percentile", "bca"))

    # Of lognormal values a mean that is too small is likelier than one that is too large.
    assert bca.lower > percentile.lower
    assert bca.upper > percentile.upper


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_figure_that_never_changes_has_an_interval_without_width(method: Method) -> None:
    found = resampling.figure("one", lambda _: 1.0, Bootstrap(items=5, seed=1, resamples=10), method=method)

    assert (found.lower, found.upper) == (1, 1)


def test_a_difference_of_two_that_move_together_is_surer_than_either() -> None:
    plan = Bootstrap(items=60, seed=3)
    slightly_more = VALUES + 0.1

    found = resampling.difference("gain", lambda rows: float(slightly_more[rows].mean()), mean, plan)

    assert (found.lower, found.value, found.upper) == pytest.approx((0.1, 0.1, 0.1))


def test_paired_differences_are_what_the_gate_takes() -> None:
    plan = Bootstrap(items=60, seed=3)
    worse_by = np.linspace(0.005, 0.015, 60)
    resamples = resampling.paired(lambda rows: float((VALUES - worse_by)[rows].mean()), mean, plan)

    verdicts = judge([NotWorse(figure="mean", margin=margin) for margin in (0.02, 0.005)], Evidence(stable_version=1, paired={"mean": resamples}))

    assert resamples.differences == pytest.approx([-float(worse_by[rows].mean()) for rows in plan.rows()])
    assert [verdict.passed for verdict in verdicts] == [True, False]


def _of_both_kinds(is_case: NDArray[np.bool_]) -> Any:
    return lambda rows: float(is_case[rows].mean()) if 0 < is_case[rows].sum() < len(rows) else np.nan


def test_resamples_without_a_value_are_left_out_and_counted() -> None:
    is_case = np.arange(20) < 2
    plan = Bootstrap(items=20, seed=1, resamples=500)

    found = resampling.figure("share", _of_both_kinds(is_case), plan, method="bca")

    undefined = int(np.isnan(resampling.distribution(_of_both_kinds(is_case), plan)).sum())
    # By chance a resample has no case with 0.9^20.
    assert undefined == pytest.approx(500 * 0.9**20, abs=30)
    assert found.interval_method == f"bootstrap BCa, 500 resamples, {undefined} without a value"
    assert 0 < found.lower < found.upper < 1


def test_what_is_undefined_for_most_resamples_has_no_interval() -> None:
    plan = Bootstrap(items=3, seed=1)

    with pytest.raises(ValueError, match="share: it is undefined for these items"):
        resampling.figure("share", _of_both_kinds(np.zeros(3, bool)), plan)
    with pytest.raises(ValueError, match=r"the difference: it is undefined for \d+ of 1000 resamples"):
        resampling.paired(lambda rows: np.nan if len(set(rows.tolist())) < 3 else 1.0, mean, plan)


def test_each_point_of_an_array_has_its_own_interval() -> None:
    plan = Bootstrap(items=60, seed=5)

    lower, upper = resampling.pointwise(lambda rows: np.array([mean(rows), skew(rows)]), plan)

    for place, statistic in enumerate((mean, skew)):
        found = resampling.figure("x", statistic, plan)
        assert (lower[place], upper[place]) == (found.lower, found.upper)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": 3, "resamples": 0}, "resamples: 1 or more"),
        ({"items": 3, "confidence_level": 1.0}, "confidence_level: above 0 and below 1"),
        ({"items": 3, "groups": np.array([1, 2])}, "groups: one for each of the 3 items"),
        ({"items": 2, "groups": np.array([1, 1])}, "groups: two or more to draw from, not 1"),
        ({"items": 1}, "groups: two or more to draw from, not 1"),
        ({"items": 2, "groups": np.array([1.0, np.nan])}, "groups: an item's group is missing"),
        ({"items": 2, "groups": np.array(["a", None], object)}, "groups: an item's group is missing"),
    ],
)
def test_what_cant_be_drawn_from_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bootstrap(seed=1, **arguments)
