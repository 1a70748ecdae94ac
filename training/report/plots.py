"""Plots that a clinician can read, each as SVG to stand in a page.

They take numbers that were computed elsewhere, and compute none. Colours are Okabe and Ito's, which colour-blind readers tell apart; what a colour
says, a label or a line's style says too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D")
_SIZE_INCHES = (5.2, 3.6)
_GREY = "#777777"
_TITLE_LETTERS = 60
# How many letters a legend has room for in a line, and how many a key takes.
_LEGEND_LETTERS, _KEY_LETTERS = 80, 7
_LEGEND_LINE_INCHES = 0.18


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A line and what lies around it: `x`, `y`, `lower` and `upper` are of one length; the bounds may be left out."""

    x: NDArray[Any]
    y: NDArray[Any]
    lower: NDArray[Any] | None = None
    upper: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the lengths differ."""
        lengths = {len(part) for part in (self.x, self.y, self.lower, self.upper) if part is not None}
        if len(lengths) != 1 or (self.lower is None) is not (self.upper is None):
            message = "a band's x, y, lower and upper are of one length, and the bounds come together"
            raise ValueError(message)


def reliability(bins: Mapping[str, Band], *, x: str = "predicted probability", y: str = "share that had it") -> str:
    """Predicted probability against the share that had the condition, by the name of each model; the bounds are of the share."""
    with _figure(x, y) as (axes, figure):
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, label="perfectly calibrated")
        for number, (name, band) in enumerate(bins.items()):
            _errors(axes, band, number, name, is_line=False)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _legend(axes)
    return figure()


def roc(curves: Mapping[str, Band], point: tuple[float, float] | None = None) -> str:
    """Receiver operating characteristics by name: `x` is 1 - specificity, `y` sensitivity; `point` is where the model is used."""
    with _figure("1 - specificity", "sensitivity") as (axes, figure):
        axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, label="chance")
        _lines(axes, curves)
        if point is not None:
            axes.plot(*point, "o", color=COLOURS[-1], label="operating point")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        _legend(axes)
    return figure()


def survival(groups: Mapping[str, Band], *, unit: str = "days") -> str:
    """The share without the event over time, by the name of each group; steps, with bounds."""
    with _figure(f"time ({unit})", "share without the event") as (axes, figure):
        for number, (name, band) in enumerate(groups.items()):
            colour, style = _look(number)
            axes.step(band.x, band.y, where="post", color=colour, linestyle=style, label=name)
            if band.lower is not None and band.upper is not None:
                axes.fill_between(band.x, band.lower, band.upper, step="post", color=colour, alpha=0.15, linewidth=0)
        axes.set(ylim=(0, 1.01), xlim=(0, None))
        _legend(axes)
    return figure()


def net_benefit(curves: Mapping[str, Band]) -> str:
    """Decision curves by name: `x` is the threshold probability, `y` the net benefit of each patient."""
    with _figure("threshold probability", "net benefit (true positives per patient)") as (axes, figure):
        axes.axhline(0, color=_GREY, linewidth=0.8, label="treat none")
        _lines(axes, curves)
        highest = max((float(np.max(band.y if band.upper is None else band.upper)) for band in curves.values()), default=0)
        # To treat all falls without end; what is below zero by so much is of no interest.
        axes.set(ylim=(-0.25 * highest, 1.1 * highest) if highest > 0 else None)
        _legend(axes)
    return figure()


def effects(names: Sequence[str], band: Band, *, unit: str, reference: str, predicted: Sequence[float] | None = None) -> str:
    """A value and its interval for each name, from top to bottom: effects against `reference`, in `unit`, and `predicted` ones beside them."""
    with _figure(f"effect against {reference} ({unit})", "") as (axes, figure):
        places = np.arange(len(names))[::-1]
        lower, upper = (band.y, band.y) if band.lower is None or band.upper is None else (band.lower, band.upper)
        axes.errorbar(band.y, places, xerr=[band.y - lower, upper - band.y], fmt="o", color=COLOURS[0], capsize=3, label="found")
        if predicted is not None:
            axes.plot(predicted, places, "D", color=COLOURS[1], fillstyle="none", label="predicted")
            _legend(axes)
        axes.axvline(0, color=_GREY, linewidth=0.8)
        axes.set_yticks(places, names)
        axes.set_ylim(-0.6, len(names) - 0.4)
    return figure()


def series(channels: Mapping[str, NDArray[Any]], *, title: str) -> str:
    """One item's series, by the name of each channel, each below the other; `title` says what was said of it."""
    with _figure("samples", "", rows=len(channels)) as (axes, figure):
        panels = np.atleast_1d(axes)
        for number, (panel, (name, values)) in enumerate(zip(panels, channels.items(), strict=True)):
            panel.plot(values, color=_look(number)[0], linewidth=1)
            # Above it: beside a panel that is as low as these a name has no room.
            panel.set_title(name, fontsize=8, loc="left")
        panels[0].figure.suptitle(fill(title, _TITLE_LETTERS), fontsize=9, x=0.02, ha="left")
    return figure()


def images(pixels: Sequence[NDArray[Any]], titles: Sequence[str]) -> str:
    """Grey images [rows, columns] in a row, each with what was said of it."""
    with _figure("", "", columns=len(pixels)) as (axes, figure):
        for panel, image, title in zip(np.atleast_1d(axes), pixels, titles, strict=True):
            panel.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            panel.set_title(title, fontsize=8)
            panel.set_axis_off()
    return figure()


def agreement(band: Band, *, unit: str) -> str:
    """Predicted effects against those that were found, both in `unit`; the bounds are of what was found."""
    with _figure(f"predicted effect ({unit})", f"found effect ({unit})") as (axes, figure):
        ends = [float(min(band.x.min(), band.y.min())), float(max(band.x.max(), band.y.max()))]
        axes.plot(ends, ends, color=_GREY, linewidth=0.8, label="as predicted")
        _errors(axes, band, 0, "found", is_line=False)
        _legend(axes)
    return figure()


def levels(band: Band, *, x: str, y: str) -> str:
    """A figure `y` with its interval, by the level of `x`."""
    with _figure(x, y) as (axes, figure):
        _errors(axes, band, 0, y)
    return figure()


def history(epochs: Mapping[str, Sequence[float]]) -> str:
    """How the fit went: a value for each epoch, by name."""
    with _figure("epoch", "") as (axes, figure):
        axes.xaxis.get_major_locator().set_params(integer=True)
        _lines(axes, {name: Band(x=np.arange(1, len(values) + 1), y=np.asarray(values)) for name, values in epochs.items()})
        _legend(axes)
    return figure()


def _legend(axes: "Axes") -> None:
    """Above the axes, where it covers no data, in columns that fit; the longest name decides how many."""
    _, names = axes.get_legend_handles_labels()
    columns = max(1, min(len(names), _LEGEND_LETTERS // (max(map(len, names), default=0) + _KEY_LETTERS)))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, borderaxespad=0, frameon=False)
    # Each line but the first takes its room from the page, and not from the data.
    picture = axes.get_figure(root=True)
    if picture is not None:
        picture.set_figheight(picture.get_figheight() + _LEGEND_LINE_INCHES * (-(-len(names) // columns) - 1))


def _lines(axes: "Axes", curves: Mapping[str, Band]) -> None:
    for number, (name, band) in enumerate(curves.items()):
        colour, style = _look(number)
        axes.plot(band.x, band.y, color=colour, linestyle=style, label=name)
        if band.lower is not None and band.upper is not None:
            axes.fill_between(band.x, band.lower, band.upper, color=colour, alpha=0.15, linewidth=0)


def _errors(axes: "Axes", band: Band, number: int, name: str, *, is_line: bool = True) -> None:
    colour, style = _look(number)
    style = style if is_line else ""
    if band.lower is None or band.upper is None:
        axes.plot(band.x, band.y, marker=_MARKERS[number % len(_MARKERS)], color=colour, linestyle=style, label=name)
        return
    # Rounding may put a share a hair outside its own interval.
    spread = [np.maximum(band.y - band.lower, 0), np.maximum(band.upper - band.y, 0)]
    axes.errorbar(band.x, band.y, yerr=spread, fmt=_MARKERS[number % len(_MARKERS)], linestyle=style, color=colour, capsize=3, label=name)


def _look(number: int) -> tuple[str, str]:
    return COLOURS[number % len(COLOURS)], _STYLES[number % len(_STYLES)]


@contextmanager
def _figure(x: str, y: str, *, rows: int = 1, columns: int = 1) -> Iterator[tuple[Any, Callable[[], str]]]:
    """Axes to draw on, and what gives the finished picture once the block has ended."""
    # Without pyplot: it keeps every figure, and wants to know of a screen.
    from matplotlib import rc_context  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    picture = StringIO()
    # Text stays text, so that it can be read aloud and searched; ids are the same on each run, so that equal reports are equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "medserve", "font.family": "sans-serif", "font.size": 9}):
        height = _SIZE_INCHES[1] if rows == 1 else 1.5 * rows
        figure = Figure(figsize=(_SIZE_INCHES[0] if columns == 1 else 1.4 * columns, height if columns == 1 else 1.8), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=rows > 1)
        for panel in np.atleast_1d(axes):
            panel.spines[["top", "right"]].set_visible(False)
        np.atleast_1d(axes)[-1].set_xlabel(x)
        if rows == columns == 1:
            axes.set_ylabel(y)
        yield axes, picture.getvalue
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
