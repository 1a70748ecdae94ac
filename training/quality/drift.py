"""Holds a new drop of data against the reference, such as what a model was fitted to: has what it learnt about changed?

Each field's values are compared by a test, and so is the share of rows that lack it. With many rows a test finds what matters to nobody, and with
few a measure of effect jumps by chance: a field has drifted where both say so. The tests are corrected for their number by S. Holm, "A simple
sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.quality import cells
from training.quality.schema import Field, Schema
from training.report.page import Table, table

if TYPE_CHECKING:
    import pandas as pd

_QUANTILES = 10
# W. G. Cochran, "Some methods for strengthening the common χ² tests", Biometrics 10 (1954): with less in a cell the statistic isn't spread as χ².
_LEAST_EXPECTED = 5
# The smallest p is 1 over one more than these tables: still below 0.05 after Holm's correction for 499 tests.
_TABLES = 9_999
_SMALLEST_P_SHOWN = 0.001
# With as few rows in the smaller table the asymptotic p is too small: for one row beyond all of the reference's it is 0.
_EXACT_ROWS = 100
# Above this scipy gives up counting, and warns.
_MOST_PAIRS = 2**31 - 1
# The mean of few values says what one patient has.
_FEWEST_TOLD = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """How much of a change is none.

    Attributes:
        significance: the corrected p from which on a change may be chance.
        stability_index: the population stability index from which on values have drifted; from 0.1 a change is called moderate and from 0.25 large
            (N. Siddiqi, Credit Risk Scorecards, 2006).
        missing_share: the difference in the share of rows without a value from which on that has drifted.
    """

    significance: float = 0.05
    stability_index: float = 0.1
    missing_share: float = 0.05

    def __post_init__(self) -> None:
        """Raises ValueError where one isn't above 0, or is a share above 1."""
        for name, value, most in (
            ("significance", self.significance, 1),
            ("stability_index", self.stability_index, np.inf),
            ("missing_share", self.missing_share, 1),
        ):
            if not 0 < value <= most:
                message = f"{name}: above 0{'' if most == np.inf else ', up to 1'}; it is {value}"
                raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One thing about one field, in the reference and in the new drop.

    Attributes:
        test: the test's name.
        statistic: D of Kolmogorov and Smirnov, χ², z of two proportions, or the odds ratio of Fisher's test, new to reference.
        p, corrected_p: before and after Holm's correction for all comparisons.
        effect: the population stability index; or the new share without a value, less the reference's.
        summary: what is told of both tables: the mean; the share of the category whose share changed most; or the share without a value.
        was, now: that of the reference and of the new drop; None where one of both has fewer than ten values.
        has_drifted: whether both p and effect are beyond what is tolerated.
    """

    test: str
    statistic: float
    p: float
    corrected_p: float
    effect: float
    summary: str
    was: float | None
    now: float | None
    has_drifted: bool

    @property
    def told(self) -> str:
        """For people: from what to what; empty where that isn't told."""
        return "" if self.was is None or self.now is None else f"{self.summary} {self.was:.4g} → {self.now:.4g}"


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldDrift:
    """What became of a field.

    Attributes:
        name: the field's name.
        distribution: of the values that there are; None where one of both tables has none, or all are of one category.
        missing: of the share of rows without a value; None where none lacks one, or all do.
    """

    name: str
    distribution: Comparison | None
    missing: Comparison | None

    @property
    def has_drifted(self) -> bool:
        """Whether one of both has."""
        return any(each is not None and each.has_drifted for each in (self.distribution, self.missing))


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """What became of all fields, in the schema's order.

    Attributes:
        fields: one for each.
        reference_rows, new_rows: how many rows were compared.
        tolerance: by which it was judged.
    """

    fields: tuple[FieldDrift, ...]
    reference_rows: int
    new_rows: int
    tolerance: Tolerance

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the fields that have."""
        return tuple(field.name for field in self.fields if field.has_drifted)

    @property
    def has_drifted(self) -> bool:
        """Whether any field has."""
        return bool(self.drifted)

    def __str__(self) -> str:
        """For people."""
        said = f"drifted: {', '.join(self.drifted)}" if self.drifted else "nothing has drifted"
        return f"{self.new_rows} new row{'' if self.new_rows == 1 else 's'} beside {self.reference_rows}: {said}"

    def as_table(self) -> Table:
        """For a report: a row for each comparison."""
        compared = [
            (field.name, what, each)
            for field in self.fields
            for what, each in (("values", field.distribution), ("missing", field.missing))
            if each is not None
        ]
        rows = [
            (
                *(name, what, each.test, f"{each.statistic:.4g}", _shown(each.corrected_p), f"{each.effect:+.3f}", each.told),
                "drifted" if each.has_drifted else "",
            )
            for name, what, each in compared
        ]
        return table(("field", "what", "test", "statistic", "p (Holm)", "effect", "from what to what", ""), rows)


class _Test(NamedTuple):
    """A comparison before the others are known."""

    name: str
    statistic: float
    p: float
    effect: float
    summary: str
    was: float | None
    now: float | None


def compare(schema: Schema, reference: "pd.DataFrame", new: "pd.DataFrame", *, tolerance: Tolerance | None = None) -> Drift:
    """Each field of the new rows beside the reference's; a label as well where both tables have it. Both are as `check` makes them.

    Raises ValueError where one of both has no rows, or lacks a field.
    """
    tolerated = tolerance or Tolerance()
    fields = [*schema.fields, *(label for label in schema.labels if label.name in reference and label.name in new)]
    for what, frame in (("reference", reference), ("new", new)):
        absent = [field.name for field in fields if field.name not in frame]
        if absent or not len(frame):
            message = f"{what}: at least one row, and each field; {', '.join(absent) or 'all rows'} missing"
            raise ValueError(message)
    # Distribution, missing, distribution, missing …
    tests = [test for field in fields for test in (_of_values(field, reference[field.name], new[field.name]), _of_missing(field, reference, new))]
    corrected = iter(holm(np.array([test.p for test in tests if test is not None])))
    most = (tolerated.stability_index, tolerated.missing_share) * len(fields)
    found = [None if test is None else _judged(test, float(next(corrected)), limit, tolerated) for test, limit in zip(tests, most, strict=True)]
    return Drift(
        fields=tuple(
            FieldDrift(name=field.name, distribution=distribution, missing=missing)
            for field, distribution, missing in zip(fields, found[::2], found[1::2], strict=True)
        ),
        reference_rows=len(reference),
        new_rows=len(new),
        tolerance=tolerated,
    )


def stability_index(reference: NDArray[Any], new: NDArray[Any]) -> float:
    """The population stability index of counts [bins] in the same bins: Σ (q - p) ln(q / p), 0 where the shares p and q are the same (Siddiqi, 2006).

    Half an item is added to each bin, so that an empty one counts and is no division by zero.
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (reference, new))
    return float(np.sum((q - p) * np.log(q / p)))


def decile_edges(reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """[edges], rising: each bin ends with its edge, and the last one has what is above all. They cut the reference, [values], into ten equal parts.

    A number that is more than one of the edges, as in a count that mostly is 0, is a bin of its own.
    """
    edges, times = np.unique(np.quantile(reference, np.arange(1, _QUANTILES) / _QUANTILES, method="inverted_cdf"), return_counts=True)
    return np.unique(np.concatenate([edges, np.nextafter(edges[times > 1], -np.inf)]))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """[tests], each p corrected for all of them: below α exactly where Holm's procedure rejects at α."""
    order = np.argsort(p)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]), 1)
    return corrected


def _of_values(field: Field, reference: "pd.Series[Any]", new: "pd.Series[Any]") -> _Test | None:
    if field.categories:
        return _of_categories(*(column[column != None] for column in (cells.texts(reference), cells.texts(new))))  # noqa: E711 - each element
    one, other = (column[~np.isnan(column)] for column in (cells.numbers(reference), cells.numbers(new)))
    return _kolmogorov_smirnov(one, other) if len(one) and len(other) else None


def _kolmogorov_smirnov(reference: NDArray[np.float64], new: NDArray[np.float64]) -> _Test:
    from scipy import stats  # noqa: PLC0415 - slow to import

    edges = decile_edges(reference)
    index = stability_index(*(np.bincount(np.searchsorted(edges, numbers), minlength=len(edges) + 1) for numbers in (reference, new)))
    is_exact = min(len(reference), len(new)) <= _EXACT_ROWS and math.lcm(len(reference), len(new)) < _MOST_PAIRS
    found = stats.ks_2samp(reference, new, method="exact" if is_exact else "asymp")
    told = _told((reference.mean(), new.mean()), (len(reference), len(new)))
    return _Test("Kolmogorov-Smirnov", float(found.statistic), float(found.pvalue), index, "mean", *told)


def _of_categories(reference: NDArray[Any], new: NDArray[Any]) -> _Test | None:
    names, codes = np.unique(np.concatenate([reference, new]).astype(str), return_inverse=True)
    if len(names) < 2 or not len(reference) or not len(new):  # noqa: PLR2004 - one category
        return None
    counts = np.stack([np.bincount(part, minlength=len(names)) for part in (codes[: len(reference)], codes[len(reference) :])])
    test, statistic, p = _chi_squared(counts)
    shares = counts / counts.sum(axis=1, keepdims=True)
    # The last of equals, which both of two categories are but for rounding.
    most = len(names) - 1 - int(np.abs(shares[1] - shares[0]).round(12)[::-1].argmax())
    told = _told(shares[:, most], counts.sum(axis=1))
    return _Test(test, statistic, p, stability_index(counts[0], counts[1]), f"share of {names[most]}", *told)


def _chi_squared(counts: NDArray[np.int64]) -> tuple[str, float, float]:
    """The test's name, χ² and p of counts [2, categories].

    By tables with the same margins where too little is expected in a cell: A. C. A. Hope, J. R. Stat. Soc. B 30 (1968).
    """
    from scipy import stats  # noqa: PLC0415 - slow to import

    if stats.contingency.expected_freq(counts).min() >= _LEAST_EXPECTED:
        found = stats.chi2_contingency(counts, correction=False)
        return "chi-squared", float(found.statistic), float(found.pvalue)
    method = stats.MonteCarloMethod(n_resamples=_TABLES, rng=np.random.default_rng(0))
    found = stats.chi2_contingency(counts, correction=False, method=method)
    return "chi-squared by simulation", float(found.statistic), float(found.pvalue)


def _of_missing(field: Field, reference: "pd.DataFrame", new: "pd.DataFrame") -> _Test | None:
    from scipy import stats  # noqa: PLC0415 - slow to import

    rows = np.array([len(reference), len(new)])
    missing = np.array([cells.are_missing(frame[field.name]).sum() for frame in (reference, new)])
    pooled = missing.sum() / rows.sum()
    if pooled in {0, 1}:
        return None
    shares = missing / rows
    effect = float(shares[1] - shares[0])
    told = ("share", *_told(shares, rows))
    if rows.min() * min(pooled, 1 - pooled) < _LEAST_EXPECTED:
        found = stats.fisher_exact(np.stack([missing, rows - missing], axis=1)[::-1])
        return _Test("Fisher's exact", float(found.statistic), float(found.pvalue), effect, *told)
    z = effect / float(np.sqrt(pooled * (1 - pooled) * (1 / rows).sum()))
    return _Test("two proportions", z, float(2 * stats.norm.sf(abs(z))), effect, *told)


def _told(summaries: Sequence[float] | NDArray[np.float64], rows: Sequence[int] | NDArray[np.int64]) -> tuple[float | None, float | None]:
    """Of the reference and of the new drop, where both have enough values."""
    return (float(summaries[0]), float(summaries[1])) if min(rows) >= _FEWEST_TOLD else (None, None)


def _judged(test: _Test, corrected_p: float, limit: float, tolerance: Tolerance) -> Comparison:
    has_drifted = corrected_p < tolerance.significance and abs(test.effect) >= limit
    return Comparison(
        test=test.name, statistic=test.statistic, p=test.p, corrected_p=corrected_p, effect=test.effect,
        summary=test.summary, was=test.was, now=test.now, has_drifted=has_drifted,
    )  # fmt: skip


def _shown(p: float) -> str:
    return f"{p:.3f}" if p >= _SMALLEST_P_SHOWN else f"below {_SMALLEST_P_SHOWN}"
