"""Bootstrap intervals by patient, for any figure that can be computed from some of the items.

B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993: 13 for the percentile interval, 14.3 for BCa, which mends its bias and skew.
Of few groups the percentile interval is too narrow: of 13, such as the pigs that are held out, one of 95 % held the truth in 91 % of trials. So it is
expanded (T. C. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015): then it held it in 94.5 %.
Items of one patient aren't independent, so patients are drawn, each with all of their items (A. C. Davison and D. V. Hinkley, "Bootstrap methods and
their application", 1997, 3.8). A resample is the same for whoever asks with the same seed, so two models can be held against each other on each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure, share
from training.gates.evidence import Resamples

Rows = NDArray[np.int64]
Statistic = Callable[[Rows], float]
"""A figure of the items whose numbers are given, with repeats; not-a-number where it is undefined for them, such as an AUROC of one class only."""
Method = Literal["percentile", "bca"]

_NAMES: dict[Method, str] = {"percentile": "expanded percentile", "bca": "BCa"}
_FEWEST_DEFINED = 0.5


# No slots: what is worked out from the groups is kept.
@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """Which resamples are drawn.

    Attributes:
        items: how many there are.
        seed: of every draw.
        groups: [items], whose items they are, such as the patient; all of a group's items are drawn together. None: each item is its own.
        resamples: how many are drawn.
        confidence_level: of the intervals.
    """

    items: int
    seed: int
    groups: NDArray[Any] | None = None
    resamples: int = 1000
    confidence_level: float = 0.95

    def __post_init__(self) -> None:
        """Raises ValueError where nothing can be drawn, the level is no share, or an item's group is unknown."""
        if self.resamples < 1:
            message = f"resamples: 1 or more, not {self.resamples}"
            raise ValueError(message)
        if not 0 < self.confidence_level < 1:
            message = f"confidence_level: above 0 and below 1, not {self.confidence_level}"
            raise ValueError(message)
        if self.groups is not None and self.groups.shape != (self.items,):
            message = f"groups: one for each of the {self.items} items, not {self.groups.shape}"
            raise ValueError(message)
        if self.groups is not None and any(group is None or group != group for group in self.groups.tolist()):  # noqa: PLR0124 - not-a-number
            raise ValueError("groups: an item's group is missing; items whose patient is unknown can't be told to be of one")
        if self.count < 2:  # noqa: PLR2004 - one has no spread
            message = f"groups: two or more to draw from, not {self.count}"
            raise ValueError(message)

    @property
    def count(self) -> int:
        """How many groups there are to draw from."""
        return len(self._members[1])

    def rows(self) -> Iterator[Rows]:
        """Each resample's items: as many groups as there are, drawn with replacement."""
        random = np.random.default_rng(self.seed)
        for _ in range(self.resamples):
            yield self._of(random.integers(self.count, size=self.count))

    def left_out(self) -> Iterator[Rows]:
        """The jackknife: all items but one group's, for each group."""
        for group in range(self.count):
            yield self._of(np.delete(np.arange(self.count), group))

    def named(self, method: Method, undefined: int = 0) -> str:
        """What a figure's interval is called, `undefined` of whose resamples had no value."""
        by = "" if self.groups is None else f" of {self.count} groups"
        without = f", {undefined} without a value" if undefined else ""
        return f"bootstrap {_NAMES[method]}, {self.resamples} resamples{by}{without}"

    @cached_property
    def _members(self) -> tuple[Rows, Rows, Rows]:
        """The items, one group's after the other's; where each group's begin; how many they are."""
        if self.groups is None:
            each = np.arange(self.items)
            return each, each, np.ones(self.items, np.int64)
        _, number, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        return np.argsort(number, kind="stable"), np.cumsum(sizes) - sizes, sizes

    def _of(self, drawn: Rows) -> Rows:
        """The items of the groups that were drawn."""
        order, begins, sizes = self._members
        if self.groups is None:
            return drawn
        taken = sizes[drawn]
        # Where a group's first item lands, less where it stands: then each next is one further.
        offset = begins[drawn] - (np.cumsum(taken) - taken)
        return order[np.repeat(offset, taken) + np.arange(taken.sum())]


def distribution(statistic: Callable[[Rows], Any], bootstrap: Bootstrap) -> NDArray[np.float64]:
    """The statistic of each resample: [resamples], or [resamples, …] where it is an array."""
    return np.array([statistic(rows) for rows in bootstrap.rows()], np.float64)


def figure(name: str, statistic: Statistic, bootstrap: Bootstrap, *, method: Method = "percentile") -> Figure:
    """The statistic of all items, and its interval.

    BCa asks for the statistic once more for each group, and for one that is smooth enough for that to tell of its skew. Resamples that the statistic
    is undefined for are left out, and the interval's name says how many. Raises ValueError where it is undefined for all items, or for half of the
    resamples.
    """
    value = float(statistic(np.arange(bootstrap.items)))
    if np.isnan(value):
        message = f"{name}: it is undefined for these items"
        raise ValueError(message)
    resampled = distribution(statistic, bootstrap)
    if method == "percentile":
        return of_distribution(name, value, resampled, bootstrap)
    defined = _defined(name, resampled)
    left_out = np.array([statistic(rows) for rows in bootstrap.left_out()], np.float64)
    ends = np.quantile(defined, _corrected(_plain_tails(bootstrap), value, defined, left_out))
    return _figure(name, value, ends, bootstrap, called=bootstrap.named("bca", len(resampled) - len(defined)))


def of_distribution(name: str, value: float, resampled: NDArray[np.float64], bootstrap: Bootstrap) -> Figure:
    """A figure whose `distribution` is known, [resamples], with its percentile interval. Raises ValueError where half of them are undefined."""
    defined = _defined(name, resampled)
    ends = np.quantile(defined, tails(bootstrap))
    return _figure(name, value, ends, bootstrap, called=bootstrap.named("percentile", len(resampled) - len(defined)))


def share_of(name: str, is_so: NDArray[np.bool_], bootstrap: Bootstrap) -> Figure:
    """The share of the items, [items], of which something is so: with Wilson's interval, and where they are in groups the bootstrap's.

    Where it is so of all of them or of none, no resample differs from another, and the interval would have no width: then it is Wilson's of as many
    items as there are groups.
    """
    if bootstrap.groups is None:
        return share(name, int(is_so.sum()), len(is_so), confidence_level=bootstrap.confidence_level)
    if is_so.all() or not is_so.any():
        of = share(name, bootstrap.count if is_so.all() else 0, bootstrap.count, confidence_level=bootstrap.confidence_level)
        return replace(of, interval_method=f"wilson, of {bootstrap.count} groups")
    return figure(name, lambda rows: float(is_so[rows].mean()), bootstrap)


def difference(name: str, first: Statistic, second: Statistic, bootstrap: Bootstrap, *, method: Method = "percentile") -> Figure:
    """The first statistic less the second, with the interval of that difference on the same resamples. Raises as `figure` does."""
    return figure(name, lambda rows: first(rows) - second(rows), bootstrap, method=method)


def paired(candidate: Statistic, stable: Statistic, bootstrap: Bootstrap) -> Resamples:
    """The candidate's statistic less the stable version's on each resample, for the gate `NotWorse`. Raises ValueError as `figure` does."""
    differences = distribution(lambda rows: candidate(rows) - stable(rows), bootstrap)
    return Resamples(differences=_defined("the difference", differences))


def pointwise(statistic: Callable[[Rows], NDArray[Any]], bootstrap: Bootstrap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of the expanded percentile interval of each element of an array: of each point by itself, and not of all at once."""
    lower, upper = np.quantile(distribution(statistic, bootstrap), tails(bootstrap), axis=0)
    return lower, upper


def tails(bootstrap: Bootstrap) -> NDArray[np.float64]:
    """The shares of the resamples below the ends of an expanded percentile interval.

    They are those of the mean of as many groups: by Student's distribution, and with the variance of a sample where resamples have less.
    """
    from scipy.special import ndtr, stdtrit  # noqa: PLC0415 - slow to import

    fewer = bootstrap.count - 1
    return np.asarray(ndtr(np.sqrt(bootstrap.count / fewer) * stdtrit(fewer, _plain_tails(bootstrap))), np.float64)


def _plain_tails(bootstrap: Bootstrap) -> NDArray[np.float64]:
    """The shares of the resamples below the interval's ends."""
    tail = (1 - bootstrap.confidence_level) / 2
    return np.array([tail, 1 - tail])


def _figure(name: str, value: float, ends: NDArray[np.float64], bootstrap: Bootstrap, *, called: str) -> Figure:
    lower, upper = ends
    level = bootstrap.confidence_level
    return Figure(name=name, value=value, lower=float(lower), upper=float(upper), confidence_level=level, interval_method=called)


def _defined(name: str, resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    defined = resampled[~np.isnan(resampled)]
    if len(defined) <= _FEWEST_DEFINED * len(resampled):
        message = f"{name}: it is undefined for {len(resampled) - len(defined)} of {len(resampled)} resamples; there are too few items of a kind"
        raise ValueError(message)
    return defined


def _corrected(tails: NDArray[np.float64], value: float, resampled: NDArray[np.float64], left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of the resamples that BCa takes for the ends (Efron and Tibshirani, equations 14.9 to 14.15)."""
    from scipy.special import ndtr, ndtri  # noqa: PLC0415 - slow to import

    share_below = np.mean(resampled < value) / 2 + np.mean(resampled <= value) / 2
    # A value that no resample reaches would put the bias at infinity.
    half = 0.5 / len(resampled)
    bias = ndtri(np.clip(share_below, half, 1 - half))
    left_out = left_out[~np.isnan(left_out)]
    from_mean = left_out.mean() - left_out
    spread = np.sum(from_mean**2)
    skew = np.sum(from_mean**3) / (6 * spread**1.5) if spread > 0 else 0.0
    moved = bias + ndtri(tails)
    return np.asarray(ndtr(bias + moved / (1 - skew * moved)), np.float64)
