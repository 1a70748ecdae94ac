"""How a figure falls when inputs get worse: noise, shift, delay, and missing values, each in levels, on held-out items.

A perturbation is a declaration of what happens at each level; `measure` asks the model about the perturbed items. The same seed perturbs alike, and a
higher level of one perturbation is more of the same draw, so what falls along the levels is the model and not the luck of the draw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.evidence import discrimination, resampling
from training.evidence.resampling import Bootstrap, Rows
from training.report.plots import Band

Predict = Callable[[NDArray[Any]], NDArray[Any]]
"""[items, …] inputs to [items, …] probabilities: the model."""
Per = Literal["all", "last"]
"""What a spread is taken of: all values at once, such as pixels, or each of the last axis by itself, such as features or channels."""


@dataclass(frozen=True, slots=True)
class Share:
    """A figure that is a share of the items, such as accuracy: from what was predicted of all, to whether it is so of each, [items].

    Its intervals hold also where it is so of all of them, or where the same is so of each as it was before: no resample would differ from another.
    """

    is_so: Callable[[NDArray[Any]], NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """Normal noise on every value, of `levels` standard deviations of the inputs.

    With `only`, on those of some places of the last axis; with `least`, what comes below that is that, as where nothing can be negative.
    """

    levels: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    per: Per = "last"
    only: tuple[int, ...] | None = None
    least: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the levels don't rise from above 0, or the places aren't such."""
        _rising(self.levels)
        _places(self.only)

    @property
    def name(self) -> str:
        """For people."""
        return "noise, in standard deviations"

    def apply(self, inputs: NDArray[Any], level: float, random: np.random.Generator) -> NDArray[Any]:
        """[items, …], of the inputs' type. Missing values stay missing."""
        return _as_given(inputs + level * _spread(inputs, self.per, self.only) * random.normal(size=inputs.shape), inputs, self.least)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """Every value is higher by `levels` standard deviations of the inputs, as after a change of device; lower, where they are below 0.

    With `only`, those of some places of the last axis; `least` as of `Noise`.
    """

    levels: tuple[float, ...] = (0.25, 0.5, 1.0)
    per: Per = "last"
    only: tuple[int, ...] | None = None
    least: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the levels don't go away from 0 on one side of it, or the places aren't such."""
        _places(self.only)
        _rising(self.levels if min(self.levels, default=0) > 0 else tuple(-level for level in self.levels))

    @property
    def name(self) -> str:
        """For people."""
        return "shift, in standard deviations"

    def apply(self, inputs: NDArray[Any], level: float, random: np.random.Generator) -> NDArray[Any]:  # noqa: ARG002 - as the others
        """[items, …], of the inputs' type. Missing values stay missing."""
        return _as_given(inputs + level * _spread(inputs, self.per, self.only), inputs, self.least)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delay:
    """Each series begins `levels` samples later: the first value stands before it, and what goes beyond its end is lost.

    As where what cuts a signal into beats finds them late.
    """

    levels: tuple[float, ...] = (2.0, 5.0, 10.0)

    def __post_init__(self) -> None:
        """Raises ValueError where the levels aren't whole numbers that rise from above 0."""
        _rising(self.levels)
        if any(level != round(level) for level in self.levels):
            message = f"levels: whole numbers of samples, not {', '.join(f'{level:g}' for level in self.levels)}"
            raise ValueError(message)

    @property
    def name(self) -> str:
        """For people."""
        return "delay, in samples"

    def apply(self, inputs: NDArray[Any], level: float, random: np.random.Generator) -> NDArray[Any]:  # noqa: ARG002 - as the others
        """[items, samples, …], of the inputs' type. Raises ValueError where nothing of the series would be left."""
        samples, later = inputs.shape[1], int(level)
        if later >= samples:
            message = f"levels: below the {samples} samples of a series, not {later}"
            raise ValueError(message)
        return np.concatenate([np.repeat(inputs[:, :1], later, axis=1), inputs[:, : samples - later]], axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A share of the values, drawn one by one, is missing: `fill` stands there, not-a-number or what the model knows as missing."""

    levels: tuple[float, ...] = (0.1, 0.25, 0.5)
    fill: float = np.nan

    def __post_init__(self) -> None:
        """Raises ValueError where the levels aren't shares that rise from above 0."""
        _rising(self.levels)
        if self.levels[-1] > 1:
            message = f"levels: shares of at most 1, not {self.levels[-1]:g}"
            raise ValueError(message)

    @property
    def name(self) -> str:
        """For people."""
        return "missing, share of values"

    def apply(self, inputs: NDArray[Any], level: float, random: np.random.Generator) -> NDArray[Any]:
        """[items, …], of the inputs' type. Raises ValueError where whole numbers would have to be not-a-number."""
        if np.isnan(self.fill) and not np.issubdtype(inputs.dtype, np.floating):
            message = f"fill: {inputs.dtype} has no not-a-number; give what stands for a missing value"
            raise ValueError(message)
        return np.where(random.random(inputs.shape) < level, np.asarray(self.fill, inputs.dtype), inputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingField:
    """One field after the other, from the first of `order` on, is missing in every item: levels are how many are.

    `order` are places on the last axis, such as from the most important feature on; `fill` as of `Missing`.
    """

    order: tuple[int, ...]
    fill: float = np.nan

    def __post_init__(self) -> None:
        """Raises ValueError where a field is there twice, or none is."""
        if not self.order or len(set(self.order)) != len(self.order) or min(self.order) < 0:
            raise ValueError("order: one place or more on the last axis, each once")

    @property
    def levels(self) -> tuple[float, ...]:
        """How many fields are missing."""
        return tuple(float(count) for count in range(1, len(self.order) + 1))

    @property
    def name(self) -> str:
        """For people."""
        return "missing, number of fields"

    def apply(self, inputs: NDArray[Any], level: float, random: np.random.Generator) -> NDArray[Any]:
        """[items, …, fields], of the inputs' type. Raises ValueError as `Missing` does, and for a field that there isn't."""
        if max(self.order) >= inputs.shape[-1]:
            message = f"order: places below {inputs.shape[-1]}, not {max(self.order)}"
            raise ValueError(message)
        fields = list(self.order[: int(level)])
        perturbed = inputs.copy()
        perturbed[..., fields] = Missing(fill=self.fill).apply(inputs[..., fields], 1.0, random)
        return perturbed


Perturbation = Noise | Shift | Delay | Missing | MissingField


@dataclass(frozen=True, kw_only=True, slots=True)
class Robustness:
    """A figure under one perturbation.

    Attributes:
        perturbation: its name.
        levels: with 0, the inputs as they are, first.
        figures: the figure at each level.
        falls: at each level, the figure less that at level 0, of the same items, as `<name>_change`.
    """

    perturbation: str
    levels: tuple[float, ...]
    figures: tuple[Figure, ...]
    falls: tuple[Figure, ...]

    @property
    def band(self) -> Band:
        """The figure (y, with bounds) by level (x), for a plot."""
        y, lower, upper = (np.array([getattr(figure, part) for figure in self.figures]) for part in ("value", "lower", "upper"))
        return Band(x=np.array(self.levels), y=y, lower=lower, upper=upper)


def measure(
    name: str,
    statistic: Callable[[NDArray[Any], Rows], float] | Share,
    predict: Predict,
    *,
    inputs: NDArray[Any],
    perturbations: Sequence[Perturbation],
    bootstrap: Bootstrap,
) -> list[Robustness]:
    """The figure of that name at each level of each perturbation, with intervals by patient.

    Args:
        name: the figure's.
        statistic: from what was predicted of all items, and the numbers of those that count, to the figure; or the share that it is.
        predict: the model.
        inputs: [items, …], as a request would send them.
        perturbations: in which order.
        bootstrap: of the intervals; the perturbations are drawn from its seed, too.

    Raises:
        ValueError: where a perturbation can't be applied to such inputs, or the figure is undefined.
    """
    if len(inputs) != bootstrap.items:
        message = f"inputs: {bootstrap.items} items, not {len(inputs)}"
        raise ValueError(message)
    as_given = predict(inputs)
    measured = (
        _of_share(statistic, name, as_given, bootstrap) if isinstance(statistic, Share) else _of_statistic(statistic, name, as_given, bootstrap)
    )
    found = []
    for perturbation in perturbations:
        figures, falls = [], []
        for level in (0.0, *perturbation.levels):
            # One generator a level, from one seed: the draw is the same at each, and only its strength differs.
            random = np.random.default_rng(bootstrap.seed)
            predicted = as_given if level == 0 else predict(perturbation.apply(inputs, level, random))
            figure, fall = measured(predicted)
            figures.append(figure)
            # As they are, nothing has changed.
            falls.append(fall if level else replace(fall, lower=0.0, upper=0.0))
        levels = (0.0, *perturbation.levels)
        found.append(Robustness(perturbation=perturbation.name, levels=levels, figures=tuple(figures), falls=tuple(falls)))
    return found


def _of_share(share: Share, name: str, as_given: NDArray[Any], bootstrap: Bootstrap) -> Callable[[NDArray[Any]], tuple[Figure, Figure]]:
    """From what was predicted to the share, and how much greater it is than that of what was predicted of the inputs as they are."""
    before = share.is_so(as_given)

    def found(predicted: NDArray[Any]) -> tuple[Figure, Figure]:
        after = share.is_so(predicted)
        change = discrimination.share_difference(name, after, before, bootstrap)
        return resampling.share_of(name, after, bootstrap), replace(change, name=f"{name}_change")

    return found


def _of_statistic(
    statistic: Callable[[NDArray[Any], Rows], float], name: str, as_given: NDArray[Any], bootstrap: Bootstrap
) -> Callable[[NDArray[Any]], tuple[Figure, Figure]]:
    """As `_of_share`, of any figure, on the same resamples."""
    everybody = np.arange(bootstrap.items)
    before, without = statistic(as_given, everybody), resampling.distribution(partial(statistic, as_given), bootstrap)

    def found(predicted: NDArray[Any]) -> tuple[Figure, Figure]:
        value, resampled = statistic(predicted, everybody), resampling.distribution(partial(statistic, predicted), bootstrap)
        change = resampling.of_distribution(f"{name}_change", value - before, resampled - without, bootstrap)
        return resampling.of_distribution(name, value, resampled, bootstrap), change

    return found


def _rising(levels: tuple[float, ...]) -> None:
    if not levels or not all(np.diff((0.0, *levels)) > 0):
        raise ValueError("levels: one or more, each further from 0 than the one before")


def _places(only: tuple[int, ...] | None) -> None:
    if only is not None and (not only or min(only) < 0):
        raise ValueError("only: one place or more on the last axis, or None for all")


def _spread(inputs: NDArray[Any], per: Per, only: tuple[int, ...] | None) -> NDArray[np.float64]:
    """The standard deviation of the values that are there; 0 where there is none, and at places that aren't among `only`."""
    if only is not None and max(only) >= inputs.shape[-1]:
        message = f"only: places below {inputs.shape[-1]}, not {max(only)}"
        raise ValueError(message)
    given = np.asarray(inputs, np.float64)
    axes = tuple(range(given.ndim - 1)) if per == "last" else tuple(range(given.ndim))
    there = np.isfinite(given)
    count = np.maximum(there.sum(axis=axes, keepdims=True), 1)
    mean = np.where(there, given, 0).sum(axis=axes, keepdims=True) / count
    spread = np.sqrt(np.where(there, (given - mean) ** 2, 0).sum(axis=axes, keepdims=True) / count)
    chosen = np.isin(np.arange(inputs.shape[-1]), np.arange(inputs.shape[-1]) if only is None else only)
    return np.asarray(spread * chosen, np.float64)


def _as_given(perturbed: NDArray[Any], inputs: NDArray[Any], least: float | None) -> NDArray[Any]:
    """In the inputs' type: whole numbers are rounded, and end where the type does, as a detector's do. What wasn't below `least` doesn't go there."""
    if least is not None:
        perturbed = np.maximum(perturbed, np.minimum(inputs, least))
    if np.issubdtype(inputs.dtype, np.integer):
        limits = np.iinfo(inputs.dtype)
        return np.clip(np.rint(perturbed), limits.min, limits.max).astype(inputs.dtype)
    return perturbed.astype(inputs.dtype)
