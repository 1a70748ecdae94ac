"""Where better settings of a plan are looked for, as a declaration: nothing here imports Optuna, so that jobs can be listed at once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from training.fitting.checks import is_count, is_number, require
from training.fitting.monitor import ReduceOnPlateau
from training.fitting.plan import Plan

# Not the loss, its weights or the metrics: a figure would no longer be the same figure in each trial. Not the seed: to choose it by validation items
# is to be lucky with these. The others change how fast a fit is, or its network.
SETTINGS = ("epochs", "batch_size", "learning_rate", "schedule", "class_weights", "early_stopping", "weight_decay", "clip_norm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number from `low` to `high`, both included; where `log`, each decade is as likely as another."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where an end is no number, or they aren't in order, or there is no logarithm of one."""
        require(is_number(self.low, least=0 if self.log else -math.inf) and not (self.log and self.low == 0), "low", _WANTED[self.log], self.low)
        require(is_number(self.high, above=self.low), "high", f"a number above {self.low}", self.high)

    @property
    def ends(self) -> tuple[float, ...]:
        """The extremes."""
        return self.low, self.high

    def has(self, value: Any) -> bool:  # noqa: ANN401 - what a plan has
        """Whether it is one of these."""
        return is_number(value) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """A whole number from `low` to `high`, both included, 0 or more; where `log`, small ones are as likely as large ones."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where an end is no whole number, or they aren't in order, or there is no logarithm of one."""
        least = 1 if self.log else 0
        require(is_count(self.low, least=least), "low", f"a whole number from {least} on", self.low)
        require(is_count(self.high, least=self.low + 1), "high", f"a whole number from {self.low + 1} on", self.high)

    @property
    def ends(self) -> tuple[int, ...]:
        """The extremes."""
        return self.low, self.high

    def has(self, value: Any) -> bool:  # noqa: ANN401 - what a plan has
        """Whether it is one of these."""
        return is_count(value, least=self.low) and value <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class OneOf:
    """One of some choices, which have no order: None, numbers, words, or declarations such as a ReduceOnPlateau."""

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where there aren't two, one stands twice, or one isn't told from another by its words, as a function isn't."""
        right = all(choice is None or isinstance(choice, str | int | float) or is_dataclass(choice) for choice in self.choices)
        require(right, "choices", "None, numbers, words or declarations", [type(choice).__name__ for choice in self.choices])
        require(len(set(self.labels)) == len(self.choices) > 1, "choices", "two or more, each one once", self.labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """How each choice is told from the others, in this process and in the next."""
        return tuple(label(choice) for choice in self.choices)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Each of them."""
        return self.choices

    def has(self, value: Any) -> bool:  # noqa: ANN401 - what a plan has
        """Whether it is one of these."""
        return value in self.choices

    def of(self, name: str) -> Any:  # noqa: ANN401 - a choice
        """The choice that has this label."""
        return self.choices[self.labels.index(name)]

    def label_of(self, value: Any) -> str:  # noqa: ANN401 - a choice
        """The label of this choice, in whatever type it is given: a plan may have 0 where the choice is 0.0."""
        return self.labels[self.choices.index(value)]


Range = Number | Whole | OneOf


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """What is varied, by the name of the plan's field."""

    settings: Mapping[str, Range]

    def __post_init__(self) -> None:
        """Raises ValueError where there is nothing, a field can't be searched, or a plan wouldn't take an extreme or a choice."""
        require(bool(self.settings), "settings", "one or more", dict(self.settings))
        for name, among in self.settings.items():
            require(name in SETTINGS, "settings", f"names among {', '.join(SETTINGS)}", name)
            require(name not in _WHOLE or not isinstance(among, Number), name, "a Whole or a OneOf", among)
            for end in among.ends:
                setting: dict[str, Any] = {name: end}
                replace(Plan(epochs=1, batch_size=1), **setting)

    def has(self, plan: Plan) -> bool:
        """Whether the plan's own settings are in it."""
        return all(among.has(getattr(plan, name)) for name, among in self.settings.items())


def around(plan: Plan) -> Space:
    """What to try first where a job says nothing else: the plan's own settings are in it.

    The learning rate within a factor of 10, half and twice the batch, schedules, and weight decay. Where no fit ends early, also down to half of the
    epochs.
    """
    schedules: tuple[Any, ...] = ("constant", "cosine")
    if isinstance(plan.schedule, ReduceOnPlateau):
        schedules = (*schedules, plan.schedule)
    settings: dict[str, Range] = {
        "learning_rate": Number(low=plan.learning_rate / 10, high=plan.learning_rate * 10, log=True),
        "batch_size": OneOf(choices=tuple(sorted({max(plan.batch_size // 2, 1), plan.batch_size, plan.batch_size * 2}))),
        "schedule": OneOf(choices=schedules),
        "weight_decay": OneOf(choices=tuple(sorted({0.0, 1e-5, 1e-4, 1e-3, 1e-2, float(plan.weight_decay)}))),
    }
    if plan.early_stopping is None and plan.epochs > 1:
        settings["epochs"] = Whole(low=plan.epochs // 2 or 1, high=plan.epochs)
    return Space(settings=settings)


def label(value: Any) -> str:  # noqa: ANN401 - a choice, or what a plan has
    """A setting in words, as one reads it."""
    return value if isinstance(value, str) else written(value)


def written(value: Any) -> str:  # noqa: ANN401 - a choice, or what a plan has
    """A setting as it is written in a declaration, without what is usual."""
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    given = {field.name: getattr(value, field.name) for field in fields(value) if getattr(value, field.name) != field.default}
    return f"{type(value).__name__}({', '.join(f'{name}={written(part)}' for name, part in given.items())})"


_WHOLE = ("epochs", "batch_size")
_WANTED = {True: "a number above 0, for it has a logarithm", False: "a number"}
