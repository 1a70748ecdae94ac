"""From a table's schema to the record that a request sends: one definition, so that what is checked in training is checked when serving."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import manifest_input_pb2, tensor_pb2
from training.quality.check import numbers_of
from training.quality.schema import Field, OutOfRange, Schema

if TYPE_CHECKING:
    import pandas as pd

RECORD = "record"
_REFUSE, _AS_MISSING = manifest_input_pb2.FEATURE_HANDLING_REFUSE, manifest_input_pb2.FEATURE_HANDLING_AS_MISSING
_OUT_OF_RANGE: Mapping[OutOfRange, manifest_input_pb2.FeatureHandling.ValueType] = {
    "refuse": _REFUSE, "as missing": _AS_MISSING, "clamp": manifest_input_pb2.FEATURE_HANDLING_CLAMP
}  # fmt: skip


def input_spec(schema: Schema, *, description: str) -> manifest_input_pb2.InputSpec:
    """The input `record`, float32 [fields]. What no row of the table could have is refused, mostly a wrong unit, unless its field says otherwise.

    A field that may be missing in the table may be missing in a request, and a category that the table doesn't know counts as missing then.
    """
    return manifest_input_pb2.InputSpec(
        name=RECORD,
        data_type=tensor_pb2.DATA_TYPE_FLOAT32,
        shape=[len(schema.fields)],
        description=description,
        record=manifest_input_pb2.RecordInput(features=map(_feature, schema.fields), unknown_features=_REFUSE),
        allows_missing=any(field.may_be_missing for field in schema.fields),
    )


def inputs_of(schema: Schema, clean: "pd.DataFrame") -> NDArray[np.float32]:
    """A checked table as a request's tensors: float32 [rows, fields], a category as its place among the field's, NaN where a value is missing."""
    return numbers_of(schema.fields, clean).astype(np.float32)


def table_of(schema: Schema, inputs: NDArray[Any]) -> "pd.DataFrame":
    """The table that tensors [rows, fields] were made of by `inputs_of`: float64 of what a float32 holds, and categories by their codes."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    return pd.DataFrame({field.name: _cells(field, inputs[:, place].astype(np.float64)) for place, field in enumerate(schema.fields)})


def write_sample(schema: Schema, folder: Path, stem: str, values: NDArray[Any]) -> Path:
    """Writes one item, [fields], as the record in JSON that `medserve infer` takes; returns the file's path."""
    path = folder / f"{stem}.json"
    features = {field.name: _value(field, float(value)) for field, value in zip(schema.fields, values, strict=True) if not np.isnan(value)}
    path.write_text(json.dumps({"features": features}, indent=2))
    return path


def _feature(field: Field) -> manifest_input_pb2.FeatureSpec:
    missing = _AS_MISSING if field.may_be_missing else _REFUSE
    return manifest_input_pb2.FeatureSpec(
        name=field.name,
        description=field.description,
        unit="" if field.categories else field.unit,
        other_units=[manifest_input_pb2.UnitConversion(unit=unit, factor=factor) for unit, factor in field.other_units.items()],
        minimum=field.minimum,
        maximum=field.maximum,
        categories=[manifest_input_pb2.Category(code=category.code, display=category.display) for category in field.categories],
        if_missing=missing,
        if_out_of_range=_OUT_OF_RANGE[field.if_out_of_range],
        if_unknown_category=missing,
    )


def _cells(field: Field, numbers: NDArray[np.float64]) -> Any:  # noqa: ANN401 - pandas' columns differ by their types
    import pandas as pd  # noqa: PLC0415 - slow to import

    if not field.categories:
        return numbers
    return pd.Categorical.from_codes(np.nan_to_num(numbers, nan=-1).astype(np.int64), categories=pd.Index(field.codes))


def _value(field: Field, value: float) -> dict[str, Any] | str:
    if field.categories:
        return field.categories[int(value)].code
    # As the float32 prints, and not as its neighbour in double precision.
    return {"value": float(np.format_float_positional(np.float32(value), trim="-")), "unit": field.unit}
