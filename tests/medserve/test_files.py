"""What a file holds, told by its content."""

from pathlib import Path

import pytest

from medserve import Record, TimeSeries
from medserve.commands.failure import UsageError
from medserve.commands.files import read_input

SERIES = '{"channels": [{"name": "features", "unit": "mV", "values": [1]}]}'
RECORD = '{"features": {"channels": 12}}'


@pytest.mark.parametrize("mark", ["", "\ufeff", " \n", "\ufeff\n"], ids=["bare", "mark", "space", "mark and space"])
@pytest.mark.parametrize(("text", "kind"), [(SERIES, TimeSeries), (RECORD, Record)])
def test_a_record_and_a_series_are_told_apart_by_their_outermost_key(tmp_path: Path, text: str, kind: type, mark: str) -> None:
    file = tmp_path / "file"
    file.write_text(mark + text, encoding="utf-8")

    assert isinstance(read_input(file), kind)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"features": {"age": 61, "age": 16}}', 'not a record: the key "age" comes twice'),
        (b'{"features": {}, "features": {}}', '"features" comes twice'),
        (b'{"values": [1]}', 'has "features", nor a time series, which has "channels"'),
        (b'{"features": {}, "channels": []}', "unknown field `channels`"),
        (b'{"features": ', "not JSON"),
        (b'{"features": "\xff"}', "not a record"),
        (b"\xef\xbb\xbf[]", "neither PNG"),
    ],
)
def test_what_is_neither_is_refused_with_the_files_name(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)

    with pytest.raises(UsageError) as caught:
        read_input(file)

    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)
