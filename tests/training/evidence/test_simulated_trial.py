"""Whether the intervals of a treatment hold what they say, where the truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from training.evidence import simulated_trial
from training.models import meta_learner

SHARES = np.array([0.5, 0.5])
RANDOM = np.random.default_rng(3)
FEATURES = RANDOM.normal(size=(300, 2))
OPTION = RANDOM.choice(2, size=300, p=SHARES)
OUTCOME = FEATURES[:, 1] + OPTION * (1 + FEATURES[:, 0]) + RANDOM.normal(size=300)
LEARNER = meta_learner.fit(FEATURES, meta_learner.pseudo_outcomes(FEATURES, OPTION, OUTCOME, shares=SHARES, seed=1), seed=1)


def test_of_many_trials_about_as_many_intervals_hold_the_truth_as_they_say() -> None:
    found = simulated_trial.interval_coverage(LEARNER, FEATURES, OPTION, OUTCOME, FEATURES[:100], shares=SHARES, trials=12, seed=1)

    assert list(found) == ["interval_coverage_outcome", "interval_coverage_effect"]
    # What they leave out costs a few of a hundred; of one trial all patients share the draw.
    assert all(0.85 < figure.value <= 1 for figure in found.values())
    assert all(figure.lower <= figure.value <= figure.upper <= 1 for figure in found.values())


def test_intervals_that_are_too_narrow_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = meta_learner.fit
    # The resamples, drawn towards what was learnt of all: an interval a fifth as wide.
    monkeypatch.setattr(
        meta_learner, "fit", lambda *a, **k: replace(it := fit(*a, **k), coefficients=0.8 * it.coefficients[:1] + 0.2 * it.coefficients)
    )

    found = simulated_trial.interval_coverage(LEARNER, FEATURES, OPTION, OUTCOME, FEATURES[:100], shares=SHARES, trials=4, seed=1)

    assert found["interval_coverage_outcome"].value < 0.5
    assert found["interval_coverage_effect"].value < 0.5


def test_one_trial_has_no_spread() -> None:
    with pytest.raises(ValueError, match="trials: two or more, not 1"):
        simulated_trial.interval_coverage(LEARNER, FEATURES, OPTION, OUTCOME, FEATURES, shares=SHARES, trials=1, seed=1)
