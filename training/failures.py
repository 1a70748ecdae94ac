"""What ends a command, in words that may be shown: an error that nobody foresaw may quote a patient's value, so its message isn't among them."""

import traceback
from pathlib import Path

from medserve.repository import RepositoryError
from training.data.at_hand import NotAtHand
from training.drift import NotComparable
from training.fitting.fit import Diverged
from training.gates import NotEarned
from training.job import NoSuchSet
from training.quality.fault import Refused
from training.quality.split import Leak
from training.serving import NotServed

NOT_GOOD_ENOUGH = (NotEarned, NotServed, Diverged)
"""The command did what it is for, and the model isn't good enough."""

_OURS = Path(__file__).parent


class Unusable(ValueError):
    """What a command was given can't be used; the message says what and why."""


UNUSABLE = (RepositoryError, NotComparable, NoSuchSet, Refused, Leak, NotAtHand, Unusable)
"""The command, its folder or its file can't be used."""


def told(error: BaseException) -> str:
    """What may be said of it, without an end: its message where it is ours or the system's, otherwise its type and where it came from."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was ended from outside"
    if isinstance(error, (*NOT_GOOD_ENOUGH, *UNUSABLE)):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return unforeseen(error)


def unforeseen(error: BaseException) -> str:
    """The type of an error and the line of this package that it came through last."""
    places = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [f" at training/{file.relative_to(_OURS).as_posix()}:{line}" for file, line in places if _OURS in file.parents]
    return f"{type(error).__name__}{ours[-1] if ours else ''}"
