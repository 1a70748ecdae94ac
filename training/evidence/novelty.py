"""How unlike the training data an item is: Mahalanobis' distance of its features, or of what a network makes of it.

K. Lee, K. Lee, H. Lee and J. Shin, "A simple unified framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018: the
distance to the nearest class's mean, by one covariance for all classes. That is O. Ledoit and M. Wolf's (2004), shrunk, so that few items or features
that depend on each other give no distance without bounds. Features are brought to variance 1 first, for shrinking depends on their units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure, share
from training.evidence import resampling
from training.evidence.discrimination import area, by_bootstrap, delong
from training.evidence.resampling import Bootstrap

if TYPE_CHECKING:
    import keras

METHOD = "Mahalanobis distance, Ledoit-Wolf covariance"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Novelty:
    """What distances are measured by.

    Attributes:
        scale: [features], what each feature is divided by.
        means: [classes, features], of the divided features; one row where classes weren't told apart.
        whiten: [features, features]; with its transpose it makes the inverse covariance of the divided features.
    """

    scale: NDArray[np.float64]
    means: NDArray[np.float64]
    whiten: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Raises ValueError where the shapes don't fit each other, or a number isn't finite."""
        features = len(self.scale)
        if self.scale.shape != (features,) or self.means.shape[1:] != (features,) or not len(self.means) or self.whiten.shape != (features, features):
            message = f"scale, means and whiten: [f], [classes, f] and [f, f], not {self.scale.shape}, {self.means.shape} and {self.whiten.shape}"
            raise ValueError(message)
        if not all(np.isfinite(part).all() for part in (self.scale, self.means, self.whiten)) or not (self.scale > 0).all():
            raise ValueError("scale, means and whiten: finite, and the scale above 0")

    def distance(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """[items], from [items, features]: the distance to the nearest mean; infinite where a feature is missing.

        Raises ValueError for another number of features.
        """
        if features.ndim != 2 or features.shape[1] != len(self.scale):  # noqa: PLR2004 - items and features
            message = f"features: [items, {len(self.scale)}], not {list(features.shape)}"
            raise ValueError(message)
        scaled = np.asarray(features, np.float64) / self.scale
        with np.errstate(invalid="ignore", over="ignore"):
            to_each = [np.linalg.norm((scaled - mean) @ self.whiten, axis=1) for mean in self.means]
        return np.nan_to_num(np.min(to_each, axis=0), nan=np.inf, posinf=np.inf)

    def as_layer(self, name: str = "novelty") -> "keras.Layer":
        """The same as a layer of the model: [items, features] to float32 [items, 1], computed in float64, within 1e-6 of `distance` by proportion."""
        from training.evidence.novelty_layer import Distance  # noqa: PLC0415 - it takes seconds

        return Distance(self, name=name)


def fit(features: NDArray[Any], labels: NDArray[np.int64] | None = None) -> Novelty:
    """Learns from training items: `features` is [items, features] without gaps, `labels` [items] where each class has a mean of its own.

    Raises ValueError where there are fewer than two items, or labels aren't of the same items.
    """
    from sklearn.covariance import LedoitWolf  # noqa: PLC0415 - slow to import
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():  # noqa: PLR2004 - items and features, two with a spread
        message = f"features: [items, features], two items or more, finite; they are {list(features.shape)}"
        raise ValueError(message)
    if labels is not None and labels.shape != features.shape[:1]:
        message = f"labels: one for each of the {len(features)} items, not {labels.shape}"
        raise ValueError(message)
    given = np.asarray(features, np.float64)
    scale = np.asarray(StandardScaler().fit(given).scale_, np.float64)
    scaled = given / scale
    number = np.zeros(len(scaled), np.int64) if labels is None else np.unique(labels, return_inverse=True)[1]
    means = np.stack([scaled[number == each].mean(axis=0) for each in range(number.max() + 1)])
    covariance = LedoitWolf(assume_centered=True).fit(scaled - means[number])
    # By eigenvectors, for scikit-learn gives a pseudo-inverse where there is no inverse, and that has no factor of Cholesky's.
    values, vectors = np.linalg.eigh(covariance.precision_)
    return Novelty(scale=scale, means=means, whiten=vectors * np.sqrt(np.maximum(values, 0)))


def threshold(distances: NDArray[Any], *, share_within: float = 0.99) -> float:
    """The distance that at least that share of validation items is within; what is above counts as novel. Raises ValueError for no share or item."""
    if not 0 < share_within <= 1 or not len(distances):
        message = f"share_within: above 0 and at most 1, of one item or more, not {share_within} of {len(distances)}"
        raise ValueError(message)
    return float(np.quantile(distances, share_within, method="higher"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What came of a threshold on held-out items.

    Attributes:
        own: `novelty_flagged_own`, the share of the model's own kind of items above the threshold, as of `resampling.share_of`: false alarms.
        others: by the name of each set of items of another kind, what `against` found; empty where none is at hand, and then it isn't known whether
            such items are told.
    """

    own: Figure
    others: Mapping[str, tuple[Figure, Figure]] = field(default_factory=dict)


def told(own: NDArray[Any], others: Mapping[str, NDArray[Any]], above: float, bootstrap: Bootstrap) -> Told:
    """From the distances of held-out items, [items], and of other ones, [items] by name; the `bootstrap` is of the own items."""
    return Told(
        own=resampling.share_of("novelty_flagged_own", own > above, bootstrap),
        others={name: against(own, other, above, bootstrap) for name, other in others.items()},
    )


def against(own: NDArray[Any], other: NDArray[Any], above: float, bootstrap: Bootstrap) -> tuple[Figure, Figure]:
    """How well distances tell other data from held-out items of the model's own, both [items].

    `novelty_auroc` with DeLong's interval, and the share of the other items above the threshold, `novelty_flagged_other`, with Wilson's. Where the
    `bootstrap`, of the own items, has groups, the area's interval is the bootstrap's; other items are taken to be independent. Raises ValueError
    where there are fewer than two of either.
    """
    # Only their order matters to the area, and of infinite distances there is one too.
    _, ranks = np.unique(np.concatenate([own, other]), return_inverse=True)
    is_other, level = np.arange(len(ranks)) >= len(own), bootstrap.confidence_level
    if bootstrap.groups is None:
        area_found = replace(delong(is_other, ranks, confidence_level=level), name="novelty_auroc")
    else:
        number = np.unique(bootstrap.groups, return_inverse=True)[1]
        groups = np.concatenate([number, number.max() + 1 + np.arange(len(other))])
        area_found = by_bootstrap("novelty_auroc", area, is_other, ranks, replace(bootstrap, items=len(ranks), groups=groups))
    return area_found, share("novelty_flagged_other", int((other > above).sum()), len(other), confidence_level=level)


def before(model: "keras.Model", layer: str) -> "keras.Model":
    """The part of a model that makes what goes into the layer of that name, such as the last dense one: to learn from, and to put `as_layer` behind.

    Raises ValueError where that isn't [items, features].
    """
    import keras  # noqa: PLC0415 - it takes seconds

    given: Any = model.get_layer(layer).input
    if len(given.shape) != 2:  # noqa: PLR2004 - items and features
        message = f"{layer}: it is given {list(given.shape)[1:]}, and not a row of features"
        raise ValueError(message)
    # Several inputs go by their names, as in whatever asked the model before.
    inputs = model.inputs[0] if len(model.inputs) == 1 else {each.name: each for each in model.inputs}
    return keras.Model(inputs, given)
