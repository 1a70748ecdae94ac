"""JSON text, as RapidJSON 1.1.0 reads it. What it says of a text, and at which offset, is from its reader.h and error/en.h."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserver.errors import ServingError
from modelserver.rest.json_text import Members, parse, parse_exactly

DEEP = 500_000

TAKEN: list[tuple[bytes, Any]] = [
    (b'{"a": [1, -2.5, 1e2, true, false, null, "x"]}', {"a": [1, -2.5, 100.0, True, False, None, "x"]}),
    (b' \t\r\n{ "a" :[ ] , "b":{ } } ', {"a": [], "b": {}}),
    (b'{"a":1}X', {"a": 1}),
    (b'{"a":1}{"b":2}', {"a": 1}),
    (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
    (b"[Inf, -Inf, Infinity, -Infinity]", [math.inf, -math.inf, math.inf, -math.inf]),
    (rb'["\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00"]', ['"\\/\b\f\n\r\tA\u00e9\U0001f600']),
    ('["é€😀"]'.encode(), ["é€😀"]),
    (b"[18446744073709551615, -9223372036854775808]", [18446744073709551615, -9223372036854775808]),
    (b"[-0, 0]", [0, 0]),
    (b"5", 5),
]

REFUSED = [
    (b"", "The document is empty"),
    (b" ", "The document is empty. at offset: 1"),
    (b"\xef\xbb\xbf", "The document is empty. at offset: 3"),
    (b"]", "The document is empty. at offset: 0"),
    (b"instances = [1, 2]", "Invalid value. at offset: 0"),
    (b"{", "Missing a name for object member. at offset: 1"),
    (b"{1:2}", "Missing a name for object member. at offset: 1"),
    (b'{"a":1,}', "Missing a name for object member. at offset: 7"),
    (b'{"a"}', "Missing a colon after a name of object member. at offset: 4"),
    (b'{"a":}', "Invalid value. at offset: 5"),
    (b'{"a":1 "b"}', "Missing a comma or } after an object member. at offset: 7"),
    (b'{"a":1', "Missing a comma or } after an object member. at offset: 6"),
    (b"[", "Invalid value. at offset: 1"),
    (b"[,1]", "Invalid value. at offset: 1"),
    (b"[1,]", "Invalid value. at offset: 3"),
    (b"[1,", "Invalid value. at offset: 3"),
    (b"[1 2]", "Missing a comma or ] after an array element. at offset: 3"),
    (b"[1", "Missing a comma or ] after an array element. at offset: 2"),
    (b"[1\0]", "Missing a comma or ] after an array element. at offset: 2"),
    (b"[01]", "Missing a comma or ] after an array element. at offset: 2"),
    (b"[nul]", "Invalid value. at offset: 4"),
    (b"[tRue]", "Invalid value. at offset: 2"),
    (b"[False]", "Invalid value. at offset: 1"),
    (b"[-]", "Invalid value. at offset: 2"),
    (b"[+1]", "Invalid value. at offset: 1"),
    (b"[.5]", "Invalid value. at offset: 1"),
    (b"[Nan]", "Invalid value. at offset: 3"),
    (b"[Infinite]", "Invalid value. at offset: 8"),
    (b"[1.]", "Miss fraction part in number. at offset: 3"),
    (b"[1e]", "Miss exponent in number. at offset: 3"),
    (b"[1e+]", "Miss exponent in number. at offset: 4"),
    (b'["a', "Missing a closing quotation mark in string. at offset: 3"),
    (b'["\n"]', "Invalid escape character in string. at offset: 2"),
    (rb'["\x"]', "Invalid escape character in string. at offset: 2"),
    (rb'["a\u12G4"]', "Incorrect hex digit after \\u escape in string. at offset: 3"),
    (rb'["a\ud800"]', "The surrogate pair in string is invalid. at offset: 3"),
    (rb'["a\ud800\ud800"]', "The surrogate pair in string is invalid. at offset: 3"),
]


@pytest.mark.parametrize(("text", "value"), TAKEN, ids=[repr(text) for text, _ in TAKEN])
def test_what_is_taken(text: bytes, value: Any) -> None:
    assert parse(text) == value
    assert parse_exactly(text) == value


@pytest.mark.parametrize(("text", "error"), REFUSED, ids=[repr(text) for text, _ in REFUSED])
def test_what_is_refused_and_where(text: bytes, error: str) -> None:
    with pytest.raises(ServingError) as caught:
        parse(text)

    assert caught.value.message == f"JSON Parse error: {error}"


def test_nan_is_a_number() -> None:
    assert [math.isnan(value) for value in parse(b"[NaN, -NaN, 1]")] == [True, True, False]


def test_bytes_that_are_no_utf8_stay_as_they_are() -> None:
    (text,) = parse(b'["\xff\xc3("]')

    assert text.encode(errors="surrogateescape") == b"\xff\xc3("


def test_a_second_half_of_a_pair_by_itself_is_three_bytes() -> None:
    (text,) = parse(rb'["\udc80"]')

    assert text.encode(errors="surrogateescape") == b"\xed\xb2\x80"


def test_of_a_name_that_comes_twice_the_first_value_counts() -> None:
    for read in (parse, parse_exactly):
        value = read(b'{"a": 1, "b": 2, "a": 3}')

        assert value == {"a": 1, "b": 2}
        assert isinstance(value, Members)
        assert value.pairs == [("a", 1), ("b", 2), ("a", 3)]


def test_no_depth_is_too_deep() -> None:
    value = parse(b'{"instances": [1], "nested": ' + b"[" * DEEP + b"]" * DEEP + b"}")

    assert value["instances"] == [1]
    depth = 0
    while value["nested"]:
        value["nested"] = value["nested"][0]
        depth += 1
    assert depth == DEEP - 1


def test_a_depth_that_ends_early_is_an_error() -> None:
    with pytest.raises(ServingError, match=f"Invalid value. at offset: {DEEP}$"):
        parse(b"[" * DEEP)


@pytest.mark.parametrize("digits", [5_000, 200_000])
def test_an_integer_of_many_digits_is_too_big(digits: int) -> None:
    with pytest.raises(ServingError, match=r"Number too big to be stored in double\. at offset: 1$"):
        parse(b"[" + b"9" * digits + b"]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(value=JSON, is_ascii=st.booleans(), indent=st.none() | st.integers(0, 3))
def test_both_readings_are_pythons(value: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode(errors="surrogatepass")

    assert parse(text) == parse_exactly(text) == value


@given(text=st.binary() | st.text(alphabet='[]{},:"\\u0019dDcC8eE.+-nNaIift \n').map(str.encode))
def test_no_text_makes_it_fail_otherwise(text: bytes) -> None:
    outcomes = []
    for read in (parse, parse_exactly):
        try:
            outcomes.append(repr(read(text)))
        except ServingError as error:
            outcomes.append(error.message.replace("empty. at offset: 0", "empty"))

    assert outcomes[0] == outcomes[1] or ("inf" in outcomes[0] and "too big" in outcomes[1])
