"""What a report says of a classification's held-out items."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evidence.resampling import Bootstrap
from training.report import classification, plots
from training.report.plots import Band


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Band]:
    """The curves that were drawn."""
    bands: list[Band] = []

    def reliability(given: dict[str, Band]) -> str:
        bands.extend(given.values())
        return "<svg/>"

    monkeypatch.setattr(plots, "reliability", reliability)
    return bands


def _asked(groups: NDArray[Any] | None) -> None:
    random = np.random.default_rng(0)
    said = np.repeat(np.sort(random.uniform(0.5, 1, 40)), 10)
    labels = np.repeat((random.random(40) > 0.7).astype(np.int64), 10)
    classification.calibration(np.column_stack([said, 1 - said]), labels, Bootstrap(items=400, seed=0, groups=groups, resamples=200), error=0.1)


def test_of_patients_with_many_items_each_it_is_known_less_well_whether_probabilities_hold(drawn: list[Band]) -> None:
    _asked(None)
    _asked(np.repeat(np.arange(40), 10))

    apart, by_patient = drawn
    assert by_patient.y.tolist() == apart.y.tolist()
    widths = [band.upper - band.lower for band in drawn if band.upper is not None and band.lower is not None]
    assert (widths[1] > 1.5 * widths[0]).all()


def test_one_patient_says_nothing_of_others(drawn: list[Band]) -> None:
    _asked(np.repeat([0, 1], 200))

    (band,) = drawn
    assert band.lower is not None
    assert band.upper is not None
    assert set(band.lower.tolist()) == {0.0}
    assert set(band.upper.tolist()) == {1.0}
