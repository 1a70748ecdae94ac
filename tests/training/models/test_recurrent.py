import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from training.models.recurrent import stacked


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return stacked("GRU", name="beats", samples=30, channels=2, classes=3, units=4, depth=1)


@pytest.fixture(scope="module")
def series() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(5, 30, 2)).astype(np.float32)


@pytest.mark.parametrize(("scale", "offset"), [(1e-4, 0.0), (1e-4, 1e-3), (1e3, 250.0)])
def test_a_series_gets_the_same_answer_in_volts_as_in_microvolts(
    model: keras.Model, series: NDArray[np.float32], scale: float, offset: float
) -> None:
    """An electrocardiogram's spread is a tenth of a millivolt."""
    answers = [np.asarray(model(given)) for given in (series, np.float32(scale) * series + np.float32(offset))]

    assert answers[1] == pytest.approx(answers[0], abs=1e-3)


def test_a_flat_line_gets_an_answer_and_not_a_missing_number(model: keras.Model) -> None:
    assert np.isfinite(np.asarray(model(np.full((1, 30, 2), 250, np.float32)))).all()
