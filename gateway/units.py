"""Units by the Unified Code for Units of Measure (UCUM, https://ucum.org), and how a number in one becomes a number in another.

Parsing and arithmetic are ucumvert's and Pint's. They take half a second to load, when the first manifest with a unit is read and so never inside a
request. What is kept here is what they don't say, or say wrongly (`tests/gateway/test_units.py` holds the symbols and prefixes of UCUM against the
standard's own table), which conversions are no use to a patient, and what a caller may not make them compute.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import islice
from threading import Lock
from typing import Any

NO_UNIT = "1"

# UCUM is ASCII without spaces.
_SHORT_TEXT = re.compile(r"[!-~]{1,64}")
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")
# `10*999999999` is valid UCUM, and would be computed.
_LONG_NUMBER = re.compile(r"\d{4}")
# UCUM has no decimal point: in `mL/min/1.73{m2}` it multiplies by 73, which nobody who writes that means. `173.10*-2` is how it writes 1.73.
_DECIMAL_POINT = re.compile(r"\d\.\d+(?![\d*^])")
_LINEAR_TOLERANCE = 1e-9

# Where ucumvert 0.3.2 and Pint 0.25.3 differ from UCUM's table by more than one in ten thousand, as Pint defines units.
_CORRECTIONS = (
    "pH_value = [pH]",
    "dietary_calorie = kilocalorie = _ = Cal",
    "in_i_Hg = 25.4 * millimeter_Hg",
    "in_i_H2O = 2.54 * centimeter_H2O",
    "thermochemical_heat = 1054.35 * joule = _ = Btu",
    "cubic_international_foot = international_foot ** 3 = _ = cft_i",
    "cubic_international_yard = (3 * international_foot) ** 3 = _ = cyd_i",
    "rod_imperial = 16.5 * foot_imperial = _ = rd_br",
    "chain_imperial = 4 * rod_imperial = _ = ch_br",
)
# The same of symbols that ucumvert takes for another of Pint's units: `'` for a minute of time, `g%` for a hundredth of a gram.
_SYMBOLS = {"'": "arcminute", "''": "arcsecond", "g%": "gram / deciliter"}
# An angle is a number to Pint, so that 1 rad/s would be 1 Hz; to UCUM it is of a kind of its own.
# An equivalent is a mole to both, and half a mole of calcium to a laboratory.
_OF_A_KIND = ("radian = [angle] = rad", "equivalents = [equivalent] = eq", "slope = [slope]")
# What UCUM calls no arbitrary unit and defines as 1, though a number of it is a number of nothing else.
_COUNTED = ("[HPF]", "[LPF]", "[NTU]", "[FNU]", "[hnsf'U]", "[hp'_X]", "[hp'_C]", "[hp'_M]", "[hp'_Q]")

# Pint's registry keeps caches that no lock guards.
_lock = Lock()

# What was found for two units, by their plain texts; the oldest make room for new ones. Read without the lock, changed under it. `lru_cache` can't
# be asked whether it holds something, which is what tells a call that takes microseconds from one that takes milliseconds.
_MOST_FOUND = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A value in the wanted unit is the value that came × factor + offset."""

    factor: float = 1.0
    offset: float = 0.0


_SAME = Conversion()
_found: dict[tuple[str, str], Conversion | None] = {}


def is_unit(text: str) -> bool:
    """Whether a text is a unit of UCUM that can be computed with."""
    plain = _plain(text)
    if plain is None:
        return False
    with _lock:
        return _parsed(plain) is not None


def conversion(came: str, wanted: str) -> Conversion | None:
    """How a number in the unit `came` becomes one in the unit `wanted`; None where they are of different kinds, or `came` is no unit.

    An arbitrary unit, such as `[IU]`, is of a kind of its own (UCUM §24), and so are an equivalent and an angle; none becomes a number without a
    unit. Nor does a logarithm, which no factor and offset turn into anything else. An annotation, as in `{beats}/min`, changes nothing (UCUM §6).
    """
    if came == wanted:
        return _SAME
    pair = _plain_pair(came, wanted)
    if pair is None:
        return None
    try:
        return _found[pair]
    except KeyError:
        return _read(pair)


def is_at_hand(came: str, wanted: str) -> bool:
    """Whether `conversion` answers at once. Otherwise it reads the units, which takes milliseconds, and long ones up to 20."""
    if came == wanted:
        return True
    pair = _plain_pair(came, wanted)
    return pair is None or pair in _found


def _plain_pair(came: str, wanted: str) -> tuple[str, str] | None:
    plain_came, plain_wanted = _plain(came), _plain(wanted)
    return None if plain_came is None or plain_wanted is None else (plain_came, plain_wanted)


def _plain(text: str) -> str | None:
    """A unit without what its annotations say; None where it isn't to be computed with.

    What is kept of a request, in the caches below, is bounded by this, and is no remark of a caller's.
    """
    if not _SHORT_TEXT.fullmatch(text):
        return None
    plain = _ANNOTATION.sub("{}", text)
    if plain == "{}":
        return NO_UNIT
    return None if _LONG_NUMBER.search(plain) or _DECIMAL_POINT.search(plain) else plain


def _read(pair: tuple[str, str]) -> Conversion | None:
    with _lock:
        # Of threads that ask for the same at once, one computes it.
        if pair not in _found:
            for oldest in [*islice(_found, max(len(_found) + 1 - _MOST_FOUND, 0))]:
                del _found[oldest]
            _found[pair] = _computed(*pair)
        return _found[pair]


def _computed(came: str, wanted: str) -> Conversion | None:
    zero, one, two = (_converted(value, came, wanted) for value in (0.0, 1.0, 2.0))
    if zero is None or one is None or two is None or abs((two - one) - (one - zero)) > _LINEAR_TOLERANCE * max(abs(one - zero), abs(two)):
        return None
    # A unit times 10*-99 to the power of 9 is 0 in double precision, as if every value were; one with as many `Y` is infinite, or no number at all.
    factor = one - zero
    return Conversion(factor=factor, offset=zero) if factor and math.isfinite(factor) and math.isfinite(zero) else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any | None:  # noqa: ANN401 - Pint's units are made when they are parsed
    """One of the unit as a quantity of Pint's; None where it isn't one. Whatever goes wrong inside of the parser says that."""
    registry, read = _library()
    try:
        found = read(text)
        # `1` is a number, `100.g` a quantity.
        return found if hasattr(found, "magnitude") else registry.Quantity(1.0, found)
    except Exception:  # noqa: BLE001 - lark's, Pint's and Python's own, of which none is documented
        return None


def _converted(value: float, came: str, wanted: str) -> float | None:
    source, target = _parsed(came), _parsed(wanted)
    if source is None or target is None:
        return None
    registry, _ = _library()
    try:
        # A unit such as `100.g` is a quantity of 100 to Pint, and `Cel` one whose zero isn't zero.
        return float(registry.Quantity(value * source.magnitude, source.units).to(target.units).magnitude / target.magnitude)
    except Exception:  # noqa: BLE001 - as above: units of different kinds, numbers beyond all bounds
        return None


@cache
def _library() -> tuple[Any, Callable[[str], Any]]:
    """Pint's registry with the units of UCUM, and what reads a text into one of them."""
    from pint import UnitRegistry  # noqa: PLC0415 - half a second
    from ucumvert import UcumToPintTransformer, get_ucum_parser  # noqa: PLC0415 - the same
    from ucumvert.ucum_pint import MAPPINGS_UCUM_TO_PINT  # noqa: PLC0415
    from ucumvert.xml_util import get_units_with_full_definition  # noqa: PLC0415

    class Transformer(UcumToPintTransformer):  # type: ignore[misc] # ucumvert has no types
        def simple_unit(self, parts: list[Any]) -> Any:  # noqa: ANN401 - a unit or a quantity
            *prefix, symbol = map(str, parts)
            if symbol in _SYMBOLS:
                unit = self.ureg(_SYMBOLS[symbol])
            elif symbol == "B" or symbol.startswith("B["):
                # A logarithm: a decibel is no tenth of a bel to Pint, and ucumvert knows what it is.
                return super().simple_unit(parts)
            else:
                unit = super().simple_unit([symbol])
            # Never the two names as one, which may be that of a third: `m[g]`, a thousandth of gravity, would be a milligram.
            return self.ureg(f"{prefix[0]}m").to("m").magnitude * unit if prefix else unit

    # Empty at first: a registry that has been filled keeps what it found out from definitions that are corrected here.
    registry: UnitRegistry[Any] = UnitRegistry(None, on_redefinition="ignore")
    registry.load_definitions(str(files("pint") / "default_en.txt"))
    registry.load_definitions(str(files("ucumvert") / "pint_ucum_defs.txt"))
    for definition in (*_CORRECTIONS, *_OF_A_KIND):
        registry.define(definition)
    arbitrary = [unit.code_cs for unit in get_units_with_full_definition() if unit.is_arbitrary]
    for name in {registry.get_name(MAPPINGS_UCUM_TO_PINT.get(symbol, symbol).strip("[]")) for symbol in (*arbitrary, *_COUNTED)}:
        registry.define(f"{name} = [{name}]")
    parse, transform = get_ucum_parser().parse, Transformer(ureg=registry).transform
    return registry, lambda text: transform(parse(text))
