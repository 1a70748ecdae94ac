"""Manifests as their file has them: what each field becomes, and what can't be served."""

import math
from typing import Any

import pytest
from google.protobuf import json_format

from gateway.manifest import (
    ChannelSpec,
    Coding,
    FeatureHandling,
    FeatureSpec,
    ForecastReading,
    Interval,
    Label,
    Manifest,
    NoveltyReading,
    RecordInput,
    SurvivalReading,
    TimeSeriesInput,
    TreatmentReading,
)
from gateway.manifest_file import manifest_of
from gateway.units import Conversion
from medserve.v1 import manifest_pb2

AS_MISSING = "FEATURE_HANDLING_AS_MISSING"
RECORD: dict[str, Any] = {
    "features": [
        {
            "name": "creatinine", "unit": "mg/dL", "otherUnits": [{"unit": "umol/L", "factor": 0.0113, "offset": 0.5}], "minimum": 0, "maximum": 30,
            "ifMissing": AS_MISSING, "ifOutOfRange": "FEATURE_HANDLING_CLAMP",
        },
        {"name": "sex", "categories": [{"code": "female"}, {"code": "male"}], "ifUnknownCategory": AS_MISSING},
    ],
    "unknownFeatures": AS_MISSING,
}  # fmt: skip
INPUT: dict[str, Any] = {"name": "x", "dataType": "DATA_TYPE_FLOAT32", "shape": ["2"], "allowsMissing": True, "record": RECORD}
ENDS = {"lowerOutput": "low", "upperOutput": "high", "confidenceLevel": 0.9}
A, B = {"system": "s", "code": "a", "display": "A"}, {"system": "s", "code": "b", "display": "B"}


def read(*outputs: dict[str, Any], given: dict[str, Any] = INPUT) -> Manifest:
    """A manifest with the outputs, each named `y`, and with three more of the first one's shape to read it with."""
    declared = [{"name": "y", "dataType": "DATA_TYPE_FLOAT32", "shape": ["2"]} | output for output in outputs]
    companions = [{"name": name, "dataType": "DATA_TYPE_FLOAT32", "shape": declared[0]["shape"]} for name in ("low", "high", "effect")]
    document = {"name": "m", "version": "1", "inputs": [given], "outputs": [*declared, *companions]}
    return manifest_of(json_format.ParseDict(document, manifest_pb2.ModelManifest()))


def test_a_record_is_read_with_its_units_ranges_categories_and_what_becomes_of_the_rest() -> None:
    medium = read({}).inputs["x"].medium

    assert medium == RecordInput(
        features={
            "creatinine": FeatureSpec(
                name="creatinine", unit="mg/dL", other_units={"umol/L": Conversion(factor=0.0113, offset=0.5)}, minimum=0, maximum=30,
                if_missing=FeatureHandling.AS_MISSING, if_out_of_range=FeatureHandling.CLAMP,
            ),
            "sex": FeatureSpec(name="sex", categories=("female", "male"), if_unknown_category=FeatureHandling.AS_MISSING),
        },
        unknown_features=FeatureHandling.AS_MISSING,
    )  # fmt: skip
    assert isinstance(medium, RecordInput)
    assert (medium.features["sex"].minimum, medium.features["sex"].maximum) == (-math.inf, math.inf)


@pytest.mark.parametrize(("resampling", "expected"), [({}, None), ({"resampling": {"maxGapSeconds": 0.5}}, 0.5)])
def test_a_series_is_resampled_only_where_the_manifest_says_so(resampling: dict[str, Any], expected: float | None) -> None:
    series = {"channels": [{"name": "p", "unit": "mm[Hg]"}], "samplingFrequencyHz": 100} | resampling

    medium = read({}, given={"name": "x", "dataType": "DATA_TYPE_FLOAT32", "shape": ["-1", "1"], "timeSeries": series}).inputs["x"].medium

    channels = (ChannelSpec(name="p", unit="mm[Hg]"),)
    assert medium == TimeSeriesInput(channels=channels, sampling_frequency_hz=100, max_gap_seconds=expected)


CODING_A, CODING_B = (Coding(system="s", code=code, display=code.upper()) for code in "ab")
INTERVAL = Interval(lower_output="low", upper_output="high", confidence_level=0.9)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(
            {"survival": {"event": A, "timesDays": [30, 180], "interval": ENDS}},
            SurvivalReading(event=CODING_A, times_days=(30, 180), interval=INTERVAL), id="survival",
        ),
        pytest.param(
            {"survival": {"event": A, "timesDays": [30, 180]}}, SurvivalReading(event=CODING_A, times_days=(30, 180)), id="without an interval"
        ),
        pytest.param(
            {
                "treatment": {
                    "outcome": A, "unit": "/uL", "lowerIsBetter": True, "options": [A, B], "reference": 1,
                    "outcomeInterval": ENDS, "effectOutput": "effect", "effectInterval": ENDS,
                }
            },
            TreatmentReading(
                outcome=CODING_A, unit="/uL", lower_is_better=True, options=(CODING_A, CODING_B), reference=1,
                outcome_interval=INTERVAL, effect_output="effect", effect_interval=INTERVAL,
            ), id="treatment",
        ),
        pytest.param(
            {"shape": ["6", "1"], "forecast": {"variables": [{"code": A, "unit": "mm[Hg]"}], "stepSeconds": 60, "interval": ENDS}},
            ForecastReading(variables=(CODING_A,), units=("mm[Hg]",), step_seconds=60, interval=INTERVAL), id="forecast",
        ),
        pytest.param({"shape": ["1"], "novelty": {"method": "m", "threshold": 2.5}}, NoveltyReading(threshold=2.5), id="novelty"),
    ],
)  # fmt: skip
def test_reads(output: dict[str, Any], expected: object) -> None:
    assert read(output).outputs["y"].reading == expected


def test_conformal_thresholds_are_read_with_their_level() -> None:
    labels = [{"code": A, "conformalThreshold": 0.25}, {"code": B, "conformalThreshold": 0.5}]

    reading = read({"classification": {"exclusive": True, "labels": labels, "conformalConfidenceLevel": 0.9}}).outputs["y"].reading

    assert getattr(reading, "labels", None) == (
        Label(code=CODING_A, conformal_threshold=0.25),
        Label(code=CODING_B, conformal_threshold=0.5),
    )
    assert getattr(reading, "conformal_confidence_level", None) == 0.9


def test_what_is_wrong_is_named_by_its_path() -> None:
    with pytest.raises(ValueError, match=r"^inputs\['x'\].record.features\['creatinine'\].unit"):
        read({}, given=INPUT | {"record": {"features": [{"name": "creatinine", "unit": "mg per dL"}]}})
    with pytest.raises(ValueError, match=r"^inputs\['x'\].record.unknown_features"):
        read({}, given=INPUT | {"record": RECORD | {"unknownFeatures": 99}})
    with pytest.raises(ValueError, match=r"^inputs\['x'\].record.features: each needs a name of its own"):
        read({}, given=INPUT | {"record": {"features": [RECORD["features"][0]] * 2}})
    twice = RECORD["features"][0] | {"otherUnits": [{"unit": "umol/L", "factor": 0.0113}, {"unit": "umol/L", "factor": 88.4}]}
    with pytest.raises(ValueError, match=r"^inputs\['x'\].record.features\['creatinine'\].other_units: a unit comes twice"):
        read({}, given=INPUT | {"record": {"features": [twice]}})
    with pytest.raises(ValueError, match=r"^outputs\['y'\].classification.labels\['b'\].operating_point"):
        read({"classification": {"labels": [{"code": A}, {"code": B, "operatingPoint": "NaN"}]}})
    with pytest.raises(ValueError, match=r"^outputs\['y'\].survival.times_days"):
        read({"survival": {"event": A, "timesDays": [2, 1]}})


def test_two_outputs_of_one_name_would_hide_each_other() -> None:
    with pytest.raises(ValueError, match="outputs: each needs a name of its own"):
        read({}, {})
