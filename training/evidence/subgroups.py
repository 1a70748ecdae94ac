"""A figure in each level of an attribute, such as sex or hospital: whether a model is as good for everybody."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure
from training.evidence import resampling
from training.evidence.resampling import Bootstrap, Method, Rows, Statistic
from training.gates.evidence import Group

UNKNOWN = "unknown"
# What a band begins with.
_BAND = re.compile(r"(below )?(-?\d+(?:\.\d+)?)\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """What was found in one level.

    Attributes:
        attribute, level: of what, for people.
        items: how many there are.
        value: the figure's value; not-a-number where it is undefined there.
        figure: with its interval; None where there is none.
        note: why there is none; empty where there is one.
    """

    attribute: str
    level: str
    items: int
    value: float
    figure: Figure | None
    note: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.attribute} {self.level} ({self.items} items): {self.figure if self.figure is not None else self.note}"


def by_level(
    name: str,
    statistic: Statistic | NDArray[np.bool_],
    attributes: Mapping[str, NDArray[Any]],
    bootstrap: Bootstrap,
    *,
    least_items: int = 30,
    method: Method = "percentile",
) -> list[Level]:
    """The statistic of the items of each level of each attribute, in the order of their names or bands, with a bootstrap interval by patient.

    Of a share, such as accuracy, the statistic is whether it is so of each item, [items], and its interval is as of `resampling.share_of`: where it
    is so of all, as in a small level it may be, no resample differs from another.

    `attributes` are [items] each, by name; who has none (None or not-a-number) is of the level `unknown`. A level of fewer than `least_items`, or
    whose statistic is undefined, is listed with a note instead of an interval. Raises ValueError where an attribute isn't of the same items.
    """
    found = []
    for attribute, values in attributes.items():
        if values.shape != (bootstrap.items,):
            message = f"{attribute}: one for each of the {bootstrap.items} items, not {values.shape}"
            raise ValueError(message)
        names = _names(values)
        for level in sorted(set(names.tolist()), key=_place):
            rows = np.flatnonzero(names == level)
            if len(rows) < least_items:
                figure, note = None, f"too small: {len(rows)} of {least_items} items"
            else:
                figure, note = _within(name, statistic, rows, bootstrap, method)
            found.append(Level(attribute=attribute, level=level, items=len(rows), value=_value(statistic, rows), figure=figure, note=note))
    return found


def for_gates(levels: Sequence[Level]) -> dict[str, dict[str, Group]]:
    """By attribute and by level, as `training.gates.evidence.Evidence.subgroups` has it for one figure.

    The gate leaves out levels that are too small by their number of items, and isn't passed where a level that is large enough has no value.
    """
    groups: dict[str, dict[str, Group]] = {}
    for each in levels:
        groups.setdefault(each.attribute, {})[each.level] = Group(value=each.value, items=each.items)
    return groups


def banded(values: NDArray[Any], edges: Sequence[float]) -> NDArray[Any]:
    """[items]: numbers as levels, such as ages: `below 40`, `40 to 65`, `65 and above`; an edge belongs above, and not-a-number is None.

    Raises ValueError where the edges don't rise.
    """
    if not len(edges) or not (np.diff(edges) > 0).all():
        message = f"edges: one or more that rise, not {list(edges)}"
        raise ValueError(message)
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    names = np.array([f"below {edges[0]:g}", *between, f"{edges[-1]:g} and above", None], object)
    return np.asarray(names[np.where(np.isnan(values), len(names) - 1, np.searchsorted(edges, values, side="right"))])


def _place(level: str) -> tuple[bool, float, bool, str]:
    """Where a level stands among others: bands by their edges, as `banded` names them, then names, and who has none last."""
    band = _BAND.match(level)
    return level == UNKNOWN, np.inf if band is None else float(band[2]), band is None or not band[1], level


def _names(values: NDArray[Any]) -> NDArray[np.str_]:
    return np.array([UNKNOWN if value is None or value != value else str(value) for value in values.tolist()])  # noqa: PLR0124 - not-a-number


def _value(statistic: Statistic | NDArray[np.bool_], rows: Rows) -> float:
    return float(statistic[rows].mean() if isinstance(statistic, np.ndarray) else statistic(rows))


def _within(name: str, statistic: Statistic | NDArray[np.bool_], rows: Rows, bootstrap: Bootstrap, method: Method) -> tuple[Figure | None, str]:
    """The figure of these items, or why there is none."""
    try:
        within = replace(bootstrap, items=len(rows), groups=None if bootstrap.groups is None else bootstrap.groups[rows])
        if isinstance(statistic, np.ndarray):
            return resampling.share_of(name, statistic[rows], within), ""
        return resampling.figure(name, lambda drawn: statistic(rows[drawn]), within, method=method), ""
    except ValueError as error:
        # One patient only, or one outcome only: the other levels are judged all the same.
        return None, str(error)
