"""Units of UCUM, against numbers from the standards that define them."""

import pytest

from gateway.units import Conversion, conversion, is_unit


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
        pytest.param("g%", "g/dL", id="no UCUM"),
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


@pytest.mark.parametrize("text", ["1", "mg/dL", "Cel", "[degF]", "mm[Hg]", "%", "10*9/L", "{beats}/min", "/min", "[IU]/L"])
def test_is_a_unit(text: str) -> None:
    assert is_unit(text)


@pytest.mark.parametrize("text", ["", "°C", "beats", "mg per dL", "mV\n", " mV"])
def test_is_no_unit(text: str) -> None:
    assert not is_unit(text)


def test_a_unit_becomes_itself_exactly() -> None:
    assert conversion("mm[Hg]", "mm[Hg]") == Conversion(factor=1.0, offset=0.0)
