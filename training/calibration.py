"""Probabilities that hold: how a network's are made to, learnt from items that no weight was fitted to, and how far they do.

A temperature is one number, and never changes what is said. Isotonic curves bend, and need many items for it. Which of the two is better on a job's
items is told by cross-validation on validation items alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from training.evidence.isotonic import ENOUGH, Isotonic, fit_isotonic
from training.evidence.temperature import Temperature, fit_temperature

if TYPE_CHECKING:
    import keras

Method = Literal["temperature", "isotonic", "least log loss"]
"""`least log loss` is a temperature, unless isotonic curves are better by more than one standard error on items that they weren't fitted to."""

METHODS: tuple[Method, ...] = ("temperature", "isotonic", "least log loss")
AS_IT_IS = "as it is"

_FOLDS = 5
_BINS = 10
_SMALLEST = 1e-30


class Calibration(Protocol):
    """What was learnt of how far probabilities hold."""

    @property
    def name(self) -> str:
        """For the manifest."""

    def apply(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """[items, classes] from the same."""

    def as_layer(self) -> "keras.Layer":
        """The same as a layer, float32, within 1e-6 of `apply`."""


_FIT: Mapping[str, Callable[[NDArray[Any], NDArray[np.int64]], Temperature | Isotonic]] = {
    "temperature": fit_temperature,
    # Centred: plain curves are steep, and tie most items with others.
    "isotonic": lambda probabilities, labels: fit_isotonic(probabilities, labels, centred=True),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chosen:
    """What probabilities are made to hold by, and what that rests on.

    Attributes:
        calibration: learnt from all items.
        unseen: [items, classes], each item's probabilities by a calibration of that kind that was learnt without its fold: as held-out ones will be.
        log_losses: the mean log loss of each way by its name, on items that it wasn't learnt from, and of the network `as it is`; empty where there
            was one item or patient only, which can't be cut into folds.
        items: how many items it was learnt from.
    """

    calibration: Temperature | Isotonic
    unseen: NDArray[np.float64]
    log_losses: Mapping[str, float]
    items: int

    @property
    def warning(self) -> str:
        """What is to be said of too few items; nothing where they are enough."""
        if not isinstance(self.calibration, Isotonic) or self.items >= ENOUGH:
            return ""
        return f"isotonic curves were learnt from {self.items} items; with fewer than {ENOUGH} they follow these items' luck, so prefer a temperature"


def choose(method: Method, probabilities: NDArray[Any], labels: NDArray[np.int64], *, groups: NDArray[Any] | None = None, seed: int) -> Chosen:
    """Learns from validation items: `probabilities` is [items, classes], `labels` [items], `groups` [items] whose each item is; None: all differ.

    Folds are of whole groups. Between the two ways it is decided by the mean difference of their log losses and its standard error, by group
    (L. Breiman et al., "Classification and regression trees", 1984, 3.4.3). Raises ValueError where there are no items, or they don't belong
    together.
    """
    if method not in METHODS:
        message = f"method: one of {', '.join(METHODS)}, not {method}"
        raise ValueError(message)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):  # noqa: PLR2004 - items and classes
        message = f"probabilities: [items, classes], and labels [items]; they are {probabilities.shape} and {labels.shape}"
        raise ValueError(message)
    number = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if number.max() < 1:
        way = "isotonic" if method == "isotonic" else "temperature"
        learnt = _FIT[way](probabilities, labels)
        return Chosen(calibration=learnt, unseen=learnt.apply(probabilities), log_losses={}, items=len(labels))
    unseen = {way: _unseen(fit, probabilities, labels, number, seed) for way, fit in _FIT.items()}
    losses = {name: log_losses(each, labels) for name, each in {AS_IT_IS: probabilities, **unseen}.items()}
    way = _best(losses, number) if method == "least log loss" else method
    return Chosen(
        calibration=_FIT[way](probabilities, labels),
        unseen=unseen[way],
        log_losses={name: float(each.mean()) for name, each in losses.items()},
        items=len(labels),
    )


def calibrated(model: "keras.Model", calibration: Calibration) -> "keras.Model":
    """The model with its probabilities made to hold; the layer is a part of it, and goes into the SavedModel with it."""
    import keras  # noqa: PLC0415 - it takes seconds

    return keras.Model(model.inputs[0], calibration.as_layer()(model.outputs[0]), name=model.name)


def log_losses(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """[items]: each item's -log of the probability of what is right, in nats; 0 counts as 1e-30. `probabilities` is [items, classes]."""
    of_right = np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(of_right, _SMALLEST)))


def bins_of(said: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The items in ten bins of equally many, from the least sure to the surest; `said` is [items], the probability of what was said.

    Items of which the same was said are in one bin, for their order says nothing: so bins may be fewer, and not quite of equally many.
    """
    order = np.argsort(said, kind="stable")
    in_order = said[order]
    # A bin that would begin among equal ones begins at the first of them.
    begins = [np.searchsorted(in_order, in_order[rows[0]], side="left") for rows in np.array_split(np.arange(len(said)), _BINS) if rows.size]
    return np.split(order, np.unique(begins)[1:])


def expected_calibration_error(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """How far the probability of what is said is from the share that is right, in the mean over `bins_of`'s bins.

    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015, with bins of equally
    many items, as A. Nguyen and B. O'Connor take them (EMNLP 2015). It isn't 0 where probabilities hold: see `error_by_chance`.
    """
    said = probabilities.max(axis=1)
    return _error(said, probabilities.argmax(axis=1) == labels, bins_of(said))


def error_by_chance(probabilities: NDArray[Any], *, seed: int, draws: int = 200) -> float:
    """The mean `expected_calibration_error` of as many items whose outcomes are drawn by these very probabilities: what is left where they hold.

    Of few items it is far from 0 (J. Bröcker and L. A. Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22,
    2007).
    """
    said, random = probabilities.max(axis=1), np.random.default_rng(seed)
    bins = bins_of(said)
    return float(np.mean([_error(said, random.random(len(said)) < said, bins) for _ in range(draws)]))


def _error(said: NDArray[Any], is_right: NDArray[np.bool_], bins: Sequence[NDArray[np.int64]]) -> float:
    return float(sum(len(rows) * abs(said[rows].mean() - is_right[rows].mean()) for rows in bins) / len(said))


def _unseen(
    fit: Callable[[NDArray[Any], NDArray[np.int64]], Temperature | Isotonic],
    probabilities: NDArray[Any],
    labels: NDArray[np.int64],
    number: NDArray[np.int64],
    seed: int,
) -> NDArray[np.float64]:
    from sklearn.model_selection import KFold  # noqa: PLC0415 - slow to import

    found = np.empty(probabilities.shape)
    groups = number.max() + 1
    for learnt_from, left_out in KFold(min(_FOLDS, groups), shuffle=True, random_state=seed).split(np.arange(groups)):
        here, there = np.isin(number, learnt_from), np.isin(number, left_out)
        found[there] = fit(probabilities[here], labels[here]).apply(probabilities[there])
    return found


def _best(losses: Mapping[str, NDArray[np.float64]], number: NDArray[np.int64]) -> str:
    """`isotonic` where it is better by more than one standard error, and otherwise `temperature`."""
    gain = losses["temperature"] - losses["isotonic"]
    # A sum over whole groups: its error is that of independent parts.
    by_group = np.bincount(number, weights=gain - gain.mean())
    groups = len(by_group)
    error = np.sqrt(np.sum(by_group**2) * groups / (groups - 1)) / len(gain)
    return "isotonic" if gain.mean() > error else "temperature"
