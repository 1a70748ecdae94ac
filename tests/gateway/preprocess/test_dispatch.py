"""Which inputs are taken, in which form."""

import numpy as np
import pytest

from gateway.errors import InputError, InputFormNotAccepted, InputMissing, InputUnknown
from gateway.item import Channel, DeclaredTensor, DicomObject, EncodedImage, InputData, Item, TimeSeries
from gateway.manifest import ChannelSpec, ColorSpace, ImageInput, InputSpec, Manifest, OutputSpec, TimeSeriesInput
from gateway.preprocess import InputLimits, Preprocessor
from gateway.tensor import DType

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
        pytest.param({"weight": AGE}, InputUnknown, 'inputs["weight"]', id="unknown"),
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
    ("value", "heavy"),
    [
        (AGE, False), (ECG, False), (None, False), (EncodedImage(content=b""), True), (DicomObject(content=b""), True),
        (of_length(5000, 5000), False), (of_length(5000, 5001), True), (of_length(*[1000] * 12), True),
    ],
)  # fmt: skip
def test_only_what_takes_long_to_decode_or_to_convert_is_heavy(preprocessor: Preprocessor, value: InputData | None, heavy: bool) -> None:
    assert preprocessor.is_heavy(Item(inputs={"age": AGE, "other": value})) is heavy


@pytest.mark.parametrize("limits", [{"max_elements": 0, "max_pixels": 1}, {"max_elements": 1, "max_pixels": 0}])
def test_limits_let_something_through(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        InputLimits(**limits)
