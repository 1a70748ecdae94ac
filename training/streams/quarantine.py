"""What was left out of a set while it was read."""

import threading
from collections import Counter

from training.quality.fault import Fault, Reason


class Quarantine:
    """Collects faults, from several threads as well: each one once, the first `at_most` of them; the others are only counted.

    A fault beyond `at_most` that is told twice, as in a second epoch, is counted twice: what was told before isn't kept.
    """

    def __init__(self, at_most: int = 10_000) -> None:
        """Raises ValueError where `at_most` is below 1."""
        if at_most < 1:
            message = f"at_most: 1 or more faults are kept, not {at_most}"
            raise ValueError(message)
        self._at_most = at_most
        self._lock = threading.Lock()
        self._faults: dict[Fault, None] = {}
        self._reasons: Counter[Reason] = Counter()

    def add(self, fault: Fault) -> None:
        """Takes one in."""
        with self._lock:
            if fault in self._faults:
                return
            self._reasons[fault.reason] += 1
            if len(self._faults) < self._at_most:
                self._faults[fault] = None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Those that are kept, in the order in which they were found."""
        with self._lock:
            return tuple(self._faults)

    @property
    def reasons(self) -> dict[Reason, int]:
        """How many were found, by reason: the most frequent first."""
        with self._lock:
            return dict(self._reasons.most_common())

    @property
    def count(self) -> int:
        """How many were found."""
        return sum(self.reasons.values())
