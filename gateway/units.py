"""Units by the Unified Code for Units of Measure (UCUM, https://ucum.org), and how a number in one becomes a number in another.

Parsing and arithmetic are ucumvert's and Pint's. They take half a second to load, which a gateway whose models take numbers without units never
pays. What is kept here is what they don't say: which conversions are no use to a patient, and what a caller may not make them compute.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import Lock
from typing import Any

NO_UNIT = "1"

_MAX_LETTERS = 64
# `10*999999999` is valid UCUM, and would be computed.
_LONG_NUMBER = re.compile(r"\d{4}")
_BRACKETED = re.compile(r"\[[^\[\]]*\]")
# An equivalent is a mole to Pint, and half a mole of calcium to a laboratory: as far from one another as the arbitrary units.
_EQUIVALENT = re.compile(r"(?<![A-Za-z])[munpk]?eq(?![A-Za-z])")
_LINEAR_TOLERANCE = 1e-9
# Pint's registry keeps caches that no lock guards.
_lock = Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A value in the wanted unit is the value that came × factor + offset."""

    factor: float = 1.0
    offset: float = 0.0


_SAME = Conversion()


def is_unit(text: str) -> bool:
    """Whether a text is a unit of UCUM that can be computed with."""
    return text == NO_UNIT or (_is_tame(text) and _parsed(text) is not None)


@lru_cache(maxsize=4096)
def conversion(came: str, wanted: str) -> Conversion | None:
    """How a number in the unit `came` becomes one in `wanted`; None where they are of different kinds, or `came` is no unit.

    An arbitrary unit, such as `[IU]`, is of a kind of its own (UCUM §24), and so is an equivalent; neither becomes a number without a unit. So is
    a logarithm, which no factor and offset turn into anything else.
    """
    if came == wanted:
        return _SAME
    if not (_is_tame(came) and _is_tame(wanted)) or _own_kinds(came) != _own_kinds(wanted):
        return None
    zero, one, two = (_converted(value, came, wanted) for value in (0.0, 1.0, 2.0))
    if zero is None or one is None or two is None or abs((two - one) - (one - zero)) > _LINEAR_TOLERANCE * max(abs(one - zero), abs(two)):
        return None
    return Conversion(factor=one - zero, offset=zero)


def _is_tame(text: str) -> bool:
    return 0 < len(text) <= _MAX_LETTERS and text.isascii() and text.isprintable() and _LONG_NUMBER.search(text) is None


def _own_kinds(text: str) -> frozenset[str]:
    """The symbols in a unit that nothing else can be converted to."""
    arbitrary = {symbol for symbol in _BRACKETED.findall(text) if (unit := _parsed(symbol)) is not None and unit.to_base_units().dimensionless}
    return frozenset(arbitrary | ({"eq"} if _EQUIVALENT.search(text) else set()))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any | None:  # noqa: ANN401 - Pint's units are made when they are parsed
    """One of the unit as a quantity of Pint's; None where it isn't one. Whatever goes wrong inside of the parser says that."""
    try:
        with _lock:
            registry = _registry()
            found = registry.from_ucum(text)
            # A number before the unit, as in `100.g`, makes it a quantity already.
            return found if hasattr(found, "magnitude") else registry.Quantity(1.0, found)
    except Exception:  # noqa: BLE001 - lark's, Pint's and Python's own, of which none is documented
        return None


def _converted(value: float, came: str, wanted: str) -> float | None:
    source, target = _parsed(came), _parsed(wanted)
    if source is None or target is None:
        return None
    try:
        with _lock:
            # A unit such as `100.g` is a quantity of 100 to Pint, and `Cel` one whose zero isn't zero.
            registry = _registry()
            return float(registry.Quantity(value * source.magnitude, source.units).to(target.units).magnitude / target.magnitude)
    except Exception:  # noqa: BLE001 - as above: units of different kinds, numbers beyond all bounds
        return None


@cache
def _registry() -> Any:  # noqa: ANN401 - ucumvert has no types
    from ucumvert import PintUcumRegistry  # noqa: PLC0415 - half a second

    return PintUcumRegistry()
