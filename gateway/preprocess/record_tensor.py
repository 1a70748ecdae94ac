"""The model's own tensor in place of a record: each element is held to what the manifest says of its feature.

A tensor has no units, so its numbers are in the manifest's; and no names, so its elements are in the manifest's order. What a record would be
refused for, or be warned of, it is as well: a hospital that sends kilograms as grams has to hear of it in whichever form they came.
"""

import math

import numpy as np

from gateway.errors import InternalError, ValueNotFinite
from gateway.item import DeclaredTensor
from gateway.manifest import FeatureSpec, InputSpec, RecordInput
from gateway.preprocess import features, tensor
from gateway.preprocess.bounds import InputLimits
from gateway.preprocess.features import Found, Remark
from gateway.reading import Caution
from gateway.tensor import Tensor
from gateway.units import NO_UNIT

# So many take about a millisecond.
_LONG_FEATURES = 1000


def is_long(spec: InputSpec, _: DeclaredTensor) -> bool:
    """Whether a tensor takes long enough to check that it belongs on a thread."""
    return isinstance(spec.medium, RecordInput) and len(spec.medium.features) > _LONG_FEATURES


def prepare(spec: InputSpec, declared: DeclaredTensor, limits: InputLimits) -> tuple[Tensor, tuple[Caution, ...]]:
    """The tensor of `spec`'s dtype and shape, [features], and what a reader should know of it. Shares the caller's bytes where nothing has to change.

    Raises what `tensor.prepare` does of its form; FeatureMissing, FeatureOutOfRange, CategoryUnknown or ValueNotFinite, which name the feature.
    """
    medium = spec.medium
    if not isinstance(medium, RecordInput):
        message = "features are only looked for in the tensor of a record input"
        raise InternalError(message)
    came = tensor.declared_as(spec, declared, limits)
    field = f'inputs["{spec.name}"].tensor.content'
    # The ends of the ranges in the tensor's own precision: 0.7 in float32 is a little less than 0.7.
    largest = np.finfo(spec.dtype.numpy).max
    ends = np.array([(feature.minimum, feature.maximum) for feature in medium.features.values()]).clip(-largest, largest)
    changed: dict[int, float] = {}
    remarks: dict[Remark, list[str]] = {}
    elements = zip(medium.features.values(), came.array.tolist(), ends.astype(spec.dtype.numpy).tolist(), strict=True)
    for place, (feature, value, (lowest, highest)) in enumerate(elements):
        number, remark = _value_of(feature, value, min(max(value, lowest), highest), f'{field}["{feature.name}"]')
        if remark is not None:
            changed[place] = number
            remarks.setdefault(remark, []).append(feature.name)
    cautions = tuple(features.cautions_of(remarks))
    if not changed:
        return came, cautions
    values = came.array.copy()
    values[list(changed)] = list(changed.values())
    return Tensor.of(values), cautions


def _value_of(feature: FeatureSpec, value: float, nearest: float, field: str) -> Found:
    if math.isnan(value):
        return features.missing(feature, _wanted, field)
    if not math.isfinite(value):
        message = "the value is infinite: send a number, or NaN where the feature is missing"
        raise ValueNotFinite(message, field=field)
    if feature.categories:
        if value.is_integer() and 0 <= value < len(feature.categories):
            return value, None
        return features.unknown_category(feature, _wanted, field)
    return (value, None) if value == nearest else features.out_of_range(feature, nearest, _wanted, field)


def _wanted(feature: FeatureSpec) -> str:
    """What the model takes as an element, for people: `a number in mg/dL (UCUM) from 0.1 up to 30`."""
    if feature.categories:
        return f"the place, from 0, of one of {', '.join(feature.categories)}"
    unit = "without a unit" if feature.unit == NO_UNIT else f"in {feature.unit} (UCUM)"
    return f"a number {unit}{features.range_of(feature)}"
