"""JSON text as TensorFlow Serving reads it, which is as RapidJSON 1.1.0 does: what it takes, what it refuses, and at which offset.

Python's own parser is fast, and takes nearly the same. Where it refuses a text, or could take it for another, the text is read again exactly:
deep nesting, `Inf`, half a surrogate, and every error. Bytes that are no UTF-8 are taken as they are, as RapidJSON takes them: they are in a text as
Python's `surrogateescape` has them.
"""

import itertools
import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from modelserver.errors import ServingError, invalid_argument
from modelserver.rest.json_numbers import ArrayReader, Numbers

# None, bool, int, float, str, list and dict, as Python's parser makes them.
Value = Any

_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(rb"[ \t\n\r]*")
_TEXT_SPACE = re.compile(r"[ \t\n\r]*")
# Half of a pair of surrogates: the other half isn't where it belongs. It finds a few more than there are.
_HALF_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F][0-9a-fA-F])\\u[dD][c-fC-F]")
_PLAIN_STRING = re.compile(rb'"([^"\\\x00-\x1f]*)"')
_STRING_PART = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX4 = re.compile(rb"[0-9a-fA-F]{4}")
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_DIGITS = re.compile(rb"[0-9]+")
_ESCAPED = {b'"': b'"', b"/": b"/", b"\\": b"\\", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_WORDS: dict[bytes, tuple[bytes, Value]] = {b"n": (b"null", None), b"t": (b"true", True), b"f": (b"false", False)}
_MIN_INT64, _MAX_UINT64 = -(1 << 63), (1 << 64) - 1
# Beyond this many digits no number is an integer that RapidJSON has a type for.
_MAX_INTEGER_DIGITS = 20


# What is called now and then while a text is read; it may raise.
Tick = Callable[[], None]
ReadArray = Callable[[int], tuple[Numbers, int] | None]
_TICK_TOKENS = 1 << 14
LARGE_BYTES = 1 << 18
# With an object in so many bytes, a large text is read by Python's parser all the same.
_OBJECT_BYTES = 1 << 12


def _no_tick() -> None:
    pass


class Members(dict[str, Value]):
    """An object with a name that comes twice: the first value counts. `pairs` has all of them."""

    def __init__(self, pairs: list[tuple[str, Value]]) -> None:
        """Takes the members in order."""
        super().__init__(reversed(pairs))
        self.pairs = pairs


def members(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    """An object of these members."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else Members(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=members)


def parse(text: bytes) -> Value:
    """The first value of a text; what follows it isn't looked at. Raises ServingError (INVALID_ARGUMENT) in RapidJSON's words."""
    if not text:
        raise invalid_argument("JSON Parse error: The document is empty")
    if b"\\u" in text and _HALF_SURROGATE.search(text):
        return parse_exactly(text)
    decoded = text.removeprefix(_BOM).decode(errors="surrogateescape")
    start = _TEXT_SPACE.match(decoded)
    try:
        value = _DECODER.raw_decode(decoded, start.end() if start else 0)[0]
    except (ValueError, RecursionError):
        # ValueError also for an integer of thousands of digits.
        return parse_exactly(text)
    # Of a number that isn't whole, Python's parser takes what is.
    return parse_exactly(text) if isinstance(value, int | float) else value


def check_numbers(text: bytes) -> None:
    """Refuses a text with a number that no double holds, where an infinite one came out of it. Raises ServingError."""
    if b"Inf" not in text:
        parse_exactly(text)


# What a state of the parser expects, and what is wrong where something else comes.
_START, _OBJECT, _KEY, _COLON, _MEMBER, _COMMA, _ARRAY, _ELEMENT, _NEXT = range(9)
_UNEXPECTED = {
    _START: "The document is empty.",
    _OBJECT: "Missing a name for object member.",
    _KEY: "Missing a colon after a name of object member.",
    _COLON: "Invalid value.",
    _MEMBER: "Missing a comma or } after an object member.",
    _COMMA: "Missing a name for object member.",
    _ARRAY: "Invalid value.",
    _ELEMENT: "Missing a comma or ] after an array element.",
    _NEXT: "Invalid value.",
}
_TAKES_VALUE = frozenset({_START, _COLON, _ARRAY, _NEXT})
_TAKES_NAME = frozenset({_OBJECT, _COMMA})
# What comes between, in these states, and the state after it.
_BETWEEN = {(_KEY, b":"): _COLON, (_MEMBER, b","): _COMMA, (_ELEMENT, b","): _NEXT}
_ENDS = frozenset({(_OBJECT, b"}"), (_MEMBER, b"}"), (_ARRAY, b"]"), (_ELEMENT, b"]")})
_NO_VALUES = frozenset({b"]", b"}", b",", b":", b""})


def parse_large(text: bytes, tick: Tick) -> Value:
    """`parse`, but for large arrays of numbers, which are `Numbers`; other threads get their turn meanwhile."""
    # At an object, Python's parser lets others have theirs.
    if len(text) < LARGE_BYTES or text.count(b"{") > len(text) // _OBJECT_BYTES:
        return parse(text)
    return parse_exactly(text, ArrayReader(text).read, tick)


def parse_exactly(text: bytes, read: ReadArray | None = None, tick: Tick = _no_tick) -> Value:
    """`parse`, a token at a time, however deep the text is nested. `read` reads arrays that it knows, and `tick` is called now and then."""
    position, state = len(_BOM) if text.startswith(_BOM) else 0, _START
    # The arrays and objects that are open, and the name that each object waits with.
    open_values: list[list[Any]] = []
    are_objects: list[bool] = []
    names: list[str] = []
    for count in itertools.count(1):
        if not count % _TICK_TOKENS:
            tick()
        position = _skip_space(text, position)
        char = text[position : position + 1]
        value: Value
        if (state, char) in _ENDS:
            position += 1
            closed = open_values.pop()
            value = members(closed) if are_objects.pop() else closed
        elif state in _TAKES_VALUE and char == b"[" and read is not None and (array := read(position)) is not None:
            value, position = array
        elif state in _TAKES_VALUE and char in {b"[", b"{"}:
            position += 1
            open_values.append([])
            are_objects.append(char == b"{")
            state = _OBJECT if char == b"{" else _ARRAY
            continue
        elif state in _TAKES_VALUE and char not in _NO_VALUES and char != b"\0":
            value, position = _scalar(text, position, char)
        elif state in _TAKES_NAME and char == b'"':
            name, position = _string(text, position)
            names.append(name)
            state = _KEY
            continue
        elif (state, char) in _BETWEEN:
            position += 1
            state = _BETWEEN[state, char]
            continue
        else:
            _fail(_UNEXPECTED[state], position)
        if not open_values:
            return value
        open_values[-1].append((names.pop(), value) if are_objects[-1] else value)
        state = _MEMBER if are_objects[-1] else _ELEMENT
    return None


def _skip_space(text: bytes, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _scalar(text: bytes, position: int, char: bytes) -> tuple[Value, int]:
    if char == b'"':
        return _string(text, position)
    if char in _WORDS:
        word, value = _WORDS[char]
        return value, _word(text, position, word)
    return _number(text, position)


def _word(text: bytes, position: int, word: bytes) -> int:
    """The place after a word that has to be there."""
    for offset in range(len(word)):
        if text[position + offset : position + offset + 1] != word[offset : offset + 1]:
            _fail("Invalid value.", position + offset)
    return position + len(word)


def _number(text: bytes, start: int) -> tuple[int | float, int]:
    integer = _INTEGER.match(text, start)
    if integer is None:
        return _no_digits(text, start)
    position = integer.end()
    is_integer = True
    if text[position : position + 1] == b".":
        is_integer, position = False, _digits(text, position + 1, "Miss fraction part in number.")
    if text[position : position + 1] in {b"e", b"E"}:
        position += 2 if text[position + 1 : position + 2] in {b"+", b"-"} else 1
        is_integer, position = False, _digits(text, position, "Miss exponent in number.")
    number = text[start:position]
    if is_integer and len(number) <= _MAX_INTEGER_DIGITS:
        return int(number), position
    value = float(number)
    if math.isinf(value):
        _fail("Number too big to be stored in double.", start)
    return value, position


def _digits(text: bytes, position: int, error: str) -> int:
    found = _DIGITS.match(text, position)
    if found is None:
        _fail(error, position)
    return found.end()


def _no_digits(text: bytes, start: int) -> tuple[float, int]:
    """NaN, Inf and Infinity, each with a minus or without."""
    position = start + 1 if text[start : start + 1] == b"-" else start
    match text[position : position + 1]:
        case b"N":
            return math.nan, _word(text, position, b"NaN")
        case b"I":
            end = _word(text, position, b"Inf")
            if text[end : end + 1] == b"i":
                end = _word(text, position, b"Infinity")
            return (-math.inf if position > start else math.inf), end
    return _fail("Invalid value.", position)


def _string(text: bytes, start: int) -> tuple[str, int]:
    plain = _PLAIN_STRING.match(text, start)
    if plain is not None:
        return plain[1].decode(errors="surrogateescape"), plain.end()
    position, parts = start + 1, bytearray()
    while True:
        found = _STRING_PART.match(text, position)
        if found is not None:
            parts += found[0]
            position = found.end()
        match text[position : position + 1]:
            case b'"':
                return parts.decode(errors="surrogateescape"), position + 1
            case b"\\":
                encoded, position = _escape(text, position)
                parts += encoded
            case b"" | b"\0":
                _fail("Missing a closing quotation mark in string.", position)
            case _:
                _fail("Invalid escape character in string.", position)


def _escape(text: bytes, start: int) -> tuple[bytes, int]:
    """The bytes of what begins with a backslash."""
    char = text[start + 1 : start + 2]
    if char in _ESCAPED:
        return _ESCAPED[char], start + 2
    if char != b"u":
        _fail("Invalid escape character in string.", start)
    point, position = _hex4(text, start + 2, start)
    if 0xD800 <= point <= 0xDBFF:  # noqa: PLR2004 - the first halves of pairs, by the Unicode Standard
        if text[position : position + 2] != b"\\u":
            _fail("The surrogate pair in string is invalid.", start)
        second, position = _hex4(text, position + 2, start)
        if not 0xDC00 <= second <= 0xDFFF:  # noqa: PLR2004 - the second halves
            _fail("The surrogate pair in string is invalid.", start)
        point = 0x10000 + ((point - 0xD800) << 10 | second - 0xDC00)
    return chr(point).encode(errors="surrogatepass"), position


def _hex4(text: bytes, position: int, escape: int) -> tuple[int, int]:
    found = _HEX4.match(text, position)
    if found is None:
        _fail("Incorrect hex digit after \\u escape in string.", escape)
    return int(found[0], 16), found.end()


def _fail(what: str, offset: int) -> NoReturn:
    error: ServingError = invalid_argument(f"JSON Parse error: {what} at offset: {offset}")
    raise error


def is_int64(value: int) -> bool:
    """Whether RapidJSON has an integer for it that is at most an int64 or a uint64; a larger one is a double to it."""
    return _MIN_INT64 <= value <= _MAX_UINT64
