"""A manifest is valid once constructed."""

import math
from collections.abc import Callable

import pytest

from gateway.manifest import (
    ChannelSpec,
    Classification,
    Coding,
    ColorSpace,
    FeatureHandling,
    FeatureSpec,
    ForecastReading,
    ImageInput,
    InputSpec,
    Interval,
    Label,
    Manifest,
    NoveltyReading,
    OutputReading,
    OutputSpec,
    RecordInput,
    SurvivalReading,
    TimeSeriesInput,
    TreatmentReading,
    Windowing,
)  # fmt: skip
from gateway.tensor import DType
from gateway.units import Conversion

GREY, RGB = ImageInput(color_space=ColorSpace.MONOCHROME), ImageInput(color_space=ColorSpace.RGB)
SERIES = TimeSeriesInput(channels=(ChannelSpec(name="I", unit="mV"),))
TWO_LABELS = Classification(exclusive=True, labels=tuple(Label(code=Coding(system="s", code=c, display=c)) for c in "ab"))
X, Y = InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,)), OutputSpec(name="y", dtype=DType.FLOAT32, shape=(2,), reading=TWO_LABELS)


A, B = (Coding(system="s", code=c, display=c) for c in "ab")
ENDS = Interval(lower_output="low", upper_output="high", confidence_level=0.9)
AGE = FeatureSpec(name="age", unit="a", if_missing=FeatureHandling.AS_MISSING)


def record(*features: FeatureSpec, shape: tuple[int, ...] = (1,), dtype: DType = DType.FLOAT32, allows_missing: bool = True) -> InputSpec:
    medium = RecordInput(features={feature.name: feature for feature in features})
    return InputSpec(name="x", dtype=dtype, shape=shape, medium=medium, allows_missing=allows_missing)


def output(reading: OutputReading, *shape: int, dtype: DType = DType.FLOAT32) -> OutputSpec:
    return OutputSpec(name="y", dtype=dtype, shape=shape, reading=reading)


def treatment(**changes: object) -> TreatmentReading:
    arguments = {"outcome": A, "unit": "1", "lower_is_better": False, "options": (A, B), "reference": 0}
    return TreatmentReading(**(arguments | changes))  # type: ignore[arg-type]


def companioned(**others: tuple[int, ...]) -> Manifest:
    outputs = {"y": output(SurvivalReading(event=A, times_days=(1, 2), interval=ENDS), 2)}
    return manifest(outputs=outputs | {name: OutputSpec(name=name, dtype=DType.FLOAT32, shape=shape) for name, shape in others.items()})


def image(medium: ImageInput, dtype: DType, *shape: int) -> InputSpec:
    return InputSpec(name="x", dtype=dtype, shape=shape, medium=medium)


def series(dtype: DType, *shape: int) -> InputSpec:
    return InputSpec(name="x", dtype=dtype, shape=shape, medium=SERIES)


def classification(dtype: DType, *shape: int) -> OutputSpec:
    return OutputSpec(name="y", dtype=dtype, shape=shape, reading=TWO_LABELS)


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
        lambda: record(AGE, FeatureSpec(name="sex", categories=("f", "m")), shape=(2,)),
        lambda: TimeSeriesInput(channels=SERIES.channels, sampling_frequency_hz=100, max_gap_seconds=0.5),
        lambda: output(SurvivalReading(event=A, times_days=(0.5, 1, 2)), 3),
        lambda: output(treatment(effect_output="e", effect_interval=ENDS), 2),
        lambda: output(ForecastReading(variables=(A, B), units=("1", "1"), step_seconds=1), -1, 2),
        lambda: output(NoveltyReading(threshold=-1), 1, dtype=DType.FLOAT64),
        lambda: companioned(low=(2,), high=(2,)),
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
        (lambda: ImageInput(color_space=ColorSpace.RGB, windowing=Windowing.FIXED, window_width=math.inf), "window_width"),
        (lambda: ImageInput(color_space=ColorSpace.RGB, windowing=Windowing.FIXED, window_width=1, window_center=math.nan), "window_center"),
        (lambda: image(GREY, DType.UINT8, 0, 28, 1), "shape"),
        (lambda: series(DType.FLOAT32, 0, 1), "shape"),
        (lambda: InputSpec(name="x", dtype=DType.FLOAT32, shape=(-2,)), "shape"),
        (lambda: TimeSeriesInput(channels=SERIES.channels, sampling_frequency_hz=math.inf), "sampling_frequency_hz"),
        (lambda: TimeSeriesInput(channels=SERIES.channels, sampling_frequency_hz=math.nan), "sampling_frequency_hz"),
        (lambda: TimeSeriesInput(channels=SERIES.channels, sampling_frequency_hz=1, max_gap_seconds=math.nan), "resampling"),
        (lambda: TimeSeriesInput(channels=()), "channels"),
        (lambda: TimeSeriesInput(channels=SERIES.channels * 2), "channels"),
        (lambda: TimeSeriesInput(channels=SERIES.channels, sampling_frequency_hz=-1), "sampling_frequency_hz"),
        (lambda: TimeSeriesInput(channels=(ChannelSpec(name="I", unit="beats"),)), "unit"),
        (lambda: TimeSeriesInput(channels=SERIES.channels, max_gap_seconds=1), "resampling"),
        (lambda: TimeSeriesInput(channels=SERIES.channels, sampling_frequency_hz=1, max_gap_seconds=0), "resampling"),
        (lambda: RecordInput(features={}), "record.features"),
        (lambda: RecordInput(features={"age": AGE}, unknown_features=FeatureHandling.CLAMP), "unknown_features"),
        (lambda: record(AGE, shape=(2,)), r"\[1\]"),
        (lambda: record(AGE, dtype=DType.INT32), "record"),
        (lambda: record(AGE, allows_missing=False), "allows_missing"),
        (lambda: FeatureSpec(name="", unit="1"), "name"),
        (lambda: FeatureSpec(name="age"), r"'age'\].unit"),
        (lambda: FeatureSpec(name="age", unit="years"), r"'age'\].unit"),
        (lambda: FeatureSpec(name="age", unit="a", minimum=2, maximum=1), "'age'.*minimum"),
        (lambda: FeatureSpec(name="age", unit="a", minimum=float("nan")), "'age'.*minimum"),
        (lambda: FeatureSpec(name="age", unit="a", other_units={"mo": Conversion(factor=0)}), "other_units"),
        (lambda: FeatureSpec(name="age", unit="a", other_units={"months": Conversion(factor=2)}), "other_units"),
        (lambda: FeatureSpec(name="c", unit="mg/dL", other_units={"g/L": Conversion(factor=10)}), "other_units.*'g/L'.*converted anyway"),
        (lambda: FeatureSpec(name="c", unit="mg/dL", other_units={"umol/L": Conversion(factor=math.nan)}), "other_units"),
        (lambda: FeatureSpec(name="c", unit="mg/dL", minimum=math.inf), "'c'.*minimum"),
        (lambda: FeatureSpec(name="c", unit="mg/dL", maximum=-math.inf), "'c'.*minimum"),
        (lambda: FeatureSpec(name="sex", unit="1", categories=("f",)), "'sex'.*categories"),
        (lambda: FeatureSpec(name="sex", categories=("f", "f")), "'sex'.*categories"),
        (lambda: FeatureSpec(name="sex", categories=("f", "")), "'sex'.*categories"),
        (lambda: FeatureSpec(name="age", unit="a", if_missing=FeatureHandling.CLAMP), "'age'.*nearest"),
        (lambda: Classification(exclusive=True, labels=(Label(code=A, conformal_threshold=0.5),)), "confidence level"),
        (lambda: Classification(exclusive=True, labels=(Label(code=A, conformal_threshold=0.5), Label(code=B))), "for each label"),
        (lambda: Label(code=A, operating_point=math.nan), "operating_point"),
        (lambda: Label(code=A, conformal_threshold=math.nan), "conformal_threshold"),
        (lambda: Interval(lower_output="l", upper_output="u", confidence_level=95), "confidence_level"),
        (lambda: SurvivalReading(event=A, times_days=()), "times_days"),
        (lambda: SurvivalReading(event=A, times_days=(0, 1)), "times_days"),
        (lambda: SurvivalReading(event=A, times_days=(2, 1)), "times_days"),
        (lambda: output(SurvivalReading(event=A, times_days=(1, 2)), 3), "'y'.*survival"),
        (lambda: treatment(options=(A,)), "options"),
        (lambda: treatment(reference=2), "reference"),
        (lambda: treatment(effect_interval=ENDS), "effect_output"),
        (lambda: output(treatment(), 3), "'y'.*treatment"),
        (lambda: ForecastReading(variables=(A,), units=(), step_seconds=1), "forecast"),
        (lambda: ForecastReading(variables=(A,), units=("1",), step_seconds=0), "forecast"),
        (lambda: output(ForecastReading(variables=(A,), units=("1",), step_seconds=1), 2), "'y'.*forecast"),
        (lambda: NoveltyReading(threshold=float("nan")), "threshold"),
        (lambda: output(NoveltyReading(threshold=1), 2), "'y'.*novelty"),
        (lambda: companioned(low=(2,)), "'high'"),
        (lambda: companioned(low=(2,), high=(3,)), "'high'"),
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
