"""PNG and JPEG from callers."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gateway.errors import ImageUndecodable, InputError, MedserveError, ShapeMismatch, TooManyElements
from gateway.item import EncodedImage
from gateway.manifest import ColorSpace, ImageInput, InputSpec
from gateway.tensor import DType, Tensor

Prepare = Callable[..., Tensor]
GREY, RGB = ColorSpace.MONOCHROME, ColorSpace.RGB
RAMP = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
COLOURS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def spec(color_space: ColorSpace = GREY, rows: int = -1, columns: int = -1, dtype: DType = DType.UINT8) -> InputSpec:
    return InputSpec(name="x", dtype=dtype, shape=(rows, columns, color_space.channels), medium=ImageInput(color_space=color_space))


def encoded(image: Image.Image | NDArray[Any], form: str = "PNG", **options: object) -> EncodedImage:
    file = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, form, **options)
    return EncodedImage(content=file.getvalue())


def luma(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """ITU-R BT.601-7, 2.5.1."""
    return colours @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("dtype", [DType.UINT8, DType.FLOAT32])
def test_grey_png_comes_as_it_is(prepare: Prepare, dtype: DType) -> None:
    tensor = prepare(spec(rows=12, columns=20, dtype=dtype), encoded(RAMP))

    assert tensor.dtype is dtype
    np.testing.assert_array_equal(tensor.array, RAMP[..., np.newaxis])


def test_colour_png_comes_as_it_is(prepare: Prepare) -> None:
    np.testing.assert_array_equal(prepare(spec(RGB), encoded(COLOURS)).array, COLOURS)


def test_colour_becomes_grey_by_its_luma(prepare: Prepare) -> None:
    np.testing.assert_allclose(prepare(spec(GREY), encoded(COLOURS)).array[..., 0], luma(COLOURS), atol=0.51)


def test_grey_becomes_colour_by_repetition(prepare: Prepare) -> None:
    np.testing.assert_array_equal(prepare(spec(RGB), encoded(RAMP)).array, np.stack([RAMP] * 3, axis=-1))


@given(st.integers(0, 65535))
def test_16_bit_grey_keeps_its_whole_range(prepare: Prepare, value: int) -> None:
    values = np.array([[0, value, 65535]], dtype=np.uint16)

    assert prepare(spec(), encoded(values)).array.ravel().tolist() == [0, round(value / 257), 255]


def test_palettes_become_their_colours(prepare: Prepare) -> None:
    image = Image.fromarray(COLOURS).quantize(16)

    np.testing.assert_array_equal(prepare(spec(RGB), encoded(image)).array, np.asarray(image.convert("RGB")))


def test_one_bit_is_black_and_white(prepare: Prepare) -> None:
    assert np.array_equal(prepare(spec(), encoded(Image.fromarray(RAMP > 99))).array[..., 0], np.where(RAMP > 99, 255, 0))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_see_through_is_black(prepare: Prepare, mode: str) -> None:
    image = Image.new(mode, (2, 1), (200,) * (len(mode) - 1) + (0,))
    image.putpixel((1, 0), (200,) * (len(mode) - 1) + (255,))

    assert prepare(spec(), encoded(image)).array.ravel().tolist() == [0, 200]


def test_jpeg_is_told_by_its_content(prepare: Prepare) -> None:
    smooth = np.asarray(Image.fromarray(RAMP).resize((80, 48), Image.Resampling.BICUBIC))

    tensor = prepare(spec(), encoded(smooth, "JPEG", quality=95))

    assert np.abs(tensor.array[..., 0].astype(int) - smooth).mean() < 2


def test_cmyk_jpeg_becomes_its_colours(prepare: Prepare) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))

    assert prepare(spec(RGB), encoded(image, "JPEG", quality=95)).array.reshape(-1, 3).mean(axis=0) == pytest.approx([255, 0, 0], abs=4)


# How the stored rows and columns lie for each orientation (Exif 2.32, 4.6.4 A), as numpy sees it.
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: np.transpose, 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90,
}  # fmt: skip


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_an_image_is_seen_upright(prepare: Prepare, orientation: int) -> None:
    quarters = np.kron(np.array([[0, 80], [160, 240]], dtype=np.uint8), np.ones((8, 16), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation

    tensor = prepare(spec(), encoded(quarters, "JPEG", exif=exif, quality=95))

    np.testing.assert_allclose(tensor.array[..., 0], UPRIGHT[orientation](quarters), atol=6)


def test_another_size_than_the_manifests_is_refused(prepare: Prepare) -> None:
    with pytest.raises(ShapeMismatch, match=r"\[28, 28, 1\].*\[12, 20, 1\]") as caught:
        prepare(spec(rows=28, columns=28), encoded(RAMP))

    assert caught.value.field == 'inputs["x"].image.content'


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(EncodedImage(content=b""), id="nothing"),
        pytest.param(EncodedImage(content=b"\x89PNG\r\n\x1a\n"), id="a signature only"),
        pytest.param(EncodedImage(content=b"\xff\xd8\xff"), id="a marker only"),
        pytest.param(encoded(RAMP, "TIFF"), id="TIFF"),
        pytest.param(encoded(COLOURS, "GIF"), id="GIF"),
        pytest.param(encoded(Image.fromarray(RAMP), "PNG", save_all=True, append_images=[Image.fromarray(RAMP[::-1])]), id="animation"),
    ],
)
def test_refuses(prepare: Prepare, value: EncodedImage) -> None:
    with pytest.raises(ImageUndecodable) as caught:
        prepare(spec(), value)

    assert caught.value.field == 'inputs["x"].image.content'


def test_refuses_more_pixels_than_the_limit(prepare: Prepare) -> None:
    assert prepare(spec(), encoded(RAMP), max_pixels=240).shape == (12, 20, 1)
    with pytest.raises(TooManyElements, match="at most 239"):
        prepare(spec(), encoded(RAMP), max_pixels=239)


@pytest.mark.parametrize("side", [10_000, 100_000, 2**31 - 1])
def test_refuses_a_png_that_declares_too_much(prepare: Prepare, side: int) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(b"\0" * 100_000)
    bomb += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))

    with pytest.raises(TooManyElements) as caught:
        prepare(spec(), EncodedImage(content=bomb))

    assert caught.value.field == 'inputs["x"].image.content'


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_every_truncation_is_undecodable_or_harmless(prepare: Prepare, form: str) -> None:
    whole = encoded(COLOURS, form).content
    refused = 0

    for end in range(0, len(whole) - 1, 7):
        try:
            tensor = prepare(spec(RGB), EncodedImage(content=whole[:end]))
        except ImageUndecodable:
            refused += 1
        else:
            # What is cut off behind the last pixel isn't missed.
            np.testing.assert_array_equal(tensor.array, prepare(spec(RGB), EncodedImage(content=whole)).array)

    assert refused >= 0.9 * len(range(0, len(whole) - 1, 7))


@settings(max_examples=150)
@given(form=st.sampled_from(["PNG", "JPEG"]), at=st.integers(0, 10_000), damage=st.binary(min_size=1, max_size=8))
def test_damage_ends_in_pixels_or_an_error_of_the_tree(prepare: Prepare, form: str, at: int, damage: bytes) -> None:
    whole = encoded(COLOURS, form).content
    at %= len(whole)

    try:
        tensor = prepare(spec(RGB), EncodedImage(content=whole[:at] + damage + whole[at + len(damage) :]))
    except MedserveError as error:
        assert isinstance(error, InputError | TooManyElements)  # noqa: PT017 - either outcome is right
        assert error.__suppress_context__ or error.__context__ is None  # noqa: PT017 - as above
    else:
        assert tensor.shape[2] == 3


@given(st.binary(max_size=200))
def test_any_bytes_behind_a_signature_are_undecodable(prepare: Prepare, noise: bytes) -> None:
    for signature in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        with pytest.raises((ImageUndecodable, TooManyElements)):
            prepare(spec(), EncodedImage(content=signature + noise))
