"""A pickle may name any code to run: only what a table is made of is let in."""

import os
import pickle
from pathlib import Path

import pandas as pd
import pytest

from training.data import pickled_table
from training.quality.fault import Refused


class _Harmful:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.file), 0o700)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    table = pd.DataFrame({"age": [61.5, None], "count": [1, 2], "sex": pd.Categorical(["f", "m"])})
    (tmp_path / "t.pickle").write_bytes(pickle.dumps(table))

    pd.testing.assert_frame_equal(pickled_table.read(tmp_path / "t.pickle"), table)


def test_what_a_pickle_would_run_is_refused_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "t.pickle").write_bytes(pickle.dumps(_Harmful(tmp_path / "made")))

    with pytest.raises(ValueError, match=r"t\.pickle: posix\.mkdir is no part of a table"):
        pickled_table.read(tmp_path / "t.pickle")

    assert not (tmp_path / "made").exists()


def test_a_category_that_is_none_is_damage_and_not_what_stands_behind_it_in_memory(tmp_path: Path) -> None:
    table = pd.DataFrame({"sex": pd.Categorical(["f", "m"])})
    table["sex"].array.codes.base[0] = 99
    (tmp_path / "t.pickle").write_bytes(pickle.dumps(table))

    with pytest.raises(Refused, match="damaged, or no pickle"):
        pickled_table.read(tmp_path / "t.pickle")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "damaged, or no pickle"),
        (b"patient,age\n1,61\n", "damaged, or no pickle"),
        (pickle.dumps(pd.DataFrame({"age": [61.5]}))[:-20], "damaged, or no pickle"),
        (pickle.dumps({"age": 61}), "holds no table"),
        (pickle.dumps(pd.DataFrame), "holds no table"),
    ],
)
def test_what_holds_no_table_is_said_without_its_content(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "t.pickle").write_bytes(content)

    with pytest.raises(ValueError, match=why) as caught:
        pickled_table.read(tmp_path / "t.pickle")

    assert "61" not in str(caught.value)
