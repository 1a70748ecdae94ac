"""Isotonic calibration: probabilities by a rising curve, learnt from items that no weight was fitted to; as a part of the model.

B. Zadrozny and C. Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002. It bends where a temperature
only scales, and needs more items for it (`ENOUGH`). Unlike a temperature it can change which class is said: where the curve is flat, classes are
tied. The curve is scikit-learn's `IsotonicRegression`, which is a line between knots. Between two that stand close it is steep
(`Isotonic.steepest`), and a difference in the network's last bit becomes as many times larger.

scikit-learn's ends at 0 and 1 where the items at its ends are all of one kind. No number of items shows that the next can't be of the other: one such
item would have an infinite log loss, and no one would be told that it may be. So the ends are by the rule of succession (P. S. Laplace, 1774): of m
items at the lower end that are all without, 1 / (m + 2), and at the upper end 1 less that.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.evidence import checks

if TYPE_CHECKING:
    import keras

ENOUGH = 1000
"""From how many items on isotonic curves are at least as good as a number or two; as beside a sigmoid (A. Niculescu-Mizil, R. Caruana, ICML 2005)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curve:
    """From a probability to a better one: a line between knots, level before the first and after the last.

    Attributes:
        given: [knots], two or more, rising: what the model says.
        wanted: [knots], from 0 to 1, never falling: what holds.
    """

    given: NDArray[np.float64]
    wanted: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Raises ValueError where the knots aren't those of a rising curve."""
        if self.given.shape != self.wanted.shape or self.given.ndim != 1 or len(self.given) < 2 or not (np.diff(self.given) > 0).all():  # noqa: PLR2004
            raise ValueError("given: two knots or more, rising, and one wanted probability for each")
        checks.probabilities("wanted", self.wanted)
        if not (np.diff(self.wanted) >= 0).all():
            raise ValueError("wanted: never falling")


@dataclass(frozen=True, kw_only=True, slots=True)
class Isotonic:
    """A curve for each class; one only where there is one probability, or two that add up to one.

    Attributes:
        curves: of each class, in their order.
        is_centred: whether they are the centred ones of `fit_isotonic`.
    """

    curves: tuple[Curve, ...]
    is_centred: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where there is none, or as many as for two classes, of which one curve says it all."""
        if len(self.curves) in {0, 2}:
            message = f"curves: one, or one for each of three classes or more, not {len(self.curves)}"
            raise ValueError(message)

    def __str__(self) -> str:
        """For people."""
        return f"{self.name} of {sum(len(curve.given) for curve in self.curves)} knots, at the steepest {self.steepest:.3g}"

    @property
    def name(self) -> str:
        """For the manifest."""
        return "centred isotonic" if self.is_centred else "isotonic"

    def apply(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """[items, classes] from the same. Of several classes, each probability goes by its own curve, and is divided by what they add up to.

        Where every curve says 0, the item keeps its probabilities. Raises ValueError where there is another number of classes than was learnt.
        """
        if probabilities.ndim != 2 or probabilities.shape[1] not in self.classes:  # noqa: PLR2004 - items and classes
            message = f"probabilities: [items, {' or '.join(map(str, self.classes))}], not {list(probabilities.shape)}"
            raise ValueError(message)
        given = np.asarray(probabilities, np.float64)
        if len(self.curves) == 1:
            held = np.interp(given[:, -1:], self.curves[0].given, self.curves[0].wanted)
            return held if given.shape[1] == 1 else np.concatenate([1 - held, held], axis=1)
        held = np.column_stack([np.interp(given[:, place], curve.given, curve.wanted) for place, curve in enumerate(self.curves)])
        total = held.sum(axis=1, keepdims=True)
        return np.where(total > 0, held / np.where(total > 0, total, 1), given)

    def as_layer(self, name: str = "isotonic") -> "keras.Layer":
        """The same as a layer: [items, classes] to float32 of that shape, computed in float64, within 1e-6 of `apply`."""
        from training.evidence.isotonic_layer import Curves  # noqa: PLC0415 - it takes seconds

        return Curves(self, name=name)

    @property
    def steepest(self) -> float:
        """The greatest slope of any curve: how many times a difference in a probability can grow, such as one of rounding between two machines."""
        return max(float(np.max(np.diff(curve.wanted) / np.diff(curve.given))) for curve in self.curves)

    @property
    def classes(self) -> tuple[int, ...]:
        """How many probabilities an item may have."""
        return (1, 2) if len(self.curves) == 1 else (len(self.curves),)


def fit_isotonic(probabilities: NDArray[Any], labels: NDArray[np.int64], *, centred: bool = False) -> Isotonic:
    """Learns from validation items: `probabilities` is [items, classes], or [items, 1] of the label 1; `labels` [items].

    scikit-learn's curve is level over each pool of items, and jumps to the next. `centred` draws a line from the middle of each pool to the middle of
    the next instead (A. P. Oron and N. Flournoy, "Centered isotonic regression", Statistics in Biopharmaceutical Research 9, 2017): far less steep,
    and without ties but at both ends, and not what scikit-learn would say.

    Raises ValueError where there are no items, or they don't belong together.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):  # noqa: PLR2004 - items and classes
        message = f"probabilities: [items, classes], and labels [items]; they are {probabilities.shape} and {labels.shape}"
        raise ValueError(message)
    checks.probabilities("probabilities", probabilities)
    classes = probabilities.shape[1]
    if not ((labels >= 0) & (labels < max(classes, 2))).all():
        message = f"labels: from 0 to {max(classes, 2) - 1}"
        raise ValueError(message)
    of_one = [1] if classes <= 2 else range(classes)  # noqa: PLR2004 - of two classes one says it all
    curves = tuple(_curve(probabilities[:, min(number, classes - 1)], labels == number, centred=centred) for number in of_one)
    return Isotonic(curves=curves, is_centred=centred)


def _curve(probabilities: NDArray[Any], is_it: NDArray[np.bool_], *, centred: bool) -> Curve:
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - slow to import

    said = np.asarray(probabilities, np.float64)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(said, is_it.astype(np.float64))
    given, wanted, levels = fitted.X_thresholds_, fitted.y_thresholds_, fitted.predict(said)
    if centred:
        wanted, pool = np.unique(levels, return_inverse=True)
        given = np.bincount(pool, weights=said) / np.bincount(pool)
    if len(given) == 1:
        # The model said the same of all: then that is what a curve says of everything.
        given, wanted = np.array([0.0, 1.0]), np.repeat(wanted, 2)
    never, always = int((levels == 0).sum()), int((levels == 1).sum())
    return Curve(given=given, wanted=np.clip(wanted, 1 / (never + 2) if never else 0, 1 - 1 / (always + 2) if always else 1))
