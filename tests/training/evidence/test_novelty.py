from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from training.evidence import novelty
from training.evidence.novelty import Novelty
from training.evidence.resampling import Bootstrap


@pytest.fixture(scope="module")
def tumours() -> tuple[NDArray[Any], NDArray[np.int64]]:
    data = load_breast_cancer()
    return data.data, data.target


@pytest.fixture(scope="module")
def learnt(tumours: tuple[NDArray[Any], NDArray[np.int64]]) -> Novelty:
    return novelty.fit(tumours[0][:300])


def test_the_distance_is_scikit_learns(tumours: tuple[NDArray[Any], NDArray[np.int64]], learnt: Novelty) -> None:
    features = tumours[0]
    scaler = StandardScaler().fit(features[:300])
    wanted = LedoitWolf().fit(scaler.transform(features[:300])).mahalanobis(scaler.transform(features))

    assert learnt.distance(features) ** 2 == pytest.approx(wanted, rel=1e-9)


def test_with_classes_it_is_the_distance_to_the_nearest_of_their_means(tumours: tuple[NDArray[Any], NDArray[np.int64]]) -> None:
    features, labels = tumours

    found = novelty.fit(features[:300], labels[:300]).distance(features)

    scaled = features / features[:300].std(axis=0)
    means = [scaled[:300][labels[:300] == number].mean(axis=0) for number in (0, 1)]
    covariance = LedoitWolf(assume_centered=True).fit(scaled[:300] - np.array(means)[labels[:300]])
    each = [np.sqrt(np.einsum("if,fg,ig->i", scaled - mean, covariance.precision_, scaled - mean)) for mean in means]
    assert found == pytest.approx(np.minimum(*each), rel=1e-9)


@settings(max_examples=20)
@given(st.integers(2, 30), st.integers(1, 8), st.integers(1, 3), st.integers(0, 1000))
def test_the_layer_says_what_numpy_does(items: int, features: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = (random.normal(size=(items, features)) * 10 ** random.uniform(-3, 3, features)).astype(np.float32)
    measure = novelty.fit(data, random.integers(classes, size=items))

    found = np.asarray(measure.as_layer()(data * 3))

    assert found.dtype == np.float32
    assert found[:, 0] == pytest.approx(measure.distance(data * 3), rel=1e-6, abs=1e-6)


def test_it_is_a_part_of_the_saved_model(tumours: tuple[NDArray[Any], NDArray[np.int64]], learnt: Novelty, tmp_path: Path) -> None:
    features = tumours[0].astype(np.float32)
    inputs = keras.Input((30,), name="features")
    keras.Model(inputs, {"novelty": learnt.as_layer()(inputs)}).export(str(tmp_path / "1"), verbose=False)

    saved = tf.saved_model.load(str(tmp_path / "1"))
    answer = saved.serve(features)["novelty"]

    assert answer.shape == (569, 1)
    assert np.asarray(answer)[:, 0] == pytest.approx(learnt.distance(features), rel=1e-6)


def test_data_of_the_same_columns_that_dont_belong_together_is_told_apart(tumours: tuple[NDArray[Any], NDArray[np.int64]], learnt: Novelty) -> None:
    """Each column of real tumours, shuffled by itself: no single value is unusual."""
    held_out = tumours[0][300:]
    shuffled = np.random.default_rng(1).permuted(held_out, axis=0)
    above = novelty.threshold(learnt.distance(tumours[0][:300]), share_within=0.95)

    plan = Bootstrap(items=len(held_out), seed=0)
    told = novelty.told(learnt.distance(held_out), {"shuffled": learnt.distance(shuffled)}, above, plan)
    figures = {figure.name: figure for figure in (told.own, *told.others["shuffled"])}

    assert figures["novelty_auroc"].lower > 0.9
    assert figures["novelty_flagged_own"].upper < 0.2
    assert figures["novelty_flagged_other"].lower > 0.8
    assert figures["novelty_auroc"].interval_method == "delong"


def test_of_patients_with_many_items_each_it_is_known_less_well() -> None:
    random = np.random.default_rng(0)
    own, other = np.repeat(random.normal(size=40), 10), random.normal(1, 1, 4000)

    apart, by_patient = (
        novelty.told(own, {"others": other}, 1.0, Bootstrap(items=400, seed=0, groups=groups)) for groups in (None, np.repeat(np.arange(40), 10))
    )

    for one, same in ((apart.own, by_patient.own), (apart.others["others"][0], by_patient.others["others"][0])):
        assert same.value == pytest.approx(one.value)
        assert same.upper - same.lower > 2 * (one.upper - one.lower)
    assert by_patient.others["others"][1] == apart.others["others"][1]


def test_a_held_out_half_isnt_told_from_the_other(tumours: tuple[NDArray[Any], NDArray[np.int64]]) -> None:
    order = np.random.default_rng(3).permutation(569)
    thirds = [tumours[0][rows] for rows in np.array_split(order, 3)]
    measure = novelty.fit(thirds[0])

    area, _ = novelty.against(measure.distance(thirds[1]), measure.distance(thirds[2]), 10.0, Bootstrap(items=len(thirds[1]), seed=0))

    assert area.lower < 0.5 < area.upper


@settings(max_examples=30)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_at_least_the_wanted_share_is_within_the_threshold(distances: list[float], share_within: float) -> None:
    above = novelty.threshold(np.array(distances), share_within=share_within)

    assert np.mean(np.array(distances) <= above) >= share_within
    assert above in distances


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_an_item_with_a_missing_feature_is_novel(learnt: Novelty, missing: float, tumours: tuple[NDArray[Any], NDArray[np.int64]]) -> None:
    features = tumours[0][:2].astype(np.float32)
    features[1, 3] = missing

    by_numpy, in_graph = learnt.distance(features), np.asarray(learnt.as_layer()(features))[:, 0]

    assert np.isfinite(by_numpy[0])
    assert np.isfinite(in_graph[0])
    assert by_numpy[1] == in_graph[1] == np.inf
    _, flagged = novelty.against(np.array([1.0, 2]), np.array([np.inf, 3]), 2.5, Bootstrap(items=2, seed=0))
    assert flagged.value == 1


def test_features_that_never_differ_or_depend_on_each_other_give_finite_distances() -> None:
    random = np.random.default_rng(1)
    one = random.normal(size=20)
    features = np.column_stack([one, 2 * one, np.full(20, 7.0)])

    distances = novelty.fit(features).distance(features)

    assert np.isfinite(distances).all()
    assert distances.max() < 10


def test_what_goes_into_a_networks_last_layer_can_be_measured() -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(name="flat"), keras.layers.Dense(3, "relu"), keras.layers.Dense(2, "softmax", name="last")]
    )
    images = np.random.default_rng(1).normal(size=(50, 4, 4, 1)).astype(np.float32)
    part = novelty.before(model, "last")
    activations = part.predict(images, verbose=0)
    measure = novelty.fit(activations)

    both = keras.Model(model.inputs, {"probabilities": model.outputs[0], "novelty": measure.as_layer()(part.output)})

    answer = both.predict(images, verbose=0)
    assert answer["novelty"][:, 0] == pytest.approx(measure.distance(activations), rel=1e-6, abs=1e-6)
    assert answer["probabilities"] == pytest.approx(model.predict(images, verbose=0))
    with pytest.raises(ValueError, match=r"flat: it is given \[4, 4, 1\], and not a row of features"):
        novelty.before(model, "flat")


def test_the_layer_refuses_another_number_of_features(learnt: Novelty) -> None:
    with pytest.raises(ValueError, match=r"novelty: \[items, 30\] is expected"):
        learnt.as_layer()(np.zeros((2, 3), np.float32))


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: novelty.fit(np.zeros((1, 3))), r"features: \[items, features\], two items or more, finite"),
        (lambda: novelty.fit(np.array([[1.0], [np.nan]])), r"features: \[items, features\], two items or more, finite"),
        (lambda: novelty.fit(np.zeros((3, 3)), np.zeros(2, np.int64)), "labels: one for each of the 3 items"),
        (lambda: Novelty(scale=np.ones(2), means=np.ones((1, 3)), whiten=EYE), r"scale, means and whiten: \[f\]"),
        (lambda: Novelty(scale=np.zeros(2), means=np.ones((1, 2)), whiten=EYE), "the scale above 0"),
        (lambda: Novelty(scale=np.ones(2), means=np.ones((1, 2)), whiten=EYE).distance(np.ones((1, 3))), r"features: \[items, 2\], not \[1, 3\]"),
        (lambda: novelty.threshold(np.array([])), "share_within: above 0 and at most 1, of one item or more"),
    ],
)
def test_what_cant_be_measured_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
