"""Every leaf below InputError is raised by an input that deserves it: none is drawn in the tree and never met."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from gateway.errors import InputError, leaves
from gateway.item import Channel, DeclaredTensor, DicomObject, EncodedImage, InputData, Item, Quantity, Record, TimeSeries
from gateway.manifest import ChannelSpec, ColorSpace, FeatureSpec, ImageInput, InputSpec, Manifest, OutputSpec, RecordInput, TimeSeriesInput
from gateway.preprocess import InputLimits, Preprocessor
from gateway.tensor import DType

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom")

NUMBERS = InputSpec(name="x", dtype=DType.FLOAT32, shape=(2,))
IMAGE = InputSpec(name="x", dtype=DType.UINT8, shape=(-1, -1, 1), medium=ImageInput(color_space=ColorSpace.MONOCHROME))
CHANNELS = (ChannelSpec(name="I", unit="mV"),)
SERIES = InputSpec(name="x", dtype=DType.FLOAT32, shape=(-1, 1), medium=TimeSeriesInput(channels=CHANNELS, sampling_frequency_hz=100))
RESAMPLED = InputSpec(
    name="x", dtype=DType.FLOAT32, shape=(-1, 1), medium=TimeSeriesInput(channels=CHANNELS, sampling_frequency_hz=100, max_gap_seconds=1)
)
FEATURES = {"age": FeatureSpec(name="age", unit="a", minimum=0, maximum=120), "sex": FeatureSpec(name="sex", categories=("female", "male"))}
RECORD = InputSpec(name="x", dtype=DType.FLOAT32, shape=(2,), medium=RecordInput(features=FEATURES))


def numbers(*values: float, dtype: DType = DType.FLOAT32, size: int = 2) -> DeclaredTensor:
    return DeclaredTensor(dtype=dtype, shape=(size,), content=np.array(values, dtype=dtype.numpy).tobytes())


def series(name: str = "I", unit: str = "mV", hz: float = 100) -> TimeSeries:
    return TimeSeries(channels=(Channel(name=name, unit=unit, values=(1.0,)),), sampling_frequency_hz=hz)


def record(**changes: Quantity | str) -> Record:
    good: dict[str, Quantity | str] = {"age": Quantity(value=61, unit="a"), "sex": "male"}
    return Record(features=good | changes)


def shipped(name: str) -> DicomObject:
    file = BytesIO()
    pydicom.dcmread(str(get_testdata_file(name, download=False))).save_as(file)
    return DicomObject(content=file.getvalue())


# Reason: the input, and what comes by name.
CASES: dict[str, tuple[InputSpec, Callable[[], dict[str, InputData | None]]]] = {
    "INPUT_MISSING": (NUMBERS, dict),
    "INPUT_UNKNOWN": (NUMBERS, lambda: {"x": numbers(1, 2), "z": numbers(1, 2)}),
    "INPUT_FORM_NOT_ACCEPTED": (NUMBERS, lambda: {"x": series()}),
    "DTYPE_MISMATCH": (NUMBERS, lambda: {"x": numbers(1, 2, dtype=DType.INT32)}),
    "SHAPE_MISMATCH": (NUMBERS, lambda: {"x": numbers(1, 2, 3, size=3)}),
    "CONTENT_SIZE_MISMATCH": (NUMBERS, lambda: {"x": numbers(1, 2, 3)}),
    "VALUE_NOT_FINITE": (NUMBERS, lambda: {"x": numbers(1, float("nan"))}),
    "IMAGE_UNDECODABLE": (IMAGE, lambda: {"x": EncodedImage(content=b"\x89PNG\r\n\x1a\n")}),
    "DICOM_UNREADABLE": (IMAGE, lambda: {"x": DicomObject(content=b"DICM")}),
    "DICOM_WITHOUT_PIXELS": (IMAGE, lambda: {"x": shipped("rtplan.dcm")}),
    "DICOM_NOT_SUPPORTED": (IMAGE, lambda: {"x": shipped("rtdose.dcm")}),
    "CHANNELS_MISMATCH": (SERIES, lambda: {"x": series(name="II")}),
    "UNIT_MISMATCH": (SERIES, lambda: {"x": series(unit="mm[Hg]")}),
    "SAMPLING_FREQUENCY_MISMATCH": (SERIES, lambda: {"x": series(hz=50)}),
    "TIMES_INVALID": (RESAMPLED, lambda: {"x": TimeSeries(channels=series().channels, sampling_frequency_hz=0, times_seconds=(0.0, 1.0))}),
    "GAP_TOO_LONG": (RESAMPLED, lambda: {"x": TimeSeries(channels=(Channel(name="I", unit="mV", values=(float("nan"),)),), sampling_frequency_hz=1)}),
    "FEATURE_UNKNOWN": (RECORD, lambda: {"x": record(weight=Quantity(value=61, unit="kg"))}),
    "FEATURE_MISSING": (RECORD, lambda: {"x": Record(features={"age": Quantity(value=61, unit="a")})}),
    "FEATURE_KIND_MISMATCH": (RECORD, lambda: {"x": record(age="old")}),
    "FEATURE_OUT_OF_RANGE": (RECORD, lambda: {"x": record(age=Quantity(value=610, unit="a"))}),
    "CATEGORY_UNKNOWN": (RECORD, lambda: {"x": record(sex="other")}),
}


def test_every_leaf_has_its_case() -> None:
    assert {leaf.reason for leaf in leaves(InputError)} == set(CASES)


@pytest.mark.parametrize("reason", CASES)
def test_the_leaf_is_raised(reason: str) -> None:
    spec, inputs = CASES[reason]
    manifest = Manifest(
        name="m", version=1, signature_name="s", inputs={"x": spec},
        outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))}, weights_digest="d",
    )  # fmt: skip

    with pytest.raises(InputError) as caught:
        Preprocessor(InputLimits(max_elements=1000, max_pixels=10_000_000)).prepare(manifest, Item(inputs=inputs()))

    assert caught.value.reason == reason
    assert caught.value.field.startswith("inputs[" if reason != "INPUT_UNKNOWN" else "inputs")
    assert caught.value.message
