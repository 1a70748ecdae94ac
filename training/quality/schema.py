"""What a table of clinical features holds: one definition for the check of its rows, for what is learnt from them and for the manifest."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from training.quality.fault import Reason

if TYPE_CHECKING:
    import pandera.pandas

NO_UNIT = "1"
"""UCUM's unit of a number that has none."""

OutOfRange = Literal["refuse", "as missing", "clamp"]
"""What becomes of a request's number beyond a bound: the request is refused, the number counts as missing, or the bound stands in for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """One of the values that a field may have.

    Attributes:
        code: as the table writes it; a whole number is written without a decimal point.
        display: for people.
    """

    code: str
    display: str

    def __post_init__(self) -> None:
        """Raises ValueError where one of both is empty."""
        _require_text("code", self.code)
        _require_text("display", self.display)


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A column that is learnt from: a number with a unit, or one of some categories.

    Attributes:
        name: the column's name.
        description: what it means, for people.
        unit: of the number, in UCUM; `1` for one without a unit, and for categories.
        minimum, maximum: the least and the largest value that can be true, each included; None where there is no such bound.
        categories: all values that there are, in the order of their numbers in a model; empty for a number.
        is_integer: whether the number is a count.
        may_be_missing: whether a row without it is still learnt from.
        other_units: units of another kind that a request may bring, and what a number in them is multiplied by: `umol/L` for a substance in `mg/dL`.
        if_out_of_range: what becomes of a request's number beyond a bound. A row of the table with one is never learnt from.
    """

    name: str
    description: str
    unit: str
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[Category, ...] = ()
    is_integer: bool = False
    may_be_missing: bool = False
    other_units: Mapping[str, float] = field(default_factory=dict)
    if_out_of_range: OutOfRange = "refuse"

    def __post_init__(self) -> None:
        """Raises ValueError where the field contradicts itself."""
        _require_text("name", self.name)
        _require_text(f"{self.name}: description", self.description)
        # UCUM 2.1: a unit is made of the printable characters of ASCII, without a space.
        if not self.unit or any(not "!" <= letter <= "~" for letter in self.unit):
            message = f"{self.name}: unit is in UCUM, printable ASCII without a space; {NO_UNIT} where there is none"
            raise ValueError(message)
        if self.categories:
            self._require_categories()
        else:
            self._require_range()

    @property
    def codes(self) -> tuple[str, ...]:
        """The categories' codes, in their order."""
        return tuple(category.code for category in self.categories)

    def _require_categories(self) -> None:
        if self.minimum is not None or self.maximum is not None or self.is_integer or self.unit != NO_UNIT or self.other_units:
            message = f"{self.name}: categories have no minimum, no maximum, no unit but {NO_UNIT}, and aren't integers"
            raise ValueError(message)
        _require_unique(f"{self.name}: categories", self.codes)

    def _require_range(self) -> None:
        bounds = {name: bound for name, bound in (("minimum", self.minimum), ("maximum", self.maximum)) if bound is not None}
        for name, bound in bounds.items():
            if not math.isfinite(bound) or (self.is_integer and bound != math.floor(bound)):
                message = f"{self.name}: {name} is {'an integer' if self.is_integer else 'a finite number'}; it is {bound}"
                raise ValueError(message)
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            message = f"{self.name}: minimum is below maximum; they are {self.minimum} and {self.maximum}"
            raise ValueError(message)
        if self.if_out_of_range not in get_args(OutOfRange) or (self.if_out_of_range == "as missing" and not self.may_be_missing):
            message = f"{self.name}: if_out_of_range: {', '.join(get_args(OutOfRange))}; as missing only where it may be missing"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """The columns of a table with a row for each item.

    Attributes:
        name: the table's name.
        fields: what is learnt from, in the order of a model's inputs.
        patient: the column that says whose row it is; None where each row is somebody else's. It is never a field.
        time: the column that says when; None where rows have no time. A number, which may be a field as well, or a time of the calendar.
        time_is_calendar: whether that is a date or time as ISO 8601 writes it; otherwise it is a number, such as days since admission.
        labels: what is to be learnt: a class; or a time and an event; or an arm and an outcome.
        ignored: columns that the table has and nobody reads.
    """

    name: str
    fields: tuple[Field, ...]
    patient: str | None = None
    time: str | None = None
    time_is_calendar: bool = False
    labels: tuple[Field, ...] = ()
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where there is no field, a column has two meanings, or the time isn't one."""
        _require_text("name", self.name)
        if not self.fields:
            message = f"{self.name}: fields: at least one"
            raise ValueError(message)
        of_fields = [each.name for each in self.all_fields]
        others = [] if self.patient is None else [self.patient]
        if self.time is not None and self.time not in of_fields:
            others.append(self.time)
        _require_unique(f"{self.name}: columns", (*of_fields, *others, *self.ignored))
        for name in (*others, *self.ignored):
            _require_text(f"{self.name}: column", name)
        if self.time_is_calendar and (self.time is None or self.time in of_fields):
            message = f"{self.name}: time_is_calendar is said of a time that isn't a field"
            raise ValueError(message)
        for each in self.all_fields:
            if each.name == self.time and (each.categories or each.may_be_missing):
                message = f"{self.name}: time: a field that is the time is a number, and is never missing"
                raise ValueError(message)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read, in the order that a checked table has them in: patient, time, fields, labels."""
        first = [name for name in (self.patient, self.time) if name is not None]
        return tuple(dict.fromkeys([*first, *(each.name for each in self.all_fields)]))

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """The fields, and then the labels."""
        return (*self.fields, *self.labels)

    def as_pandera(self) -> "pandera.pandas.DataFrameSchema":
        """The schema of a table whose cells have their types, as `check` makes them; each check's error is the `Reason` that it stands for.

        Numbers are float64, NaN where one is missing; a calendar's times are datetime64[ns] in UTC without a zone. Validate with lazy=True, and let
        nothing that pandera raises reach a log: it holds the cells' values.
        """
        import pandera.pandas as pa  # noqa: PLC0415 - slow to import

        columns = {each.name: _column(each) for each in self.all_fields}
        if self.patient is not None:
            columns[self.patient] = pa.Column(None, nullable=False)
        if self.time is not None and self.time not in columns:
            columns[self.time] = pa.Column("datetime64[ns]" if self.time_is_calendar else float, _finite(), nullable=False)
        return pa.DataFrameSchema({name: columns[name] for name in self.columns}, name=self.name, strict=True, ordered=True)


def _column(field: Field) -> "pandera.pandas.Column":
    import pandera.pandas as pa  # noqa: PLC0415 - slow to import

    if field.categories:
        # No type: a column of categories and one of their codes are both right.
        return pa.Column(None, pa.Check.isin(list(field.codes), error=Reason.UNKNOWN_CATEGORY), nullable=field.may_be_missing)
    checks = [_finite()]
    if field.minimum is not None:
        checks.append(pa.Check.ge(field.minimum, error=Reason.BELOW_MINIMUM))
    if field.maximum is not None:
        checks.append(pa.Check.le(field.maximum, error=Reason.ABOVE_MAXIMUM))
    if field.is_integer:
        checks.append(pa.Check(lambda numbers: numbers % 1 == 0, error=Reason.NOT_AN_INTEGER))
    return pa.Column(float, checks, nullable=field.may_be_missing, title=field.name, description=field.description, metadata={"unit": field.unit})


def _finite() -> "pandera.pandas.Check":
    import pandera.pandas as pa  # noqa: PLC0415 - slow to import

    # A time of the calendar is never infinite, and "abs" is nothing that it has.
    return pa.Check(lambda cells: cells.dtype.kind == "M" or cells.abs() < math.inf, error=Reason.NOT_FINITE)


def _require_text(what: str, text: str) -> None:
    if not text or text != text.strip() or not text.isprintable():
        message = f"{what}: text that can be read, without blanks around it"
        raise ValueError(message)


def _require_unique(what: str, names: tuple[str, ...]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        message = f"{what}: each one once; {', '.join(twice)} is there twice"
        raise ValueError(message)
