"""Which inputs are taken, in which form."""

from contextlib import suppress

import numpy as np
import pytest

from gateway.errors import InputError, InputFormNotAccepted, InputMissing, InputUnknown, MedserveError
from gateway.item import Channel, DeclaredTensor, DicomObject, EncodedImage, InputData, Item, Quantity, Record, TimeSeries
from gateway.manifest import ChannelSpec, ColorSpace, FeatureSpec, ImageInput, InputSpec, Manifest, OutputSpec, RecordInput, TimeSeriesInput
from gateway.preprocess import InputLimits, Preprocessor
from gateway.tensor import DType
from gateway.units import Conversion

MANIFEST = Manifest(
    name="m",
    version=1,
    signature_name="serving_default",
    inputs={
        "image": InputSpec(name="image", dtype=DType.UINT8, shape=(-1, -1, 1), medium=ImageInput(color_space=ColorSpace.MONOCHROME)),
        "ecg": InputSpec(name="ecg", dtype=DType.FLOAT32, shape=(-1, 1), medium=TimeSeriesInput(channels=(ChannelSpec(name="I", unit="mV"),))),
        "age": InputSpec(name="age", dtype=DType.FLOAT32, shape=()),
    },
    outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))},
    weights_digest="sha256:0",
)
IMAGE = DeclaredTensor(dtype=DType.UINT8, shape=(1, 2, 1), content=b"\1\2")
ECG = TimeSeries(channels=(Channel(name="I", unit="mV", values=(1.0, 2.0)),), sampling_frequency_hz=0)
AGE = DeclaredTensor(dtype=DType.FLOAT32, shape=(), content=np.float32(61).tobytes())
GOOD: dict[str, InputData | None] = {"age": AGE, "ecg": ECG, "image": IMAGE}


@pytest.fixture
def preprocessor() -> Preprocessor:
    return Preprocessor(InputLimits(max_elements=1000, max_pixels=1000))


def test_prepares_every_input_in_the_manifests_order(preprocessor: Preprocessor) -> None:
    tensors = preprocessor.prepare(MANIFEST, Item(inputs=GOOD)).tensors

    assert list(tensors) == ["image", "ecg", "age"]
    assert tensors["image"].array.tolist() == [[[1], [2]]]
    assert tensors["ecg"].array.tolist() == [[1.0], [2.0]]
    assert tensors["age"].array == 61


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        pytest.param({"age": None}, InputMissing, 'inputs["age"]', id="no value"),
        pytest.param({"weight": AGE}, InputUnknown, "inputs", id="unknown"),
        pytest.param({"Jane Doe, 1.4.1960": AGE}, InputUnknown, "inputs", id="unknown, and not to be said back"),
        pytest.param({"age": EncodedImage(content=b"")}, InputFormNotAccepted, 'inputs["age"].image', id="image for numbers"),
        pytest.param({"ecg": DicomObject(content=b"")}, InputFormNotAccepted, 'inputs["ecg"].dicom', id="DICOM for a series"),
        pytest.param({"image": ECG}, InputFormNotAccepted, 'inputs["image"].time_series', id="series for an image"),
    ],
)
def test_refuses(preprocessor: Preprocessor, change: dict[str, InputData | None], error: type[InputError], field: str) -> None:
    with pytest.raises(error) as caught:
        preprocessor.prepare(MANIFEST, Item(inputs=GOOD | change))

    assert caught.value.field == field
    assert "Jane" not in caught.value.message


def test_refuses_an_item_that_lacks_an_input(preprocessor: Preprocessor) -> None:
    with pytest.raises(InputMissing, match="tensor or time_series") as caught:
        preprocessor.prepare(MANIFEST, Item(inputs={"image": IMAGE, "age": AGE}))

    assert caught.value.field == 'inputs["ecg"]'


def of_length(*lengths: int) -> TimeSeries:
    return TimeSeries(channels=tuple(Channel(name="c", unit="", values=range(length)) for length in lengths), sampling_frequency_hz=0)


@pytest.mark.parametrize(
    ("name", "value", "heavy"),
    [
        ("age", AGE, False), ("ecg", ECG, False), ("age", None, False), ("image", IMAGE, False),
        ("image", EncodedImage(content=b""), True), ("image", DicomObject(content=b""), True),
        ("ecg", of_length(5000, 5000), False), ("ecg", of_length(5000, 5001), True), ("ecg", of_length(*[1000] * 12), True),
        # What is refused at once.
        ("age", EncodedImage(content=b""), False), ("image", of_length(5000, 5001), False), ("other", EncodedImage(content=b""), False),
    ],
)  # fmt: skip
def test_only_what_takes_long_to_decode_or_to_convert_is_heavy(
    preprocessor: Preprocessor, name: str, value: InputData | None, *, heavy: bool
) -> None:
    assert preprocessor.is_heavy(MANIFEST, Item(inputs={name: value})) is heavy


def record_model(features: int = 1) -> Manifest:
    """A model with a record of as many substances, in mg/dL or umol/L."""
    names = [f"f{number}" for number in range(features)]
    other = {"umol/L": Conversion(factor=0.01)}
    medium = RecordInput(features={name: FeatureSpec(name=name, unit="mg/dL", other_units=other) for name in names})
    spec = InputSpec(name="x", dtype=DType.FLOAT32, shape=(features,), medium=medium)
    return Manifest(name="m", version=1, signature_name="s", inputs={"x": spec}, outputs=MANIFEST.outputs, weights_digest="sha256:0")


@pytest.mark.parametrize(
    ("unit", "heavy"),
    [
        pytest.param("mg/dL", False, id="the manifest's"),
        pytest.param("umol/L", False, id="its other one"),
        pytest.param("", False, id="none"),
        pytest.param("Doe, Jane", False, id="no unit"),
        pytest.param("ng/cL", True, id="new"),
        pytest.param("nmol/cL", True, id="new, and of the other one's kind"),
        pytest.param("km2/h", True, id="new, and of no kind that is taken"),
    ],
)
def test_a_record_is_heavy_while_a_unit_of_it_has_to_be_read(
    preprocessor: Preprocessor, monkeypatch: pytest.MonkeyPatch, unit: str, *, heavy: bool
) -> None:
    monkeypatch.setattr("gateway.units._found", {})
    model, item = record_model(), Item(inputs={"x": Record(features={"f0": Quantity(value=1, unit=unit), "more": Quantity(value=1, unit="new")})})

    before = preprocessor.is_heavy(model, item)
    with suppress(MedserveError):
        preprocessor.prepare(model, Item(inputs={"x": Record(features={"f0": Quantity(value=1, unit=unit)})}))

    assert (before, preprocessor.is_heavy(model, item)) == (heavy, False)


def test_a_series_is_heavy_while_a_unit_of_it_has_to_be_read(preprocessor: Preprocessor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.units._found", {})
    item = Item(inputs=GOOD | {"ecg": TimeSeries(channels=(Channel(name="I", unit="dV", values=(1.0, 2.0)),), sampling_frequency_hz=0)})

    before = preprocessor.is_heavy(MANIFEST, item)
    preprocessor.prepare(MANIFEST, item)

    assert (before, preprocessor.is_heavy(MANIFEST, item)) == (True, False)


@pytest.mark.parametrize(
    ("features", "value", "heavy"),
    [
        (500, Record(features={}), False),
        (501, Record(features={}), True),
        (1, Record(features=dict.fromkeys(map(str, range(501)))), True),
        (1000, DeclaredTensor(dtype=DType.FLOAT32, shape=(1000,), content=bytes(4000)), False),
        (1001, DeclaredTensor(dtype=DType.FLOAT32, shape=(1001,), content=bytes(4004)), True),
    ],
)
def test_many_features_are_heavy(preprocessor: Preprocessor, features: int, value: InputData, *, heavy: bool) -> None:
    assert preprocessor.is_heavy(record_model(features), Item(inputs={"x": value})) is heavy


@pytest.mark.parametrize("limits", [{"max_elements": 0, "max_pixels": 1}, {"max_elements": 1, "max_pixels": 0}])
def test_limits_let_something_through(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        InputLimits(**limits)
