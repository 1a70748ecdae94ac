"""Whether the intervals of a treatment hold what they say, where the truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from training.evidence import simulated_trial
from training.evidence.simulated_trial import Needed
from training.models import meta_learner

SHARES = np.array([0.5, 0.5])
RANDOM = np.random.default_rng(3)
FEATURES = RANDOM.normal(size=(300, 2))
OPTION = RANDOM.choice(2, size=300, p=SHARES)
OUTCOME = FEATURES[:, 1] + OPTION * (1 + FEATURES[:, 0]) + RANDOM.normal(size=300)
LEARNER = meta_learner.fit(FEATURES, meta_learner.pseudo_outcomes(FEATURES, OPTION, OUTCOME, shares=SHARES, seed=1), seed=1)


@pytest.fixture(scope="module")
def needed() -> Needed:
    return simulated_trial.simulate(LEARNER, FEATURES, OPTION, OUTCOME, FEATURES[:100], shares=SHARES, trials=12, seed=1)


def test_of_many_trials_about_as_many_intervals_hold_the_truth_as_they_say(needed: Needed) -> None:
    found = needed.coverage(LEARNER)

    assert list(found) == ["interval_coverage_outcome", "interval_coverage_effect"]
    # What they leave out costs a few of a hundred; of one trial all patients share the draw.
    assert all(0.85 < figure.value <= 1 for figure in found.values())
    assert all(figure.lower <= figure.value <= figure.upper <= 1 for figure in found.values())


def test_a_share_holds_where_an_interval_is_stretched_by_its_quantile(needed: Needed) -> None:
    stretched = needed.stretched(LEARNER, confidence_level=0.99)

    assert all(0.99 <= figure.value < 0.995 for figure in needed.coverage(stretched).values())
    # To half of them they would be narrower.
    assert needed.stretched(LEARNER, confidence_level=0.5) == LEARNER


def test_an_interval_holds_the_truth_from_the_stretch_on_that_is_needed(needed: Needed) -> None:
    """By what is served: the layer's own intervals of the trial that is simulated first."""
    random = np.random.default_rng(1)
    given = random.choice(2, size=300, p=SHARES)
    expected = LEARNER.outcomes(FEATURES)[0]
    had = expected[np.arange(300), given] + random.permutation(OUTCOME - expected[np.arange(300), OPTION])
    seed = int(random.integers(2**31))
    again = meta_learner.fit(FEATURES, meta_learner.pseudo_outcomes(FEATURES, given, had, shares=SHARES, seed=seed), seed=seed)
    effect = (expected[:, 1] - expected[:, 0])[:100]

    for stretch in (1.0, 1.3, 2.0):
        layer = meta_learner.as_layer(replace(again, effect_stretch=stretch), reference=0, confidence_level=0.95)
        said = {name: np.asarray(value)[:, 1] for name, value in layer(np.float32(FEATURES[:100])).items()}

        holds = (said["effect_lower"] <= effect) & (effect <= said["effect_upper"])
        # But for one whose end is next to the truth, in float32.
        assert (holds != (needed.effect[0, :, 0] <= stretch)).sum() <= 1


def test_intervals_that_are_too_narrow_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = meta_learner.fit
    # The resamples, drawn towards what was learnt of all: an interval a fifth as wide.
    monkeypatch.setattr(
        meta_learner, "fit", lambda *a, **k: replace(it := fit(*a, **k), coefficients=0.8 * it.coefficients[:1] + 0.2 * it.coefficients)
    )

    found = simulated_trial.simulate(LEARNER, FEATURES, OPTION, OUTCOME, FEATURES[:100], shares=SHARES, trials=4, seed=1)

    assert all(figure.value < 0.5 for figure in found.coverage(LEARNER).values())
    assert found.stretched(LEARNER, confidence_level=0.95).effect_stretch > 3


def test_one_trial_has_no_spread() -> None:
    with pytest.raises(ValueError, match="trials: two or more, not 1"):
        simulated_trial.simulate(LEARNER, FEATURES, OPTION, OUTCOME, FEATURES, shares=SHARES, trials=1, seed=1)
