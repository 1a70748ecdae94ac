from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from training.evaluate import Figure
from training.evidence import treatment
from training.evidence.treatment import Scored
from training.models import meta_learner
from training.report import plots

SHARES = np.array([0.5, 0.25, 0.25])
OPTIONS = ("none", "A", "B")
Made = tuple[Scored, NDArray[Any], NDArray[Any]]


def made(seed: int, items: int = 400, *, noise: float = 1.0) -> Made:
    """A trial, what each patient's outcome would be under each option, and a feature. A helps all alike; B helps one half and harms the other."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(items, 2))
    expected = np.column_stack([features[:, 1], features[:, 1] + 0.5, features[:, 1] + 2 * features[:, 0]])
    option = random.choice(3, size=items, p=SHARES)
    outcome = expected[np.arange(items), option] + noise * random.normal(size=items)
    return treatment.scored(features, option, outcome, shares=SHARES, options=OPTIONS, seed=seed), expected, features


def best_of(expected: NDArray[Any]) -> NDArray[np.int64]:
    return expected.argmax(axis=1)


@pytest.fixture(scope="module")
def trials() -> list[Made]:
    return [made(seed) for seed in range(40)]


@pytest.fixture(scope="module")
def hiv() -> tuple[Scored, pd.DataFrame, NDArray[Any]]:
    """ACTG175: the gain in CD4 cells per mm³ after 20 weeks, of 2,139 patients given one of four treatments."""
    table = pd.read_csv(str(files("lifelines.datasets").joinpath("ACTG175.csv")))
    features = table[["age", "wtkg", "karnof", "preanti", "cd40", "cd80", "gender", "symptom"]].to_numpy(float)
    outcome = (table["cd420"] - table["cd40"]).to_numpy(float)
    names = ("zidovudine", "zidovudine and didanosine", "zidovudine and zalcitabine", "didanosine")
    return treatment.scored(features, table["arms"].to_numpy(), outcome, shares=np.full(4, 0.25), options=names, seed=1), table, features


def test_the_intervals_of_a_policy_and_of_what_it_gains_hold_the_truth(trials: list[Made]) -> None:
    # The best option of a patient is worth the greatest of 0, 0.5 and 2 z.
    z = np.random.default_rng(0).normal(size=2_000_000)
    true_value = np.maximum(0.5, 2 * z).mean()

    found = [treatment.policy_value(trial, best_of(expected)) for trial, expected, _ in trials]

    # Four standard errors of 40 trials are 0.14.
    assert np.mean([each.policy.lower <= true_value <= each.policy.upper for each in found]) >= 0.81
    assert np.mean([each.arms["A"].lower <= 0.5 <= each.arms["A"].upper for each in found]) >= 0.81
    assert np.mean([each.gains["A"].lower <= true_value - 0.5 <= each.gains["A"].upper for each in found]) >= 0.81
    assert {each.best_arm for each in found} <= {"A", "B"}
    assert np.mean([each.is_better for each in found]) > 0.6


def test_to_give_all_the_same_is_worth_what_that_option_is(trials: list[Made]) -> None:
    trial = trials[0][0]

    found = treatment.policy_value(trial, np.full(400, 1))

    assert (found.policy.value, found.policy.lower, found.policy.upper) == (found.arms["A"].value, found.arms["A"].lower, found.arms["A"].upper)
    assert (found.gains["A"].value, found.gains["A"].lower, found.gains["A"].upper) == (0, 0, 0)
    assert not treatment.policy_value(trial, np.full(400, trial.number(found.best_arm))).is_better


def test_a_policy_that_chooses_the_worst_is_said_not_to_be_better(trials: list[Made]) -> None:
    trial, expected, _ = trials[0]

    found = treatment.policy_value(trial, expected.argmin(axis=1))

    assert not found.is_better
    assert str(found).startswith(f"the policy isn't shown to be better than {found.best_arm} for all: -")


def test_where_less_is_better_the_same_choices_are_judged_the_other_way_round(trials: list[Made]) -> None:
    trial, expected, _ = trials[0]
    less = Scored(scores=-trial.scores, options=OPTIONS, higher_is_better=False)

    more, other = treatment.policy_value(trial, best_of(expected)), treatment.policy_value(less, best_of(expected))

    assert other.is_better is more.is_better is True
    assert other.best_arm == more.best_arm
    assert other.gains["A"].upper == pytest.approx(-more.gains["A"].lower)
    assert str(more).startswith("the policy is better than A for all: +")


def test_differences_are_surer_on_the_same_patients(trials: list[Made]) -> None:
    trial, expected, _ = trials[0]
    found = treatment.policy_value(trial, best_of(expected))

    apart = np.hypot(found.policy.upper - found.policy.value, found.arms["A"].upper - found.arms["A"].value)

    assert found.gains["A"].upper - found.gains["A"].value < apart


def test_two_policies_are_held_against_each_other_on_the_same_patients(trials: list[Made]) -> None:
    trial, expected, _ = trials[0]
    to_all = np.full(400, trial.number("A"))

    found, same = (treatment.policy_difference(trial, chosen, to_all) for chosen in (best_of(expected), to_all))

    gain = treatment.policy_value(trial, best_of(expected)).gains["A"]
    assert (found.name, found.value, found.lower, found.upper) == ("policy_value_difference", gain.value, gain.lower, gain.upper)
    assert (same.value, same.lower, same.upper) == (0, 0, 0)


def test_effects_that_hold_have_a_slope_of_one_and_those_of_chance_none(trials: list[Made]) -> None:
    arguments: dict[str, Any] = {"option": "B", "reference": "none"}

    holding = [treatment.effect_slope(trial, 2 * features[:, 0], **arguments) for trial, _, features in trials]
    chance = [treatment.effect_slope(trial, features[:, 1], **arguments) for trial, _, features in trials]

    assert np.mean([figure.lower <= 1 <= figure.upper for figure in holding]) >= 0.81
    assert np.mean([figure.lower <= 0 <= figure.upper for figure in chance]) >= 0.81
    assert treatment.effect_slope(trials[0][0], 4 * trials[0][2][:, 0], **arguments).value == pytest.approx(holding[0].value / 2)


def test_effects_that_hold_lie_on_the_line_and_are_drawn(trials: list[Made]) -> None:
    bands = [treatment.effect_calibration(trial, 2 * features[:, 0], option="B", reference="none") for trial, _, features in trials]

    assert all(len(band.x) == 5 and (np.diff(band.x) > 0).all() for band in bands)
    inside = [(band.lower <= band.x) & (band.x <= band.upper) for band in bands if band.lower is not None and band.upper is not None]
    # Four standard errors of 200 groups are 0.062.
    assert len(inside) == 40
    assert np.mean(inside) >= 0.88
    assert "<svg" in plots.effects(list("abcde"), bands[0], unit="x", reference="none")


def test_in_a_real_trial_every_other_treatment_is_better_than_zidovudine_alone(hiv: tuple[Scored, pd.DataFrame, NDArray[Any]]) -> None:
    """As S. M. Hammer et al. found (NEJM 335, 1996); and more surely than the plain difference of the means says it."""
    trial, table, _ = hiv
    gained = table["cd420"] - table["cd40"]

    effects = treatment.average_effects(trial, reference="zidovudine")

    assert list(effects) == list(trial.options[1:])
    alone = gained[table["arms"] == 0]
    for arm, figure in enumerate(effects.values(), start=1):
        given = gained[table["arms"] == arm]
        plain, error = given.mean() - alone.mean(), np.sqrt(given.var() / len(given) + alone.var() / len(alone))
        assert figure.lower > 0
        assert figure.value == pytest.approx(plain, abs=2 * error)
        assert figure.upper - figure.lower < 2 * 1.96 * error


def test_a_policy_that_was_learnt_from_one_half_is_judged_on_the_other(hiv: tuple[Scored, pd.DataFrame, NDArray[Any]]) -> None:
    trial, table, features = hiv
    train, test = np.arange(2139) % 2 == 0, np.arange(2139) % 2 == 1
    option, outcome = table["arms"].to_numpy(), (table["cd420"] - table["cd40"]).to_numpy(float)
    pseudo = meta_learner.pseudo_outcomes(features[train], option[train], outcome[train], shares=np.full(4, 0.25), seed=1)
    learner = meta_learner.fit(features[train], pseudo, members=1, seed=1)
    held_out = treatment.scored(features[test], option[test], outcome[test], shares=np.full(4, 0.25), options=trial.options, seed=1)

    found = treatment.policy_value(held_out, learner.outcomes(features[test])[0].argmax(axis=1))

    assert found.gains["zidovudine"].lower > 0
    assert found.best_arm == "zidovudine and didanosine"
    assert found.policy.interval_method == "normal, of doubly robust scores"


def test_the_same_seed_gives_the_same_scores() -> None:
    assert np.array_equal(made(3, 200)[0].scores, made(3, 200)[0].scores)


SCORES = np.zeros((4, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Scored(scores=SCORES, options=("a", "b")), r"scores: \[items, 2\], two or more of each, not \[4, 3\]"),
        (lambda: Scored(scores=SCORES, options=("a", "b", "a")), "options: two of them have one name"),
        (lambda: Scored(scores=SCORES / 0, options=OPTIONS), "scores: item 0 has one that isn't a finite number"),
        (lambda: Scored(scores=SCORES, options=OPTIONS, confidence_level=95), "confidence_level: above 0 and below 1"),
        (
            lambda: treatment.policy_value(Scored(scores=SCORES, options=OPTIONS), np.array([0, 1, 2, 3])),
            "chosen: one of 3 options for each of the 4",
        ),
        (lambda: treatment.average_effects(Scored(scores=SCORES, options=OPTIONS), reference="C"), "option: one of none, A, B, not C"),
        (
            lambda: treatment.effect_slope(Scored(scores=SCORES, options=OPTIONS), np.ones(4), option="A", reference="none"),
            "predicted: the same effect for all",
        ),
        (
            lambda: treatment.effect_calibration(Scored(scores=SCORES, options=OPTIONS), np.ones(4), option="A", reference="none"),
            "groups: of two patients or more, not 5 of 4",
        ),
        (
            lambda: treatment.effect_slope(Scored(scores=SCORES, options=OPTIONS), np.ones(3), option="A", reference="none"),
            "predicted: a finite effect for each of the 4 patients",
        ),
    ],
)
def test_what_cant_be_judged_is_refused(call: Any, message: str) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        call()


def test_predicted_average_effects_are_held_against_what_chance_explains_of_both_draws() -> None:
    def figure(value: float, half: float) -> Figure:
        return Figure(name="effect", value=value, lower=value - half, upper=value + half, confidence_level=0.95, interval_method="m")

    found, learnt = {"A": figure(10, 3), "B": figure(20, 3)}, {"A": figure(11, 4), "B": figure(20, 4)}

    assert treatment.average_effect_miss(found, learnt, {"A": 12.5, "B": 20}) == pytest.approx(0.5)
    assert treatment.average_effect_miss(found, learnt, {"A": 10, "B": 10}) == pytest.approx(2)
    assert treatment.average_effect_miss({"A": figure(1, 0)}, {"A": figure(1, 0)}, {"A": 1}) == 0
    assert treatment.average_effect_miss({"A": figure(1, 0)}, {"A": figure(1, 0)}, {"A": 2}) == np.inf
