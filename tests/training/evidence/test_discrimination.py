from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evidence import discrimination as d
from training.evidence.operating_point import OperatingPoint, youden
from training.evidence.resampling import Bootstrap
from training.report import plots

Items = tuple[NDArray[np.bool_], NDArray[Any]]
# Few different scores, so that many are tied.
scored = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=4, max_size=40).filter(
    lambda rows: 1 < sum(row[0] for row in rows) < len(rows) - 1
)


@pytest.fixture(scope="module")
def tumours() -> Items:
    """Real tumours, told apart by their mean texture alone: neither well nor badly."""
    data = load_breast_cancer()
    return data.target == 0, data.data[:, 1]


def drawn(seed: int, items: int = 200) -> Items:
    random = np.random.default_rng(seed)
    is_case = random.random(items) < 0.4
    return is_case, random.normal(size=items) + is_case


# Of two normal distributions one deviation apart.
TRUTH = 0.7602


@settings(max_examples=100)
@given(scored)
def test_the_area_is_scikit_learns_with_ties(rows: list[tuple[bool, int]]) -> None:
    is_case, scores = (np.array(column) for column in zip(*rows, strict=True))

    assert d.area(is_case, scores) == pytest.approx(roc_auc_score(is_case, scores))


@settings(max_examples=50)
@given(scored)
def test_delongs_variance_is_the_slow_formula_pair_by_pair(rows: list[tuple[bool, int]]) -> None:
    is_case, scores = (np.array(column) for column in zip(*rows, strict=True))

    found = d.delong(is_case, scores, confidence_level=0.5)

    case, other = scores[is_case][:, np.newaxis], scores[~is_case][np.newaxis]
    wins = (case > other) + 0.5 * (case == other)
    variance = wins.mean(axis=1).var(ddof=1) / len(case) + wins.mean(axis=0).var(ddof=1) / other.size
    half = 0.6744897501960817 * np.sqrt(variance)
    assert found.value == pytest.approx(wins.mean())
    if variance > 0:
        assert (found.lower, found.upper) == pytest.approx((max(wins.mean() - half, 0), min(wins.mean() + half, 1)))
    else:
        assert found.interval_method == "newcombe"


@pytest.mark.parametrize("value", [1.0, 0.0, 0.5])
def test_where_delong_says_that_the_area_is_certain_it_is_newcombes_interval(value: float) -> None:
    is_case = np.arange(20) < 10
    scores = {1.0: np.where(is_case, 2.0, 1.0), 0.0: np.where(is_case, 1.0, 2.0), 0.5: np.ones(20)}[value]

    found = d.delong(is_case, scores)

    assert found.value == value
    ends = {found.lower, found.upper} - {value}
    assert len(ends) == (2 if value == 0.5 else 1)
    for end in ends:
        # Hanley and McNeil's variance of an area that is at the end, with 10 of each kind.
        first, second = end / (2 - end), 2 * end**2 / (1 + end)
        variance = (end * (1 - end) + 9 * (first - end**2) + 9 * (second - end**2)) / 100
        assert abs(end - value) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-4)


def test_of_patients_with_many_items_each_nothing_is_certain_because_every_item_is_right() -> None:
    is_case = np.arange(60) % 2 == 1
    point = OperatingPoint(threshold=0.5, sensitivity=1, specificity=1, chosen_by="hand")

    found = d.figures(is_case, np.where(is_case, 0.9, 0.1), point, Bootstrap(items=60, seed=1, groups=np.arange(60) // 6, resamples=100))

    for figure in found[-2:]:
        assert (figure.value, figure.upper) == (1, 1)
        # Wilson's of ten, and not of thirty, which would be 0.886.
        assert figure.lower == pytest.approx(0.7225, abs=1e-4)
        assert figure.interval_method == "wilson, of 10 groups"


def test_nineteen_of_twenty_delong_intervals_hold_the_truth() -> None:
    found = [d.delong(*drawn(seed)) for seed in range(250)]

    # Four standard errors of 250 trials are 0.055.
    assert np.mean([figure.lower <= TRUTH <= figure.upper for figure in found]) == pytest.approx(0.95, abs=0.055)


def test_delong_and_the_bootstrap_agree_on_independent_items(tumours: Items) -> None:
    by_formula = d.delong(*tumours)

    by_drawing = d.by_bootstrap("auroc", d.area, *tumours, Bootstrap(items=569, seed=1))

    assert by_formula.value == by_drawing.value == pytest.approx(roc_auc_score(*tumours))
    assert by_formula.upper - by_formula.lower == pytest.approx(by_drawing.upper - by_drawing.lower, rel=0.1)
    assert (by_formula.lower, by_formula.upper) == pytest.approx((by_drawing.lower, by_drawing.upper), abs=0.01)


def test_two_scores_on_the_same_items_are_told_apart_where_one_is_better() -> None:
    is_case, scores = drawn(3, 500)
    noisier = scores + np.random.default_rng(4).normal(size=500)

    better, same = d.delong_difference(is_case, scores, noisier), d.delong_difference(is_case, scores, scores * 2)

    assert better.value == pytest.approx(d.area(is_case, scores) - d.area(is_case, noisier))
    assert 0 < better.lower < better.upper
    assert (same.lower, same.value, same.upper) == pytest.approx((0, 0, 0), abs=1e-7)


def test_the_difference_is_as_sure_as_the_bootstrap_says(tumours: Items) -> None:
    is_case, texture = tumours
    smoothness = load_breast_cancer().data[:, 4]

    by_formula = d.delong_difference(is_case, texture, smoothness)

    areas = [d.area(is_case[rows], texture[rows]) - d.area(is_case[rows], smoothness[rows]) for rows in Bootstrap(items=569, seed=1).rows()]
    assert (by_formula.lower, by_formula.upper) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])), abs=0.012)


def test_of_two_that_make_no_mistake_it_is_not_certain_that_they_are_equal() -> None:
    is_case = np.arange(20) < 10

    found = d.delong_difference(is_case, np.where(is_case, 2.0, 1.0), is_case - np.arange(20) / 100)

    alone = d.delong(is_case, np.where(is_case, 2.0, 1.0))
    assert found.value == 0
    assert (found.lower, found.upper) == pytest.approx((alone.lower - 1, 1 - alone.lower))


def test_a_difference_of_paired_shares_is_bonett_and_prices() -> None:
    # As in Bonett and Price's formula, (f + 1) / (n + 2): of 40 items, 12 are so of the first only, and 2 of the second.
    first, second = np.arange(40) < 30, (np.arange(40) >= 12) & (np.arange(40) < 32)

    found = d.share_difference("accuracy", first, second, Bootstrap(items=40, seed=0))

    one, other = 13 / 42, 3 / 42
    half = 1.959964 * np.sqrt((one + other - (one - other) ** 2) / 42)
    assert (found.name, found.value) == ("accuracy_difference", 10 / 40)
    assert (found.lower, found.upper) == pytest.approx((one - other - half, one - other + half))


def test_items_of_the_same_patients_tell_two_shares_apart_no_more_surely_for_being_many() -> None:
    random = np.random.default_rng(0)
    first, second = (np.repeat(random.random(30) < share, 20) for share in (0.9, 0.6))
    groups = np.repeat(np.arange(30), 20)

    alone, by_patient = (d.share_difference("accuracy", first, second, Bootstrap(items=600, seed=0, groups=of)) for of in (None, groups))
    same = d.share_difference("accuracy", first, first, Bootstrap(items=600, seed=0, groups=groups))

    assert by_patient.value == alone.value
    assert by_patient.upper - by_patient.lower > 3 * (alone.upper - alone.lower)
    assert same.interval_method == "paired, Bonett and Price, of 30 groups"
    assert same.upper == -same.lower == pytest.approx(1.959964 * np.sqrt(2 / 32 / 32))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_a_difference_is_within_its_interval_and_the_other_way_round_it_is_the_negative(rows: list[tuple[bool, bool]], level: float) -> None:
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    bootstrap = Bootstrap(items=max(len(rows), 2), seed=0, confidence_level=level)

    found, other = d.share_difference("f", first, second, bootstrap), d.share_difference("f", second, first, bootstrap)

    assert -1 <= found.lower <= found.value <= found.upper <= 1
    assert (other.value, other.lower, other.upper) == pytest.approx((-found.value, -found.upper, -found.lower))


@pytest.mark.parametrize("groups", [None, np.arange(200) // 2])
def test_the_differences_are_those_of_the_figures_and_surer_than_the_figures(groups: NDArray[Any] | None) -> None:
    is_case, scores = drawn(5)
    noisier = scores + 0.5 * np.random.default_rng(6).normal(size=200)
    mine, theirs = (1 / (1 + np.exp(-each)) for each in (scores, noisier))
    point = OperatingPoint(threshold=0.6, sensitivity=0.5, specificity=0.5, chosen_by="hand")
    bootstrap = Bootstrap(items=200, seed=1, groups=groups, resamples=200)

    found = d.differences(is_case, mine, theirs, (point, point), bootstrap)

    first, second = d.figures(is_case, mine, point, bootstrap), d.figures(is_case, theirs, point, bootstrap)
    assert [figure.name for figure in found] == [f"{figure.name}_difference" for figure in first]
    assert [figure.value for figure in found] == pytest.approx([one.value - other.value for one, other in zip(first, second, strict=True)])
    assert all(
        figure.upper - figure.lower < np.hypot(one.upper - one.lower, other.upper - other.lower)
        for figure, one, other in zip(found, first, second, strict=True)
    )


def test_average_precision_and_brier_are_worked_by_hand() -> None:
    is_case = np.array([True, False, True, False])
    probabilities = np.array([0.9, 0.8, 0.7, 0.1])

    assert d.average_precision(is_case, probabilities) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert d.brier(is_case, probabilities) == pytest.approx((0.01 + 0.64 + 0.09 + 0.01) / 4)


@given(scored)
def test_average_precision_is_scikit_learns_among_ties_too(items: list[tuple[bool, int]]) -> None:
    is_case, scores = np.array([case for case, _ in items]), np.array([score for _, score in items]) / 6

    assert d.average_precision(is_case, scores) == pytest.approx(average_precision_score(is_case, scores), abs=1e-12)
    assert np.isnan(d.average_precision(np.zeros_like(is_case), scores))


@pytest.mark.parametrize("kind", [True, False])
def test_of_one_kind_only_the_area_is_undefined(kind: bool) -> None:
    assert np.isnan(d.area(np.full(3, kind), np.arange(3.0)))


def test_the_figures_of_independent_items_have_exact_intervals_and_those_of_patients_the_bootstraps() -> None:
    is_case, scores = drawn(5)
    probabilities = 1 / (1 + np.exp(-scores))
    point = OperatingPoint(threshold=0.6, sensitivity=0.5, specificity=0.5, chosen_by="hand")

    alone, by_patient = (
        d.figures(is_case, probabilities, point, Bootstrap(items=200, seed=1, groups=groups, resamples=200)) for groups in (None, np.arange(200) // 2)
    )

    assert [figure.name for figure in alone] == [figure.name for figure in by_patient]
    assert [figure.value for figure in alone] == pytest.approx([figure.value for figure in by_patient])
    drawn_by = "bootstrap expanded percentile, 200 resamples"
    assert [figure.interval_method for figure in alone] == ["delong", drawn_by, drawn_by, "wilson", "wilson"]
    assert {figure.interval_method for figure in by_patient} == {f"{drawn_by} of 100 groups"}
    assert all(figure.lower < figure.value < figure.upper for figure in alone + by_patient)


def test_a_score_that_is_no_probability_has_no_brier_score() -> None:
    is_case, scores = drawn(5)
    point = OperatingPoint(threshold=0.6, sensitivity=0.5, specificity=0.5, chosen_by="hand")

    with pytest.raises(ValueError, match=r"probabilities: item \d+ has one that isn't from 0 to 1"):
        d.figures(is_case, scores, point, Bootstrap(items=200, seed=1))


def test_the_curve_lies_within_its_band_and_is_drawn(tumours: Items) -> None:
    is_case, scores = tumours

    band = d.roc(is_case, scores, Bootstrap(items=569, seed=1, resamples=100))

    assert band.lower is not None
    assert band.upper is not None
    assert ((band.lower <= band.y + 1e-9) & (band.y <= band.upper + 1e-9)).mean() > 0.95
    assert np.trapezoid(band.y, band.x) == pytest.approx(d.area(is_case, scores), abs=0.005)
    point = youden(is_case, scores)
    assert np.interp(1 - point.specificity, band.x, band.y) == pytest.approx(point.sensitivity, abs=0.02)
    assert "<svg" in plots.roc({"texture": band})


@pytest.mark.parametrize(
    ("is_case", "scores", "message"),
    [
        (np.array([True, False, True]), np.array([1.0, 2.0, 3.0]), "is_case: 2 or more of cases and of others each, not 2 and 1"),
        (np.array([True, False]), np.array([1.0, 2.0, 3.0]), "is_case and scores: both"),
        (np.array([1, 0]), np.array([1.0, 2.0]), "the first bool"),
        (np.array([True, True, False, False]), np.array([1.0, 2.0, np.nan, 3.0]), "scores: item 2 has none that is a finite number"),
    ],
)
def test_what_has_no_area_is_refused(is_case: NDArray[Any], scores: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        d.delong(is_case, scores)
