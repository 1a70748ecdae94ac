"""Numbers too small for their type's full precision: taken for zero, in this thread and in those that it makes."""

import threading
from typing import Any

import numpy as np

from modelserver.denormals import flush_denormals


def _halved(results: list[Any]) -> None:
    results.append(np.float32(np.finfo(np.float32).tiny) / np.float32(2))


def test_a_thread_takes_them_for_zero_once_it_is_set_and_so_do_those_that_it_makes() -> None:
    before: list[Any] = []
    after: list[Any] = []

    def setting() -> None:
        _halved(before)
        assert flush_denormals()
        _halved(after)
        inner = threading.Thread(target=_halved, args=(after,))
        inner.start()
        inner.join()

    outer = threading.Thread(target=setting)
    outer.start()
    outer.join()
    _halved(before)

    assert all(value > 0 for value in before)
    assert after == [0, 0]
