"""What acting on a predicted curve is worth, where some are lost before it is known what becomes of them."""

import numpy as np
import pytest

from training.evidence import decision_curve, operating_point, survival_decision
from training.evidence.resampling import Bootstrap
from training.evidence.survival import Curves, Followed

DAYS = 8.0


def drawn(items: int, *, lost: bool) -> tuple[Followed, Curves]:
    """Exponential times whose rates are known; of those who are lost, half are before that day."""
    random = np.random.default_rng(4)
    rate = np.exp(random.normal(-2.5, 1.0, items))
    times = random.exponential(1 / rate)
    ends = random.exponential(DAYS / np.log(2), items) if lost else np.full(items, np.inf)
    curves = Curves(edges_days=np.array([4.0, DAYS]), survival=np.exp(-rate[:, np.newaxis] * [4.0, DAYS]))
    return Followed(time_days=np.minimum(times, ends), event=times <= ends), curves


@pytest.fixture(scope="module")
def whole() -> tuple[Followed, Curves]:
    return drawn(8000, lost=False)


@pytest.fixture(scope="module")
def lost() -> tuple[Followed, Curves]:
    return drawn(8000, lost=True)


def test_without_losses_it_is_that_of_two_classes(whole: tuple[Followed, Curves]) -> None:
    followed, curves = whole
    is_case, risk, plan = followed.time_days <= DAYS, 1 - curves.at(DAYS), Bootstrap(items=8000, seed=1, resamples=5)

    point = survival_decision.point(followed, curves, DAYS)

    assert point == operating_point.youden(is_case, risk)
    found = {figure.name: figure.value for figure in survival_decision.at_point(followed, curves, DAYS, point.threshold, plan)}
    wanted = {f"{figure.name}_8d": figure.value for figure in operating_point.at_point(is_case, risk, point.threshold)}
    assert found == pytest.approx(wanted)
    bands = survival_decision.benefit(followed, {"model": curves}, DAYS, plan)
    for name, band in decision_curve.curves(is_case, {"model": risk}, plan).items():
        assert bands[name].y == pytest.approx(band.y)


def test_with_many_lost_it_is_what_there_would_have_been_without_losses(whole: tuple[Followed, Curves], lost: tuple[Followed, Curves]) -> None:
    plan = Bootstrap(items=8000, seed=1, resamples=100)

    kept, of_lost = (survival_decision.at_point(*each, DAYS, 0.4, plan) for each in (whole, lost))
    benefits, of_lost_benefits = (survival_decision.benefit(each[0], {"model": each[1]}, DAYS, plan) for each in (whole, lost))

    assert (lost[0].time_days[~lost[0].event] < DAYS).mean() > 0.4
    for known, estimated in zip(kept, of_lost, strict=True):
        assert estimated.value == pytest.approx(known.value, abs=0.03)
        assert estimated.lower < estimated.value < estimated.upper
    assert of_lost_benefits["model"].y[:70] == pytest.approx(benefits["model"].y[:70], abs=0.02)
    # Leaving out who was lost, as if they were no part of it, would have found another share of cases.
    unweighted = lost[0].event & (lost[0].time_days <= DAYS)
    assert abs(unweighted.mean() - (whole[0].time_days <= DAYS).mean()) > 0.05


def test_a_wanted_sensitivity_is_reached_among_weighted_patients(lost: tuple[Followed, Curves]) -> None:
    followed, curves = lost

    point = survival_decision.point(followed, curves, DAYS, wanted_sensitivity=0.9)

    assert point is not None
    sensitivity = survival_decision.at_point(followed, curves, DAYS, point.threshold, Bootstrap(items=8000, seed=1, resamples=2))[0]
    assert sensitivity.value == pytest.approx(0.9, abs=0.002)
    assert sensitivity.value >= 0.9


def test_the_point_is_chosen_by_weighted_shares(lost: tuple[Followed, Curves]) -> None:
    point = survival_decision.point(*lost, DAYS)

    assert point is not None
    sensitivity, specificity = survival_decision.at_point(*lost, DAYS, point.threshold, Bootstrap(items=8000, seed=1, resamples=2))[:2]
    assert (point.sensitivity, point.specificity) == pytest.approx((sensitivity.value, specificity.value))


@pytest.mark.parametrize("event", [False, True])
def test_there_is_no_point_where_all_or_none_have_the_event(event: bool) -> None:
    followed = Followed(time_days=np.full(5, 1.0 if event else 9.0), event=np.full(5, event))

    assert survival_decision.point(followed, Curves(edges_days=np.array([DAYS]), survival=np.full((5, 1), 0.5)), DAYS) is None


def test_weights_that_arent_some_are_refused() -> None:
    with pytest.raises(ValueError, match="weights: one for each of the 2 items, 0 or more"):
        decision_curve.curves(
            np.array([True, False]), {"model": np.array([0.5, 0.5])}, Bootstrap(items=2, seed=1), weights=np.array([1.0, -1.0])
        )  # fmt: skip
