"""A manifest is valid once constructed."""

from collections.abc import Callable

import pytest

from gateway.manifest import (
    ChannelSpec,
    Classification,
    Coding,
    ColorSpace,
    ImageInput,
    InputSpec,
    Label,
    Manifest,
    OutputSpec,
    TimeSeriesInput,
    Windowing,
)  # fmt: skip
from gateway.tensor import DType

GREY, RGB = ImageInput(color_space=ColorSpace.MONOCHROME), ImageInput(color_space=ColorSpace.RGB)
SERIES = TimeSeriesInput(channels=(ChannelSpec(name="I", unit="mV"),))
TWO_LABELS = Classification(exclusive=True, labels=tuple(Label(code=Coding(system="s", code=c, display=c)) for c in "ab"))
X, Y = InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,)), OutputSpec(name="y", dtype=DType.FLOAT32, shape=(2,), classification=TWO_LABELS)


def image(medium: ImageInput, dtype: DType, *shape: int) -> InputSpec:
    return InputSpec(name="x", dtype=dtype, shape=shape, medium=medium)


def series(dtype: DType, *shape: int) -> InputSpec:
    return InputSpec(name="x", dtype=dtype, shape=shape, medium=SERIES)


def classification(dtype: DType, *shape: int) -> OutputSpec:
    return OutputSpec(name="y", dtype=dtype, shape=shape, classification=TWO_LABELS)


def manifest(**changes: object) -> Manifest:
    arguments = {"name": "m", "version": 1, "signature_name": "s", "inputs": {"x": X}, "outputs": {"y": Y}, "weights_digest": "d"}
    return Manifest(**(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "build",
    [
        lambda: image(GREY, DType.UINT8, 28, 28, 1),
        lambda: image(RGB, DType.FLOAT32, -1, -1, 3),
        lambda: image(RGB, DType.UINT8, -1, -1, -1),
        lambda: series(DType.FLOAT64, -1, 1),
        lambda: classification(DType.FLOAT16, 2),
        lambda: ImageInput(color_space=ColorSpace.RGB, windowing=Windowing.FIXED, window_width=1),
        manifest,
    ],
)
def test_takes(build: Callable[[], object]) -> None:
    assert build() == build()


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (lambda: image(GREY, DType.UINT8, 28, 28), "shape"),
        (lambda: image(GREY, DType.UINT8, 28, 28, 3), "shape"),
        (lambda: image(RGB, DType.UINT8, 28, 28, 1), "shape"),
        (lambda: image(GREY, DType.INT16, 28, 28, 1), "data_type"),
        (lambda: series(DType.FLOAT32, 100), "shape"),
        (lambda: series(DType.FLOAT32, 100, 2), "shape"),
        (lambda: series(DType.INT32, 100, 1), "data_type"),
        (lambda: classification(DType.FLOAT32, 3), "classification"),
        (lambda: classification(DType.FLOAT32, 2, 1), "classification"),
        (lambda: classification(DType.INT32, 2), "classification"),
        (lambda: ImageInput(color_space=ColorSpace.RGB, windowing=Windowing.FIXED, window_width=0.5), "window_width"),
        (lambda: ImageInput(color_space=ColorSpace.RGB, windowing=Windowing.FIXED, window_width=float("nan")), "window_width"),
        (lambda: TimeSeriesInput(channels=()), "channels"),
        (lambda: TimeSeriesInput(channels=SERIES.channels * 2), "channels"),
        (lambda: TimeSeriesInput(channels=SERIES.channels, sampling_frequency_hz=-1), "sampling_frequency_hz"),
        (lambda: manifest(name=""), "name"),
        (lambda: manifest(version=0), "version"),
        (lambda: manifest(inputs={}), "inputs"),
        (lambda: manifest(outputs={}), "outputs"),
    ],
)
def test_refuses(build: Callable[[], object], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        build()


@pytest.mark.parametrize(("color_space", "channels"), [(ColorSpace.MONOCHROME, 1), (ColorSpace.RGB, 3)])
def test_a_pixel_has_as_many_numbers_as_its_color_space(color_space: ColorSpace, channels: int) -> None:
    assert color_space.channels == channels
