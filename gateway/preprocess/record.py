"""A record of clinical features to a tensor [features]: matched by name, units converted, and each handled as the manifest says."""

import math
from typing import Never

import numpy as np

from gateway.errors import FeatureKindMismatch, FeatureUnknown, InternalError, UnitMismatch, ValueNotFinite
from gateway.item import Quantity, Record
from gateway.manifest import FeatureHandling, FeatureSpec, InputSpec, RecordInput
from gateway.preprocess import features
from gateway.preprocess.bounds import InputLimits, require_at_most
from gateway.preprocess.features import Found, Remark
from gateway.reading import Caution
from gateway.tensor import Tensor
from gateway.units import NO_UNIT, Conversion, conversion, is_at_hand

# By so much, of its own size, the arithmetic of a conversion may stray.
_ROUNDING = 1e-12

# So many take about a millisecond.
_LONG_FEATURES = 500


def is_long(spec: InputSpec, record: Record) -> bool:
    """Whether a record takes long enough that it belongs on a thread: it has many features, or a unit has to be read that isn't at hand."""
    medium = spec.medium
    if not isinstance(medium, RecordInput):
        return False
    if len(record.features) > _LONG_FEATURES or len(medium.features) > _LONG_FEATURES:
        return True
    return any(
        isinstance(value, Quantity) and name in medium.features and _is_new(medium.features[name], value.unit)
        for name, value in record.features.items()
    )


def prepare(spec: InputSpec, record: Record, limits: InputLimits) -> tuple[Tensor, tuple[Caution, ...]]:
    """One number for each feature of the manifest, in its order, and what a reader should know of how they were made.

    A number is in the manifest's unit, a category its place among the manifest's, and NaN what is missing. Raises TooManyElements, FeatureUnknown,
    FeatureMissing, FeatureKindMismatch, UnitMismatch, FeatureOutOfRange, CategoryUnknown or ValueNotFinite, which name the feature.
    """
    medium = spec.medium
    if not isinstance(medium, RecordInput):
        message = "a record is only prepared for a record input"
        raise InternalError(message)
    field = f'inputs["{spec.name}"].record.features'
    require_at_most(limits.max_elements, [len(record.features)], unit="features", field=field)
    unknown = len(record.features.keys() - medium.features.keys())
    if unknown and medium.unknown_features is FeatureHandling.REFUSE:
        # The names that came aren't repeated: one may be a patient's.
        message = f"{unknown} of the record's features are unknown: the model takes {', '.join(medium.features)}"
        raise FeatureUnknown(message, field=field)
    values = np.empty(len(medium.features))
    largest = float(np.finfo(spec.dtype.numpy).max)
    remarks: dict[Remark, list[str]] = {}
    for place, feature in enumerate(medium.features.values()):
        values[place], remark = _value_of(feature, record.features.get(feature.name), f'{field}["{feature.name}"]')
        if abs(values[place]) > largest:
            message = f"the value is too large for the model: send {_wanted(feature)}"
            raise ValueNotFinite(message, field=f'{field}["{feature.name}"].quantity.value')
        if remark is not None:
            remarks.setdefault(remark, []).append(feature.name)
    cautions = features.cautions_of(remarks)
    if unknown:
        cautions.append(Caution(reason="FEATURE_UNKNOWN", message=f"{unknown} of the record's features are unknown to the model, and were left out."))
    return Tensor.of(values.astype(spec.dtype.numpy)), tuple(cautions)


def _value_of(feature: FeatureSpec, value: Quantity | str | None, field: str) -> Found:
    if value is None or (isinstance(value, Quantity) and math.isnan(value.value)):
        return features.missing(feature, _wanted, field)
    if isinstance(value, str):
        return _category_of(feature, value, field)
    return _number_of(feature, value, field)


def _category_of(feature: FeatureSpec, code: str, field: str) -> Found:
    if not feature.categories:
        _refuse_kind(feature, field)
    if code in feature.categories:
        return float(feature.categories.index(code)), None
    return features.unknown_category(feature, _wanted, f"{field}.category")


def _number_of(feature: FeatureSpec, quantity: Quantity, field: str) -> Found:
    if feature.categories:
        _refuse_kind(feature, field)
    if not math.isfinite(quantity.value):
        message = "the value is infinite: send a number, or leave the feature out where it is missing"
        raise ValueNotFinite(message, field=f"{field}.quantity.value")
    convert = _conversion_of(feature, quantity.unit)
    if convert is None:
        message = f"the unit is missing, or can't be converted to the model's: send {_wanted(feature)}"
        raise UnitMismatch(message, field=f"{field}.quantity.unit")
    scaled = quantity.value * convert.factor
    number = scaled + convert.offset
    nearest = min(max(number, feature.minimum), feature.maximum)
    # An end of the range is in it, though in another unit it be a rounding beyond. Infinitely much is within a rounding of any number.
    slack = _ROUNDING * max(abs(scaled), abs(convert.offset)) if convert != Conversion() and math.isfinite(number) else 0.0
    if number == nearest or abs(number - nearest) <= slack:
        return nearest, None
    return features.out_of_range(feature, nearest, _wanted, f"{field}.quantity.value")


def _conversion_of(feature: FeatureSpec, unit: str) -> Conversion | None:
    if not unit and feature.unit == NO_UNIT:
        return Conversion()
    if (found := feature.other_units.get(unit) or conversion(unit, feature.unit)) is not None:
        return found
    # A unit of another's kind: mmol/L, or umol/l, where the manifest has umol/L.
    for other, then in feature.other_units.items():
        if (first := conversion(unit, other)) is not None:
            return Conversion(factor=first.factor * then.factor, offset=first.offset * then.factor + then.offset)
    return None


def _is_new(feature: FeatureSpec, unit: str) -> bool:
    """Whether `_conversion_of` would have to read a unit."""
    if unit in {"", feature.unit} or unit in feature.other_units:
        return False
    for wanted in (feature.unit, *feature.other_units):
        if not is_at_hand(unit, wanted):
            return True
        if conversion(unit, wanted) is not None:
            return False
    return False


def _refuse_kind(feature: FeatureSpec, field: str) -> Never:
    message = f"the feature came in another form than the model takes: send {_wanted(feature)}"
    raise FeatureKindMismatch(message, field=field)


def _wanted(feature: FeatureSpec) -> str:
    """What the model takes, for people: `a number in the unit mg/dL (UCUM) from 0.1 up to 30, or as much in one of its kind`."""
    if feature.categories:
        return f"one of the categories {', '.join(feature.categories)}"
    plausible = features.range_of(feature)
    if feature.unit == NO_UNIT:
        return f"a number without a unit{plausible}"
    others = "".join(f" or that of {unit}" for unit in feature.other_units)
    return f"a number in the unit {feature.unit} (UCUM){plausible}, or as much in one of its kind{others}"
