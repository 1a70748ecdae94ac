"""What the tests of features share: a real table, and what it means that the graph and the library agree."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from training.features import Fitted

Agree = Callable[..., None]


@pytest.fixture(scope="session")
def agree() -> Agree:
    """Asserts that a fitted recipe's layer and its library make the same of values, within 1e-6."""

    def check(fitted: Fitted, values: NDArray[Any], layer: Any = None) -> None:
        served = np.asarray(values, np.float32)
        wanted = fitted.transform(served)
        found = np.asarray((layer or fitted.as_layer())(served))
        assert found.dtype == np.float32
        assert found.shape == wanted.shape == (len(values), len(fitted.columns))
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)

    return check


@pytest.fixture(scope="session")
def tumours() -> tuple[list[str], NDArray[np.float64], NDArray[np.int64]]:
    """Ten measurements of the nuclei of 300 tumours, a tenth of the values taken out, and whether each was benign."""
    data = load_breast_cancer()
    values = data.data[:300, :10].copy()
    values[np.random.default_rng(5).random(values.shape) < 0.1] = np.nan
    return [name.replace(" ", "_") for name in data.feature_names[:10]], values, data.target[:300].astype(np.int64)
