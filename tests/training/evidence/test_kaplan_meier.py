from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluate import share
from training.evidence import kaplan_meier
from training.evidence.survival import Curves, Followed
from training.report import plots
from training.report.plots import Band

# Weeks in remission under 6-mercaptopurine and under placebo (E. J. Freireich et al., Blood 21, 1963); True: relapse.
TREATED = [(6, True)] * 3 + [(7, True), (10, True), (13, True), (16, True), (22, True), (23, True)]
TREATED += [(week, False) for week in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)]
PLACEBO = [(week, True) for week in (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)]


@pytest.fixture(scope="module")
def remission() -> tuple[Followed, Any]:
    rows = TREATED + PLACEBO
    followed = Followed(time_days=np.array([row[0] for row in rows], float), event=np.array([row[1] for row in rows]))
    return followed, np.array(["6-MP"] * 21 + ["placebo"] * 21)


def test_the_curves_are_those_of_the_textbook_and_are_drawn(remission: tuple[Followed, Any]) -> None:
    curves = kaplan_meier.by_group(*remission)

    # D. G. Kleinbaum and M. Klein, "Survival analysis", 3rd edition, table 2.3.
    treated = dict(zip(curves["6-MP"].x.tolist(), curves["6-MP"].y.round(4).tolist(), strict=True))
    assert {week: treated[week] for week in (6, 7, 10, 13, 16, 22, 23)} == {
        6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482,
    }  # fmt: skip
    assert list(curves) == ["6-MP", "placebo"]
    for band in curves.values():
        assert band.lower is not None
        assert band.upper is not None
        assert ((band.lower <= band.y) & (band.y <= band.upper)).all()
    assert "<svg" in plots.survival(curves, unit="weeks")


def test_patients_are_grouped_by_their_risk() -> None:
    groups = kaplan_meier.risk_groups(np.array([0.1, 0.2, 0.5, 0.6, 0.9]), [0.2, 0.6])

    assert groups.tolist() == ["low risk", "middle risk", "middle risk", "high risk", "high risk"]


def calibrated(seed: int, wrong_by: float = 1.0) -> tuple[Followed, Curves]:
    random = np.random.default_rng(seed)
    rate = np.exp(random.normal(-2, 1, 3000))
    times, ends = random.exponential(1 / rate), random.uniform(4, 12, 3000)
    followed = Followed(time_days=np.minimum(times, ends), event=times <= ends)
    return followed, Curves(edges_days=np.array([5.0]), survival=np.exp(-wrong_by * rate * 5)[:, np.newaxis])


def holds(band: Band) -> NDArray[np.bool_]:
    assert band.lower is not None
    assert band.upper is not None
    return (band.lower <= band.x) & (band.x <= band.upper)


def test_predictions_that_hold_lie_on_the_line_and_others_dont() -> None:
    holding = [kaplan_meier.calibration_at(*calibrated(seed), 5) for seed in range(10)]
    too_high = kaplan_meier.calibration_at(*calibrated(1, wrong_by=2.0), 5)

    assert all(len(band.x) == 10 and (np.diff(band.x) > 0).all() for band in holding)
    # Four standard errors of 100 groups are 0.09.
    assert np.mean([holds(band) for band in holding]) >= 0.86
    assert holds(too_high).mean() < 0.5
    assert "<svg" in plots.reliability({"model": holding[0]})


def test_chance_alone_leaves_the_error_that_predictions_have_that_hold() -> None:
    curves = calibrated(0)[1]
    found = [kaplan_meier.error_at(kaplan_meier.calibration_at(*calibrated(seed), 5)) for seed in range(10)]
    too_high = kaplan_meier.error_at(kaplan_meier.calibration_at(*calibrated(1, wrong_by=2.0), 5))

    by_chance = kaplan_meier.error_by_chance(curves, 5, seed=1)

    # Some are lost, which the simulation leaves out.
    assert np.mean(found) == pytest.approx(by_chance, rel=0.25)
    assert too_high > 4 * by_chance


def test_what_was_found_of_a_group_lies_in_the_mean_interval_or_not() -> None:
    followed, curves = calibrated(2)
    groups = kaplan_meier.tenths(1 - curves.at(5))
    ends = tuple(Curves(edges_days=np.array([5.0]), survival=np.clip(curves.survival + off, 0, 1)) for off in (-0.08, 0.08))
    beyond = tuple(Curves(edges_days=np.array([5.0]), survival=np.clip(curves.survival + off, 0, 1)) for off in (0.2, 0.3))

    around, above = (kaplan_meier.groups_at(followed, groups, curves, (each[0], each[1]), 5) for each in (ends, beyond))

    assert sorted(int(group.name) for group in around) == list(range(10))
    # Kaplan and Meier's curve of 300 is within 0.03 of the truth, mostly.
    assert all(group.is_held for group in around)
    assert not any(group.is_held for group in above if group.lower < 0.99)
    for group in around:
        assert group.found_lower < group.found < group.found_upper
        assert group.survival == pytest.approx(curves.at(5)[groups == int(group.name)].mean())


def test_a_group_without_events_has_an_interval_with_a_width() -> None:
    followed = Followed(time_days=np.full(100, 9.0), event=np.zeros(100, bool))
    curves = Curves(edges_days=np.array([5.0]), survival=np.linspace(0.8, 0.9, 100)[:, np.newaxis])

    band = kaplan_meier.calibration_at(followed, curves, 5)

    assert (band.y == 0).all()
    assert band.upper == pytest.approx(np.full(10, share("x", 0, 10).upper))


def test_a_group_that_nobody_followed_as_far_is_left_out() -> None:
    times = np.where(np.arange(100) < 10, 2.0, 9.0)
    followed = Followed(time_days=times, event=(np.arange(100) % 5 == 0) & (np.arange(100) >= 10))
    curves = Curves(edges_days=np.array([5.0]), survival=np.linspace(0.9, 0.1, 100)[:, np.newaxis])

    assert len(kaplan_meier.calibration_at(followed, curves, 5).x) == 9
    with pytest.raises(ValueError, match="days: nobody was followed for 5 days"):
        kaplan_meier.calibration_at(Followed(time_days=np.ones(100), event=np.zeros(100, bool)), curves, 5)


@pytest.mark.parametrize(("last_two", "groups"), [([True, True], 10), ([True, False], 9), ([False, False], 9)])
def test_a_group_is_known_of_after_its_last_patient_only_where_all_have_had_the_event(last_two: list[bool], groups: int) -> None:
    times, event = np.full(100, 9.0), np.zeros(100, bool)
    # The ten of the lowest risk are seen until day 2 at the latest.
    times[:10], event[:10] = [1.0] * 8 + [2.0] * 2, [True] * 8 + last_two
    curves = Curves(edges_days=np.array([5.0]), survival=np.linspace(0.9, 0.1, 100)[:, np.newaxis])

    band = kaplan_meier.calibration_at(Followed(time_days=times, event=event), curves, 5)

    assert len(band.x) == groups
    assert (band.y.max() == 1) == (groups == 10)


def test_who_knows_nothing_says_the_same_of_all(remission: tuple[Followed, Any]) -> None:
    curves = kaplan_meier.same_for_all(remission[0], np.array([5.0, 20.0]), 3)

    assert curves.survival.shape == (3, 2)
    # Up to week 5 nobody was lost: 9 of 42 had relapsed.
    assert curves.survival[:, 0] == pytest.approx(33 / 42)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kaplan_meier.risk_groups(np.zeros(2), [0.5]), "cuts: 2 that rise, for 3 groups"),
        (lambda: kaplan_meier.risk_groups(np.zeros(2), [0.5, 0.5]), "cuts: 2 that rise"),
        (
            lambda: kaplan_meier.by_group(Followed(time_days=np.ones(2), event=np.ones(2, bool)), np.array(["a"])),
            "groups: one for each of the 2 patients",
        ),
    ],
)
def test_groups_that_dont_fit_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
