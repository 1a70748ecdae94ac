import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import stats

from training.quality.check import check
from training.quality.drift import Comparison, Drift, FieldDrift, Tolerance, compare, decile_edges, holm, stability_index
from training.quality.schema import Category, Field, Schema
from training.quality.split import at_random

ONE = Schema(name="one", fields=(Field(name="x", description="x", unit="1", may_be_missing=True),))
COLOUR = Schema(
    name="colour",
    fields=(Field(name="x", description="x", unit="1", categories=tuple(Category(code=code, display=code) for code in "rgb"), may_be_missing=True),),
)
counts = st.lists(st.integers(0, 500), min_size=2, max_size=12)
probabilities = arrays.arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1))


@pytest.fixture(scope="module")
def clean_trial(trial: pd.DataFrame, trial_schema: Schema) -> pd.DataFrame:
    return check(trial_schema, trial, file="ACTG175.csv").clean


def of(drift: Drift, name: str) -> FieldDrift:
    return next(field for field in drift.fields if field.name == name)


def distribution(drift: Drift, name: str = "x") -> Comparison:
    found = of(drift, name).distribution
    assert found is not None
    return found


def missing(drift: Drift, name: str = "x") -> Comparison:
    found = of(drift, name).missing
    assert found is not None
    return found


def test_random_parts_of_a_real_trial_raise_no_more_alarms_than_the_significance_allows(clean_trial: pd.DataFrame, trial_schema: Schema) -> None:
    splits = [at_random(len(clean_trial), held_out=0.3, seed=seed) for seed in range(40)]

    drifts = [compare(trial_schema, clean_trial.iloc[split.training], clean_trial.iloc[split.held_out]) for split in splits]

    assert sum(drift.has_drifted for drift in drifts) <= 0.05 * 40
    assert str(drifts[0]) == "642 new rows beside 1283: nothing has drifted"
    assert [field.name for field in drifts[0].fields] == [field.name for field in trial_schema.all_fields]


def test_the_older_patients_of_a_real_trial_have_drifted_in_age_and_those_who_left_in_what_was_measured_later(
    clean_trial: pd.DataFrame, trial: pd.DataFrame, trial_schema: Schema
) -> None:
    is_old, has_left = clean_trial["age"] >= 40, trial["offtrt"] == 1

    by_age = compare(trial_schema, clean_trial[~is_old], clean_trial[is_old])
    by_stay = compare(trial_schema, clean_trial[~has_left], clean_trial[has_left])

    assert by_age.drifted == ("age",)
    assert distribution(by_age, "age").statistic == 1
    assert "cd496" in by_stay.drifted
    assert missing(by_stay, "cd496").effect == pytest.approx(trial[has_left]["cd496"].isna().mean() - trial[~has_left]["cd496"].isna().mean())
    assert missing(by_stay, "cd496").has_drifted


def test_men_beside_women_have_drifted_in_sex(clean_trial: pd.DataFrame, trial_schema: Schema) -> None:
    is_male = clean_trial["gender"] == "1"

    drift = compare(trial_schema, clean_trial[is_male], clean_trial[~is_male])

    assert distribution(drift, "gender").has_drifted
    assert distribution(drift, "gender").test == "chi-squared"


def test_benign_tumours_beside_malignant_ones_have_drifted_in_size_and_a_label_is_compared_where_both_have_it(
    tumours: pd.DataFrame, tumour_schema: Schema
) -> None:
    clean = check(tumour_schema, tumours, file="tumours").clean
    malignant, benign = clean[clean["target"] == "0"], clean[clean["target"] == "1"]

    with_label = compare(tumour_schema, malignant, benign)
    without = compare(tumour_schema, malignant, benign.drop(columns="target"))

    assert {"mean radius", "worst area", "target"} <= set(with_label.drifted)
    assert set(with_label.drifted) - set(without.drifted) == {"target"}
    assert len(without.fields) == 30


def test_the_statistics_are_scipys_and_the_corrected_p_is_of_all_fields(clean_trial: pd.DataFrame, trial_schema: Schema) -> None:
    reference, new = clean_trial[:1500], clean_trial[1500:]

    drift = compare(trial_schema, reference, new)

    wanted = stats.ks_2samp(reference["wtkg"], new["wtkg"], method="asymp")
    assert (distribution(drift, "wtkg").statistic, distribution(drift, "wtkg").p) == pytest.approx((wanted.statistic, wanted.pvalue))
    for name in ("arms", "gender"):
        counts = pd.crosstab(np.arange(len(clean_trial)) < 1500, clean_trial[name].to_numpy())
        chi_squared = stats.chi2_contingency(counts, correction=False)
        assert (distribution(drift, name).statistic, distribution(drift, name).p) == pytest.approx((chi_squared.statistic, chi_squared.pvalue))
    compared = [each for field in drift.fields for each in (field.distribution, field.missing) if each is not None]
    assert [each.corrected_p for each in compared] == pytest.approx(holm(np.array([each.p for each in compared])).tolist())


def test_two_proportions_are_worked_by_hand() -> None:
    reference = pd.DataFrame({"x": [1.0] * 80 + [math.nan] * 20})
    new = pd.DataFrame({"x": [1.0] * 60 + [math.nan] * 40})

    found = missing(compare(ONE, reference, new))

    assert found.test == "two proportions"
    assert found.effect == pytest.approx(0.2)
    assert found.statistic == pytest.approx(0.2 / math.sqrt(0.3 * 0.7 * 2 / 100))
    assert found.p == pytest.approx(stats.chi2_contingency([[80, 20], [60, 40]], correction=False).pvalue)


def test_few_missing_values_are_compared_exactly() -> None:
    drift = compare(ONE, pd.DataFrame({"x": np.arange(1000.0)}), pd.DataFrame({"x": [*np.arange(0, 1000, 50.0), math.nan, math.nan, math.nan]}))

    assert missing(drift).test == "Fisher's exact"
    assert missing(drift).statistic == math.inf, "the odds of the new rows beside those of the reference's"
    assert missing(drift).p == pytest.approx(stats.hypergeom(1023, 23, 3).pmf(3))
    assert missing(drift).has_drifted


def test_a_category_that_never_was_is_a_drift_and_few_rows_are_compared_by_simulation() -> None:
    reference = pd.DataFrame({"x": ["r"] * 500 + ["g"] * 500})

    new_code = compare(COLOUR, reference, pd.DataFrame({"x": ["r"] * 10 + ["g"] * 10 + ["b"] * 10}))
    few = compare(COLOUR, reference, pd.DataFrame({"x": ["r"] * 2 + ["g"]}))

    assert distribution(new_code).test == distribution(few).test == "chi-squared by simulation"
    assert distribution(new_code).has_drifted
    assert not distribution(few).has_drifted


def test_with_many_rows_a_small_change_is_no_drift_and_with_few_a_large_one_neither() -> None:
    random = np.random.default_rng(0)
    many, few = random.normal(0, 1, 50_000), random.normal(0, 1, 12)
    reference = pd.DataFrame({"x": random.normal(0, 1, 50_000)})

    small = distribution(compare(ONE, reference, pd.DataFrame({"x": many + 0.05})))
    chance = distribution(compare(ONE, reference, pd.DataFrame({"x": few})))
    large = distribution(compare(ONE, reference, pd.DataFrame({"x": many + 0.5})))

    assert small.corrected_p < 1e-6
    assert small.effect < 0.1
    assert chance.effect > 0.1
    assert (small.has_drifted, chance.has_drifted, large.has_drifted) == (False, False, True)


def test_one_new_row_is_compared_exactly_and_wherever_it_lies_chance_is_given_its_due() -> None:
    reference = pd.DataFrame({"x": np.arange(120.0)})

    drifts = [compare(ONE, reference, pd.DataFrame({"x": [place - 0.5]})) for place in range(121)]

    # Of 121 places that are as likely, two are as far out as the first.
    assert distribution(drifts[0]).p == pytest.approx(2 / 121)
    p = np.array([distribution(drift).p for drift in drifts])
    assert all((p <= level).mean() <= level for level in (0.01, 0.05, 0.2, 0.5))
    assert str(drifts[60]) == "1 new row beside 120: nothing has drifted"


@pytest.mark.parametrize(("new", "drifts"), [([7.0], False), ([6.0], True), ([8.0], True)])
def test_a_reference_of_one_number_drifts_to_either_side(new: list[float], drifts: bool) -> None:
    assert compare(ONE, pd.DataFrame({"x": [7.0] * 100}), pd.DataFrame({"x": new * 100})).has_drifted == drifts


@pytest.mark.parametrize(
    ("reference", "new", "kinds"),
    [([1.0, 2.0], [math.nan] * 2, (False, True)), ([math.nan] * 2, [math.nan] * 2, (False, False)), ([1.0], [1.0], (True, False))],
)
def test_what_isnt_there_isnt_compared(reference: list[float], new: list[float], kinds: tuple[bool, bool]) -> None:
    (field,) = compare(ONE, pd.DataFrame({"x": reference}), pd.DataFrame({"x": new})).fields

    assert (field.distribution is not None, field.missing is not None) == kinds


def test_a_field_that_nobody_measures_any_more_has_drifted() -> None:
    drift = compare(ONE, pd.DataFrame({"x": np.arange(50.0)}), pd.DataFrame({"x": [math.nan] * 50}))

    assert drift.drifted == ("x",)
    assert missing(drift).effect == 1


@given(counts)
@settings(max_examples=50)
def test_the_index_of_a_table_beside_itself_is_0_and_of_two_tables_the_same_either_way(one: list[int]) -> None:
    reference, new = np.array(one), np.array(one[::-1])

    assert stability_index(reference, reference) == 0
    assert 0 <= stability_index(reference, new) == pytest.approx(stability_index(new, reference))


def test_the_index_is_worked_by_hand() -> None:
    found = stability_index(np.array([500_000, 500_000]), np.array([600_000, 400_000]))

    assert found == pytest.approx(0.1 * math.log(0.6 / 0.5) - 0.1 * math.log(0.4 / 0.5), abs=1e-5)
    # With half an item in each bin the shares are 0.5 / 11 and 10.5 / 11, and the other way round.
    assert stability_index(np.array([0, 10]), np.array([10, 0])) == pytest.approx(2 * 10 / 11 * math.log(10.5 / 0.5))


@given(arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)))
@settings(max_examples=60)
def test_deciles_are_no_fuller_than_a_tenth_but_for_a_number_that_is_there_so_often(reference: NDArray[Any]) -> None:
    edges = decile_edges(reference)
    bins = np.searchsorted(edges, reference)

    assert (np.diff(edges) > 0).all()
    assert len(edges) <= 18
    for number in np.unique(bins):
        inside = reference[bins == number]
        assert len(inside) <= math.ceil(len(reference) / 10) + 1 or np.unique(inside).size <= 1 + math.ceil(len(reference) / 10)


@given(probabilities)
@settings(max_examples=60)
def test_holm_rejects_step_by_step_as_he_says(p: NDArray[Any]) -> None:
    corrected = holm(p)

    assert ((corrected >= p) & (corrected <= np.minimum(p * len(p), 1))).all()
    for level in (0.01, 0.05, 0.5):
        rejected = np.zeros(len(p), bool)
        for step, test in enumerate(np.argsort(p, kind="stable")):
            if not p[test] * (len(p) - step) < level:
                break
            rejected[test] = True
        assert np.array_equal(corrected < level, rejected)


def test_a_report_names_each_comparison() -> None:
    reference = pd.DataFrame({"x": [*np.arange(80.0), *[math.nan] * 20]})
    new = pd.DataFrame({"x": [*np.arange(200.0, 260.0), *[math.nan] * 40]})

    drift = compare(ONE, reference, new)

    assert str(drift) == "100 new rows beside 100: drifted: x"
    assert drift.as_table().rows == (
        ("x", "values", "Kolmogorov-Smirnov", "1", "below 0.001", f"{distribution(drift).effect:+.3f}", "mean 39.5 → 229.5", "drifted"),
        ("x", "missing", "two proportions", "3.086", "0.002", "+0.200", "share 0.2 → 0.4", "drifted"),
    )


def test_of_categories_it_is_told_which_ones_share_changed_most() -> None:
    drift = compare(COLOUR, pd.DataFrame({"x": ["r"] * 60 + ["g"] * 30 + ["b"] * 10}), pd.DataFrame({"x": ["r"] * 50 + ["g"] * 20 + ["b"] * 30}))

    assert distribution(drift).told == "share of b 0.1 → 0.3"


@pytest.mark.parametrize(("rows", "told"), [(9, ""), (10, "mean 10 → 4.5")])
def test_the_mean_of_so_few_that_it_says_what_one_of_them_has_is_not_told(rows: int, told: str) -> None:
    drift = compare(ONE, pd.DataFrame({"x": [10.0] * 100}), pd.DataFrame({"x": [float(row) for row in range(rows)] + [math.nan] * 50}))

    assert distribution(drift).told == told


def test_what_is_tolerated_is_declared() -> None:
    reference, new = pd.DataFrame({"x": np.arange(100.0)}), pd.DataFrame({"x": np.arange(50.0, 150)})

    assert compare(ONE, reference, new).has_drifted
    assert not compare(ONE, reference, new, tolerance=Tolerance(stability_index=20)).has_drifted
    assert not compare(ONE, reference, new, tolerance=Tolerance(significance=1e-30)).has_drifted


@pytest.mark.parametrize("given", [{"significance": 0}, {"significance": 1.1}, {"stability_index": 0}, {"missing_share": math.nan}])
def test_a_tolerance_that_makes_no_sense_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(given))}: above 0"):
        Tolerance(**given)


def test_tables_without_rows_or_without_a_field_are_refused() -> None:
    frame = pd.DataFrame({"x": [1.0]})

    with pytest.raises(ValueError, match=r"^new: at least one row"):
        compare(ONE, frame, frame[:0])
    with pytest.raises(ValueError, match=r"^reference: .*x missing"):
        compare(ONE, frame.rename(columns={"x": "y"}), frame)
