"""What every step of a recipe has in common: it reads some columns, makes others, and says where they stand.

A step is a declaration. Fitting it gives a `FittedStep`, whose `Part` computes the same twice: by the library that was fitted, and by operations of
the graph on what the library has learnt. The graph's side gets Keras's operations handed in, since importing Keras takes seconds.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""[items, columns]; NaN is a missing value."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Table:
    """What the items that a step is fitted to look like when it is reached.

    Attributes:
        columns: their names.
        values: [items, columns].
        where: which step this is, for messages.
    """

    columns: tuple[str, ...]
    values: Values
    where: str

    def positions(self, names: Sequence[str] | None) -> tuple[int, ...]:
        """Where the named columns stand; all where None. Raises ValueError for a name that there is none of."""
        if names is None:
            return tuple(range(len(self.columns)))
        for name in names:
            if name not in self.columns:
                raise self.fault(name, "there is no such column here")
        return tuple(self.columns.index(name) for name in names)

    def fault(self, column: str, what: str) -> ValueError:
        """The error that says of a column what is wrong with it in this step."""
        return ValueError(f"{self.where}: column {column}: {what}")

    def refuse_missing(self, taken: Sequence[int]) -> None:
        """Raises ValueError for a column that lacks a value in some item, for a step that can't be fitted to such."""
        for position in taken:
            if missing := int(np.isnan(self.values[:, position]).sum()):
                raise self.fault(self.columns[position], f"{missing} items have no value, and this step needs one of each: impute before it")


class Part(ABC):
    """What a fitted step computes from the columns that it reads."""

    @abstractmethod
    def transform(self, block: Values) -> Values:
        """[items, columns read] to [items, columns made], by the fitted library."""

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """What the library learnt, as the layer keeps it: float64, by name."""
        return {}

    @abstractmethod
    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401 - Keras's operations, and tensors
        """The same in the graph, in float64; `weights` are those of `weights`, as tensors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedStep:
    """A step after fitting: what it makes is put behind the columns that came in, and `order` says which of all these go on, and in what order.

    Attributes:
        columns: the names of what goes on.
        taken: positions of the columns read.
        part: what is made from them; None where columns only go or stay.
        order: positions in the columns that came in, followed by those made.
        scores: what a choice rested on, by column: `Select`'s score of each, `PrincipalComponents`' share of variance of each component.
    """

    columns: tuple[str, ...]
    taken: tuple[int, ...]
    part: Part | None
    order: tuple[int, ...]
    scores: Mapping[str, float] = field(default_factory=dict)

    def transform(self, values: Values) -> Values:
        """[items, columns in] to [items, columns out], by the fitted library."""
        made = [] if self.part is None else [self.part.transform(values[:, self.taken])]
        return np.concatenate([values, *made], axis=1)[:, self.order]

    def apply(self, ops: Any, values: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401 - Keras's operations, and tensors
        """The same in the graph."""
        made = [] if self.part is None else [self.part.apply(ops, ops.take(values, _index(self.taken), axis=1), weights)]
        return ops.take(ops.concatenate([values, *made], axis=1), _index(self.order), axis=1)


class Step(ABC):
    """A declaration of what is done to which columns."""

    @abstractmethod
    def fit(self, table: Table, labels: NDArray[Any] | None, *, seed: int) -> FittedStep:
        """Learns from the items what the step needs. Raises ValueError that names the step and the column where it can't."""


def in_place(table: Table, taken: tuple[int, ...], part: Part) -> FittedStep:
    """A step that puts what it makes where it read it, under the same names."""
    order = list(range(len(table.columns)))
    for made, position in enumerate(taken):
        order[position] = len(table.columns) + made
    return FittedStep(columns=table.columns, taken=taken, part=part, order=tuple(order))


def appended(
    table: Table,
    taken: tuple[int, ...],
    part: Part,
    names: Sequence[str],
    *,
    keep: bool = True,
    scores: Mapping[str, float] | None = None,
) -> FittedStep:
    """A step that puts what it makes behind the others; those read go on where `keep` says so. Raises ValueError for a name that there is already."""
    stay = [position for position in range(len(table.columns)) if keep or position not in taken]
    columns = [table.columns[position] for position in stay]
    for name in names:
        if name in columns:
            raise table.fault(name, "there is one of this name already")
        columns.append(name)
    order = (*stay, *range(len(table.columns), len(table.columns) + len(names)))
    return FittedStep(columns=tuple(columns), taken=taken, part=part, order=order, scores=scores or {})


def remaining(table: Table, stay: Sequence[int], *, scores: Mapping[str, float] | None = None) -> FittedStep:
    """A step that makes nothing and leaves columns out."""
    return FittedStep(columns=tuple(table.columns[position] for position in stay), taken=(), part=None, order=tuple(stay), scores=scores or {})


def check_columns(columns: Sequence[str] | None, *, each_named: bool = False) -> None:
    """Raises ValueError where a step's declared columns are no names, a lone string, or name one twice; None is all, where they needn't be named."""
    is_all = columns is None and not each_named
    if not is_all and (columns is None or not are_names(columns)):
        message = "columns: one name or more in a tuple, each once" + ("" if each_named else ", or None for all")
        raise ValueError(message)


def are_names(names: Sequence[str]) -> bool:
    """Whether they are one or more, each once. A lone string would be read letter by letter."""
    return not isinstance(names, str) and bool(names) and len(set(names)) == len(names)


def check_choice(field_name: str, value: str, choices: Sequence[str]) -> None:
    """Raises ValueError where a declared word is none of those there are."""
    if value not in choices:
        message = f"{field_name}: one of {', '.join(choices)}"
        raise ValueError(message)


def _index(positions: tuple[int, ...]) -> NDArray[np.int32]:
    return np.array(positions, np.int32)
