"""How much columns say of the labels, three ways.

Each takes `block`, [items, columns], and `labels`, [items], and returns a score of each column, [columns]: more is better. Items are taken to be
independent: where a patient has several, they are on both sides of whatever is cut here, and a column that tells patients apart looks better than it
is.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.step import Values

_SUBSAMPLES = 100
_HELD_OUT = 0.5
_REPEATS = 10
_LEAF = 5


def is_of_classes(labels: NDArray[Any]) -> bool:
    """Whether labels are classes, by their type and never by the values seen: integers and booleans are, floats are amounts."""
    return labels.dtype.kind in "iub"


def targets(labels: NDArray[Any]) -> Values:
    """What `stability` regresses: [items, 1] of amounts and of two classes, [items, classes] of more, each against the others."""
    if not is_of_classes(labels):
        return np.asarray(labels, np.float64)[:, np.newaxis]
    classes = np.unique(labels)
    return (labels[:, np.newaxis] == (classes[1:] if len(classes) == 2 else classes)).astype(np.float64)  # noqa: PLR2004 - one against the other


def mutual_information(block: Values, labels: NDArray[Any], *, discrete: NDArray[np.bool_], seed: int) -> Values:
    """Each column's by itself, in nats, by nearest neighbours.

    A. Kraskov et al., Phys. Rev. E 69:066138 (2004), for amounts; B. C. Ross, PLoS ONE 9:e87357 (2014), for classes.
    """
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression  # noqa: PLC0415 - slow to import

    estimate = mutual_info_classif if is_of_classes(labels) else mutual_info_regression
    return estimate(block, labels, discrete_features=discrete, random_state=seed)


def stability(block: Values, labels: NDArray[Any], *, entering: int, seed: int) -> Values:
    """The share of subsamples in which a column is among the first `entering` that enter the lasso's path, from 0 to 1.

    N. Meinshausen and P. Bühlmann, "Stability selection", J. R. Stat. Soc. B 72:417 (2010): 100 subsamples of half of the items, without replacement.
    Columns are brought to variance 1 in each. Classes are regressed one against the others, and a column has the best of its shares: with two classes
    there is but one.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - slow to import
    from sklearn.linear_model import lars_path  # noqa: PLC0415

    random = np.random.default_rng(seed)
    wanted = targets(labels)
    chosen = np.zeros((wanted.shape[1], block.shape[1]))
    for _ in range(_SUBSAMPLES):
        rows = random.choice(len(block), len(block) // 2, replace=False)
        centred = block[rows] - block[rows].mean(axis=0)
        deviation = centred.std(axis=0)
        centred /= np.where(deviation > 0, deviation, 1.0)
        for target, counts in zip(wanted[rows].T, chosen, strict=True):
            with warnings.catch_warnings():
                # It says that it leaves out a column which others already are the sum of: that one doesn't enter, as it should be.
                warnings.simplefilter("ignore", ConvergenceWarning)
                # A column may leave the path again, so there may be more steps than columns.
                path = lars_path(centred, target - target.mean(), method="lasso", max_iter=4 * entering)[2]
            counts[_first(path, entering)] += 1
    return chosen.max(axis=0) / _SUBSAMPLES


def _first(path: Values, entering: int) -> NDArray[np.int64]:
    """Of a path of coefficients [columns, steps] the columns that are the first to differ from 0."""
    enters = np.where((path != 0).any(axis=1), (path != 0).argmax(axis=1), path.shape[1])
    order = np.argsort(enters, kind="stable")[:entering]
    return order[enters[order] < path.shape[1]]


def permutation(block: Values, labels: NDArray[Any], *, seed: int) -> Values:
    """How much worse a random forest says what it hasn't seen once a column is shuffled (L. Breiman, Mach. Learn. 45:5, 2001).

    It is fitted to half of the items and asked about the other half, which set nothing. The score is what is lost in Brier's score, or in R². Columns
    that say the same share it.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor  # noqa: PLC0415 - slow to import
    from sklearn.inspection import permutation_importance  # noqa: PLC0415
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    of_classes = is_of_classes(labels)
    split = train_test_split(block, labels, test_size=_HELD_OUT, random_state=seed, stratify=labels if of_classes else None)
    seen, held_out, seen_labels, held_out_labels = split
    forest = RandomForestClassifier if of_classes else RandomForestRegressor
    model = forest(min_samples_leaf=_LEAF, random_state=seed).fit(seen, seen_labels)
    scoring = "neg_brier_score" if of_classes else "r2"
    return permutation_importance(model, held_out, held_out_labels, scoring=scoring, n_repeats=_REPEATS, random_state=seed).importances_mean
