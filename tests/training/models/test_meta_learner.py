from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from training.models import meta_learner
from training.models.meta_learner import Learner

SHARES = np.array([0.5, 0.25, 0.25])
Trial = tuple[NDArray[Any], NDArray[np.int64], NDArray[Any], NDArray[Any]]


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Features, options, outcomes, and what each patient's outcome would be under each option but for chance."""
    random = np.random.default_rng(7)
    features = np.column_stack([random.normal(50, 10, 3000), random.normal(0, 1, 3000)])
    options = random.choice(3, size=3000, p=SHARES)
    expected = np.column_stack([features[:, 0], features[:, 0] + 5, features[:, 0] + 10 * features[:, 1]])
    return features, options, expected[np.arange(3000), options] + random.normal(0, 5, 3000), expected


def learnt(features: NDArray[Any], options: NDArray[np.int64], outcomes: NDArray[Any], *, members: int = 200, seed: int) -> Learner:
    """Both stages."""
    pseudo = meta_learner.pseudo_outcomes(features, options, outcomes, shares=SHARES, seed=seed)
    return meta_learner.fit(features, pseudo, members=members, seed=seed)


def test_pseudo_outcomes_are_right_on_average(trial: Trial) -> None:
    features, options, outcomes, expected = trial

    pseudo = meta_learner.pseudo_outcomes(features, options, outcomes, shares=SHARES, seed=1)

    error = (pseudo - expected).std(axis=0) / np.sqrt(len(outcomes))
    assert (np.abs((pseudo - expected).mean(axis=0)) < 4 * error).all()


def test_they_are_right_on_average_whatever_the_regressions_say(trial: Trial) -> None:
    """Of features that say nothing, only the known shares are left."""
    _, options, outcomes, expected = trial
    noise = np.random.default_rng(2).normal(size=(len(outcomes), 2))

    pseudo = meta_learner.pseudo_outcomes(noise, options, outcomes, shares=SHARES, seed=1)

    error = pseudo.std(axis=0) / np.sqrt(len(outcomes))
    assert (np.abs(pseudo.mean(axis=0) - expected.mean(axis=0)) < 4 * error).all()


def test_it_finds_who_is_better_off_with_which_option(trial: Trial) -> None:
    features, options, outcomes, expected = trial

    learner = learnt(features, options, outcomes, members=3, seed=1)

    found = learner.outcomes(features)[0]
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9
    assert np.abs(found - expected).mean() < 1.5


def test_the_interval_holds_the_truth_as_often_as_it_says(trial: Trial) -> None:
    features, options, outcomes, expected = trial
    learner = learnt(features, options, outcomes, members=100, seed=1)

    answer = {
        name: np.asarray(value) for name, value in meta_learner.as_layer(learner, reference=0, confidence_level=0.95)(np.float32(features)).items()
    }

    # One trial's draw moves all patients together: far from half, and not all of them.
    assert ((answer["outcome_lower"] <= expected) & (expected <= answer["outcome_upper"])).mean() > 0.8
    assert (answer["outcome_upper"] - answer["outcome_lower"]).mean() < 5


def test_resamples_are_fitted_as_scikit_learn_fits_them_one_by_one() -> None:
    random = np.random.default_rng(1)
    features, targets = random.normal(2, 3, size=(50, 4)), random.normal(size=(50, 2))
    times = np.stack([np.ones(50), np.bincount(random.integers(50, size=50), minlength=50)])

    intercepts, slopes = meta_learner._ridges(features, targets, times, [0.5, 20.0])

    for member, count in enumerate(times):
        for number, penalty in enumerate([0.5, 20.0]):
            rows = np.repeat(np.arange(50), count.astype(int))
            ridge = Ridge(penalty).fit(features[rows], targets[rows, number])
            assert slopes[member, number] == pytest.approx(ridge.coef_, abs=1e-10)
            assert intercepts[member, number] == pytest.approx(ridge.intercept_, abs=1e-10)


def test_the_same_seed_learns_the_same(trial: Trial) -> None:
    features, options, outcomes, _ = trial
    arguments: dict[str, Any] = {"members": 2, "seed": 4}

    first, second = (learnt(features[:500], options[:500], outcomes[:500], **arguments) for _ in range(2))

    assert np.array_equal(first.coefficients, second.coefficients)


def test_the_layer_says_what_the_learner_does_also_when_it_was_saved(tmp_path: Any) -> None:
    import keras  # noqa: PLC0415

    random = np.random.default_rng(5)
    learner = Learner(coefficients=random.normal(size=(41, 4, 6)), effect_stretch=1.5)
    features = random.normal(size=(9, 5)).astype(np.float32)
    given = keras.Input((5,), name="features")
    model = keras.Model(given, meta_learner.as_layer(learner, reference=0, confidence_level=0.9)(given))
    model.export(str(tmp_path / "1"), verbose=False)

    saved = tf.saved_model.load(str(tmp_path / "1"))
    answer = saved.serve(features)

    outcomes = learner.outcomes(features)
    assert np.asarray(answer["outcome"]) == pytest.approx(outcomes[0], abs=1e-5)
    # What the answer is, is in its interval.
    assert np.asarray(answer["outcome_lower"]) == pytest.approx(np.quantile(outcomes[1:], 0.05, axis=0).clip(max=outcomes[0]), abs=1e-5)
    assert np.asarray(answer["outcome_upper"]) == pytest.approx(np.quantile(outcomes[1:], 0.95, axis=0).clip(min=outcomes[0]), abs=1e-5)
    effects = outcomes - outcomes[..., :1]
    wider = effects[0] + 1.5 * (np.quantile(effects[1:], 0.95, axis=0) - effects[0])
    assert np.asarray(answer["effect"]) == pytest.approx(effects[0], abs=1e-5)
    assert np.asarray(answer["effect_upper"]) == pytest.approx(np.maximum(wider, effects[0]), abs=1e-5)


@pytest.mark.parametrize("stretch", [0.9, np.inf, np.nan])
def test_no_interval_is_narrower_than_the_resamples(stretch: float) -> None:
    with pytest.raises(ValueError, match="effect_stretch: 1 or more"):
        Learner(coefficients=np.zeros((2, 2, 2)), effect_stretch=stretch)


def test_an_option_that_hardly_anybody_was_given_cant_be_learnt(trial: Trial) -> None:
    features, options, outcomes, _ = trial
    few = np.where(options == 2, 0, options)

    with pytest.raises(ValueError, match="each of the 3 options has to be given to 10 patients"):
        learnt(features, few, outcomes, seed=1)
