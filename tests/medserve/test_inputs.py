"""What a caller sends, as messages; and that none of it shows where it shouldn't."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medserve import Channel, Dicom, EncodedImage, InputValue, Quantity, Record, TimeSeries
from medserve.conversations import infer_request
from medserve.v1 import inference_pb2, input_pb2

CHANNEL = Channel(name="II", unit="mV", values=[0.5, math.nan])


def test_every_argument_has_its_field() -> None:
    request = infer_request(
        "digits", {"images": EncodedImage(b"png")}, version=3, request_id="r", study_key="s", patient_key="p",
        purpose_of_use=inference_pb2.PURPOSE_OF_USE_TREATMENT, include_raw_outputs=True,
    )  # fmt: skip

    assert request == inference_pb2.InferRequest(
        model=inference_pb2.ModelSelector(name="digits", version=3),
        inputs={"images": input_pb2.Input(image=input_pb2.EncodedImage(content=b"png"))},
        context=inference_pb2.InferContext(request_id="r", study_key="s", patient_key="p", purpose_of_use=inference_pb2.PURPOSE_OF_USE_TREATMENT),
        options=inference_pb2.InferOptions(include_raw_outputs=True),
    )


@pytest.mark.parametrize(("choice", "set_field"), [({}, None), ({"version": 0}, "version"), ({"label": "stable"}, "version_label")])
def test_the_choice_of_a_version_is_one_field_or_none(choice: dict[str, Any], set_field: str | None) -> None:
    assert infer_request("m", {}, **choice).model.WhichOneof("version_choice") == set_field


def test_a_version_and_a_label_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="give one of them"):
        infer_request("m", {}, version=1, label="stable")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (np.zeros(1), "tensor"),
        (EncodedImage(b"x"), "image"),
        (Dicom(b"x"), "dicom"),
        (TimeSeries(channels=[CHANNEL]), "time_series"),
        (Record({"sex": "f"}), "record"),
    ],
)
def test_each_kind_of_value_has_its_form(value: InputValue, form: str) -> None:
    assert infer_request("m", {"x": value}).inputs["x"].WhichOneof("value") == form


def test_a_time_series_keeps_its_units_and_gaps() -> None:
    series = TimeSeries(channels=[CHANNEL, Channel(name="V1", unit="mV", values=np.array([1, 2], dtype="i2"))], sampling_frequency_hz=250)

    message = infer_request("m", {"x": series}).inputs["x"].time_series

    assert [(channel.name, channel.unit, len(channel.values)) for channel in message.channels] == [("II", "mV", 2), ("V1", "mV", 2)]
    assert message.sampling_frequency_hz == 250
    assert message.channels[0].values[0] == 0.5
    assert math.isnan(message.channels[0].values[1])


def test_a_time_series_may_have_times_of_its_own() -> None:
    series = TimeSeries.from_json('{"channels": [{"name": "p", "unit": "kPa", "values": [1, 2]}], "times_seconds": [0, 1.5]}')

    message = infer_request("m", {"x": series}).inputs["x"].time_series

    assert list(message.times_seconds) == [0, 1.5]
    with pytest.raises(ValueError, match="the times has 2 dimensions"):
        infer_request("m", {"x": TimeSeries(channels=[CHANNEL], times_seconds=np.zeros((2, 2)))})


RECORD: dict[str, Any] = {"creatinine": Quantity(1.25, "mg/dL"), "score": 3, "share": np.float32(0.5), "sex": "female", "weight": None}


def test_a_record_says_of_each_feature_what_it_is() -> None:
    features = infer_request("m", {"x": Record(RECORD)}).inputs["x"].record.features

    assert features == {
        "creatinine": input_pb2.Feature(quantity=input_pb2.Quantity(value=1.25, unit="mg/dL")),
        "score": input_pb2.Feature(quantity=input_pb2.Quantity(value=3)),
        "share": input_pb2.Feature(quantity=input_pb2.Quantity(value=0.5)),
        "sex": input_pb2.Feature(category="female"),
        "weight": input_pb2.Feature(),
    }
    assert features["weight"].WhichOneof("value") is None


def test_a_record_is_read_from_json(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_text('{"features": {"creatinine": {"value": 1.25, "unit": "mg/dL"}, "score": 3, "sex": "female", "weight": null}}')

    assert Record.read(file) == Record({"creatinine": Quantity(1.25, "mg/dL"), "score": 3.0, "sex": "female", "weight": None})


@pytest.mark.parametrize("text", ['{"features": {"age": [61]}}', '{"features": {"age": {"value": "old"}}}', '{"features": 1}', "{}", "\xff"])
def test_what_is_no_record_says_where(text: str) -> None:
    with pytest.raises(ValueError, match="not a record: "):
        Record.from_json(text.encode("latin-1"))


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ('{"value": "61"}', r"Expected `float`, got `str` - at `\$\.value`"),
        ('{"value": 61, "unti": "a"}', "unknown field `unti`"),
        ('{"unit": "a"}', "missing required field `value`"),
        ("[61]", "got `array`"),
        ("true", "got `bool`"),
        ("1e999", "out of range"),
    ],
)
def test_what_is_wrong_with_a_feature_is_told_with_its_name_and_without_its_value(feature: str, said: str) -> None:
    with pytest.raises(ValueError, match=f'not a record: feature "age": .*{said}') as caught:
        Record.from_json(f'{{"features": {{"sex": "f", "age": {feature}}}}}')

    assert "61" not in str(caught.value)


@pytest.mark.parametrize("value", [True, [1], b"female", {"value": 1}])
def test_a_feature_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match='inputs\\["x"\\]: feature "sex" is a'):
        infer_request("m", {"x": Record({"sex": value})})


@pytest.mark.parametrize(
    "text",
    [
        '{"features": {"age": 61, "sex": "f", "age": 16}}',
        '{"features": {"age": 61, "\\u0061ge": 16}}',
        '{"features": {"age": null, "weight": {"value": 61, "unit": "kg"}, "age": null}}',
    ],
)
def test_a_feature_that_comes_twice_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ValueError, match='not a record: the key "age" comes twice') as caught:
        Record.from_json(text)

    assert not {"61", "16"} & set(str(caught.value).split())


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_says_nothing(mark: bytes) -> None:
    record, series = b'{"features": {"age": 61}}', b'{"channels": []}'

    assert Record.from_json(mark + record) == Record.from_json((mark + record).decode()) == Record({"age": 61.0})
    assert TimeSeries.from_json(mark + series) == TimeSeries.from_json((mark + series).decode()) == TimeSeries(channels=(), times_seconds=[])


def test_a_time_series_is_read_from_json(tmp_path: Path) -> None:
    file = tmp_path / "series.json"
    file.write_text('{"channels": [{"name": "II", "unit": "mV", "values": [1, null, -2.5]}], "sampling_frequency_hz": 500}')

    series = TimeSeries.read(file)

    assert series.sampling_frequency_hz == 500
    assert [repr(value) for value in series.channels[0].values] == ["1.0", "nan", "-2.5"]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", "truncated"),
        ("[]", "array"),
        ('{"channels": [{"name": "II", "unit": "mV"}]}', "values"),
        ('{"channels": [], "sampling_hz": 1}', "sampling_hz"),
        ('{"channels": [{"name": "II", "unit": "mV", "values": ["Doe"]}]}', "values"),
        (b'{"channels": [{"name": "\xff"', "not a time series"),
        ('{"channels": [{"name": "II", "unit": "mV", "values": [1], "values": [2]}]}', 'not a time series: the key "values" comes twice'),
        ('{"channels": [], "sampling_frequency_hz": 1, "sampling_frequency_hz": 2}', '"sampling_frequency_hz" comes twice'),
    ],
)
def test_another_document_is_refused_with_the_place(document: bytes | str, named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        TimeSeries.from_json(document)

    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ([1.0, 2.0], TypeError, 'inputs\\["x"\\]: a list is no input'),
        (np.zeros(1, dtype="complex64"), TypeError, 'inputs\\["x"\\]: dtype complex64'),
        (TimeSeries(channels=[Channel(name="II", unit="mV", values=np.zeros((2, 2)))]), ValueError, "one series"),
    ],
)
def test_what_cannot_be_sent_is_named(value: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        infer_request("m", {"x": value})


@pytest.mark.parametrize("value", [EncodedImage(b"Doe"), Dicom(b"Doe"), TimeSeries(channels=[Channel(name="II", unit="mV", values=[4711.0])])])
def test_no_content_shows_in_a_repr(value: InputValue) -> None:
    assert "Doe" not in repr(value)
    assert "4711" not in repr(value)


def test_an_image_and_a_dicom_object_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")

    assert (EncodedImage.read(file), Dicom.read(str(file))) == (EncodedImage(b"content"), Dicom(b"content"))


def test_a_quantity_without_a_value_is_missing_and_not_0() -> None:
    message = infer_request("m", {"x": Record({"creatinine": Quantity(None, "mg/dL")})})

    assert message.inputs["x"].record.features["creatinine"].WhichOneof("value") is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Quantity("Doe^Jane", "mg/dL"), "takes a number and its unit"),  # type: ignore[arg-type]
        (Quantity(True, "mg/dL"), "takes a number and its unit"),
        (Quantity(1.0, None), "takes a number and its unit"),  # type: ignore[arg-type]
        (Quantity(np.ma.masked, "mg/dL"), "takes a number and its unit"),  # type: ignore[arg-type]
        (Quantity(10**400, "mg/dL"), "too large"),
        (10**400, "too large"),
    ],
)
def test_a_quantity_that_is_none_is_refused_without_its_value(value: Any, why: str) -> None:
    with pytest.raises((TypeError, ValueError), match=why) as caught:
        infer_request("m", {"x": Record({"creatinine": value})})

    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.ma.array([1.0, 1e20], mask=[False, True]), id="a masked array's hidden values"),
        pytest.param(np.array([0, 4], "timedelta64[ms]"), id="milliseconds that would be seconds"),
        pytest.param(np.array(["2026-01-01"], "datetime64[ns]"), id="a date"),
        pytest.param(["Doe^Jane"], id="a text"),
        pytest.param([1.0, "4711"], id="a text among numbers"),
        pytest.param([True, False], id="bools"),
        pytest.param([10**400], id="too large"),
    ],
)
def test_what_is_no_series_of_numbers_is_refused_without_its_values(values: Any) -> None:
    for series in (
        TimeSeries(channels=[Channel(name="p", unit="mV", values=values)]),
        TimeSeries(channels=[Channel(name="p", unit="mV", values=[1.0])], times_seconds=values),
    ):
        with pytest.raises((TypeError, ValueError), match=r"masked array|something else than numbers|too large") as caught:
            infer_request("m", {"x": series})

        assert "Doe" not in str(caught.value)
        assert "4711" not in str(caught.value)


def test_a_none_in_a_series_is_a_missing_value() -> None:
    channel = Channel(name="p", unit="mV", values=[1.0, None])  # type: ignore[list-item]

    sent = infer_request("m", {"x": TimeSeries(channels=[channel])}).inputs["x"].time_series.channels[0].values

    assert math.isnan(sent[1])
