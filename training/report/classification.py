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
_AGAINST_OTHERS = "Sensitivity against 1 - specificity, each class against all others."

Probabilities = NDArray[np.floating]
Draw = Callable[[int, str], str]
"""Draws a held-out item, by its number, under a title."""


def sections(
    probabilities: Probabilities, labels: NDArray[np.int64], names: Sequence[str], bootstrap: Bootstrap, *, error: float, point: float | None
) -> list[Section]:
    """What there is to see of probabilities [items, classes]; the others as of `calibration` and `discrimination`."""
    return [calibration(probabilities, labels, names, bootstrap, error=error), discrimination(probabilities, labels, names, bootstrap, point=point)]


def discrimination(
    probabilities: Probabilities, labels: NDArray[np.int64], names: Sequence[str], bootstrap: Bootstrap, *, point: float | None = None
) -> Section:
    """A receiver operating characteristic for each class against all others, the confusion matrix, and what it says of each class.

    `probabilities` is [items, classes], `labels` [items], `names` what each class is called, and `point` from which probability on the second of two
    classes is called. The `bootstrap`, of these items, says whose each is.
    """
    from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve  # noqa: PLC0415 - slow to import

    curves = {}
    # Of two classes one says it all.
    for number in range(len(names)) if len(names) > 2 else [1]:  # noqa: PLR2004
        is_it = labels == number
        if is_it.any() and not is_it.all():
            false_positive_rate, sensitivity, _ = roc_curve(is_it, probabilities[:, number])
            area = roc_auc_score(is_it, probabilities[:, number])
            curves[f"{names[number]} (area {area:.4f})"] = Band(x=false_positive_rate, y=sensitivity)
    said = probabilities.argmax(axis=1) if point is None else (probabilities[:, 1] >= point).astype(np.int64)
    is_case = labels == 1
    used = None if point is None or is_case.all() or not is_case.any() else (float((said[~is_case] == 1).mean()), float((said[is_case] == 1).mean()))
    matrix = confusion_matrix(labels, said, labels=range(len(names)))
    rows = [(f"is {name}", *(str(count) for count in counts)) for name, counts in zip(names, matrix, strict=True)]
    against = f"Sensitivity for {names[1]} against 1 - specificity." if len(curves) == 1 else _AGAINST_OTHERS
    return Section(
        title="What is told from what",
        text=(f"How many held-out items are what, and what was said of them. {_called(names, point)}",),
        table=table(("", *(f"said {name}" for name in names)), rows),
        plots=(Plot(svg=plots.roc(curves, used), caption=against),) if curves else (),
        beneath=(_of_each_class(said, labels, names, bootstrap),),
    )


def _of_each_class(said: NDArray[np.int64], labels: NDArray[np.int64], names: Sequence[str], bootstrap: Bootstrap) -> Section:
    """Of the items of a class the share that was called so, and of what was called so the share that is right."""
    rows = [
        (name, *(_share(said[rows] == labels[rows], rows, bootstrap) for rows in (np.flatnonzero(labels == number), np.flatnonzero(said == number))))
        for number, name in enumerate(names)
    ]
    text = (
        f"With intervals of {bootstrap.confidence_level:.0%}. The predictive value is of as many items of each class as are held out. A class of few "
        "items is known as roughly as its interval says, whatever the accuracy of all is."
    )
    return Section(title="Each class", text=(text,), table=table(("class", "sensitivity", "positive predictive value"), rows))


def _share(is_so: NDArray[np.bool_], rows: NDArray[np.int64], bootstrap: Bootstrap) -> str:
    """In how many of the items, which `rows` are, it is so."""
    if not len(is_so):
        return "no item"
    lower, upper = _ends(is_so, None if bootstrap.groups is None else bootstrap.groups[rows], bootstrap)
    return f"{is_so.sum()} of {len(is_so)}: {is_so.mean():.4g} ({lower:.4g} to {upper:.4g})"


def _called(names: Sequence[str], point: float | None) -> str:
    """By what something is said to be the case."""
    if point is None:
        return "What is said is the most probable class."
    return (
        f"What is said goes by the operating point, which validation items chose: {names[1]} from a probability of {point:.1%} on, and otherwise "
        f"{names[0]}. So do sensitivity and specificity. Accuracy and F1 go by the more probable class, so they count other items as right."
    )


def calibration(probabilities: Probabilities, labels: NDArray[np.int64], names: Sequence[str], bootstrap: Bootstrap, *, error: float) -> Section:
    """The probability of a class against the share that was of it, in ten bins of equally many items.

    The class is the second of two, and of more the one that was said. The `bootstrap`, of these items, says whose each is; `error` is the expected
    calibration error.
    """
    if len(names) == 2:  # noqa: PLR2004
        said, is_so, what, found = probabilities[:, 1], labels == 1, f"probability of {names[1]}", f"share that was {names[1]}"
    else:
        said, is_so = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        what, found = "probability of what was said", "share in which it was right"
    bins = bins_of(said)
    ends = np.array([_ends(is_so[rows], None if bootstrap.groups is None else bootstrap.groups[rows], bootstrap) for rows in bins])
    band = Band(
        x=np.array([said[rows].mean() for rows in bins]),
        y=np.array([is_so[rows].mean() for rows in bins]),
        lower=ends[:, 0],
        upper=ends[:, 1],
    )
    text = (
        f"Expected calibration error {error:.4f}: how far the probability of the more probable class is from the share in which it was right, in the "
        "mean over ten bins of about equally many items."
    )
    caption = f"The {what} and the {found}, in {len(bins)} bins of about equally many items, with {bootstrap.confidence_level:.0%} intervals."
    return Section(
        title="Whether probabilities hold", text=(text,), plots=(Plot(svg=plots.reliability({"model": band}, x=what, y=found), caption=caption),)
    )


def _ends(is_so: NDArray[np.bool_], groups: NDArray[Any] | None, bootstrap: Bootstrap) -> tuple[float, float]:
    """Of the share within a bin."""
    if (len(is_so) if groups is None else len(np.unique(groups))) == 1:
        # One patient says nothing of others.
        return 0.0, 1.0
    found = resampling.share_of("right", is_so, replace(bootstrap, items=len(is_so), groups=groups))
    return found.lower, found.upper


def misread(probabilities: Probabilities, labels: NDArray[np.int64], names: Sequence[str], draw: Draw) -> Section:
    """The items that the model was surest of and wrong about."""
    said = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-probabilities[wrong, said[wrong]], kind="stable")][:_MOST_MISREAD]
    titles = {int(item): f"is {names[labels[item]]}, said {names[said[item]]} ({_percent(probabilities[item, said[item]])})" for item in worst}
    return Section(
        title="What was misread",
        text=(f"{len(wrong)} of {len(labels)} held-out items are of another class than the most probable one; of these the model was surest.",),
        plots=tuple(Plot(svg=draw(item, title), caption=title) for item, title in titles.items()),
        of_single_items="inputs of held-out items" if titles else "",
    )


def _percent(probability: float) -> str:
    """Nothing is certain, whatever rounding makes of it."""
    return "over 99.9%" if probability > 0.999 else f"{probability:.1%}"  # noqa: PLR2004 - as it is said
