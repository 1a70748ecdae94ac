"""Which columns go on: those that say something of the labels, or all but the ones named."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.features import relevance
from training.features.step import FittedStep, Step, Table, check_choice, check_columns, remaining

By = Literal["mutual information", "stability", "permutation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Select(Step):
    """Leaves out the columns that score least. Of equal scores the column that comes first goes on.

    Labels of integers or booleans are classes, floats are amounts; labels are used in fitting, and in nothing that is served.

    Attributes:
        by: `mutual information`, `stability` or `permutation`, as `relevance` has them. Only the last takes missing values.
        count: how many go on; or
        least: the least score that goes on. For `stability` it is a share of subsamples above 0.5, and with it comes a bound on false choices.
        columns: which compete; None for all. The others go on.
        discrete: which of them hold a few values only, such as those of `OneHot`; for `mutual information`.
    """

    by: By
    count: int | None = None
    least: float | None = None
    columns: tuple[str, ...] | None = None
    discrete: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where it declares nothing that can be done."""
        check_columns(self.columns)
        check_columns(self.discrete or None)
        check_choice("by", self.by, ("mutual information", "stability", "permutation"))
        if (self.count is None) == (self.least is None):
            message = "count, least: one of the two"
            raise ValueError(message)
        if self.count is not None and self.count < 1:
            message = "count: 1 or more"
            raise ValueError(message)
        if self.least is not None and self.by == "stability" and not 0.5 < self.least <= 1:  # noqa: PLR2004 - the theorem's
            message = "least: for stability a share above 0.5 and at most 1"
            raise ValueError(message)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:
        """Scores the columns. Raises ValueError without labels of two classes, for missing values, and for too few columns to choose from."""
        taken = table.positions(self.columns)
        if labels is None:
            message = f"{table.where}: labels are needed to choose by"
            raise ValueError(message)
        if self.count is not None and self.count > len(taken):
            message = f"{table.where}: count: {self.count} of {len(taken)} columns"
            raise ValueError(message)
        block = table.values[:, taken]
        if relevance.is_of_classes(labels) and np.unique(labels, return_counts=True)[1].min() in (len(labels), 1):
            message = f"{table.where}: labels: two classes or more, and two items or more of each"
            raise ValueError(message)
        if self.by == "permutation":
            scores = relevance.permutation(block, labels, seed=seed)
        else:
            table.refuse_missing(taken)
            if self.by == "stability":
                scores = relevance.stability(block, labels, entering=self._entering(len(taken), relevance.targets(labels).shape[1]), seed=seed)
            else:
                discrete = np.isin(taken, table.positions(self.discrete))
                scores = relevance.mutual_information(block, labels, discrete=discrete, seed=seed)
        best = np.argsort(-scores, kind="stable")[: self.count] if self.least is None else np.flatnonzero(scores >= self.least)
        if not len(best):
            message = f"{table.where}: least: no column scores {self.least}, the best {scores.max():.3g}"
            raise ValueError(message)
        left_out = set(taken) - {taken[chosen] for chosen in best}
        named = {table.columns[position]: float(score) for position, score in zip(taken, scores, strict=True)}
        return remaining(table, [position for position in range(len(table.columns)) if position not in left_out], scores=named)

    def _entering(self, columns: int, targets: int) -> int:
        """How many columns enter each subsample's path: for `least` as many as bound the expected number of false choices by 1.

        Meinshausen and Bühlmann's theorem 1: E(V) ≤ q² / ((2π - 1) p), of q that enter and a threshold π of p columns. With several classes a column
        goes on that is chosen for any of them, so the bounds of all targets add up.
        """
        if self.least is None:
            return min(columns, max(self.count or 1, round(np.sqrt(0.8 * columns))))
        return max(1, int(np.sqrt((2 * self.least - 1) * columns / targets)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop(Step):
    """Leaves out columns, such as those that others have been made of.

    Attributes:
        columns: which.
    """

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where no column is named."""
        check_columns(self.columns, each_named=True)

    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:  # noqa: ARG002 - a step's
        """Learns nothing. Raises ValueError where no column would be left."""
        gone = table.positions(self.columns)
        if len(gone) == len(table.columns):
            message = f"{table.where}: columns: one has to stay"
            raise ValueError(message)
        return remaining(table, [position for position in range(len(table.columns)) if position not in gone])
