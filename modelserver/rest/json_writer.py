"""JSON text as TensorFlow Serving writes it, by RapidJSON's PrettyWriter: four spaces a level, and arrays on one line where it says so."""

import base64
import math
import re
from decimal import Decimal
from typing import Any

from modelserver.rest.json_numbers import Numbers
from modelserver.rest.json_text import Value, is_int64

INDENT = "    "
_TYPE_NAMES: dict[type, str] = {type(None): "Null", list: "Array", Numbers: "Array", dict: "Object", str: "String", int: "Number", float: "Number"}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TO_ESCAPE = re.compile(r'["\\\x00-\x1f]')
# A value in an error's text is cut after the token that reaches this.
_MAX_QUOTED_BYTES = 256
# Where RapidJSON begins to write a double with an exponent.
_MAX_PLAIN_DIGITS, _MIN_PLAIN_EXPONENT = 21, -6


def string(text: str) -> str:
    """A string with its quotation marks; what isn't ASCII stays as it is."""
    return f'"{_TO_ESCAPE.sub(_escape, text)}"' if _TO_ESCAPE.search(text) else f'"{text}"'


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _ESCAPES.get(char) or f"\\u{ord(char):04X}"


def b64(content: bytes, level: int) -> str:
    """Bytes as `{"b64": …}`; the object is at that level."""
    return f'{{\n{INDENT * (level + 1)}"b64": "{base64.b64encode(content).decode()}"\n{INDENT * level}}}'


def error(message: str) -> bytes:
    """The body of an error."""
    return f'{{\n{INDENT}"error": {string(message)}\n}}'.encode(errors="surrogateescape")


def type_name(value: Value) -> str:
    """What RapidJSON calls the value's type."""
    if isinstance(value, bool):
        return str(value)
    return "Object" if isinstance(value, dict) else _TYPE_NAMES[type(value)]


def quoted(value: Value) -> str:
    """A value as an error quotes it: the beginning of it, where it is long."""
    return _Quote().write(value)


class _Quote:
    """Writes a value until the limit is reached; however deep it is nested, no more levels are looked at than fit."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._level = 0

    def write(self, value: Value) -> str:
        self._value(value)
        return "".join(self._parts)

    def _put(self, text: str) -> bool:
        if self._size >= _MAX_QUOTED_BYTES:
            return False
        self._parts.append(text)
        self._size += len(text.encode(errors="surrogateescape"))
        return True

    def _value(self, value: Value, before: str = "") -> bool:
        if isinstance(value, dict):
            return self._object(value, before)
        if isinstance(value, list):
            return self._array(value, before)
        text = _scalar(value)
        # RapidJSON writes no number that isn't finite: the text ends here.
        return self._put(before + text) and bool(text)

    def _array(self, values: list[Value], before: str) -> bool:
        if not self._put(before + "["):
            return False
        self._level += 1
        for number, value in enumerate(values):
            if not self._value(value, ", " if number else ""):
                return False
        self._level -= 1
        return self._put("]")

    def _object(self, found: dict[str, Value], before: str) -> bool:
        if not self._put(before + "{"):
            return False
        self._level += 1
        for number, (name, value) in enumerate(pairs_of(found)):
            line = f"{',' if number else ''}\n{INDENT * self._level}{string(name)}"
            if not self._put(line) or not self._value(value, ": "):
                return False
        self._level -= 1
        return self._put(f"\n{INDENT * self._level}}}" if found else "}")


def pairs_of(found: dict[str, Value]) -> Any:  # noqa: ANN401 - a list or a view
    """The members of an object in order, a name that comes twice twice."""
    return getattr(found, "pairs", found.items())


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        return string(value)
    if isinstance(value, Numbers):
        return "[]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and is_int64(value):
        return str(value)
    return _double(float(value))


def _double(value: float) -> str:
    """A double in the fewest digits, in RapidJSON's form."""
    if not math.isfinite(value):
        return ""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, minus = "".join(map(str, digits)), "-" if sign else ""
    point = len(text) + int(exponent)
    if value == 0:
        return f"{minus}0.0"
    if int(exponent) >= 0 and point <= _MAX_PLAIN_DIGITS:
        return f"{minus}{text}{'0' * int(exponent)}.0"
    if 0 < point <= _MAX_PLAIN_DIGITS:
        return f"{minus}{text[:point]}.{text[point:]}"
    if _MIN_PLAIN_EXPONENT < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    return f"{minus}{text[0]}{'.' if len(text) > 1 else ''}{text[1:]}e{point - 1}"
