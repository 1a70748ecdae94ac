"""Folders of DICOM files: real ones, as images and as volumes; a volume is taken whole or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.manifest import ColorSpace, ImageInput, Windowing
from gateway.preprocess.grey import to_display
from training.streams.dicom_files import DicomFiles
from training.streams.dicom_pixels import Window
from training.streams.dicom_series import DicomSeries
from training.streams.labels import ByFolder, ByTable

# Slices of a CT of 16 × 16 pixels, 2.5 mm apart; Instance Number counts against the position.
CT = Path(str(get_testdata_file("DICOMDIR", download=False))).parent / "98892001" / "CT5N"
FROM_BELOW = ["3353", "3023", "2693", "2392", "2062"]


def real(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


def change(path: Path, how: Callable[[Dataset], None]) -> None:
    dataset = pydicom.dcmread(path)
    how(dataset)
    dataset.save_as(path)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A folder with the CT in `lung/ct`."""
    shutil.copytree(CT, tmp_path / "lung" / "ct")
    return tmp_path


def test_stored_values_are_read_in_the_modalitys_units(read: Any, tmp_path: Path) -> None:
    for name in ("CT_small.dcm", "MR_small_RLE.dcm"):
        shutil.copy(real(name), tmp_path)

    items, faults = read(DicomFiles(root=tmp_path, shape=(None, None)))

    assert not faults
    assert items["file"] == ["CT_small.dcm", "MR_small_RLE.dcm"]
    ct = pydicom.dcmread(real("CT_small.dcm"))
    assert ct.RescaleIntercept == -1024
    np.testing.assert_array_equal(items["pixels"][0], ct.pixel_array.astype(np.float32) - 1024)
    np.testing.assert_array_equal(items["pixels"][1], pydicom.dcmread(real("MR_small.dcm")).pixel_array)


def test_values_pass_through_a_modality_lut(read: Any, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(real("CT_small.dcm"))
    stored = dataset.pixel_array
    lut = Dataset()
    # 12 bits from the stored value 200 on; values below and beyond take the first and the last entry.
    lut.LUTDescriptor, lut.ModalityLUTType = [500, 200, 12], "US"
    lut.add_new("LUTData", "US", list(range(1000, 1500)))
    dataset.ModalityLUTSequence = Sequence([lut])
    dataset.save_as(tmp_path / "lut.dcm")

    items, faults = read(DicomFiles(root=tmp_path, shape=(128, 128)))

    assert not faults
    np.testing.assert_array_equal(items["pixels"][0], np.clip(stored.astype(int) - 200, 0, 499) + 1000)


def test_files_that_are_no_such_image_are_named(read: Any, tmp_path: Path) -> None:
    names = ["CT_small.dcm", "MR_truncated.dcm", "rtplan.dcm", "SC_rgb_rle.dcm", "rtdose.dcm", "JPEG-lossy.dcm", "no_meta.dcm", "MR_small.dcm"]
    for name in names:
        shutil.copy(real(name), tmp_path)
    (tmp_path / "CT cut.dcm").write_bytes(real("CT_small.dcm").read_bytes()[:20_000])
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "text.dcm").write_text("Meier")
    (tmp_path / "read me.txt").write_text("no image, and nobody says that it is one")

    items, faults = read(DicomFiles(root=tmp_path, shape=(128, 128)))

    assert items["file"] == ["CT_small.dcm"]
    assert faults == [
        "CT cut.dcm: cut short or damaged",
        "JPEG-lossy.dcm: not supported",
        "MR_small.dcm: wrong size",
        # Its header says another size than was asked for, and is believed first.
        "MR_truncated.dcm: wrong size",
        "SC_rgb_rle.dcm: not supported",
        "empty.dcm: empty file",
        "no_meta.dcm: cut short or damaged",
        "rtdose.dcm: not supported",
        "rtplan.dcm: no pixels",
        "text.dcm: cut short or damaged",
    ]


def test_a_file_whose_pixels_are_cut_short_is_damaged(read: Any, tmp_path: Path) -> None:
    shutil.copy(real("MR_truncated.dcm"), tmp_path)

    assert read(DicomFiles(root=tmp_path, shape=(64, 64)))[1] == ["MR_truncated.dcm: cut short or damaged"]


def test_a_series_is_a_volume_in_order_of_its_positions(read: Any, series: Path) -> None:
    items, faults = read(DicomSeries(root=series, shape=(5, 16, 16), labels=ByFolder(classes=("brain", "lung"))))

    assert not faults
    expected = []
    for name in FROM_BELOW:
        dataset = pydicom.dcmread(CT / name)
        expected.append(dataset.pixel_array.astype(np.float32) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept))
    np.testing.assert_array_equal(items["pixels"], [expected])
    assert items["label"] == [1]
    assert items["file"] == ["lung/ct/3353"]


def test_a_series_without_positions_is_in_order_of_its_numbers(read: Any, series: Path) -> None:
    for path in (series / "lung" / "ct").iterdir():
        change(path, without_position)

    items, faults = read(DicomSeries(root=series))

    assert not faults
    assert items["file"] == ["lung/ct/2062"]


def without_position(dataset: Dataset) -> None:
    del dataset.ImagePositionPatient


def without_number(dataset: Dataset) -> None:
    del dataset.ImagePositionPatient
    del dataset.InstanceNumber


def smaller(dataset: Dataset) -> None:
    dataset.Rows = 8
    dataset.PixelData = dataset.PixelData[: 8 * 16 * 2]


def without_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        (smaller, "lung/ct/2693: two sizes in a series"),
        (without_pixels, "lung/ct/2693: no pixels"),
        (without_number, "lung/ct/2062: slices without an order"),
        (lambda dataset: dataset.update({"PixelData": dataset.PixelData[:100]}), "lung/ct/2693: cut short or damaged"),
    ],
)
def test_a_series_with_a_slice_that_does_not_fit_is_named_by_it(read: Any, series: Path, how: Callable[[Dataset], None], fault: str) -> None:
    change(series / "lung" / "ct" / "2693", how)

    items, faults = read(DicomSeries(root=series))

    assert not items["pixels"]
    assert faults == [fault]


def test_a_series_that_lacks_a_slice_is_not_taken_unless_that_is_declared(read: Any, series: Path) -> None:
    (series / "lung" / "ct" / "2693").unlink()

    assert read(DicomSeries(root=series))[1] == ["lung/ct/2062: slices unevenly spaced"]
    assert len(read(DicomSeries(root=series, may_be_uneven=True))[0]["pixels"]) == 1


def test_an_unreadable_file_costs_the_series_of_its_folder_and_no_other(read: Any, series: Path) -> None:
    shutil.copytree(CT, series / "lung" / "other")
    (series / "lung" / "ct" / "2693").write_bytes(b"not any more")

    items, faults = read(DicomSeries(root=series))

    assert items["file"] == ["lung/other/3353"]
    assert faults == ["lung/ct/2693: cut short or damaged", "lung/ct/2062: another file of its folder is damaged"]


def test_a_series_of_another_shape_is_named(read: Any, series: Path) -> None:
    assert read(DicomSeries(root=series, shape=(6, 16, 16)))[1] == ["lung/ct/3353: wrong size"]
    assert read(DicomSeries(root=series, max_pixels=16 * 16 * 4))[1] == ["lung/ct/3353: too large"]


def test_a_series_has_one_class(read: Any, series: Path) -> None:
    table = series / "labels.csv"
    labels = ByTable(table=table, file_column="name", label_column="finding", classes=("a", "b"))
    table.write_text("name,finding\nlung/ct,b\n")
    assert read(DicomSeries(root=series, labels=labels))[0]["label"] == [1]

    table.write_text("name,finding\nlung/ct,b\nlung/ct/2693,a\n")
    assert read(DicomSeries(root=series, labels=labels))[1] == ["lung/ct/3353: conflicting label"]


def test_a_folder_without_files_is_named(read: Any, tmp_path: Path) -> None:
    assert read(DicomSeries(root=tmp_path))[1] == read(DicomFiles(root=tmp_path, shape=(1, 1)))[1] == [f"{tmp_path.name}: folder without files"]


def test_no_value_of_a_file_is_told(read: Any, series: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    secret = "MEIER"

    def spoil(dataset: Dataset) -> None:
        dataset.PatientName = secret
        dataset.PhotometricInterpretation = secret
        dataset.PixelData = dataset.PixelData[:100]

    change(series / "lung" / "ct" / "2693", spoil)
    faults = read(DicomSeries(root=series))[1] + read(DicomFiles(root=series, shape=(16, 16)))[1]

    assert len(faults) == 2
    assert secret not in "".join(faults) + "".join(capfd.readouterr()) + caplog.text


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
            change(tmp_path / name, how)
    medium = ImageInput(
        color_space=ColorSpace.MONOCHROME, windowing=Windowing.FIXED, window_center=window.center, window_width=window.width,
        dicom_modalities=frozenset(),
    )  # fmt: skip

    items, faults = read(DicomFiles(root=tmp_path, shape=(None, None), window=window))

    assert not faults
    for name, pixels in zip(items["file"], items["pixels"], strict=True):
        dataset = pydicom.dcmread(tmp_path / name)
        np.testing.assert_array_equal(np.array(pixels)[..., 0], to_display(dataset.pixel_array, dataset, medium, field="image"))


@pytest.mark.parametrize(("center", "width"), [(0, 0.5), (float("nan"), 10), (0, float("inf"))])
def test_a_window_that_is_none_is_refused(center: float, width: float) -> None:
    with pytest.raises(ValueError, match="center, width: finite"):
        Window(center=center, width=width)


def test_images_say_whose_they_are_where_somebody_asks(read: Any, tmp_path: Path) -> None:
    for name in ("CT_small.dcm", "MR_small.dcm"):
        shutil.copy(real(name), tmp_path)
    change(tmp_path / "MR_small.dcm", lambda dataset: setattr(dataset, "PatientID", "  "))

    items, faults = read(DicomFiles(root=tmp_path, shape=(None, None), patients=True))

    assert items["patient"] == [pydicom.dcmread(real("CT_small.dcm")).PatientID]
    assert faults == ["MR_small.dcm, PatientID: missing"]
