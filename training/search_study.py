"""What a search has tried so far, kept in a folder so that a search which was killed can go on.

It is SQLite and not Optuna's journal: after half a line was written to that, the next line spoils it for good.
"""

import errno
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from training.alone import alone
from training.dataset import Dataset
from training.fitting.plan import Plan
from training.search_space import Space

if TYPE_CHECKING:
    import optuna

_STUDY, _LOCK = "search.sqlite", ".lock"


def named(job: str, plan: Plan, data: Dataset, space: Space) -> str:
    """The name of a search, which tells it from others of the job: by the space, the plan and the items. Held-out ones aren't among these."""
    described = {field.name: _described(getattr(plan, field.name)) for field in fields(plan)}
    items = [part.source().identity() for part in (data.training, data.validation)]
    of = repr((sorted((name, repr(among)) for name, among in space.settings.items()), described, items))
    return f"{job}-{hashlib.blake2b(of.encode(), digest_size=8).hexdigest()}"


def _described(value: Any) -> str:  # noqa: ANN401 - what a plan has
    """The same in the next process, where a function has another address."""
    if value is None or isinstance(value, str | int | float) or is_dataclass(value):
        return repr(value)
    if isinstance(value, Mapping):
        return repr(sorted((repr(key), _described(part)) for key, part in value.items()))
    if isinstance(value, list | tuple):
        return repr([_described(part) for part in value])
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


@contextmanager
def study(name: str, folder: Path | None) -> Iterator["optuna.Study"]:
    """The study of this name, where the folder has it, and otherwise a new one, which is kept nowhere where there is no folder.

    Raises AtWork where another process works in the folder, and OSError where it can't be used.
    """
    import optuna  # noqa: PLC0415 - slow to import

    with _silent():
        if folder is None:
            yield optuna.create_study(study_name=name)
        else:
            with _kept(name, folder) as study:
                yield study


@contextmanager
def _kept(name: str, folder: Path) -> Iterator["optuna.Study"]:
    import optuna  # noqa: PLC0415 - slow to import
    from optuna.storages import RDBStorage  # noqa: PLC0415 - slow to import
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / _STUDY
    with alone(folder / _LOCK, who="another search"):
        try:
            # A folder's name may have a `?`, at which a URL's path would end.
            storage = RDBStorage(f"sqlite:///{quote(str(file.absolute()))}")
            try:
                yield optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
            finally:
                storage.remove_session()
                storage.engine.dispose()
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise OSError(errno.EIO, "what was tried so far can't be read or added to", str(file)) from error


@contextmanager
def _silent() -> Iterator[None]:
    """Optuna tells of its errors only: of each trial the search itself tells."""
    import optuna  # noqa: PLC0415 - slow to import

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
