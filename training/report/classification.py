"""What a report says of a classification: figures beside the baseline's, how probabilities hold, and the items that were misread."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.calibration import bins_of
from training.evidence import resampling
from training.evidence.resampling import Bootstrap
from training.report import plots
from training.report.page import Plot, Section, table
from training.report.plots import Band

_MOST_MISREAD = 4

Probabilities = NDArray[np.floating]
Draw = Callable[[int, str], str]
"""Draws a held-out item, by its number, under a title."""


def sections(
    probabilities: Probabilities, labels: NDArray[np.int64], names: Sequence[str], bootstrap: Bootstrap, *, error: float, point: float | None
) -> list[Section]:
    """What there is to see of probabilities [items, classes]; the others as of `calibration` and `discrimination`."""
    return [calibration(probabilities, labels, bootstrap, error=error), discrimination(probabilities, labels, names, point=point)]


def discrimination(probabilities: Probabilities, labels: NDArray[np.int64], names: Sequence[str], *, point: float | None = None) -> Section:
    """A receiver operating characteristic for each class against all others, and the confusion matrix.

    `probabilities` is [items, classes], `labels` [items], `names` what each class is called, and `point` from which probability on the second of two
    classes is called.
    """
    from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve  # noqa: PLC0415 - slow to import

    curves = {}
    # Of two classes one says it all.
    for number in range(len(names)) if len(names) > 2 else [1]:  # noqa: PLR2004
        is_it = labels == number
        if is_it.any() and not is_it.all():
            false_positive_rate, sensitivity, _ = roc_curve(is_it, probabilities[:, number])
            area = roc_auc_score(is_it, probabilities[:, number])
            curves[f"{names[number]} (area {area:.3f})"] = Band(x=false_positive_rate, y=sensitivity)
    said = probabilities.argmax(axis=1) if point is None else (probabilities[:, 1] >= point).astype(np.int64)
    is_case = labels == 1
    used = None if point is None or is_case.all() or not is_case.any() else (float((said[~is_case] == 1).mean()), float((said[is_case] == 1).mean()))
    matrix = confusion_matrix(labels, said, labels=range(len(names)))
    rows = [(name, *(str(count) for count in counts)) for name, counts in zip(names, matrix, strict=True)]
    return Section(
        title="What is told from what",
        text=("Rows are what an item is, columns what was said.",),
        table=table(("", *names), rows),
        plots=(Plot(svg=plots.roc(curves, used), caption="Sensitivity against 1 - specificity, each class against all others."),) if curves else (),
    )


def calibration(probabilities: Probabilities, labels: NDArray[np.int64], bootstrap: Bootstrap, *, error: float) -> Section:
    """Of the class that was said: its probability against the share that it was right in, in ten bins of equally many items.

    The `bootstrap`, of these items, says whose each is; `error` is the expected calibration error.
    """
    said, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = bins_of(said)
    ends = np.array([_ends(is_right[rows], None if bootstrap.groups is None else bootstrap.groups[rows], bootstrap) for rows in bins])
    band = Band(
        x=np.array([said[rows].mean() for rows in bins]),
        y=np.array([is_right[rows].mean() for rows in bins]),
        lower=ends[:, 0],
        upper=ends[:, 1],
    )
    return Section(
        title="Whether probabilities hold",
        text=(f"Expected calibration error {error:.4f} over {len(bins)} bins of equally many items.",),
        plots=(Plot(svg=plots.reliability({"model": band}), caption="The probability of what was said, and the share in which it was right."),),
    )


def _ends(is_right: NDArray[np.bool_], groups: NDArray[Any] | None, bootstrap: Bootstrap) -> tuple[float, float]:
    """Of the share that is right, within a bin."""
    if (len(is_right) if groups is None else len(np.unique(groups))) == 1:
        # One patient says nothing of others.
        return 0.0, 1.0
    found = resampling.share_of("right", is_right, replace(bootstrap, items=len(is_right), groups=groups))
    return found.lower, found.upper


def misread(probabilities: Probabilities, labels: NDArray[np.int64], names: Sequence[str], draw: Draw) -> Section:
    """The items that the model was surest of and wrong about."""
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-probabilities[wrong, said[wrong]], kind="stable")][:_MOST_MISREAD]
    titles = {int(item): f"is {names[labels[item]]}, said {names[said[item]]} ({probabilities[item, said[item]]:.0%})" for item in worst}
    return Section(
        title="What was misread",
        text=(f"{len(wrong)} of {len(labels)} held-out items were misread; these are the ones that the model was surest of.",),
        plots=tuple(Plot(svg=draw(item, title), caption=title) for item, title in titles.items()),
    )
