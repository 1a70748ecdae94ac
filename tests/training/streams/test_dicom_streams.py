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

from training.streams import dicom_header
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
        (lambda dataset: dataset.update({"PixelData": dataset.PixelData[:100]}), "lung/ct/2693: cut short or damaged"),
    ],
)
def test_a_series_with_a_slice_that_does_not_fit_is_named_by_it(read: Any, series: Path, how: Callable[[Dataset], None], fault: str) -> None:
    change(series / "lung" / "ct" / "2693", how)

    items, faults = read(DicomSeries(root=series))

    assert not items["pixels"]
    assert faults == [fault]


def test_a_series_without_positions_has_an_instance_number_for_each_slice(read: Any, series: Path) -> None:
    for path in (series / "lung" / "ct").iterdir():
        change(path, without_number if path.name == "2693" else without_position)

    assert read(DicomSeries(root=series))[1] == ["lung/ct/2062: slices without an order"]


STRANGERS = {
    "PatientID": "ANOTHER",
    "Modality": "MR",
    "FrameOfReferenceUID": "1.2.3",
    "PhotometricInterpretation": "MONOCHROME1",
    "RescaleType": "US",
    "PixelSpacing": ["0.488281", "0.49"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "0.9998", "0.02"],
    "RescaleSlope": "2",
    "RescaleIntercept": "0",
}


@pytest.mark.parametrize("keyword", STRANGERS)
@pytest.mark.parametrize("name", ["2062", "2693"])
def test_a_slice_of_another_origin_is_named(read: Any, series: Path, name: str, keyword: str) -> None:
    change(series / "lung" / "ct" / name, lambda dataset: setattr(dataset, keyword, STRANGERS[keyword]))

    items, faults = read(DicomSeries(root=series))

    assert not items["pixels"]
    assert faults == [f"lung/ct/{name}, {keyword}: slices that don't belong together"]


def _with_a_lut(dataset: Dataset) -> None:
    lut = Dataset()
    lut.LUTDescriptor, lut.ModalityLUTType = [500, 200, 12], "US"
    lut.add_new("LUTData", "US", list(range(500)))
    dataset.ModalityLUTSequence = Sequence([lut])


def _in_stored_values(dataset: Dataset) -> None:
    del dataset.RescaleSlope
    del dataset.RescaleIntercept


@pytest.mark.parametrize(
    ("how", "keyword"), [(without_position, "ImagePositionPatient"), (_in_stored_values, "RescaleSlope"), (_with_a_lut, "ModalityLUTSequence")]
)
def test_a_slice_that_lacks_what_the_others_have_is_named(read: Any, series: Path, how: Callable[[Dataset], None], keyword: str) -> None:
    change(series / "lung" / "ct" / "2693", how)

    assert read(DicomSeries(root=series, may_differ_in_rescale=True))[1] == [f"lung/ct/2693, {keyword}: slices that don't belong together"]


def test_what_is_written_in_another_way_is_the_same(read: Any, series: Path) -> None:
    def rewrite(dataset: Dataset) -> None:
        dataset.PixelSpacing = ["0.48828", "0.48828125"]
        dataset.ImageOrientationPatient = ["0.999999", "0.0005", "0", "0", "1", "0"]
        dataset.RescaleSlope, dataset.RescaleIntercept = "1.0", "-1024.000"
        dataset.RescaleType = "HU"
        dataset.PatientID = f"{dataset.PatientID} "

    change(series / "lung" / "ct" / "2693", rewrite)

    items, faults = read(DicomSeries(root=series))

    assert not faults
    assert len(items["pixels"]) == 1


@pytest.mark.parametrize(("modality", "may_differ"), [("PT", False), ("CT", True)])
def test_each_slice_is_read_by_its_own_rescale_where_that_is_allowed(read: Any, series: Path, modality: str, may_differ: bool) -> None:
    expected = []
    for number, name in enumerate(FROM_BELOW):

        def rescale(dataset: Dataset, slope: float = 1 + number / 4) -> None:
            dataset.Modality, dataset.RescaleSlope, dataset.RescaleIntercept = modality, slope, 0
            expected.append(dataset.pixel_array * slope)

        change(series / "lung" / "ct" / name, rescale)

    items, faults = read(DicomSeries(root=series, may_differ_in_rescale=may_differ))

    assert not faults
    np.testing.assert_array_equal(items["pixels"], np.array([expected], np.float32))


def test_two_slices_at_one_place_are_no_volume(read: Any, series: Path) -> None:
    shutil.copy(CT / "2693", series / "lung" / "ct" / "2693 copy")

    items, faults = read(DicomSeries(root=series, may_be_uneven=True))

    assert not items["pixels"]
    assert faults == ["lung/ct/2693 copy: two slices at one place"]


def test_a_series_is_of_the_modality_that_is_asked_for(read: Any, series: Path) -> None:
    assert read(DicomSeries(root=series, modalities=("MR",)))[1] == ["lung/ct/3353: another modality"]
    assert len(read(DicomSeries(root=series, modalities=("MR", "CT")))[0]["pixels"]) == 1
    wrong: Any = "CT"
    for reader in (DicomSeries, lambda **fields: DicomFiles(shape=(16, 16), **fields)):
        with pytest.raises(ValueError, match="modalities: a tuple"):
            reader(root=series, modalities=wrong)


def test_in_a_window_a_volume_is_its_slices_in_that_window(read: Any, series: Path) -> None:
    window = Window(center=40, width=400)
    slices, _ = read(DicomFiles(root=series, shape=(16, 16), window=window))

    items, faults = read(DicomSeries(root=series, shape=(5, 16, 16), window=window))

    assert not faults
    by_name = dict(zip(slices["file"], slices["pixels"], strict=True))
    assert items["pixels"] == [[by_name[f"lung/ct/{name}"] for name in FROM_BELOW]]


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
        dataset.PatientName = dataset.PatientID = secret
        dataset.PhotometricInterpretation = secret
        dataset.PixelData = dataset.PixelData[:100]

    change(series / "lung" / "ct" / "2693", spoil)
    faults = read(DicomSeries(root=series))[1] + read(DicomFiles(root=series, shape=(16, 16)))[1]

    assert len(faults) == 2
    header = dicom_header.header(series / "lung" / "ct" / "2693")
    assert secret not in "".join(faults) + "".join(capfd.readouterr()) + caplog.text + repr(header)


def test_images_say_whose_they_are_where_somebody_asks(read: Any, tmp_path: Path) -> None:
    for name in ("CT_small.dcm", "MR_small.dcm"):
        shutil.copy(real(name), tmp_path)
    change(tmp_path / "MR_small.dcm", lambda dataset: setattr(dataset, "PatientID", "  "))

    items, faults = read(DicomFiles(root=tmp_path, shape=(None, None), patients=True))

    assert items["patient"] == [pydicom.dcmread(real("CT_small.dcm")).PatientID]
    assert faults == ["MR_small.dcm, PatientID: missing"]
