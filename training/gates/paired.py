"""What a candidate gains over the stable version on the same items, and the least that it may be: a one-sided confidence bound."""

import math
from dataclasses import dataclass

import numpy as np

from training.gates.evidence import Resamples, Scores

_HALVINGS = 60
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """What was gained in the mean of the items, and the lower bound of that.

    Attributes:
        value, lower: in the figure's own unit; below 0 for a loss.
        items: how many independent ones a loss of a score of 1 would have been seen among; None where the bound rests on a spread.
    """

    value: float
    lower: float
    items: int | None = None


def gain_of_scores(scores: Scores, *, sign: float, significance_level: float) -> Gain | None:
    """The gain in the mean of the items; None where fewer than two independent ones are there. `sign` is 1 where a higher score is better, else -1.

    Scores of 1 and 0, each somebody else's, have the score bound of T. Tango, "Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design" (Statistics in Medicine 17, 1998): where no item differs it is -z²/(n + z²), about -2.7/n at 5 %:
    what wasn't seen in n items isn't shown never to be. Other scores have that of the paired t-test; where those, which are seldom equal by chance,
    are equal for every item, there is no error.

    Items in groups, such as a patient's: the gain is of items all the same, as the figure is that the gate names, and so it is the ratio of two sums
    over groups, Σd/Σn. Its error is by the jackknife that leaves out one group after the other, with Student's distribution of as many degrees of
    freedom as there are groups less one (J. G. MacKinnon, M. Ø. Nielsen and M. D. Webb, "Cluster-robust inference: a guide to empirical practice",
    Journal of Econometrics 232, 2023: CV3). Of groups of one size that is the t-test of the groups' means. Where sizes are unequal, and one group has
    most of the items, the linearised error (J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48,
    1992) is too small: of 30 lognormal groups (σ = 2) the test of 5 % passed a loss of the margin in 24 % of trials, and in 15 % by the jackknife.
    Scores of 1 and 0 that differ between no two groups have Tango's bound of as many items as there are groups.
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - slow to import

    differences = sign * (np.asarray(scores.candidate, np.float64) - np.asarray(scores.stable, np.float64))
    groups = np.arange(len(differences)) if scores.groups is None else scores.groups
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    sums, count = np.bincount(group, weights=differences), len(sizes)
    is_binary = bool(np.isin([scores.candidate, scores.stable], (0, 1)).all())
    value, z = float(differences.mean()), float(-ndtri(significance_level))
    if is_binary and count == len(differences):
        gains, losses = int((differences > 0).sum()), int((differences < 0).sum())
        return Gain(value=value, lower=lower_of_shares(gains, losses, count, z=z), items=count)
    if count < 2:  # noqa: PLR2004 - one has no spread
        return None
    left_out = (sums - value * sizes) / (len(differences) - sizes)
    error = math.sqrt((count - 1) / count * float(left_out @ left_out))
    if is_binary and error < _ROUNDING:
        return Gain(value=value, lower=value + lower_of_shares(0, 0, count, z=z), items=count)
    lower = value + float(stdtrit(count - 1, significance_level)) * error
    return Gain(value=value, lower=max(lower, -1.0) if is_binary else lower)


def gain_of_resamples(resamples: Resamples, *, sign: float, significance_level: float) -> Gain | None:
    """The mean gain of the resamples, and their percentile; None where they don't differ: then they show no error, and not that there is none."""
    differences = sign * np.asarray(resamples.differences, np.float64)
    if not len(differences) or np.ptp(differences) == 0:
        return None
    return Gain(value=float(differences.mean()), lower=float(np.quantile(differences, significance_level)))


def lower_of_shares(gains: int, losses: int, items: int, *, z: float) -> float:
    """Tango's lower bound of the share that is gained less the share that is lost: the least D that the score test doesn't reject, at `z`.

    Of `items` independent pairs, so many are right by the candidate alone (`gains`) or by the other alone (`losses`). By halving, as the test
    statistic falls with D: (gains - losses - nD) / √(n(2q + D(1 - D))), where q is the likeliest share of losses under D.
    """
    low, high = -1.0, (gains - losses) / items
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        b = (2 * items - gains + losses) * middle - gains - losses
        lost = (math.sqrt(max(b * b + 8 * items * losses * middle * (1 - middle), 0.0)) - b) / (4 * items)
        spread = math.sqrt(max(items * (2 * lost + middle * (1 - middle)), 0.0))
        low, high = (middle, high) if gains - losses - items * middle > z * spread else (low, middle)
    return low


def items_to_show(margin: float, *, significance_level: float) -> int:
    """How many items, none of which differs, it takes for their bound (`lower_of_shares`) to be above -margin; a margin is above 0 and at most 1."""
    from scipy.special import ndtri  # noqa: PLC0415 - slow to import

    return math.floor(float(ndtri(significance_level)) ** 2 * (1 / margin - 1)) + 1
