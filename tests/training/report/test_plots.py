from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from training.report import plots
from training.report.plots import Band

X = np.linspace(0.1, 0.9, 5)
LINE = Band(x=X, y=X)
BAND = Band(x=X, y=X, lower=X - 0.1, upper=X + 0.1)
# Each picture, and the words that have to stand in it.
PICTURES: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "reliability": (
        lambda: plots.reliability({"model": BAND, "trees": LINE}),
        ("predicted probability", "share that had it", "model", "trees", "perfectly calibrated"),
    ),
    "roc": (lambda: plots.roc({"model": BAND, "trees": LINE}, (0.2, 0.8)), ("1 - specificity", "sensitivity", "operating point", "chance")),
    "survival": (lambda: plots.survival({"low risk": BAND, "high risk": LINE}), ("time (days)", "low risk", "high risk")),
    "net benefit": (lambda: plots.net_benefit({"model": LINE}), ("threshold probability", "net benefit (true positives per patient)", "treat none")),
    "net benefit of nothing": (lambda: plots.net_benefit({"model": Band(x=X, y=-X)}), ("threshold probability",)),
    "effects": (
        lambda: plots.effects(["A", "B", "C", "D", "E"], BAND, unit="cells/mm³", reference="none"),
        ("effect against none (cells/mm³)", "A", "E"),
    ),
    "effects without intervals": (lambda: plots.effects(["A", "B", "C", "D", "E"], LINE, unit="d", reference="none"), ("effect against none (d)",)),
    "series": (lambda: plots.series({"arterial": X, "airway": -X}, title="said normal"), ("arterial", "airway", "said normal", "samples")),
    "one series": (lambda: plots.series({"ecg": X}, title="said normal"), ("ecg", "said normal")),
    "images": (
        lambda: plots.images([np.zeros((28, 28)), np.full((28, 28), 255)], ["is 4, said 9", "is 1, said 7"]),
        ("is 4, said 9", "is 1, said 7"),
    ),
    "one image": (lambda: plots.images([np.zeros((28, 28))], ["is 4, said 9"]), ("is 4, said 9",)),
    "history": (lambda: plots.history({"loss": [1, 0.5], "validation loss": [1.2, 0.7]}), ("epoch", "loss", "validation loss")),
}
every_picture = pytest.mark.parametrize(("draw", "words"), PICTURES.values(), ids=PICTURES)


@every_picture
def test_a_picture_is_svg_with_its_words_as_text(draw: Callable[[], str], words: tuple[str, ...]) -> None:
    picture = ET.fromstring(draw())

    texts = {"".join(element.itertext()).strip() for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert set(words) <= texts


@every_picture
def test_the_same_numbers_give_the_same_bytes(draw: Callable[[], str], words: tuple[str, ...]) -> None:
    assert words
    assert draw() == draw()


def test_other_numbers_give_another_picture() -> None:
    assert plots.roc({"model": LINE}) != plots.roc({"model": Band(x=X, y=X**2)})


def test_a_share_outside_its_interval_by_rounding_is_drawn() -> None:
    assert "<svg" in plots.reliability({"model": Band(x=X, y=X, lower=X + 1e-17, upper=X - 1e-17)})


@pytest.mark.parametrize("bounds", [{"lower": X}, {"upper": X}, {"lower": X[:2], "upper": X}, {"lower": X, "upper": X[:2]}])
def test_a_band_without_both_bounds_or_of_another_length_is_refused(bounds: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="of one length, and the bounds come together"):
        Band(x=X, y=X, **bounds)
