"""What is learnt of a DICOM file is what the gateway would send to the model; and what the gateway refuses isn't learnt from."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.errors import DicomNotSupported, DicomUnreadable, InputError
from gateway.item import DicomObject
from gateway.manifest import ColorSpace, ImageInput, InputSpec, Windowing
from gateway.preprocess import InputLimits, dicom
from gateway.tensor import DType
from training.quality.fault import Reason
from training.streams import dicom_pixels
from training.streams.dicom_files import DicomFiles
from training.streams.dicom_pixels import Window


def real(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


def _served(path: Path, window: Window, modalities: frozenset[str] = frozenset()) -> Any:
    """What the gateway sends to a model, uint8 [rows, columns, 1]; or the error that it answers."""
    medium = ImageInput(
        color_space=ColorSpace.MONOCHROME, windowing=Windowing.FIXED, window_center=window.center, window_width=window.width,
        dicom_modalities=modalities,
    )  # fmt: skip
    spec = InputSpec(name="x", dtype=DType.UINT8, shape=(-1, -1, 1), medium=medium)
    try:
        return dicom.prepare(spec, DicomObject(content=path.read_bytes()), InputLimits(max_elements=10**6, max_pixels=10**6)).array
    except InputError as error:
        return error


def _inverted(dataset: Dataset) -> None:
    dataset.PhotometricInterpretation = "MONOCHROME1"


def _padded(dataset: Dataset) -> None:
    lowest = int(dataset.pixel_array.min())
    dataset.add_new("PixelPaddingValue", "SS", lowest)
    dataset.add_new("PixelPaddingRangeLimit", "SS", lowest + 40)


def _with_a_lut(dataset: Dataset) -> None:
    lut = Dataset()
    lut.LUTDescriptor, lut.ModalityLUTType = [500, 200, 12], "US"
    lut.add_new("LUTData", "US", list(range(500)))
    dataset.ModalityLUTSequence = Sequence([lut])


@pytest.mark.parametrize("window", [Window(center=40, width=400), Window(center=100.5, width=1), Window(center=-300, width=33.5)])
@pytest.mark.parametrize("how", [None, _inverted, _padded, _with_a_lut])
def test_in_a_window_an_image_is_what_the_gateway_sends(read: Any, tmp_path: Path, how: Any, window: Window) -> None:
    for name in ("CT_small.dcm", "MR_small_RLE.dcm"):
        shutil.copy(real(name), tmp_path)
        if how is not None and name == "CT_small.dcm":
            dataset = pydicom.dcmread(tmp_path / name)
            how(dataset)
            dataset.save_as(tmp_path / name)

    items, faults = read(DicomFiles(root=tmp_path, shape=(None, None), window=window))

    assert not faults
    for name, pixels in zip(items["file"], items["pixels"], strict=True):
        np.testing.assert_array_equal(pixels, _served(tmp_path / name, window))


@pytest.fixture(scope="module")
def rescaled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | None, str | None], Path]:
    """A file of an MR with this Rescale Slope and Rescale Intercept; with an empty one, or none, where they are."""
    path = tmp_path_factory.mktemp("rescaled") / "mr.dcm"

    def write(slope: str | None, intercept: str | None) -> Path:
        dataset = pydicom.dcmread(real("MR_small.dcm"))
        for keyword, value in (("RescaleSlope", slope), ("RescaleIntercept", intercept)):
            if value is not None:
                dataset.add_new(keyword, "DS", value)
        dataset.save_as(path)
        return path

    return write


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [(None, "-1024"), ("", "-1024"), ("1", None), ("1", ""), ("0", "0"), ("NaN", "0"), ("inf", "0"), ("1", "-inf"), ("1e300", "0"), ("1", "1e39")],
)
def test_a_rescale_that_the_standard_forbids_is_neither_learnt_from_nor_served(rescaled: Any, slope: str | None, intercept: str | None) -> None:
    path = rescaled(slope, intercept)

    for window in (None, Window(center=40, width=400)):
        assert dicom_pixels.pixels(path, size=(64, 64), max_pixels=4096, window=window) is Reason.DAMAGED
    answer = _served(path, Window(center=40, width=400))

    assert isinstance(answer, DicomUnreadable)
    assert "Rescale" in str(answer)


NUMBERS = st.one_of(st.none(), st.sampled_from(["", "0", "-0.0", "5e33", "-1e34"]), st.floats(-3000, 3000).map("{:.6g}".format))


@example(slope=None, intercept=None)
@example(slope="", intercept="")
@example(slope="-1", intercept="1024")
@settings(max_examples=25)
@given(slope=NUMBERS, intercept=NUMBERS)
def test_any_rescale_is_learnt_from_as_it_is_served(rescaled: Any, slope: str | None, intercept: str | None) -> None:
    path, window = rescaled(slope, intercept), Window(center=100, width=2000)

    learnt, served = dicom_pixels.pixels(path, size=(64, 64), max_pixels=4096, window=window), _served(path, window)

    if isinstance(served, DicomUnreadable):
        assert learnt is Reason.DAMAGED
    else:
        np.testing.assert_array_equal(learnt, served)


def test_bits_out_of_place_are_neither_learnt_from_nor_served(tmp_path: Path) -> None:
    shutil.copy(real("liver_1frame.dcm"), tmp_path / "1 bit")
    dataset = pydicom.dcmread(real("MR_small.dcm"))
    dataset.HighBit = 14
    dataset.save_as(tmp_path / "of 15")

    for path in tmp_path.iterdir():
        assert isinstance(_served(path, Window(center=40, width=400)), DicomNotSupported)
        assert dicom_pixels.pixels(path, size=(None, None), max_pixels=10**6) is Reason.NOT_SUPPORTED


def test_another_modality_is_neither_learnt_from_nor_served(read: Any, tmp_path: Path) -> None:
    for name in ("CT_small.dcm", "MR_small.dcm"):
        shutil.copy(real(name), tmp_path)

    items, faults = read(DicomFiles(root=tmp_path, shape=(None, None), modalities=("CT",)))

    assert items["file"] == ["CT_small.dcm"]
    assert faults == ["MR_small.dcm: another modality"]
    window, modalities = Window(center=40, width=400), frozenset({"CT"})
    assert isinstance(_served(tmp_path / "CT_small.dcm", window, modalities), np.ndarray)
    assert isinstance(_served(tmp_path / "MR_small.dcm", window, modalities), DicomNotSupported)


@pytest.mark.parametrize(("center", "width"), [(0, 0.5), (float("nan"), 10), (0, float("inf"))])
def test_a_window_that_is_none_is_refused(center: float, width: float) -> None:
    with pytest.raises(ValueError, match="center, width: finite"):
        Window(center=center, width=width)
