from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight

from training.fitting.class_weights import weighted
from training.fitting.source import Arrays, Stream


def weights(labels: Any, class_weights: Any, own: Any = None) -> NDArray[Any]:
    source = weighted(Arrays(inputs=np.zeros(len(labels)), targets=np.asarray(labels), weights=own), class_weights)
    assert isinstance(source, Arrays)
    assert source.weights is not None
    return source.weights


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_balanced_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    assert weights(labels, "balanced") == pytest.approx(compute_sample_weight("balanced", labels), rel=1e-6)


def test_the_classes_of_real_heartbeats_count_the_same(beats: tuple[NDArray[Any], NDArray[Any]]) -> None:
    labels = beats[1]

    own = weights(labels, "balanced")

    assert [own[labels == label].sum() for label in np.unique(labels)] == pytest.approx([len(labels) / 5] * 5, rel=1e-5)


@pytest.mark.parametrize("labels", [[0, 1, 1], [[0], [1], [1]], [[1, 0], [0, 1], [0, 1]], [0.0, 1.0, 1.0], [False, True, True]])
def test_labels_and_one_hot_rows_get_their_classs_weight_times_their_own(labels: Any) -> None:
    if np.asarray(labels).dtype == bool:
        labels = np.asarray(labels).astype(np.uint8)

    assert weights(labels, {0: 3.0, 1: 0.5, 7: 9.0}, np.array([1.0, 1.0, 4.0])).tolist() == [3.0, 0.5, 2.0]


def test_none_changes_nothing() -> None:
    source = Arrays(inputs=np.zeros(2), targets=np.zeros(2))

    assert weighted(source, None) is source


@pytest.mark.parametrize("labels", [np.array([0.5, 1.0]), np.array([-1, 0]), np.zeros((2, 3)), np.array(["a", "b"]), {"t": np.zeros(2)}])
def test_targets_that_are_no_labels_are_refused(labels: Any) -> None:
    with pytest.raises(ValueError, match="class_weights: targets that are one array of labels"):
        weighted(Arrays(inputs=np.zeros(2), targets=labels), "balanced")


def test_a_label_without_a_weight_is_named() -> None:
    with pytest.raises(ValueError, match=r"no weight for the labels \[2, 4\]"):
        weights([0, 2, 4], {0: 1.0})


def test_a_stream_is_sent_to_bring_its_own() -> None:
    with pytest.raises(ValueError, match="a stream brings its items' weights itself"):
        weighted(Stream(name="numbers", read=lambda **_: None), "balanced")
