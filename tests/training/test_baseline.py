from typing import Any

import numpy as np
import pytest

from training.baseline import Baseline, support_vectors
from training.dataset import Dataset
from training.jobs import JOBS
from training.tasks.classification import Classification


class _Counts:
    """Knows how often each class came."""

    def fit(self, inputs: Any, labels: Any) -> "_Counts":
        assert inputs.ndim == 2
        assert inputs.dtype == np.float64
        self.classes_, self.counts = np.unique(labels, return_counts=True)
        return self

    def predict_proba(self, inputs: Any) -> Any:
        return np.tile(self.counts / self.counts.sum(), (len(inputs), 1))


def test_a_class_that_nobody_had_gets_no_probability() -> None:
    baseline = Baseline(name="counts", make=_Counts)

    found = baseline.probabilities(np.zeros((4, 2, 3)), np.array([0, 2, 2, 2]), np.zeros((5, 2, 3)), classes=4)

    assert found.tolist() == [[0.25, 0, 0.75, 0]] * 5


def test_an_estimator_without_probabilities_is_sure_of_what_it_says() -> None:
    baseline = Baseline(name="svm", make=support_vectors)
    items = np.random.default_rng(0).normal(size=(60, 8))
    labels = (items[:, 0] > items[:, 1]).astype(np.int64)

    found = baseline.probabilities(items, labels, items, classes=3)

    assert set(found.ravel()) == {0, 1}
    assert found.sum(axis=1).tolist() == [1] * 60
    assert (found.argmax(axis=1) == labels).mean() > 0.9


def test_items_without_any_spread_are_no_reason_to_fail() -> None:
    items = np.concatenate([np.zeros((3, 4)), np.ones((3, 4)), np.random.default_rng(0).normal(size=(4, 4))])

    found = Baseline(name="svm", make=support_vectors).probabilities(items, np.arange(10) % 2, items, classes=2)

    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ["digits", "ecg-lstm", "ecg-gru"])
def test_the_baseline_of_a_job_is_no_straw_man(loaded: dict[str, Dataset], name: str) -> None:
    data = loaded[name]

    task = JOBS[name].task
    assert isinstance(task, Classification)

    found = task.baseline.probabilities(data.training.inputs, data.training.targets, data.held_out.inputs, classes=10)

    assert (found.argmax(axis=1) == data.held_out.targets).mean() > 0.92
