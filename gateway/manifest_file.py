"""From `medserve.v1.ModelManifest`, as a version's file has it, to what the stages read."""

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message

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
    Medium,
    NoveltyReading,
    OutputReading,
    OutputSpec,
    RecordInput,
    SurvivalReading,
    TimeSeriesInput,
    TreatmentReading,
    Windowing,
)
from gateway.tensor import DType
from gateway.units import Conversion
from medserve.v1 import coding_pb2, manifest_input_pb2, manifest_output_pb2, manifest_pb2, tensor_pb2

_WINDOWING = {
    manifest_input_pb2.WINDOWING_UNSPECIFIED: Windowing.FROM_OBJECT,
    manifest_input_pb2.WINDOWING_FROM_OBJECT: Windowing.FROM_OBJECT,
    manifest_input_pb2.WINDOWING_FIXED: Windowing.FIXED,
    manifest_input_pb2.WINDOWING_FULL_RANGE: Windowing.FULL_RANGE,
}
_COLOR_SPACE = {
    manifest_input_pb2.COLOR_SPACE_MONOCHROME: ColorSpace.MONOCHROME,
    manifest_input_pb2.COLOR_SPACE_RGB: ColorSpace.RGB,
}
_HANDLING = {
    manifest_input_pb2.FEATURE_HANDLING_UNSPECIFIED: FeatureHandling.REFUSE,
    manifest_input_pb2.FEATURE_HANDLING_REFUSE: FeatureHandling.REFUSE,
    manifest_input_pb2.FEATURE_HANDLING_AS_MISSING: FeatureHandling.AS_MISSING,
    manifest_input_pb2.FEATURE_HANDLING_CLAMP: FeatureHandling.CLAMP,
}


def manifest_of(message: manifest_pb2.ModelManifest) -> Manifest:
    """The stages' view of a manifest. Raises ValueError, naming the field, where it can't be served."""
    return Manifest(
        name=message.name,
        version=message.version,
        signature_name=message.signature_name or "serving_default",
        inputs=_by_name([_input_of(spec) for spec in message.inputs], "inputs"),
        outputs=_by_name([_output_of(spec) for spec in message.outputs], "outputs"),
        weights_digest=message.weights_digest,
        demonstration_only=message.intended_use.demonstration_only,
        is_trial=message.provenance.trial,
    )


def _by_name(specs: Sequence[Any], field: str) -> MappingProxyType[str, Any]:
    """Raises ValueError for a name that comes twice: the later would hide the earlier."""
    found = {spec.name: spec for spec in specs}
    if len(found) != len(specs):
        message = f"{field}: each needs a name of its own"
        raise ValueError(message)
    return MappingProxyType(found)


def _dtype_of(value: tensor_pb2.DataType.ValueType, field: str) -> DType:
    try:
        return DType[tensor_pb2.DataType.Name(value).removeprefix("DATA_TYPE_")]
    except (KeyError, ValueError):
        message = f"{field}.data_type: not a type that is served"
        raise ValueError(message) from None


def _input_of(spec: manifest_input_pb2.InputSpec) -> InputSpec:
    field = f"inputs[{spec.name!r}]"
    kind = spec.WhichOneof("medium")
    try:
        medium = None if kind is None else _MEDIUM[kind](spec)
    except ValueError as error:
        message = f"{field}.{error}"
        raise ValueError(message) from None
    return InputSpec(
        name=spec.name, dtype=_dtype_of(spec.data_type, field), shape=tuple(spec.shape), medium=medium, allows_missing=spec.allows_missing
    )


def _image_of(spec: manifest_input_pb2.InputSpec) -> ImageInput:
    image = spec.image
    if image.color_space not in _COLOR_SPACE or image.windowing not in _WINDOWING:
        message = "image: its colour space or windowing isn't known"
        raise ValueError(message)
    return ImageInput(
        color_space=_COLOR_SPACE[image.color_space],
        windowing=_WINDOWING[image.windowing],
        window_center=image.window_center,
        window_width=image.window_width,
        dicom_modalities=frozenset(image.dicom_modalities),
    )


def _time_series_of(spec: manifest_input_pb2.InputSpec) -> TimeSeriesInput:
    series = spec.time_series
    return TimeSeriesInput(
        channels=tuple(ChannelSpec(name=channel.name, unit=channel.unit) for channel in series.channels),
        sampling_frequency_hz=series.sampling_frequency_hz,
        max_gap_seconds=series.resampling.max_gap_seconds if series.HasField("resampling") else None,
    )


def _record_of(spec: manifest_input_pb2.InputSpec) -> RecordInput:
    record = spec.record
    return RecordInput(
        features=_by_name([_feature_of(feature) for feature in record.features], "record.features"),
        unknown_features=_handling_of(record.unknown_features, "record.unknown_features"),
    )


def _feature_of(feature: manifest_input_pb2.FeatureSpec) -> FeatureSpec:
    field = f"record.features[{feature.name!r}]"
    return FeatureSpec(
        name=feature.name,
        unit=feature.unit,
        other_units=_other_units_of(feature, f"{field}.other_units"),
        minimum=feature.minimum if feature.HasField("minimum") else -math.inf,
        maximum=feature.maximum if feature.HasField("maximum") else math.inf,
        categories=tuple(category.code for category in feature.categories),
        if_missing=_handling_of(feature.if_missing, f"{field}.if_missing"),
        if_out_of_range=_handling_of(feature.if_out_of_range, f"{field}.if_out_of_range"),
        if_unknown_category=_handling_of(feature.if_unknown_category, f"{field}.if_unknown_category"),
    )


def _other_units_of(feature: manifest_input_pb2.FeatureSpec, field: str) -> MappingProxyType[str, Conversion]:
    found = {other.unit: Conversion(factor=other.factor, offset=other.offset) for other in feature.other_units}
    if len(found) != len(feature.other_units):
        message = f"{field}: a unit comes twice: give each once"
        raise ValueError(message)
    return MappingProxyType(found)


def _handling_of(value: manifest_input_pb2.FeatureHandling.ValueType, field: str) -> FeatureHandling:
    if value not in _HANDLING:
        message = f"{field}: not a way that this gateway knows"
        raise ValueError(message)
    return _HANDLING[value]


_MEDIUM: dict[str, Callable[[manifest_input_pb2.InputSpec], Medium]] = {
    "image": _image_of,
    "time_series": _time_series_of,
    "record": _record_of,
}


def _output_of(spec: manifest_output_pb2.OutputSpec) -> OutputSpec:
    field = f"outputs[{spec.name!r}]"
    kind = spec.WhichOneof("reading")
    try:
        reading = None if kind is None else _READING[kind](spec)
    except ValueError as error:
        message = f"{field}.{error}"
        raise ValueError(message) from None
    return OutputSpec(name=spec.name, dtype=_dtype_of(spec.data_type, field), shape=tuple(spec.shape), reading=reading)


def _classification_of(spec: manifest_output_pb2.OutputSpec) -> Classification:
    classification = spec.classification
    return Classification(
        exclusive=classification.exclusive,
        labels=tuple(
            Label(
                code=_coding_of(label.code),
                operating_point=label.operating_point if label.HasField("operating_point") else None,
                conformal_threshold=label.conformal_threshold if label.HasField("conformal_threshold") else None,
            )
            for label in classification.labels
        ),
        conformal_confidence_level=classification.conformal_confidence_level,
    )


def _survival_of(spec: manifest_output_pb2.OutputSpec) -> SurvivalReading:
    survival = spec.survival
    return SurvivalReading(event=_coding_of(survival.event), times_days=tuple(survival.times_days), interval=_interval_of(survival, "interval"))


def _treatment_of(spec: manifest_output_pb2.OutputSpec) -> TreatmentReading:
    treatment = spec.treatment
    return TreatmentReading(
        outcome=_coding_of(treatment.outcome),
        unit=treatment.unit,
        lower_is_better=treatment.lower_is_better,
        options=tuple(_coding_of(option) for option in treatment.options),
        reference=treatment.reference,
        outcome_interval=_interval_of(treatment, "outcome_interval"),
        effect_output=treatment.effect_output,
        effect_interval=_interval_of(treatment, "effect_interval"),
    )


def _forecast_of(spec: manifest_output_pb2.OutputSpec) -> ForecastReading:
    forecast = spec.forecast
    return ForecastReading(
        variables=tuple(_coding_of(variable.code) for variable in forecast.variables),
        units=tuple(variable.unit for variable in forecast.variables),
        step_seconds=forecast.step_seconds,
        interval=_interval_of(forecast, "interval"),
    )


_READING: dict[str, Callable[[manifest_output_pb2.OutputSpec], OutputReading]] = {
    "classification": _classification_of,
    "survival": _survival_of,
    "treatment": _treatment_of,
    "forecast": _forecast_of,
    "novelty": lambda spec: NoveltyReading(threshold=spec.novelty.threshold),
}


def _coding_of(coding: coding_pb2.Coding) -> Coding:
    return Coding(system=coding.system, code=coding.code, display=coding.display)


def _interval_of(message: Message, name: str) -> Interval | None:
    """The interval in the field `name` of a reading; None where it isn't set."""
    if not message.HasField(name):
        return None
    interval: manifest_output_pb2.Interval = getattr(message, name)
    return Interval(lower_output=interval.lower_output, upper_output=interval.upper_output, confidence_level=interval.confidence_level)
