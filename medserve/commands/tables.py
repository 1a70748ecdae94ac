"""What people read: plain tables that fold instead of cutting, without frames, so that they can be piped as well."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

# Between two columns, and for one that may be folded.
_GAP, _LEAST_WIDTH = 2, 8
_MIN_DECIMALS, _MAX_DECIMALS = 2, 4


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """`main` ends it, with the status that is documented there."""
        raise BrokenPipeError


def console() -> Console:
    """Standard output: in colour on a terminal, plain text elsewhere; 80 columns where nobody says."""
    return _Console(highlight=False, markup=False, emoji=False)


def cell(value: object, style: str = "") -> Text:
    """A text of the service's as one that can't move the cursor or change colours."""
    return Text("".join(character if character.isprintable() else "?" for character in str(value)), style=style)


def show(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Sequence[str] = (), whole: Sequence[str] = ()
) -> None:
    """Prints a table; the columns in `right` are aligned to the right, those in `whole` aren't folded unless the rest would vanish.

    Columns that are empty in every row are left out.
    """
    cells = [[value if isinstance(value, Text) else cell(value) for value in row] for row in rows]
    kept = [index for index in range(len(columns)) if any(row[index].plain for row in cells)]
    widths = {index: max(row[index].cell_len for row in cells) for index in kept}
    least = sum(_GAP + (widths[index] if columns[index] in whole else min(widths[index], _LEAST_WIDTH)) for index in kept)
    result = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for index in kept:
        name = columns[index]
        result.add_column(
            name.upper(),
            overflow="fold",
            justify="right" if name in right else "left",
            no_wrap=name in whole and least <= console.width,
        )
    for row in cells:
        result.add_row(*(row[index] for index in kept))
    console.print(result)


def percentages(probabilities: Sequence[float], *, min_decimals: int = _MIN_DECIMALS) -> list[str]:
    """Probabilities as percentages with as many decimals as tell the closest of them from 0 % and 100 %: at least `min_decimals`, at most 4.

    What would still round to 0 % or 100 %, and isn't, says so: `< 0.0001 %`.
    """
    decimals = max((_decimals(probability, min_decimals) for probability in probabilities), default=min_decimals)
    least = 10.0**-decimals
    texts = []
    for probability in probabilities:
        percentage = probability * 100
        if 0 < percentage < least / 2:
            texts.append(f"< {least:.{decimals}f} %")
        elif 100 - least / 2 < percentage < 100:  # noqa: PLR2004 - per cent
            texts.append(f"> {100 - least:.{decimals}f} %")
        else:
            texts.append(f"{percentage:.{decimals}f} %")
    return texts


def day(time: datetime | None) -> str:
    """A day in UTC; nothing for None."""
    return "" if time is None else f"{time:%Y-%m-%d}"


def level(confidence_level: float) -> str:
    """A confidence level as it was chosen: `97.5 %`, and `90 %` where a single float says 0.89999998."""
    rounded = f"{confidence_level * 100:.6g}"
    return f"{confidence_level * 100:.15g} %" if rounded in {"0", "100"} else f"{rounded} %"


def _decimals(probability: float, min_decimals: int) -> int:
    """As many as show two digits of the distance from 0 % or 100 %, whichever is nearer."""
    distance = min(probability, 1 - probability) * 100
    if not distance > 0:
        return min_decimals
    return min(max(1 - math.floor(math.log10(distance)), min_decimals), _MAX_DECIMALS)
