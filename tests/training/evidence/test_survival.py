from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.datasets import load_rossi
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training.evidence import kaplan_meier, resampling, survival
from training.evidence.resampling import Bootstrap
from training.evidence.survival import Curves, Followed
from training.gates import Evidence, NotWorse, Scores, judge

EDGES = np.array([2.0, 4, 6, 8])
# Few different days, so that events and censoring fall on one.
seen = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=3, max_size=30)


def of(rows: list[tuple[int, bool]]) -> Followed:
    return Followed(time_days=np.array([row[0] for row in rows], float), event=np.array([row[1] for row in rows]))


def drawn(seed: int, items: int, *, censored: bool = True) -> tuple[Followed, Curves]:
    """Exponential times whose rate is known of each patient: so the curves hold. Times are measured in tenths."""
    random = np.random.default_rng(seed)
    rate = np.exp(random.normal(-2, 0.8, items))
    times = np.ceil(random.exponential(1 / rate) * 10) / 10
    ends = np.ceil(random.exponential(8, items) * 10) / 10 if censored else np.full(items, np.inf)
    curves = Curves(edges_days=EDGES, survival=np.exp(-rate[:, np.newaxis] * EDGES))
    return Followed(time_days=np.minimum(times, ends), event=times <= ends), curves


@settings(max_examples=40)
@given(seen, st.integers(0, 9))
def test_the_weights_add_up_to_what_kaplan_and_meier_find_also_with_ties(rows: list[tuple[int, bool]], day: int) -> None:
    followed = of(rows)
    if not (followed.time_days > day).any():
        followed = of([*rows, (10, True)])

    weights = followed.weights(day)

    kaplan_meiers = float(KaplanMeierFitter().fit(followed.time_days, followed.event).survival_function_at_times(day).iloc[0])
    by_then = followed.time_days <= day
    assert weights[by_then].sum() / len(weights) == pytest.approx(1 - kaplan_meiers)
    assert weights[~by_then].sum() / len(weights) == pytest.approx(kaplan_meiers)


@settings(max_examples=30)
@given(seen, st.integers(0, 1000))
def test_the_area_at_a_time_is_the_slow_sum_over_pairs(rows: list[tuple[int, bool]], seed: int) -> None:
    followed = of([*rows, (1, True), (10, False)])
    items = len(followed.event)
    curves = Curves(edges_days=EDGES, survival=np.random.default_rng(seed).integers(0, 5, (items, 4)) / 4)

    found = survival.area_at(followed, curves, 4)(np.arange(items))

    # Censoring's Kaplan-Meier by hand: events of a day leave before whoever is censored that day.
    times, event = followed.time_days, followed.event

    def chance_to_stay(before: float) -> float:
        chance = 1.0
        for day in np.unique(times[times < before]):
            there = (times > day).sum() + ((times == day) & ~event).sum()
            chance *= 1 - ((times == day) & ~event).sum() / there if there else 1
        return chance

    above = total = 0.0
    for case in np.flatnonzero(event & (times <= 4)):
        for control in np.flatnonzero(times > 4):
            weight = 1 / chance_to_stay(times[case])
            total += weight
            above += weight * (
                float(curves.survival[case, 1] < curves.survival[control, 1]) + 0.5 * (curves.survival[case, 1] == curves.survival[control, 1])
            )
    assert found == pytest.approx(above / total)


def test_where_all_were_followed_it_is_the_usual_area_and_the_mean_squared_error() -> None:
    followed, curves = drawn(1, 300, censored=False)
    everybody = np.arange(300)

    area = survival.area_at(followed, curves, 4)(everybody)
    integrated = survival.integrated_brier_scores(followed, curves).mean()

    assert area == pytest.approx(roc_auc_score(followed.time_days <= 4, 1 - curves.at(4)))
    errors = [0, *(np.mean((curves.survival[:, edge] - (followed.time_days > day)) ** 2) for edge, day in enumerate(EDGES))]
    assert integrated == pytest.approx(sum(2 * (first + second) / 2 for first, second in pairwise(errors)) / 8)


def test_censoring_moves_neither_figure_on_average() -> None:
    """Of the same patients: what is found with half of them lost is what is found with all."""
    lost = [drawn(seed, 800) for seed in range(10)]
    kept = [drawn(seed, 800, censored=False) for seed in range(10)]

    for figure in (lambda f, c: survival.area_at(f, c, 6)(np.arange(800)), lambda f, c: survival.integrated_brier_scores(f, c).mean()):
        differences = [figure(*one) - figure(*other) for one, other in zip(lost, kept, strict=True)]
        assert np.mean(differences) == pytest.approx(0, abs=4 * np.std(differences) / np.sqrt(10))
        assert np.std(differences) < 0.02
    # To count whoever was lost as without the event would find another area and another share.
    assert np.mean([followed.event.mean() for followed, _ in lost]) < 0.65


def test_the_intervals_hold_what_is_true_as_often_as_they_say() -> None:
    known = [drawn(seed, 20000, censored=False) for seed in (91, 92)]
    true_area = np.mean([survival.area_at(followed, curves, 6)(np.arange(20000)) for followed, curves in known])
    true_brier = np.mean([survival.brier_scores(followed, curves, 6) for followed, curves in known])
    trials = [(*drawn(seed, 250), Bootstrap(items=250, seed=seed, resamples=100)) for seed in range(60)]

    areas = [survival.auroc_at(followed, curves, 6, plan) for followed, curves, plan in trials]
    briers = [survival.brier_at(followed, curves, 6, plan) for followed, curves, plan in trials]

    # Four standard errors of 60 trials are 0.11.
    assert np.mean([figure.lower <= true_area <= figure.upper for figure in areas]) >= 0.84
    assert np.mean([figure.lower <= true_brier <= figure.upper for figure in briers]) >= 0.84


def test_prisoners_that_were_released_are_told_apart_better_than_by_chance() -> None:
    """Rossi's 432 real prisoners: a Cox regression on the first 300, held against Kaplan-Meier's curve on the others."""
    table = load_rossi()
    train, test = table[:300], table[300:]
    edges = np.array([10.0, 20, 30, 40, 51])
    cox = CoxPHFitter().fit(train, "week", "arrest")
    curves = Curves(edges_days=edges, survival=cox.predict_survival_function(test, times=edges).to_numpy().T)
    followed = Followed(time_days=test["week"].to_numpy(), event=test["arrest"].to_numpy(bool))
    fitted_to = Followed(time_days=train["week"].to_numpy(), event=train["arrest"].to_numpy(bool))
    nothing = kaplan_meier.same_for_all(fitted_to, edges, len(test))
    plan = Bootstrap(items=132, seed=1, resamples=300)

    area, score = survival.auroc_at(followed, curves, 51, plan), survival.integrated_brier(followed, curves, plan)
    without = survival.integrated_brier(followed, nothing, plan)

    assert (area.name, score.name) == ("auroc_51d", "integrated_brier")
    assert area.value > 0.5
    assert area.lower < area.value < area.upper
    assert survival.area_at(followed, nothing, 51)(np.arange(132)) == 0.5
    assert score.lower < score.value < score.upper
    # What is known of them tells little: the curve of all is as good, and both are better than to say a half.
    assert score.value == pytest.approx(without.value, abs=0.005)
    assert max(score.value, without.value) < 0.15


def test_the_scores_of_each_patient_are_what_the_gate_takes() -> None:
    followed, curves = drawn(4, 400)
    flat = Curves(edges_days=EDGES, survival=np.full((400, 4), 0.5))
    better, worse = (survival.integrated_brier_scores(followed, each) for each in (curves, flat))
    gate = NotWorse(figure="integrated_brier", margin=0.005, higher_is_better=False)

    verdicts = [
        judge([gate], Evidence(stable_version=1, paired={"integrated_brier": Scores(candidate=one, stable=other)}))[0].passed
        for one, other in ((better, worse), (worse, better))
    ]

    assert verdicts == [True, False]


def test_two_models_are_resampled_together() -> None:
    followed, curves = drawn(5, 300)
    plan = Bootstrap(items=300, seed=1, resamples=50)
    area = survival.area_at(followed, curves, 6)

    assert not resampling.paired(area, area, plan).differences.any()


def test_survival_is_a_line_between_two_edges() -> None:
    curves = Curves(edges_days=np.array([10.0, 30]), survival=np.array([[0.8, 0.4]]))

    assert [curves.at(days)[0] for days in (0, 5, 10, 20, 30)] == pytest.approx([1, 0.9, 0.8, 0.6, 0.4])


def array(*values: float) -> NDArray[Any]:
    return np.array(values)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Followed(time_days=array(1.0, 2.0), event=np.array([True])), "time_days and event: both"),
        (lambda: Followed(time_days=array(1.0), event=np.array([1])), "the second bool"),
        (lambda: Followed(time_days=array(1.0, -1.0), event=np.array([True, True])), "time_days: item 1 has none that is 0 or more"),
        (lambda: Followed(time_days=array(np.nan), event=np.array([True])), "time_days: item 0"),
        (lambda: Curves(edges_days=array(0.0, 1.0), survival=np.ones((1, 2))), "edges_days: one or more, above 0 and rising"),
        (lambda: Curves(edges_days=array(1.0, 1.0), survival=np.ones((1, 2))), "edges_days: one or more, above 0 and rising"),
        (lambda: Curves(edges_days=array(1.0), survival=np.ones((1, 2))), r"survival: \[items, 1\], not \[1, 2\]"),
        (lambda: Curves(edges_days=array(1.0), survival=np.array([[0.5], [1.2]])), "survival: item 1 has one that isn't from 0 to 1"),
        (lambda: Curves(edges_days=array(1.0), survival=np.ones((1, 1))).at(2), "days: from 0 to the last edge at 1, not 2"),
        (lambda: Followed(time_days=array(1.0, 2.0), event=np.array([True, False])).weights(2), "days: nobody was followed for 2 days"),
        (lambda: survival.brier_scores(*drawn(1, 5)[:1], drawn(1, 4)[1], 2), "survival: a curve for each of the 5 patients, not 4"),
    ],
)
def test_what_cant_be_judged_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
