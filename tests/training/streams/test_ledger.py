"""What is kept of items to find equal ones, and a set without some of its items."""

from typing import Any

import numpy as np
import pytest

from training.quality.fault import Fault
from training.streams import ledger
from training.streams.thinned import Thinned


def test_items_are_equal_by_their_values_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(60, dtype=np.float32).reshape(6, 5, 2)
    values[1], values[2, 0], values[3, 0, 0] = values[0], np.nan, -0.0
    values[4], values[5] = values[3], values[2]
    values[4, 0, 0], values[5, 0, 0] = 0.0, -np.nan

    whole = ledger.hashes(values)
    monkeypatch.setattr(ledger, "_PIECE_BYTES", 12)

    assert ledger.hashes(values).tolist() == whole.tolist()
    assert whole.tolist() == whole[[0, 0, 2, 3, 3, 2]].tolist()
    assert len(set(whole.tolist())) == 3
    assert len(set(ledger.hashes(np.array([["a", "b"], ["ab", ""], ["a", "b"]], object)).tolist())) == 2


def test_a_set_without_some_items_is_read_from_any_record_on(numbers: Any) -> None:
    source = numbers(good=[[True, False, True, True, True, False, True], [True] * 3])
    thinned = Thinned(source=source, skipped={0: np.array([1, 3])})
    first, second = thinned.shards()

    read = [
        [number for block in thinned.read(first, start) if not isinstance(block, Fault) for number in block["number"].tolist()] for start in range(8)
    ]

    assert read == [[0, 3, 6], [3, 6], [3, 6], [3, 6], [6], [6], [6], []]
    assert [block["number"].tolist() for block in thinned.read(second) if not isinstance(block, Fault)] == [[7, 8, 9]]
    assert len({source.identity(), thinned.identity(), Thinned(source=source, skipped={0: np.array([1, 4])}).identity()}) == 3
