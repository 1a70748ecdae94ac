"""Records from callers: each feature as the manifest says."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import (
    CategoryUnknown,
    FeatureKindMismatch,
    FeatureMissing,
    FeatureOutOfRange,
    FeatureUnknown,
    MedserveError,
    TooManyElements,
    UnitMismatch,
    ValueNotFinite,
)  # fmt: skip
from gateway.item import Quantity, Record
from gateway.manifest import FeatureHandling, FeatureSpec, InputSpec, RecordInput
from gateway.preprocess.bounds import InputLimits
from gateway.preprocess.record import prepare
from gateway.reading import Caution
from gateway.tensor import DType
from gateway.units import Conversion

REFUSE, AS_MISSING, CLAMP = FeatureHandling.REFUSE, FeatureHandling.AS_MISSING, FeatureHandling.CLAMP
NAN = math.nan
# Creatinine: 113.12 g/mol, so 1 mg/dL is 88.4 µmol/L.
CREATININE = Conversion(factor=1 / 88.4)
GOOD: dict[str, Quantity | str | None] = {
    "age": Quantity(value=61, unit="a"),
    "creatinine": Quantity(value=1.5, unit="mg/dL"),
    "sex": "female",
    "score": Quantity(value=3, unit="1"),
}


def spec(
    *,
    missing: FeatureHandling = REFUSE,
    beyond: FeatureHandling = REFUSE,
    category: FeatureHandling = REFUSE,
    unknown: FeatureHandling = REFUSE,
    dtype: DType = DType.FLOAT32,
) -> InputSpec:
    features = (
        FeatureSpec(name="age", unit="a", minimum=18, maximum=110, if_missing=missing, if_out_of_range=beyond),
        FeatureSpec(name="creatinine", unit="mg/dL", other_units={"umol/L": CREATININE}, minimum=0.1, maximum=30, if_out_of_range=beyond),
        FeatureSpec(name="sex", categories=("female", "male"), if_missing=missing, if_unknown_category=category),
        FeatureSpec(name="score", unit="1"),
    )
    medium = RecordInput(features={feature.name: feature for feature in features}, unknown_features=unknown)
    return InputSpec(name="x", dtype=dtype, shape=(4,), medium=medium, allows_missing=True)


def run(asked: InputSpec, max_elements: int = 100, **changes: Quantity | str | None) -> tuple[list[float], tuple[Caution, ...]]:
    record = Record(features=GOOD | changes)
    tensor, cautions = prepare(asked, record, InputLimits(max_elements=max_elements, max_pixels=1))
    assert (tensor.dtype, tensor.shape) == (asked.dtype, (4,))
    return tensor.array.tolist(), cautions


def q(value: float, unit: str = "mg/dL") -> Quantity:
    return Quantity(value=value, unit=unit)


def test_places_features_by_name_and_categories_by_their_place() -> None:
    assert run(spec()) == ([61.0, 1.5, 0.0, 3.0], ())
    assert run(spec(), sex="male")[0][2] == 1.0


@pytest.mark.parametrize(
    ("change", "place", "expected"),
    [
        pytest.param({"creatinine": q(15, "mg/L")}, 1, 1.5, id="a unit of the same kind"),
        pytest.param({"creatinine": q(132.6, "umol/L")}, 1, 1.5, id="a unit of another kind that the manifest has"),
        pytest.param({"creatinine": q(132.6, "umol/l")}, 1, 1.5, id="that one in another spelling"),
        pytest.param({"creatinine": q(0.1326, "mmol/L")}, 1, 1.5, id="and in a unit of its kind"),
        pytest.param({"age": q(732, "mo")}, 0, 61.0, id="months"),
        pytest.param({"score": q(3, "")}, 3, 3.0, id="a number without a unit needs none"),
        pytest.param({"age": q(18, "a")}, 0, 18.0, id="the minimum itself"),
        pytest.param({"age": q(110, "a")}, 0, 110.0, id="the maximum itself"),
    ],
)
def test_brings_a_number_to_the_manifests_unit(change: dict[str, Any], place: int, expected: float) -> None:
    values, cautions = run(spec(dtype=DType.FLOAT64), **change)

    assert values[place] == pytest.approx(expected, rel=1e-9)
    assert cautions == ()


@pytest.mark.parametrize(
    ("asked", "change", "expected", "reason", "said"),
    [
        (spec(missing=AS_MISSING), {"age": None}, (0, NAN), "FEATURE_MISSING", "age"),
        (spec(missing=AS_MISSING), {"age": q(NAN, "a")}, (0, NAN), "FEATURE_MISSING", "age"),
        (spec(missing=AS_MISSING), {"sex": None}, (2, NAN), "FEATURE_MISSING", "sex"),
        (spec(beyond=AS_MISSING), {"age": q(17, "a")}, (0, NAN), "FEATURE_OUT_OF_RANGE", "age"),
        (spec(beyond=CLAMP), {"age": q(17, "a")}, (0, 18.0), "FEATURE_OUT_OF_RANGE", "age"),
        (spec(beyond=CLAMP), {"creatinine": q(1e300)}, (1, 30.0), "FEATURE_OUT_OF_RANGE", "creatinine"),
        (spec(beyond=CLAMP), {"creatinine": q(1e308, "g/dL")}, (1, 30.0), "FEATURE_OUT_OF_RANGE", "creatinine"),
        (spec(category=AS_MISSING), {"sex": "other"}, (2, NAN), "CATEGORY_UNKNOWN", "sex"),
        (spec(unknown=AS_MISSING), {"Anna Müller": q(1)}, (3, 3.0), "FEATURE_UNKNOWN", "1 of the record's features"),
    ],
)
def test_what_the_manifest_lets_pass_is_said(asked: InputSpec, change: dict[str, Any], expected: tuple[int, float], reason: str, said: str) -> None:
    values, (caution,) = run(asked, **change)

    place, value = expected
    assert values[place] == pytest.approx(value, nan_ok=True)
    assert caution.reason == reason
    assert said in caution.message
    assert "Müller" not in caution.message
    assert "other" not in caution.message


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"age": None}, FeatureMissing, '["age"]'),
        ({"age": q(NAN, "a")}, FeatureMissing, '["age"]'),
        ({"Anna Müller": q(1)}, FeatureUnknown, ""),
        ({"age": q(17, "a")}, FeatureOutOfRange, '["age"].quantity.value'),
        ({"creatinine": q(150, "mg/L"), "age": q(1500, "mo")}, FeatureOutOfRange, '["age"].quantity.value'),
        ({"age": q(61, "kg")}, UnitMismatch, '["age"].quantity.unit'),
        ({"age": q(61, "")}, UnitMismatch, '["age"].quantity.unit'),
        ({"creatinine": q(80, "mmol/kg")}, UnitMismatch, '["creatinine"].quantity.unit'),
        ({"sex": "other"}, CategoryUnknown, '["sex"].category'),
        ({"sex": q(1, "1")}, FeatureKindMismatch, '["sex"]'),
        ({"age": "old"}, FeatureKindMismatch, '["age"]'),
        ({"score": q(math.inf, "1")}, ValueNotFinite, '["score"].quantity.value'),
        ({"score": q(1e300, "1")}, ValueNotFinite, '["score"].quantity.value'),
        ({"score": q(1e308, "10*9")}, ValueNotFinite, '["score"].quantity.value'),
        ({"score": q(-1e308, "10*9")}, ValueNotFinite, '["score"].quantity.value'),
        ({"score": q(3, "deg")}, UnitMismatch, '["score"].quantity.unit'),
    ],
)
def test_refuses_and_names_the_feature(change: dict[str, Any], error: type[MedserveError], field: str) -> None:
    with pytest.raises(error) as caught:
        run(spec(), **change)

    assert caught.value.field == f'inputs["x"].record.features{field}'
    # Neither a value nor a name that came is said back.
    assert not {"17", "1500", "old", "other", "Müller", "kg"} & set(caught.value.message.replace(",", " ").split())


@pytest.mark.parametrize(
    ("unit", "minimum", "maximum", "sent"),
    [
        # In double precision 0.07 g/L are 7.000000000000001 mg/dL, and 32 °F some 1e-14 °C below 0.
        ("mg/dL", 0, 7, q(0.07, "g/L")),
        ("mg/dL", 7, 9, q(0.07, "g/L")),
        ("Cel", 0, 45, q(32, "[degF]")),
        ("Cel", -10, 0, q(32, "[degF]")),
        ("%", 14, 100, q(0.14, "1")),
        ("%", 0, 14, q(0.14, "1")),
    ],
)
def test_the_end_of_a_range_is_in_it_in_any_unit(unit: str, minimum: float, maximum: float, sent: Quantity) -> None:
    feature = FeatureSpec(name="a", unit=unit, minimum=minimum, maximum=maximum, if_out_of_range=CLAMP)
    asked = InputSpec(name="x", dtype=DType.FLOAT64, shape=(1,), medium=RecordInput(features={"a": feature}))

    tensor, cautions = prepare(asked, Record(features={"a": sent}), InputLimits(max_elements=1, max_pixels=1))

    assert cautions == ()
    assert minimum <= tensor.array[0] <= maximum


@given(st.floats(1e-6, 1e6), st.sampled_from(["g/L", "ug/mL", "kg/m3", "mg%", "g/(100.mL)"]))
def test_what_is_beyond_a_range_is_so_in_any_unit(value: float, unit: str) -> None:
    feature = FeatureSpec(name="a", unit="mg/dL", minimum=0.5, maximum=500, if_out_of_range=AS_MISSING)
    asked = InputSpec(name="x", dtype=DType.FLOAT64, shape=(1,), medium=RecordInput(features={"a": feature}), allows_missing=True)
    in_milligrams = value * {"g/L": 100, "ug/mL": 0.1, "kg/m3": 100, "mg%": 1, "g/(100.mL)": 1000}[unit]

    tensor, _ = prepare(asked, Record(features={"a": q(value, unit)}), InputLimits(max_elements=1, max_pixels=1))

    if 0.5 * (1 + 1e-8) < in_milligrams < 500 * (1 - 1e-8):
        assert tensor.array[0] == pytest.approx(in_milligrams, rel=1e-9)
    elif in_milligrams < 0.5 * (1 - 1e-8) or in_milligrams > 500 * (1 + 1e-8):
        assert math.isnan(tensor.array[0])


@given(st.floats(3e3, 1.7e308), st.sampled_from(["mg/dL", "g/dL", "kg/nL", "umol/L", "mol/L"]), st.sampled_from([-1, 1]))
@example(1e308, "g/dL", 1)
@example(1e308, "kg/nL", -1)
def test_a_value_that_no_unit_makes_plausible_is_refused_however_large(value: float, unit: str, sign: int) -> None:
    with pytest.raises(FeatureOutOfRange) as caught:
        run(spec(), creatinine=q(sign * value, unit))

    assert caught.value.field == 'inputs["x"].record.features["creatinine"].quantity.value'


def test_an_error_says_what_to_send() -> None:
    with pytest.raises(UnitMismatch, match=r"a number in the unit mg/dL \(UCUM\) from 0.1 up to 30, or as much in one of its kind or that of umol/L"):
        run(spec(), creatinine=q(1, "kg"))
    with pytest.raises(UnitMismatch, match="send a number without a unit"):
        run(spec(), score=q(1, "kg"))
    with pytest.raises(ValueNotFinite, match="too large for the model"):
        run(spec(), score=q(1e300, "1"))
    with pytest.raises(FeatureMissing, match=r"a number in the unit a \(UCUM\) from 18 up to 110, or as much in one of its kind"):
        run(spec(), age=None)
    with pytest.raises(FeatureMissing, match="one of the categories female, male"):
        run(spec(), sex=None)


def test_a_record_with_more_features_than_the_gateway_takes_is_refused() -> None:
    with pytest.raises(TooManyElements):
        run(spec(unknown=AS_MISSING), max_elements=3)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=6))
def test_what_is_missing_and_only_that_is_not_a_number(values: list[float | None]) -> None:
    features = {str(place): FeatureSpec(name=str(place), unit="1", if_missing=AS_MISSING) for place in range(len(values))}
    asked = InputSpec(name="x", dtype=DType.FLOAT64, shape=(len(values),), medium=RecordInput(features=features), allows_missing=True)
    record = Record(features={str(place): Quantity(value=value, unit="1") for place, value in enumerate(values) if value is not None})

    tensor, _ = prepare(asked, record, InputLimits(max_elements=10, max_pixels=1))

    np.testing.assert_array_equal(tensor.array, [math.nan if value is None else value for value in values])
