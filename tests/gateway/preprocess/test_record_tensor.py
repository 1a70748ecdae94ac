"""The model's own tensor in place of a record: each element as the manifest says of its feature."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import CategoryUnknown, DtypeMismatch, FeatureMissing, FeatureOutOfRange, InputError, MedserveError, ShapeMismatch, ValueNotFinite
from gateway.item import DeclaredTensor, Item, Quantity, Record
from gateway.manifest import FeatureHandling, FeatureSpec, InputSpec, Manifest, OutputSpec, RecordInput
from gateway.preprocess import InputLimits, Preprocessor
from gateway.reading import Caution
from gateway.tensor import DType, Tensor

REFUSE, AS_MISSING, CLAMP = FeatureHandling.REFUSE, FeatureHandling.AS_MISSING, FeatureHandling.CLAMP
NAN = math.nan
GOOD = (61.0, 1.5, 1.0)
CONTENT = 'inputs["x"].tensor.content'


def spec(*, missing: FeatureHandling = REFUSE, beyond: FeatureHandling = REFUSE, category: FeatureHandling = REFUSE) -> InputSpec:
    features = (
        FeatureSpec(name="age", unit="a", minimum=18, maximum=110, if_missing=missing, if_out_of_range=beyond),
        FeatureSpec(name="ratio", unit="1", minimum=0.7, maximum=2.1, if_missing=missing, if_out_of_range=beyond),
        FeatureSpec(name="sex", categories=("female", "male"), if_missing=missing, if_unknown_category=category),
    )
    medium = RecordInput(features={feature.name: feature for feature in features})
    return InputSpec(name="x", dtype=DType.FLOAT32, shape=(3,), medium=medium, allows_missing=AS_MISSING in {missing, beyond, category})


def run(asked: InputSpec, value: DeclaredTensor | Record) -> tuple[Tensor, tuple[Caution, ...]]:
    manifest = Manifest(
        name="m", version=1, signature_name="serving_default", weights_digest="sha256:0",
        inputs={"x": asked}, outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))},
    )  # fmt: skip
    prepared = Preprocessor(InputLimits(max_elements=100, max_pixels=1)).prepare(manifest, Item(inputs={"x": value}))
    return prepared.tensors["x"], prepared.warnings


def floats(*values: float) -> DeclaredTensor:
    return DeclaredTensor(dtype=DType.FLOAT32, shape=(len(values),), content=np.array(values, "<f4").tobytes())


@pytest.mark.parametrize("values", [GOOD, (18, 0.7, 0), (110, 2.1, 1)], ids=["within", "the least of each", "the greatest of each"])
def test_what_the_manifest_allows_is_passed_on_as_it_came(values: tuple[float, ...]) -> None:
    sent = floats(*values)

    tensor, cautions = run(spec(), sent)

    assert tensor.content is sent.content
    assert cautions == ()


@pytest.mark.parametrize(
    ("values", "error", "feature", "says"),
    [
        ((17, 1.5, 1), FeatureOutOfRange, "age", r"send a number in a \(UCUM\) from 18 up to 110$"),
        ((61, 150, 1), FeatureOutOfRange, "ratio", r"send a number without a unit from 0\.7 up to 2\.1$"),
        ((61, np.nextafter(np.float32(0.7), np.float32(0)), 1), FeatureOutOfRange, "ratio", "plausible"),
        ((61, 1.5, 2), CategoryUnknown, "sex", "send the place, from 0, of one of female, male$"),
        ((61, 1.5, 0.5), CategoryUnknown, "sex", "place"),
        ((61, 1.5, -1), CategoryUnknown, "sex", "place"),
        ((NAN, 1.5, 1), FeatureMissing, "age", "the model needs this feature"),
        ((61, 1.5, NAN), FeatureMissing, "sex", "the model needs this feature"),
        ((61, math.inf, 1), ValueNotFinite, "ratio", "infinite"),
        ((61, 1.5, -math.inf), ValueNotFinite, "sex", "infinite"),
    ],
)
def test_what_a_record_would_be_refused_for_is_refused_by_the_same_name(
    values: tuple[float, ...], error: type[InputError], feature: str, says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        run(spec(), floats(*values))

    assert caught.value.field == f'{CONTENT}["{feature}"]'
    assert not {"17", "150", "2.0", "0.5", "-1"} & set(caught.value.message.split())


@pytest.mark.parametrize(
    ("asked", "values", "expected", "reason", "feature"),
    [
        (spec(missing=AS_MISSING), (NAN, 1.5, 1), (NAN, 1.5, 1), "FEATURE_MISSING", "age"),
        (spec(beyond=AS_MISSING), (170, 1.5, 1), (NAN, 1.5, 1), "FEATURE_OUT_OF_RANGE", "age"),
        (spec(beyond=CLAMP), (170, 1.5, 1), (110, 1.5, 1), "FEATURE_OUT_OF_RANGE", "age"),
        (spec(beyond=CLAMP), (61, 0, 1), (61, 0.7, 1), "FEATURE_OUT_OF_RANGE", "ratio"),
        (spec(category=AS_MISSING), (61, 1.5, 7), (61, 1.5, NAN), "CATEGORY_UNKNOWN", "sex"),
    ],
)
def test_what_a_record_would_be_warned_of_is_warned_of(
    asked: InputSpec, values: tuple[float, ...], expected: tuple[float, ...], reason: str, feature: str
) -> None:
    tensor, (caution,) = run(asked, floats(*values))

    np.testing.assert_array_equal(tensor.array, np.array(expected, np.float32))
    assert caution.reason == reason
    assert feature in caution.message


@given(
    st.floats(-1000, 1000, width=32),
    # 0.7 in float32 is a little less than 0.7, which a record's is compared with.
    st.floats(-10, 10, width=32).filter(lambda value: value != np.float32(0.7)),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([REFUSE, AS_MISSING, CLAMP]),
)
def test_a_tensor_and_a_record_of_the_same_numbers_fare_alike(age: float, ratio: float, sex: float, beyond: FeatureHandling) -> None:
    asked = spec(missing=AS_MISSING, beyond=beyond)
    record = Record(features={"age": Quantity(value=age, unit="a"), "ratio": Quantity(value=ratio, unit="1"), "sex": ("female", "male")[int(sex)]})

    def outcome(value: DeclaredTensor | Record) -> tuple[object, ...]:
        try:
            tensor, cautions = run(asked, value)
        except MedserveError as error:
            return type(error), error.field.rpartition("[")[2].split(".")[0]
        return tensor.array.tobytes(), cautions

    assert outcome(floats(age, ratio, sex)) == outcome(record)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (DeclaredTensor(dtype=DType.FLOAT64, shape=(3,), content=bytes(24)), DtypeMismatch),
        (floats(61, 1.5), ShapeMismatch),
    ],
)
def test_its_form_is_looked_at_first(sent: DeclaredTensor, error: type[InputError]) -> None:
    with pytest.raises(error):
        run(spec(), sent)
