"""A recipe: steps over a table of clinical features, in order.

Fitted, it computes the same twice: `transform` by the libraries that were fitted, and `as_layer` in the graph, as a part of the model. Both take
values as float32, as a request brings them, and compute in float64, so that they differ by rounding only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.features import single
from training.features.step import FittedStep, Step, Table, Values

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What is done to a table, step by step; each sees the columns that the one before it left.

    Attributes:
        steps: in their order.
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where there is no step."""
        if not self.steps:
            message = "steps: one or more"
            raise ValueError(message)

    def fit(self, columns: Sequence[str], values: NDArray[Any], labels: NDArray[Any] | None, *, seed: int) -> "Fitted":
        """Fits each step to what those before it make of the items.

        Args:
            columns: the table's columns, each name once.
            values: [items, columns], any real type; NaN is a missing value.
            labels: [items], for steps that choose by them; None where no step does.
            seed: of whatever a step draws.

        Raises:
            ValueError: naming the step and the column, for a column that isn't there or is there twice, one without any value, an infinite value, and
                whatever a step can't be fitted to.
        """
        given = tuple(columns)
        current = _as_served(given, values, "columns")
        for name in given:
            if given.count(name) > 1:
                message = f"columns: column {name}: there are two of this name"
                raise ValueError(message)
        if not len(current):
            message = "values: one item or more"
            raise ValueError(message)
        if labels is not None and np.shape(labels) != (len(current),):
            message = f"labels: [items], one for each of {len(current)}"
            raise ValueError(message)
        _refuse_empty(Table(columns=given, values=current, where="columns"))
        fitted: list[FittedStep] = []
        names = given
        for number, step in enumerate(self.steps, start=1):
            where = f"step {number}, {type(step).__name__}"
            made = step.fit(Table(columns=names, values=current, where=where), labels, seed=seed)
            names, current = made.columns, made.transform(current)
            _refuse_empty(Table(columns=names, values=current, where=where))
            fitted.append(made)
        return Fitted(given=given, steps=tuple(fitted))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fitted:
    """A recipe after fitting.

    Attributes:
        given: names of the columns that come in.
        steps: what was fitted, with what its choices rested on (`FittedStep.scores`).
    """

    given: tuple[str, ...]
    steps: tuple[FittedStep, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that come out."""
        return self.steps[-1].columns

    @property
    def scores(self) -> tuple[Mapping[str, float], ...]:
        """Of each step, what its choices rested on, by column; nothing for a step that makes none."""
        return tuple(step.scores for step in self.steps)

    def transform(self, values: NDArray[Any]) -> Values:
        """By the fitted libraries: [items, columns in] of any real type, rounded to float32, to float64 [items, columns out].

        Raises ValueError for another number of columns, and for an infinite value.
        """
        current = _as_served(self.given, values, "columns")
        for step in self.steps:
            current = step.transform(current) if len(current) else np.zeros((0, len(step.columns)))
        return current

    def as_layer(self, name: str = "features") -> "keras.Layer":
        """The same as a layer of the model: float32 [items, columns in] to float32 [items, columns out], within 1e-6 of `transform`.

        A graph can't refuse one item of a batch, so an infinite value is a missing one there. What was learnt are weights that no training changes.
        """
        from training.features.layer import Features  # noqa: PLC0415 - it takes seconds

        return Features(self.steps, given=self.given, name=name)


def _as_served(columns: tuple[str, ...], values: NDArray[Any], where: str) -> Values:
    """The values as the graph will see them. Raises ValueError where they aren't [items, columns], or one is infinite."""
    if np.ndim(values) != 2 or np.shape(values)[1] != len(columns):  # noqa: PLR2004 - [items, columns]
        message = f"values: [items, {len(columns)}], a column for each of the names; they are {list(np.shape(values))}"
        raise ValueError(message)
    rounded = single.as_served(values)
    if (infinite := single.first_infinite(rounded)) is not None:
        row, column = infinite
        message = f"{where}: column {columns[column]}: a finite float32 is expected, or NaN where there is no value; item {row} has something else"
        raise ValueError(message)
    return rounded


def _refuse_empty(table: Table) -> None:
    """Raises ValueError for a column that has no value in any item: nothing can be learnt of it."""
    for position in np.flatnonzero(np.isnan(table.values).all(axis=0)).tolist():
        raise table.fault(table.columns[position], "no item has a value")
