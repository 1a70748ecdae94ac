"""A few items of a set of any size, drawn while it is read: each is as likely to be among them as any other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.streams.source import Items, Spec, count_of


class Reservoir:
    """Holds so many of the items that it was given, drawn at random without replacement: algorithm R.

    J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11 (1985). What is drawn depends on the seed and on
    the items' order, and not on how they are divided into blocks.
    """

    def __init__(self, spec: Mapping[str, Spec], *, items: int, seed: list[int]) -> None:
        """Room for `items` of arrays of these specs. Raises ValueError where there is room for none, or an array's shape is open."""
        if items < 1:
            message = f"items: 1 or more, not {items}"
            raise ValueError(message)
        if is_open := sorted(name for name, one in spec.items() if one.is_open):
            message = f"{', '.join(is_open)}: of one shape in all items; declare it, or bring them to one size"
            raise ValueError(message)
        self._random = np.random.default_rng(seed)
        self._room = {name: one.room(items) for name, one in spec.items()}
        self._items, self._seen = items, 0

    @property
    def seen(self) -> int:
        """How many items it was given."""
        return self._seen

    @property
    def held(self) -> int:
        """How many it holds."""
        return min(self._seen, self._items)

    def array(self, name: str) -> NDArray[Any]:
        """[held], one array of those that it holds."""
        return self._room[name][: self.held]

    def add(self, block: Items) -> None:
        """Gives it some items; arrays that it has no room for are left."""
        count = count_of(block)
        numbers = self._seen + np.arange(count)
        places = np.where(numbers < self._items, numbers, self._random.integers(0, numbers + 1))
        # Of two for one place the later counts, which numpy doesn't promise of an assignment.
        taken, last = np.unique(places[::-1], return_index=True)
        rows, taken = (count - 1 - last)[taken < self._items], taken[taken < self._items]
        for name, room in self._room.items():
            room[taken] = block[name][rows]
        self._seen += count

    def drawn(self) -> dict[str, NDArray[Any]]:
        """Those that it holds, in an order drawn at random: the first of them are a sample too. It holds none afterwards."""
        order = self._random.permutation(self.held)
        # One array after the other, so that there are never two copies of all.
        return {name: self._room.pop(name)[order] for name in list(self._room)}
