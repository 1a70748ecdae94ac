"""What the manifest says of a feature that isn't as the model expects it: the same for a record and for the model's own tensor."""

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Never

from gateway.errors import CategoryUnknown, FeatureMissing, FeatureOutOfRange
from gateway.manifest import FeatureHandling, FeatureSpec
from gateway.reading import Caution


class Remark(Enum):
    """What was done to a feature that wasn't as the model expects it."""

    FILLED_IN = auto()
    TAKEN_AS_MISSING = auto()
    CLAMPED = auto()
    CATEGORY_TAKEN_AS_MISSING = auto()


# The number that the model gets for a feature, NaN where it is missing, and what was done for it.
Found = tuple[float, Remark | None]
# What a caller should send for a feature, in the form that it came in, for people.
Wanted = Callable[[FeatureSpec], str]

_CAUTIONS: dict[Remark, tuple[str, str]] = {
    Remark.FILLED_IN: ("FEATURE_MISSING", "These features are missing, and the model fills them in: {}."),
    Remark.TAKEN_AS_MISSING: ("FEATURE_OUT_OF_RANGE", "These features are beyond what is plausible, and count as missing: {}."),
    Remark.CLAMPED: ("FEATURE_OUT_OF_RANGE", "These features are beyond what the model takes, and count as the nearest that it does: {}."),
    Remark.CATEGORY_TAKEN_AS_MISSING: ("CATEGORY_UNKNOWN", "These features have a category that the model doesn't know, and count as missing: {}."),
}


def cautions_of(remarks: Mapping[Remark, Sequence[str]]) -> list[Caution]:
    """What a reader should know, by what was done to which features."""
    return [Caution(reason=_CAUTIONS[remark][0], message=_CAUTIONS[remark][1].format(", ".join(names))) for remark, names in remarks.items()]


def missing(feature: FeatureSpec, wanted: Wanted, field: str) -> Found:
    """What becomes of a feature without a value. Raises FeatureMissing."""
    if feature.if_missing is FeatureHandling.REFUSE:
        message = f"the model needs this feature: send {wanted(feature)}"
        raise FeatureMissing(message, field=field)
    return math.nan, Remark.FILLED_IN


def unknown_category(feature: FeatureSpec, wanted: Wanted, field: str) -> Found:
    """What becomes of a category that isn't in the manifest. Raises CategoryUnknown."""
    if feature.if_unknown_category is FeatureHandling.REFUSE:
        message = f"the model doesn't know this category: send {wanted(feature)}"
        raise CategoryUnknown(message, field=field)
    return math.nan, Remark.CATEGORY_TAKEN_AS_MISSING


def out_of_range(feature: FeatureSpec, nearest: float, wanted: Wanted, field: str) -> Found:
    """What becomes of a number beyond its range, `nearest` being the nearest within. Raises FeatureOutOfRange."""
    return _OUT_OF_RANGE[feature.if_out_of_range](feature, nearest, wanted, field)


def _refuse(feature: FeatureSpec, _: float, wanted: Wanted, field: str) -> Never:
    message = f"the value is beyond what is plausible: send {wanted(feature)}"
    raise FeatureOutOfRange(message, field=field)


_OUT_OF_RANGE: dict[FeatureHandling, Callable[[FeatureSpec, float, Wanted, str], Found]] = {
    FeatureHandling.REFUSE: _refuse,
    FeatureHandling.AS_MISSING: lambda *_: (math.nan, Remark.TAKEN_AS_MISSING),
    FeatureHandling.CLAMP: lambda _feature, nearest, _wanted, _field: (nearest, Remark.CLAMPED),
}


def range_of(feature: FeatureSpec) -> str:
    """What is plausible, for people: ` from 0.1 up to 30`; empty where anything is."""
    lower = f" from {feature.minimum:.12g}" if feature.minimum > -math.inf else ""
    upper = f" up to {feature.maximum:.12g}" if feature.maximum < math.inf else ""
    return lower + upper
