"""DICOM objects from callers: real ones that pydicom ships, and the same rewritten."""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from gateway.errors import (
    DicomNotSupported,
    DicomUnreadable,
    DicomWithoutPixels,
    InputError,
    MedserveError,
    ShapeMismatch,
    TooManyElements,
)  # fmt: skip
from gateway.item import DicomObject
from gateway.manifest import ColorSpace, ImageInput, InputSpec, Windowing
from gateway.tensor import DType, Tensor

# In the process `dicom.py` says this once, at import. pytest undoes it after each test.
pytestmark = [pytest.mark.filterwarnings("ignore:::pydicom"), pytest.mark.filterwarnings("ignore:::PIL")]

Prepare = Callable[..., Tensor]
GREY, RGB = ColorSpace.MONOCHROME, ColorSpace.RGB
FIELD = 'inputs["x"].dicom.content'


def spec(
    color_space: ColorSpace = GREY, windowing: Windowing = Windowing.FROM_OBJECT, *, size: int = -1, center: float = 0, width: float = 0,
    modalities: frozenset[str] = frozenset(),
) -> InputSpec:  # fmt: skip
    medium = ImageInput(color_space=color_space, windowing=windowing, window_center=center, window_width=width, dicom_modalities=modalities)
    return InputSpec(name="x", dtype=DType.UINT8, shape=(size, size, color_space.channels), medium=medium)


def shipped(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), name
    with open(path, "rb") as file:  # noqa: PTH123 - pydicom gives a string
        return file.read()


def dataset(name: str) -> FileDataset:
    return pydicom.dcmread(BytesIO(shipped(name)))


def file_of(data: Dataset, **save_options: Any) -> DicomObject:
    file = BytesIO()
    data.save_as(file, **save_options)
    return DicomObject(content=file.getvalue())


def synthetic(stored: NDArray[Any], **elements: Any) -> DicomObject:
    """A secondary capture of `stored`, uint8/int16/uint16 [rows, columns], with `elements` set."""
    data = Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = uid.SecondaryCaptureImageStorage, uid.generate_uid(entropy_srcs=["test"])
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * stored.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(stored.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    data.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    data["PixelData"].VR = "OW"
    return file_of(data, enforce_file_format=True)


def by_pydicom(data: FileDataset) -> NDArray[np.float64]:
    """The whole way by pydicom's own functions, on every pixel, scaled from the range that they declare to 0 to 255."""
    values = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    low, high = (-(2 ** (data.BitsStored - 1)), 2 ** (data.BitsStored - 1) - 1) if data.PixelRepresentation else (0, 2**data.BitsStored - 1)
    slope, intercept = float(data.get("RescaleSlope") or 1), float(data.get("RescaleIntercept") or 0)
    low, high = low * slope + intercept, high * slope + intercept
    return (values - low) / (high - low) * 255


WINDOWED = ["MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "examples_overlay.dcm", "693_J2KI.dcm"]


@pytest.mark.parametrize("name", WINDOWED)
def test_a_window_in_the_object_gives_what_pydicom_gives_pixel_by_pixel(prepare: Prepare, name: str) -> None:
    data = dataset(name)

    tensor = prepare(spec(), DicomObject(content=shipped(name)))

    np.testing.assert_allclose(tensor.array[..., 0], by_pydicom(data), atol=0.501)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (2.5, 3), (-1, 0)])
def test_a_rescaled_window_gives_what_pydicom_gives(prepare: Prepare, function: str, slope: float, intercept: float) -> None:
    data = dataset("MR_small.dcm")
    data.RescaleSlope, data.RescaleIntercept, data.VOILUTFunction = slope, intercept, function
    data.WindowCenter, data.WindowWidth = 1000 * slope + intercept, 1500

    np.testing.assert_allclose(prepare(spec(), file_of(data)).array[..., 0], by_pydicom(data), atol=0.501)


@pytest.mark.parametrize("windowing", list(Windowing))
@pytest.mark.parametrize("name", ["MR_small.dcm", "examples_overlay.dcm"])
def test_monochrome1_is_inverted_exactly_once(prepare: Prepare, windowing: Windowing, name: str) -> None:
    asked = spec(windowing=windowing, center=500, width=1000)
    data = dataset(name)
    upright = prepare(asked, file_of(data)).array
    data.PhotometricInterpretation = "MONOCHROME1"
    data.PresentationLUTShape = "INVERSE"

    np.testing.assert_array_equal(prepare(asked, file_of(data)).array, 255 - upright)
    assert upright.min() != upright.max()


def test_a_fixed_window_overrides_the_objects(prepare: Prepare) -> None:
    data = dataset("CT_small.dcm")
    data.WindowCenter, data.WindowWidth = 9999, 1

    tensor = prepare(spec(windowing=Windowing.FIXED, center=40, width=400), file_of(data))

    data.WindowCenter, data.WindowWidth = 40, 400
    np.testing.assert_allclose(tensor.array[..., 0], by_pydicom(data), atol=0.501)


def test_the_full_range_leaves_padding_out(prepare: Prepare) -> None:
    stored = np.array([[-2000, -100, 0, 900]], dtype=np.int16)

    tensor = prepare(spec(windowing=Windowing.FULL_RANGE), synthetic(stored, PixelPaddingValue=-2000))

    assert tensor.array.ravel().tolist() == [0, 0, round(100 / 1000 * 255), 255]


@pytest.mark.parametrize(("padding", "limit"), [(-2000, -1990), (-1990, -2000), (63536, 63546)])
def test_padding_is_a_range_and_black_even_in_monochrome1(prepare: Prepare, padding: int, limit: int) -> None:
    stored = np.array([[-2000, -1995, -1990, 0, 100]], dtype=np.int16)
    data = pydicom.dcmread(BytesIO(synthetic(stored, PhotometricInterpretation="MONOCHROME1").content))
    vr = "US" if padding > 32767 else "SS"  # as a device writes that forgets the sign
    data.add_new("PixelPaddingValue", vr, padding)
    data.add_new("PixelPaddingRangeLimit", vr, limit)

    assert prepare(spec(windowing=Windowing.FULL_RANGE), file_of(data)).array.ravel().tolist() == [0, 0, 0, 255, 0]


@pytest.mark.parametrize("stored", [np.full((2, 2), -7, dtype=np.int16), np.full((2, 2), 65535, dtype=np.uint16)])
def test_an_image_of_one_value_or_of_padding_only_is_black(prepare: Prepare, stored: NDArray[Any]) -> None:
    for padding in ({}, {"PixelPaddingValue": int(stored[0, 0])}):
        assert not prepare(spec(), synthetic(stored, **padding)).array.any()


def test_without_a_window_the_object_shows_its_full_range(prepare: Prepare) -> None:
    data = dataset("CT_small.dcm")
    values = data.pixel_array.astype(float)
    shown = values[values != data.PixelPaddingValue]

    tensor = prepare(spec(), DicomObject(content=shipped("CT_small.dcm")))

    np.testing.assert_allclose(tensor.array[..., 0], ((values - shown.min()) / np.ptp(shown) * 255).clip(0), atol=0.501)


def lut_item(first: int, bits: int, entries: list[int]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", np.array(entries, dtype="<u2").tobytes())
    return item


@pytest.mark.parametrize("slope", [1, 0.5])
def test_a_voi_lut_is_looked_up_by_rescaled_values_and_preferred_to_a_window(prepare: Prepare, slope: float) -> None:
    """pydicom loses values that aren't integers (its issue 1235), so the expectation is written out."""
    stored = np.array([[0, 10, 20, 30, 200, 3000]], dtype=np.uint16)
    entries = [0, 100, 300, 600, 1023]

    tensor = prepare(
        spec(),
        synthetic(stored, RescaleSlope=slope, RescaleIntercept=-10, WindowCenter=1, WindowWidth=1, VOILUTSequence=[lut_item(-2, 10, entries)]),
    )

    expected = [entries[min(max(round(value * slope - 10) + 2, 0), 4)] / 1023 * 255 for value in stored.ravel().tolist()]
    np.testing.assert_allclose(tensor.array.ravel(), expected, atol=0.501)


def test_a_voi_lut_of_8_bits_does_not_wrap(prepare: Prepare) -> None:
    stored = np.array([[0, 255, 256, 511, 60000]], dtype=np.uint16)

    tensor = prepare(spec(), synthetic(stored, VOILUTSequence=[lut_item(0, 8, list(range(256)))]))

    assert tensor.array.ravel().tolist() == [0, 255, 255, 255, 255]


def test_a_modality_lut_gives_what_pydicom_gives(prepare: Prepare) -> None:
    data = dataset("examples_overlay.dcm")
    del data.WindowCenter, data.WindowWidth
    data.ModalityLUTSequence = [lut_item(100, 16, [int(value**1.5) for value in range(1000)])]
    values = apply_modality_lut(data.pixel_array, data).astype(float)

    tensor = prepare(spec(), file_of(data))

    np.testing.assert_allclose(tensor.array[..., 0], (values - values.min()) / np.ptp(values) * 255, atol=0.501)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_expb.dcm", "MR_small_padded.dcm"],
)
def test_every_lossless_transfer_syntax_gives_the_same_pixels(prepare: Prepare, name: str) -> None:
    expected = prepare(spec(), DicomObject(content=shipped("MR_small.dcm"))).array

    np.testing.assert_array_equal(prepare(spec(), DicomObject(content=shipped(name))).array, expected)


def test_deflated_gives_the_same_pixels(prepare: Prepare) -> None:
    data = dataset("MR_small.dcm")
    expected = prepare(spec(), file_of(data)).array
    data.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian

    np.testing.assert_array_equal(prepare(spec(), file_of(data)).array, expected)
    assert prepare(spec(), DicomObject(content=shipped("image_dfl.dcm"))).shape == (512, 512, 1)


# One picture in many encodings, the first without a loss, and how far each strays from it on average by what its encoder lost: most where
# colours have half the resolution. (Colours left as YBR stray by 92.)
PICTURE = "SC_rgb_rle.dcm"
ENCODINGS = {
    "SC_rgb_gdcm_KY.dcm": 0.0, "SC_ybr_full_422_uncompressed.dcm": 1.5, "SC_rgb_jls_lossy_line.dcm": 1.5, "SC_rgb_jls_lossy_sample.dcm": 1.5,
    "SC_rgb_jpeg_dcmtk.dcm": 1.5, "SC_rgb_jpeg_lossy_gdcm.dcm": 3.0, "SC_rgb_dcmtk_+eb+cr.dcm": 1.5, "SC_rgb_dcmtk_+eb+cy+n1.dcm": 3.0,
    "SC_rgb_dcmtk_+eb+cy+n2.dcm": 1.5, "SC_rgb_dcmtk_+eb+cy+np.dcm": 3.0, "SC_rgb_dcmtk_+eb+cy+s2.dcm": 1.5, "SC_rgb_rle_16bit.dcm": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(("name", "tolerance"), ENCODINGS.items())
def test_colours_are_the_same_however_they_are_encoded(prepare: Prepare, name: str, tolerance: float) -> None:
    expected = prepare(spec(RGB), DicomObject(content=shipped(PICTURE))).array.astype(int)

    tensor = prepare(spec(RGB), DicomObject(content=shipped(name)))

    assert np.abs(tensor.array - expected).mean() <= tolerance
    assert expected.std() > 50


@pytest.mark.parametrize(
    "name", ["SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm", "ExplVR_BigEnd.dcm", "examples_rgb_color.dcm", "examples_jpeg2k.dcm"]
)
def test_colours_come_as_they_are(prepare: Prepare, name: str) -> None:
    np.testing.assert_array_equal(prepare(spec(RGB), DicomObject(content=shipped(name))).array, dataset(name).pixel_array)


def test_colours_of_16_bits_keep_their_range(prepare: Prepare) -> None:
    expected = dataset("SC_rgb_rle_16bit.dcm").pixel_array / 257

    np.testing.assert_allclose(prepare(spec(RGB), DicomObject(content=shipped("SC_rgb_rle_16bit.dcm"))).array, expected, atol=0.501)


def test_colours_become_grey_by_their_luma(prepare: Prepare) -> None:
    expected = dataset("examples_rgb_color.dcm").pixel_array @ np.array([0.299, 0.587, 0.114])

    tensor = prepare(spec(GREY), DicomObject(content=shipped("examples_rgb_color.dcm")))

    np.testing.assert_allclose(tensor.array[..., 0], expected, atol=0.51)


def test_palettes_become_their_colours(prepare: Prepare) -> None:
    data = dataset("examples_palette.dcm")
    expected = apply_color_lut(data.pixel_array, data) / 257

    tensor = prepare(spec(RGB), DicomObject(content=shipped("examples_palette.dcm")))

    np.testing.assert_allclose(tensor.array, expected, atol=0.501)


def test_a_value_that_needs_fewer_bits_than_it_has_ignores_the_others(prepare: Prepare) -> None:
    stored = np.array([[0, 1, 2, 4095]], dtype=np.uint16)
    overlaid = stored | np.array([[0, 0xF000, 0x1000, 0xA000]], dtype=np.uint16)  # an overlay in the unused bits (retired, and met)

    elements = {"BitsStored": 12, "HighBit": 11}

    expected = prepare(spec(), synthetic(stored, **elements)).array
    np.testing.assert_array_equal(prepare(spec(), synthetic(overlaid, **elements)).array, expected)


def changed(name: str, **elements: Any) -> DicomObject:
    data = dataset(name)
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return file_of(data)


def without(name: str, *keywords: str) -> DicomObject:
    data = dataset(name)
    for keyword in keywords:
        delattr(data, keyword)
    return file_of(data)


def floating() -> DicomObject:
    data = dataset("MR_small.dcm")
    del data.PixelData
    data.FloatPixelData = bytes(64 * 64 * 4)
    return file_of(data)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param(DicomObject(content=b""), DicomUnreadable, id="nothing"),
        pytest.param(DicomObject(content=b"\0" * 128 + b"DICM"), DicomUnreadable, id="a preamble only"),
        pytest.param(DicomObject(content=shipped("no_meta.dcm")), DicomUnreadable, id="no file meta information"),
        pytest.param(DicomObject(content=shipped("meta_missing_tsyntax.dcm")), DicomUnreadable, id="no transfer syntax"),
        pytest.param(DicomObject(content=shipped("MR_truncated.dcm")), DicomUnreadable, id="fewer pixels than rows and columns"),
        pytest.param(DicomObject(content=shipped("badVR.dcm")), DicomUnreadable, id="a number of frames that is none"),
        pytest.param(DicomObject(content=shipped("JPEG2000-embedded-sequence-delimiter.dcm")), DicomUnreadable, id="damaged JPEG 2000"),
        pytest.param(changed("MR_small.dcm", WindowWidth=0), DicomUnreadable, id="a window of no width"),
        pytest.param(changed("MR_small.dcm", VOILUTFunction="CUBIC"), DicomUnreadable, id="a window of an unknown function"),
        pytest.param(changed("CT_small.dcm", RescaleSlope="0"), DicomUnreadable, id="a slope of 0"),
        pytest.param(changed("MR_small.dcm", Rows=0), DicomUnreadable, id="no rows"),
        pytest.param(without("MR_small.dcm", "BitsStored"), DicomUnreadable, id="a type 1 element missing"),
        pytest.param(changed("MR_small_RLE.dcm", Columns=63), DicomUnreadable, id="another size than what is compressed"),
        pytest.param(without("MR_small.dcm", "PixelData"), DicomWithoutPixels, id="no pixels"),
        *(
            pytest.param(DicomObject(content=shipped(name)), DicomWithoutPixels, id=name)
            for name in ("rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm")
        ),
        pytest.param(floating(), DicomNotSupported, id="floating-point pixels"),
        pytest.param(DicomObject(content=shipped("examples_ybr_color.dcm")), DicomNotSupported, id="30 frames"),
        pytest.param(DicomObject(content=shipped("liver_1frame.dcm")), DicomNotSupported, id="1 bit"),
        pytest.param(DicomObject(content=shipped("rtdose_1frame.dcm")), DicomNotSupported, id="32 bits"),
        pytest.param(DicomObject(content=shipped("JPEG-lossy.dcm")), DicomNotSupported, id="12-bit JPEG"),
        pytest.param(DicomObject(content=shipped("SC_rgb_jpeg_gdcm.dcm")), DicomNotSupported, id="JPEG lossless"),
        pytest.param(changed("MR_small.dcm", PhotometricInterpretation="HSV"), DicomNotSupported, id="retired colours"),
        pytest.param(changed("MR_small.dcm", HighBit=14), DicomNotSupported, id="a high bit out of place"),
        pytest.param(changed("MR_small.dcm", SamplesPerPixel=3), DicomNotSupported, id="grey of three samples"),
        pytest.param(
            without("examples_palette.dcm", "RedPaletteColorLookupTableData"), DicomNotSupported, id="a palette that isn't plain"
        ),
    ],
)  # fmt: skip
def test_refuses(prepare: Prepare, value: DicomObject, error: type[InputError]) -> None:
    with pytest.raises(error) as caught:
        prepare(spec(), value, max_pixels=10_000_000)

    assert caught.value.field == FIELD
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_refuses_a_transfer_syntax_that_nothing_decodes(prepare: Prepare) -> None:
    data = dataset("MR_small_jp2klossless.dcm")
    data.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    with pytest.raises(DicomNotSupported, match="transfer syntax"):
        prepare(spec(), file_of(data))


@pytest.mark.parametrize(("missing", "tag"), [("RescaleSlope", "0028,1053"), ("RescaleIntercept", "0028,1052")])
def test_half_a_rescale_is_refused_by_its_name(prepare: Prepare, missing: str, tag: str) -> None:
    for value in (without("CT_small.dcm", missing), changed("CT_small.dcm", **{missing: None})):
        with pytest.raises(DicomUnreadable, match=rf"^Rescale \w+ \({tag}\) is missing"):
            prepare(spec(windowing=Windowing.FIXED, center=40, width=400), value)


def test_takes_the_manifests_modalities_only(prepare: Prepare) -> None:
    value = DicomObject(content=shipped("MR_small.dcm"))

    assert prepare(spec(modalities=frozenset({"CT", "MR"})), value).shape == (64, 64, 1)
    with pytest.raises(DicomNotSupported, match="CR, DX"):
        prepare(spec(modalities=frozenset({"DX", "CR"})), value)


def test_another_size_than_the_manifests_is_refused(prepare: Prepare) -> None:
    with pytest.raises(ShapeMismatch, match=r"\[28, 28, 1\].*\[64, 64, 1\]") as caught:
        prepare(spec(size=28), DicomObject(content=shipped("MR_small.dcm")))

    assert caught.value.field == FIELD


def test_refuses_more_pixels_than_the_limit_whatever_is_there(prepare: Prepare) -> None:
    assert prepare(spec(), DicomObject(content=shipped("MR_small.dcm")), max_pixels=4096).shape == (64, 64, 1)
    for value in (DicomObject(content=shipped("MR_small.dcm")), changed("SC_rgb_rle.dcm", NumberOfFrames=2**30)):
        with pytest.raises(TooManyElements):
            prepare(spec(), value, max_pixels=4095)


def relabelled(name: str, at: bytes, offset: int, value: bytes) -> DicomObject:
    """The object with the bytes at `offset` behind the first `at` of its pixels replaced."""
    content = shipped(name)
    position = content.index(at, content.index(b"\xe0\x7f\x10\x00")) + offset
    return DicomObject(content=content[:position] + value + content[position + len(value) :])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(relabelled("MR_small_jp2klossless.dcm", b"\xff\x4f\xff\x51", 8, struct.pack(">II", 10**9, 10**9)), id="JPEG 2000"),
        pytest.param(relabelled("MR_small_jp2klossless.dcm", b"\xff\x4f\xff\x51", 40, b"\x40\x00"), id="JPEG 2000 components"),
        pytest.param(relabelled("MR_small_jpeg_ls_lossless.dcm", b"\xff\xf7", 5, b"\xff\xff\xff\xff"), id="JPEG-LS"),
        pytest.param(relabelled("SC_rgb_jpeg_dcmtk.dcm", b"\xff\xc0", 5, b"\xff\xff\xff\xff"), id="JPEG"),
    ],
)
def test_a_frame_that_claims_another_size_than_the_object_is_refused(prepare: Prepare, value: DicomObject) -> None:
    with pytest.raises(DicomUnreadable):
        prepare(spec(), value)


FUZZED = ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm"]


@pytest.mark.parametrize("name", FUZZED)
def test_every_truncation_ends_in_an_error_of_the_tree(prepare: Prepare, name: str) -> None:
    whole = shipped(name)

    for end in range(0, len(whole) - 200, 101):
        try:
            prepare(spec(), DicomObject(content=whole[:end]))
        except (DicomUnreadable, DicomWithoutPixels) as error:
            assert error.field == FIELD  # noqa: PT017 - a decoder may fill in what little is cut off
            continue
        assert end > len(whole) // 2, end


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@example(name="MR_small.dcm", at=0.0, damage=b"\xff")
@given(name=st.sampled_from(FUZZED), at=st.floats(0, 0.999), damage=st.binary(min_size=1, max_size=6))
def test_damage_ends_in_pixels_or_an_error_of_the_tree(prepare: Prepare, name: str, at: float, damage: bytes) -> None:
    whole = shipped(name)
    start = int(at * len(whole))

    try:
        tensor = prepare(spec(), DicomObject(content=whole[:start] + damage + whole[start + len(damage) :]))
    except MedserveError as error:
        assert isinstance(error, InputError | TooManyElements)  # noqa: PT017 - either outcome is right
    else:
        assert tensor.dtype is DType.UINT8


@given(noise=st.binary(max_size=300))
def test_any_bytes_behind_a_preamble_are_refused(prepare: Prepare, noise: bytes) -> None:
    for start in (b"", b"\0" * 128 + b"DICM"):
        with pytest.raises((DicomUnreadable, DicomWithoutPixels)):
            prepare(spec(), DicomObject(content=start + noise))
