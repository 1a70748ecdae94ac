"""Units of UCUM, against numbers from the standards that define them, and against UCUM's own table."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import ClassVar
from xml.etree import ElementTree as ET

import pytest

from gateway import units
from gateway.units import Conversion, conversion, is_at_hand, is_unit


@pytest.mark.parametrize(
    ("came", "wanted", "value", "expected"),
    [
        # Definitions: the international system, the pound of 1959, the Fahrenheit scale, the conventional millimetre of mercury.
        ("mg/dL", "g/L", 90.0, 0.9),
        ("mV", "uV", 1.5, 1500.0),
        ("[degF]", "Cel", 98.6, 37.0),
        ("Cel", "[degF]", 37.0, 98.6),
        ("K", "Cel", 310.15, 37.0),
        ("mm[Hg]", "kPa", 120.0, 15.998684),
        ("cm[H2O]", "mm[Hg]", 13.5951, 10.0),
        ("[lb_av]", "kg", 100.0, 45.359237),
        ("[in_i]", "cm", 10.0, 25.4),
        ("/min", "Hz", 60.0, 1.0),
        ("{beats}/min", "/min", 72.0, 72.0),
        ("10*3/uL", "10*9/L", 7.5, 7.5),
        ("%", "1", 97.0, 0.97),
        ("a", "d", 1.0, 365.25),
        ("umol/L", "mmol/L", 80.0, 0.08),
        ("m[IU]/L", "[IU]/mL", 5.0, 5e-6),
        ("100.g", "kg", 2.0, 0.2),
        ("mV", "mV", -0.25, -0.25),
        ("[iU]/L", "m[IU]/mL", 5.0, 5.0),
        ("[in_i'Hg]", "mm[Hg]", 1.0, 25.4),
        ("[in_i'H2O]", "cm[H2O]", 1.0, 2.54),
        ("[Cal]", "kcal", 2000.0, 2000.0),
        ("{INR}", "1", 2.5, 2.5),
        ("mg/g{creat}", "1", 30.0, 0.03),
        ("mL/min/{1.73_m2}", "mL/min", 90.0, 90.0),
        ("mL/min/(173.10*-2.m2)", "mL/min/m2", 1.73, 1.0),
        ("[ppm]", "%", 1.0, 1e-4),
        ("mg%", "mg/dL", 5.0, 5.0),
        ("''", "deg", 3600.0, 1.0),
        ("mosm/kg", "mmol/kg", 290.0, 290.0),
        ("dyn.s/cm5", "mm[Hg].min/L", 1200.0, 15.00126),
        ("ug/(kg.min)", "mg/kg/h", 5.0, 0.3),
    ],
)
def test_converts(came: str, wanted: str, value: float, expected: float) -> None:
    found = conversion(came, wanted)

    assert found is not None
    assert value * found.factor + found.offset == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("came", "wanted"),
    [
        pytest.param("mmol/L", "mg/dL", id="takes a molar mass"),
        pytest.param("[IU]/L", "/L", id="an arbitrary unit is of its own kind"),
        pytest.param("[IU]/L", "[arb'U]/L", id="each of them"),
        pytest.param("meq/L", "mmol/L", id="an equivalent of calcium is half a mole"),
        pytest.param("dB", "1", id="a logarithm"),
        pytest.param("B[mW]", "W", id="another"),
        pytest.param("kg", "m", id="mass is no length"),
        pytest.param("deq/L", "mol/L", id="with any prefix"),
        pytest.param("[IU]2", "[IU]", id="nor is the square of a unit that unit"),
        pytest.param("/[CFU]", "[CFU]", id="nor its inverse"),
        pytest.param("/[HPF]", "/[LPF]", id="fields of two microscopes"),
        pytest.param("rad/s", "Hz", id="an angle is no number"),
        pytest.param("deg", "1", id="nor are degrees"),
        pytest.param("Cel/h", "K/h", id="a scale with its own zero has no rate"),
        pytest.param("m[g]", "mg", id="gravity is no gram"),
        pytest.param("mph", "h", id="a phot is no hour"),
        pytest.param("mL/min/1.73{m2}", "mL/min", id="there is no decimal point, and 73 is not what was meant"),
        pytest.param("2.5.mg", "mg", id="of two numbers neither"),
        pytest.param("ym999", "m999", id="a factor too small for a number"),
        pytest.param(".".join(["Ym"] * 14), "m14", id="a factor too large for a number"),
        pytest.param("mmHg", "mm[Hg]", id="no UCUM"),
        pytest.param("MG/DL", "mg/dL", id="in capitals"),
        pytest.param("mcg", "ug", id="an abbreviation"),
        pytest.param("", "1", id="nothing"),
        pytest.param("Müller, Anna", "mg/dL", id="a name in the wrong place"),
    ],
)
def test_converts_nothing_else(came: str, wanted: str) -> None:
    assert conversion(came, wanted) is None


@pytest.mark.parametrize("text", ["10*999999999", "m9999999999", "m-99999999999/s", "m" * 65, "((((((" * 20])
@pytest.mark.timeout(20)
def test_what_would_be_computed_for_minutes_is_refused_at_once(text: str) -> None:
    assert not is_unit(text)
    assert conversion(text, "1") is None


@pytest.mark.parametrize(
    "text", ["1", "mg/dL", "Cel", "[degF]", "mm[Hg]", "%", "10*9/L", "{beats}/min", "/min", "[IU]/L", "[pH]", "{score}", "m[IU]/L"]
)
def test_is_a_unit(text: str) -> None:
    assert is_unit(text)


@pytest.mark.parametrize("text", ["", "°C", "beats", "mg per dL", "mV\n", " mV"])
def test_is_no_unit(text: str) -> None:
    assert not is_unit(text)


def test_a_unit_becomes_itself_exactly() -> None:
    assert conversion("mm[Hg]", "mm[Hg]") == Conversion(factor=1.0, offset=0.0)


def test_what_is_kept_of_a_request_is_bounded() -> None:
    before = len(units._found)

    for number in range(50):
        assert conversion(f"{number}" + "x" * 100_000, "mg/dL") is None
        assert conversion(f"mg{{Jane Doe {number}}}/dL", "g/L") is None
        assert conversion(f"mg{{Doe{number}}}/dL", "g/L") == conversion("mg{}/dL", "g/L")

    assert len(units._found) <= before + 1


def test_the_oldest_of_what_is_kept_makes_room_and_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "_found", {})
    monkeypatch.setattr(units, "_MOST_FOUND", 2)

    found = [conversion(came, "g") for came in ("mg", "ug", "ng", "mg")]

    assert [one.factor for one in found if one is not None] == pytest.approx([1e-3, 1e-6, 1e-9, 1e-3])
    assert list(units._found) == [("ng", "g"), ("mg", "g")]


@pytest.mark.parametrize(("came", "before", "after"), [("cg/mL", False, True), ("m/s", False, True), ("g/L", True, True), ("Doe, Jane", True, True)])
def test_what_was_asked_before_is_at_hand(monkeypatch: pytest.MonkeyPatch, came: str, *, before: bool, after: bool) -> None:
    monkeypatch.setattr(units, "_found", {})

    asked = [is_at_hand(came, "g/L")]
    conversion(came, "g/L")
    asked.append(is_at_hand(came, "g/L"))

    assert asked == [before, after]


def test_many_threads_convert_alike() -> None:
    symbols = [f"{prefix}{symbol}/{volume}" for prefix in ("m", "u", "n") for symbol in ("g", "mol", "[IU]", "eq") for volume in ("L", "dL", "mL")]
    pairs = [(came, wanted) for came in symbols for wanted in symbols]
    expected = [conversion(*pair) for pair in pairs]
    units._found.clear()
    units._parsed.cache_clear()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda pair: conversion(*pair), pairs))

    assert found == expected


class Table:
    """UCUM's own table (ucum-essence.xml), computed without Pint: what a unit is in its seven base units."""

    SPACE = "{http://unitsofmeasure.org/ucum-essence}"
    BASE: ClassVar = {"m", "s", "g", "rad", "K", "C", "cd"}

    def __init__(self) -> None:
        # Part of an installed package, and no one else's to write.
        root = ET.fromstring((files("ucumvert") / "vendor" / "ucum-essence.xml").read_text(encoding="utf8"))
        self.prefixes = {each.attrib["Code"]: float(self._value(each)["value"]) for each in root.iter(f"{self.SPACE}prefix")}
        self.symbols: dict[str, tuple[float, str]] = {}
        self.metric = list(self.BASE)
        for each in root.iter(f"{self.SPACE}unit"):
            if each.get("isSpecial") == "yes" or each.get("isArbitrary") == "yes":
                continue
            self.symbols[each.attrib["Code"]] = (float(self._value(each)["value"]), self._value(each)["Unit"])
            if each.get("isMetric") == "yes":
                self.metric.append(each.attrib["Code"])

    def _value(self, each: ET.Element) -> dict[str, str]:
        found = each.find(f"{self.SPACE}value")
        assert found is not None
        return found.attrib

    def of(self, term: str) -> tuple[float, dict[str, int]]:
        """The number, and the powers of the base units, of a term."""
        number, powers, sign = 1.0, dict[str, int](), 1
        for operator, component in re.findall(r"([./]?)((?:10[*^]|\[[^]]*\]|\{[^}]*\}|[^./])+)", term):
            sign = -1 if operator == "/" else 1
            factor, of_symbol, exponent = self._component(re.sub(r"\{.*?\}", "", component))
            number *= factor ** (sign * exponent)
            for base, power in of_symbol.items():
                powers[base] = powers.get(base, 0) + sign * exponent * power
        return number, {base: power for base, power in powers.items() if power}

    def _component(self, text: str) -> tuple[float, dict[str, int], int]:
        if not text or text.isdigit():
            return float(text or 1), {}, 1
        matched = re.fullmatch(r"(10[*^]|.+?)([+-]?\d+)?", text)
        assert matched is not None
        symbol, exponent = matched.groups()
        if symbol not in self.symbols and text in self.symbols:
            symbol, exponent = text, None
        if symbol in self.BASE:
            return 1.0, {symbol: 1}, int(exponent or 1)
        if symbol not in self.symbols:
            prefix = next(each for each in self.prefixes if symbol.startswith(each) and symbol[len(each) :] in {*self.BASE, *self.symbols})
            number, powers = self.of(symbol[len(prefix) :])
            return self.prefixes[prefix] * number, powers, int(exponent or 1)
        factor, term = self.symbols[symbol]
        number, powers = self.of(term)
        return factor * number, powers, int(exponent or 1)


# Where Pint has dimensions that UCUM hasn't, so that more is refused: amounts of substance, magnetism as Gauss has it, and counts of things.
APART = {"mol", "eq", "osm", "kat", "U", "Mx", "G", "Oe", "[HPF]", "[LPF]", "[NTU]", "[FNU]", "[hnsf'U]"}


def _symbols(table: Table) -> Iterator[tuple[str, str, float]]:
    """Each symbol of the table, what its base units are, and how many of those it is."""
    for symbol in table.symbols.keys() - APART:
        number, powers = table.of(symbol)
        yield symbol, ".".join(f"{base}{power}" for base, power in powers.items()) or "1", number


def test_every_symbol_is_what_the_table_of_ucum_says() -> None:
    wrong = {}

    for symbol, base, expected in _symbols(Table()):
        found = conversion(symbol, base)
        # The table has a millimetre of mercury of 133.322 Pa, and an inch of 1895 to six digits.
        if found is None or found.offset or found.factor != pytest.approx(expected, rel=1e-4):
            wrong[symbol] = (found, base, expected)

    assert wrong == {}


def test_every_prefix_is_what_the_table_of_ucum_says() -> None:
    table = Table()
    wrong = {}

    for number, symbol in enumerate(table.metric):
        for place, (prefix, expected) in enumerate(table.prefixes.items()):
            # With all that are used in laboratories; of the others, each with some and some with each.
            if f"{prefix}{symbol}" in table.symbols.keys() | Table.BASE or (prefix not in {"m", "u", "n", "k", "d"} and (number + place) % 7):
                continue
            found = conversion(f"{prefix}{symbol}", symbol)
            if found is None or found.offset or found.factor != pytest.approx(expected, rel=1e-9):
                wrong[f"{prefix}{symbol}"] = found

    assert wrong == {}
