"""One definition for the table and for the request."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medserve.v1 import manifest_input_pb2
from training import record_input
from training.quality.check import check
from training.quality.schema import Category, Field, Schema

SCHEMA = Schema(
    name="clinic",
    fields=(
        Field(name="age", description="age", unit="a", minimum=18, maximum=110),
        Field(name="creatinine", description="creatinine", unit="mg/dL", may_be_missing=True, other_units={"umol/L": 1 / 88.42}),
        Field(
            name="sex", description="sex", unit="1", may_be_missing=True,
            categories=(Category(code="female", display="woman"), Category(code="male", display="man")),
        ),
    ),
)  # fmt: skip
REFUSE, AS_MISSING = manifest_input_pb2.FEATURE_HANDLING_REFUSE, manifest_input_pb2.FEATURE_HANDLING_AS_MISSING


def test_a_schema_becomes_the_manifests_record() -> None:
    spec = record_input.input_spec(SCHEMA, description="who it is")

    age, creatinine, sex = spec.record.features
    assert (spec.name, list(spec.shape), spec.allows_missing, spec.description) == ("record", [3], True, "who it is")
    assert (age.name, age.unit, age.minimum, age.maximum, age.if_missing, age.if_out_of_range) == ("age", "a", 18, 110, REFUSE, REFUSE)
    assert (creatinine.HasField("minimum"), creatinine.if_missing, creatinine.if_out_of_range) == (False, AS_MISSING, REFUSE)
    assert [(other.unit, other.factor) for other in creatinine.other_units] == [("umol/L", 1 / 88.42)]
    assert (sex.unit, [(c.code, c.display) for c in sex.categories]) == ("", [("female", "woman"), ("male", "man")])
    assert sex.if_unknown_category == AS_MISSING
    assert spec.record.unknown_features == REFUSE


def test_a_field_says_what_becomes_of_a_number_beyond_its_bounds() -> None:
    fields = (
        Field(name="pulse", description="pulse", unit="/min", maximum=300, may_be_missing=True, if_out_of_range="as missing"),
        Field(name="age", description="age", unit="a", maximum=110, if_out_of_range="clamp"),
    )

    pulse, age = record_input.input_spec(Schema(name="ward", fields=fields), description="who it is").record.features

    assert (pulse.if_out_of_range, age.if_out_of_range) == (AS_MISSING, manifest_input_pb2.FEATURE_HANDLING_CLAMP)
    with pytest.raises(ValueError, match="age: if_out_of_range: refuse, as missing, clamp; as missing only where it may be missing"):
        Field(name="age", description="age", unit="a", maximum=110, if_out_of_range="as missing")


def test_a_checked_table_becomes_tensors_with_categories_by_their_place() -> None:
    frame = pd.DataFrame({"age": [61, 45], "creatinine": [1.5, None], "sex": ["male", None]})

    inputs = record_input.inputs_of(SCHEMA, check(SCHEMA, frame, file="f").clean)

    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs, np.array([[61, 1.5, 1], [45, math.nan, math.nan]], np.float32))


def test_a_sample_is_a_record_in_json_that_leaves_out_what_is_missing(tmp_path: Path) -> None:
    path = record_input.write_sample(SCHEMA, tmp_path, "one", np.array([61, math.nan, 0], np.float32))

    assert path == tmp_path / "one.json"
    assert json.loads(path.read_text()) == {"features": {"age": {"value": 61.0, "unit": "a"}, "sex": "female"}}


def test_a_float_is_written_as_it_prints(tmp_path: Path) -> None:
    path = record_input.write_sample(SCHEMA, tmp_path, "one", np.array([61, 0.1, math.nan], np.float32))

    assert json.loads(path.read_text())["features"]["creatinine"]["value"] == 0.1


def test_categories_take_no_other_units() -> None:
    with pytest.raises(ValueError, match="sex: categories"):
        Field(name="sex", description="sex", unit="1", categories=SCHEMA.fields[2].categories, other_units={"kg": 1})
