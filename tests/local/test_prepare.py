"""A first run that was stopped halfway is gone on with."""

from pathlib import Path

import pytest

from local.prepare import MODEL, SAMPLES, write_samples
from local.stack import Stack


@pytest.mark.parametrize("already_there", [0, 3])
def test_samples_that_were_not_all_written_are_written_again(tmp_path: Path, already_there: int) -> None:
    stack = Stack(tmp_path)
    written = write_samples(stack)
    for path in written[already_there:]:
        path.unlink()

    again = write_samples(stack)

    assert len(again) == SAMPLES
    assert again == written
    assert {path.parent for path in again} == {stack.var / "samples" / MODEL}
