"""What Kaplan and Meier find of groups of patients, beside what was predicted of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.calibration import bins_of
from training.evaluate import share
from training.evidence.survival import Curves, Followed
from training.report.plots import Band

if TYPE_CHECKING:
    from lifelines import KaplanMeierFitter


def risk_groups(risk: NDArray[Any], cuts: Sequence[float], names: Sequence[str] = ("low risk", "middle risk", "high risk")) -> NDArray[np.str_]:
    """[items]: the name of each patient's group. Who is at a cut belongs above it.

    `risk` is [items]; `cuts` rise and are one fewer than the names. They are best taken from validation patients: then a group means the same on any
    others. Raises ValueError where they don't fit.
    """
    if len(names) != len(cuts) + 1 or not (np.diff(cuts) > 0).all():
        message = f"cuts: {len(names) - 1} that rise, for {len(names)} groups, not {list(cuts)}"
        raise ValueError(message)
    return np.array(names)[np.searchsorted(cuts, risk, side="right")]


def by_group(followed: Followed, groups: NDArray[Any], *, confidence_level: float = 0.95) -> dict[str, Band]:
    """Kaplan-Meier's curve of each group, with Greenwood's log-log interval (lifelines), for `report.plots.survival`.

    `groups` is [items], each patient's group; the curves come in the order of the groups' first patients. A curve ends with its last patient.
    Raises ValueError where not each patient has a group.
    """
    if groups.shape != followed.event.shape:
        message = f"groups: one for each of the {len(followed.event)} patients, not {groups.shape}"
        raise ValueError(message)
    curves = {}
    for group in dict.fromkeys(groups.tolist()):
        fitted = _fitted(followed, groups == group, confidence_level)
        interval = fitted.confidence_interval_.to_numpy()
        curves[str(group)] = Band(
            x=fitted.survival_function_.index.to_numpy(), y=fitted.survival_function_.to_numpy()[:, 0], lower=interval[:, 0], upper=interval[:, 1]
        )
    return curves


def calibration_at(followed: Followed, curves: Curves, days: float, *, confidence_level: float = 0.95) -> Band:
    """Ten groups of equally many patients, by the predicted chance of the event by that day: its mean (x), the share that had it (y, with bounds).

    The share is one less Kaplan-Meier's of survival. A group whose last patients were lost before the day isn't known of then, and is left out.
    Raises ValueError where no group is left.
    """
    predicted = 1 - curves.at(days)
    points = []
    for rows in bins_of(predicted):
        survival = _at(followed, rows, days, confidence_level)
        if survival is not None:
            value, lower, upper = survival
            points.append((predicted[rows].mean(), 1 - value, 1 - upper, 1 - lower))
    if not points:
        message = f"days: nobody was followed for {days:g} days"
        raise ValueError(message)
    x, y, low, high = np.array(points).T
    return Band(x=x, y=y, lower=low, upper=high)


def error_at(band: Band) -> float:
    """How far predicted chances are from the shares that were found, in the mean over `calibration_at`'s groups."""
    return float(np.abs(band.x - band.y).mean())


def error_by_chance(curves: Curves, days: float, *, seed: int, draws: int = 200) -> float:
    """The mean `error_at` of as many patients, none of them lost, whose outcomes are drawn by these very chances: what is left where they hold."""
    predicted, random = 1 - curves.at(days), np.random.default_rng(seed)
    groups = bins_of(predicted)
    drawn = random.random((draws, len(predicted))) < predicted
    return float(np.mean([np.abs(drawn[:, rows].mean(axis=1) - predicted[rows].mean()) for rows in groups]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Patients of like risk at one day: what was said of them in the mean, and what Kaplan and Meier found.

    Attributes:
        name: the group's.
        days: the day.
        survival, lower, upper: the predicted chance to be without the event until then, and the ends of its interval, in the mean of the patients.
        found, found_lower, found_upper: Kaplan and Meier's, with its own interval.
    """

    name: str
    days: float
    survival: float
    lower: float
    upper: float
    found: float
    found_lower: float
    found_upper: float

    @property
    def is_held(self) -> bool:
        """Whether what was found lies in the mean interval."""
        return self.lower <= self.found <= self.upper


def groups_at(
    followed: Followed, groups: NDArray[Any], curves: Curves, ends: tuple[Curves, Curves], days: float, *, confidence_level: float = 0.95
) -> list[Group]:
    """What was said and found of each group at a day, in the order of the groups' first patients.

    `groups` is [items], `ends` the lower and the upper one of each patient's interval. A group whose last patients were lost before the day is left
    out. A mean interval is of patients, each by themselves: it is wider than one of the group's mean would be. What is found has luck in it that no
    interval of a mean risk allows for. The two are measured against each other here, and neither is the other's measure by itself.
    """
    found = []
    for name in dict.fromkeys(groups.tolist()):
        rows = np.flatnonzero(groups == name)
        survival = _at(followed, rows, days, confidence_level)
        if survival is not None:
            said, lower, upper = (float(each.at(days)[rows].mean()) for each in (curves, *ends))
            value, low, high = survival
            found.append(Group(name=str(name), days=days, survival=said, lower=lower, upper=upper, found=value, found_lower=low, found_upper=high))
    return found


def tenths(risk: NDArray[Any]) -> NDArray[np.int64]:
    """[items]: 0 for the tenth of the lowest risk, to 9; equal risks are in one group, as in `calibration_at`."""
    number = np.empty(len(risk), np.int64)
    for place, rows in enumerate(bins_of(risk)):
        number[rows] = place
    return number


def same_for_all(followed: Followed, edges_days: NDArray[Any], items: int) -> Curves:
    """Kaplan-Meier's curve of all patients, given to each of `items`: what a model that knows nothing of a patient would say.

    To be fair it is of the patients that the model was fitted to.
    """
    fitted = _fitted(followed, np.ones(len(followed.event), bool), 0.95)
    curve = fitted.survival_function_at_times(edges_days).to_numpy()
    return Curves(edges_days=edges_days, survival=np.tile(curve, (items, 1)))


def _fitted(followed: Followed, rows: NDArray[Any], confidence_level: float) -> "KaplanMeierFitter":
    from lifelines import KaplanMeierFitter  # noqa: PLC0415 - slow to import

    return KaplanMeierFitter(alpha=1 - confidence_level).fit(followed.time_days[rows], followed.event[rows])


def _at(followed: Followed, rows: NDArray[Any], days: float, confidence_level: float) -> tuple[float, float, float] | None:
    """Survival until that day and its bounds; None where it isn't known."""
    times, event = followed.time_days[rows], followed.event[rows]
    last = times.max()
    if last < days and not event[times == last].all():
        return None
    fitted = _fitted(followed, rows, confidence_level)
    value = float(fitted.survival_function_at_times(days).iloc[0])
    if 0 < value < 1:
        interval = fitted.confidence_interval_
        lower, upper = interval.iloc[int(interval.index.searchsorted(days, side="right")) - 1]
        return value, float(lower), float(upper)
    # Greenwood's interval of all or nothing has no width. Wilson's of those that are known of then has.
    known = int(((times >= days) | event).sum())
    figure = share("survival", round(value * known), known, confidence_level=confidence_level)
    return value, figure.lower, figure.upper
