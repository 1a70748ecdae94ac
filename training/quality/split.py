"""Cuts a table into what is learnt from, what sets thresholds and stops the fit, and what nothing but the metrics sees.

What one patient's rows have in common must not help to read others of the same patient, and what is known later must not help to read what was
earlier: then the figures would promise what the model can't keep (S. Kaufman et al., "Leakage in data mining", ACM TKDD 6:15, 2012).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from training.quality import cells
from training.quality.fault import Refused

if TYPE_CHECKING:
    import pandas as pd

_TRAINING, _VALIDATION, _HELD_OUT, _REMOVED = range(4)

Rows = NDArray[np.int64]
"""[rows of a part], the positions of rows in a table, from 0, rising."""

Straddlers = Literal["removed", "assigned"]
"""What becomes of patients with rows on both sides of a cut in time; see `by_time`."""


class Leak(Refused):
    """What is held out could be learnt from; the message counts what leaks and names nobody."""

    def __init__(self, why: str) -> None:
        super().__init__(why=why)
        # By these it comes back from another process.
        self.args = (why,)

    def __str__(self) -> str:
        """For people."""
        return self.why


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Split:
    """Three parts of a table, and the rows that are in none.

    Attributes:
        training: the weights are fitted to these.
        validation: these set thresholds and stop the fit; may be empty.
        held_out: only the metrics see these.
        removed: in no part, such as rows of patients who straddle a cut in time.
    """

    training: Rows
    validation: Rows
    held_out: Rows
    removed: Rows

    def __post_init__(self) -> None:
        """Raises ValueError where a row is in two parts or in none, or there is nothing to learn from or to test with."""
        rows = np.concatenate([getattr(self, field.name) for field in fields(self)])
        if not np.array_equal(np.sort(rows), np.arange(len(rows))):
            message = f"training, validation, held_out, removed: each of {len(rows)} rows is in one of them"
            raise ValueError(message)
        if not len(self.training) or not len(self.held_out):
            message = f"training and held_out: some rows each; they have {len(self.training)} and {len(self.held_out)} of {len(rows)}"
            raise ValueError(message)

    @property
    def parts(self) -> Mapping[str, Rows]:
        """The three parts, by name, in their order."""
        return {"training": self.training, "validation": self.validation, "held out": self.held_out}


def by_patient(patients: NDArray[Any], *, labels: NDArray[Any] | None = None, validation: float = 0.1, held_out: float = 0.2, seed: int = 0) -> Split:
    """All rows of a patient are in one part.

    `patients` is [rows], who each row is of. `labels` is [rows], classes or numbers: each part then has its share of each class's patients, to within
    one. A patient with rows of several classes counts for the rarest of them. Within a class the parts have their shares of patients with many rows.
    `validation` and `held_out` are shares of the patients; validation may be 0. The same seed gives the same split, in whatever order the rows are.
    Raises ValueError where a patient is missing, a share is out of bounds, or there are too few patients.

    It is systematic sampling from a list in the order of what is to be balanced (W. G. Cochran, Sampling Techniques, 3rd edition, chapter 8):
    scikit-learn's StratifiedGroupKFold cuts equal folds only, and neither it nor StratifiedShuffleSplit takes a class with one patient.
    """
    _require_shares(validation, held_out)
    names, row_patients, sizes = np.unique(_known("patients", patients, len(patients)), return_inverse=True, return_counts=True)
    strata = np.zeros(len(names), np.int64) if labels is None else _rarest(row_patients, _known("labels", labels, len(row_patients)), len(names))
    random = np.random.default_rng(seed)
    order = np.lexsort((random.permutation(len(names)), sizes, strata))
    tested = _systematic(order, held_out, random)
    order = order[~np.isin(order, tested)]
    validated = _systematic(order, validation / (1 - held_out), random) if validation else order[:0]
    part = np.zeros(len(names), np.int64)
    part[validated], part[tested] = _VALIDATION, _HELD_OUT
    return _of_parts(part[row_patients])


def at_random(items: int, *, labels: NDArray[Any] | None = None, validation: float = 0.1, held_out: float = 0.2, seed: int = 0) -> Split:
    """Each of `items` rows is somebody else's: `by_patient` with as many patients."""
    return by_patient(np.arange(items), labels=labels, validation=validation, held_out=held_out, seed=seed)


def by_time(
    times: NDArray[Any],
    *,
    held_out_from: Any,  # noqa: ANN401 - a number or a datetime64, as the times are
    validation_from: Any = None,  # noqa: ANN401
    patients: NDArray[Any] | None = None,
    straddlers: Straddlers = "removed",
) -> Split:
    """What is from `held_out_from` on is held out; what is from `validation_from` on and before that validates; what is earlier is learnt from.

    `times` is [rows], numbers or datetime64, and `patients` [rows]: then no patient is in two parts. Those with rows on both sides of a cut are
    `removed` with all of their rows, or `assigned` to the last part that they come to, and only their earlier rows are removed: what is held out is
    later than all that was learnt from. Raises ValueError where a time or a patient is missing, the cuts aren't in order, or a part would be empty.
    """
    found = _of_times(times, len(times))
    if straddlers not in get_args(Straddlers):
        message = f"straddlers: {' or '.join(get_args(Straddlers))}"
        raise ValueError(message)
    if validation_from is not None and not validation_from <= held_out_from:
        message = "validation_from: not after held_out_from"
        raise ValueError(message)
    part = np.where(found >= held_out_from, _HELD_OUT, _TRAINING)
    if validation_from is not None:
        part[(found >= validation_from) & (part == _TRAINING)] = _VALIDATION
    if patients is not None:
        names, row_patients = np.unique(_known("patients", patients, len(found)), return_inverse=True)
        first, last = np.full(len(names), _REMOVED), np.zeros(len(names), np.int64)
        np.minimum.at(first, row_patients, part)
        np.maximum.at(last, row_patients, part)
        is_removed = (first < last)[row_patients] if straddlers == "removed" else part < last[row_patients]
        part[is_removed] = _REMOVED
    return _of_parts(part)


def require_no_leak(
    split: Split,
    *,
    patients: NDArray[Any] | None = None,
    times: NDArray[Any] | None = None,
    rows: "pd.DataFrame | NDArray[Any] | None" = None,
) -> None:
    """Raises Leak where a patient is in two parts, a time isn't before all times of a later part, or equal rows are in two parts.

    `patients` and `times` are [rows] of the table that was split, and `rows` its features, [rows, features]; what is None isn't looked at. All rows
    without a patient are taken to be of one, for they might be. Raises ValueError where one of them is of another length, or a time is missing.
    """
    items, found = sum(map(len, (*split.parts.values(), split.removed))), []
    if patients is not None:
        found += _shared_patients(split, _of_table("patients", patients, items))
    when = None if times is None else _of_times(times, items)
    features = None if rows is None else _codes_of_rows(rows, items)
    for (earlier, before), (later, after) in combinations(split.parts.items(), 2):
        if when is not None and len(before) and len(after) and (leaks := int((when[before] >= when[after].min()).sum())):
            found.append(f"{leaks} of {len(before)} rows of {earlier} aren't before all of {later}")
        if features is not None and (leaks := int(np.isin(features[after], features[before]).sum())):
            found.append(f"{leaks} of {len(after)} rows of {later} have the same features as rows of {earlier}")
    if found:
        raise Leak("; ".join(found))


def _shared_patients(split: Split, patients: NDArray[Any]) -> list[str]:
    import pandas as pd  # noqa: PLC0415 - slow to import

    codes, names = pd.factorize(cells.texts(pd.Series(patients)), use_na_sentinel=False)
    parts = sum(np.isin(np.arange(len(names)), codes[part]).astype(int) for part in split.parts.values())
    leaks = int((np.asarray(parts) > 1).sum())
    return [f"{leaks} of {len(names)} patients are in more than one part"] if leaks else []


def _codes_of_rows(rows: "pd.DataFrame | NDArray[Any]", items: int) -> Rows:
    import pandas as pd  # noqa: PLC0415 - slow to import

    frame = pd.DataFrame(rows)
    _require_items("rows", len(frame), items)
    return cells.row_numbers(frame)


def _systematic(order: Rows, share: float, random: np.random.Generator) -> Rows:
    """That share of `order`, to the nearest whole number and at least one, as far apart from each other in it as they can be."""
    count = min(max(1, round(len(order) * share)), len(order))
    steps = (np.arange(count) + random.random()) * len(order) / max(count, 1)
    return order[np.minimum(steps.astype(np.int64), len(order) - 1)]


def _rarest(row_patients: Rows, labels: NDArray[Any], patients: int) -> Rows:
    """[patients], each one's label that is the rarest of all rows', by its place in the order of labels: so numbers are balanced as well."""
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_rarity = np.argsort(counts, kind="stable")
    rarity = np.argsort(by_rarity)
    rarest = np.full(patients, len(counts))
    np.minimum.at(rarest, row_patients, rarity[codes])
    return by_rarity[rarest]


def _known(what: str, values: NDArray[Any], items: int) -> NDArray[Any]:
    """The values as numbers or texts that have an order. Raises ValueError where one is missing."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    column = pd.Series(_of_table(what, values, items))
    if missing := int(cells.are_missing(column).sum()):
        message = f"{what}: none of them missing; {missing} of {items} are"
        raise ValueError(message)
    return column.to_numpy() if column.dtype.kind in "biuf" else cells.texts(column).astype(str)


def _of_times(times: NDArray[Any], items: int) -> NDArray[Any]:
    found = _of_table("times", times, items)
    if found.dtype.kind not in "iufM" or (missing := int(np.isnan(found).sum())):
        message = "times: numbers or datetime64" if found.dtype.kind not in "iufM" else f"times: none of them missing; {missing} of {items} are"
        raise ValueError(message)
    return found


def _of_table(what: str, values: NDArray[Any], items: int) -> NDArray[Any]:
    found = np.asarray(values)
    if found.ndim != 1:
        message = f"{what}: [rows]; it has {found.ndim} dimensions"
        raise ValueError(message)
    _require_items(what, len(found), items)
    return found


def _require_items(what: str, found: int, items: int) -> None:
    if found != items:
        message = f"{what}: one for each of {items} rows; there are {found}"
        raise ValueError(message)


def _require_shares(validation: float, held_out: float) -> None:
    if not (validation >= 0 and held_out > 0 and validation + held_out < 1):
        message = f"validation, held_out: shares that leave something to learn from, held_out above 0; they are {validation} and {held_out}"
        raise ValueError(message)


def _of_parts(part: Rows) -> Split:
    training, validation, held_out, removed = (np.flatnonzero(part == number) for number in (_TRAINING, _VALIDATION, _HELD_OUT, _REMOVED))
    return Split(training=training, validation=validation, held_out=held_out, removed=removed)
