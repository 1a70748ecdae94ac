"""A table from a pickle of a package: a pickle may name any code to run, so only what a table is made of is let in."""

import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.quality.fault import Fault, Reason, Refused

if TYPE_CHECKING:
    import pandas as pd

# What pandas' and numpy's own pickles of a table name, in the versions that have been seen.
_PARTS = {
    "builtins": {"slice"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "pandas._libs.arrays": {"__pyx_unpickle_NDArrayBacked"},
    "pandas._libs.internals": {"_unpickle_block"},
    "pandas.core.arrays.categorical": {"Categorical"},
    "pandas.core.dtypes.dtypes": {"CategoricalDtype"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.indexes.base": {"Index", "_new_Index"},
    "pandas.core.indexes.range": {"RangeIndex"},
    "pandas.core.internals.managers": {"BlockManager"},
}


class _OfTables(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's
        if name not in _PARTS.get(module, set()):
            message = f"{module}.{name} is no part of a table"
            raise pickle.UnpicklingError(message)
        # numpy 2 has moved what numpy 1 pickled.
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def read(file: Path) -> "pd.DataFrame":
    """The table in a pickle, its records counted from 0.

    Raises Refused where it holds anything else, and runs none of it; OSError where it can't be read.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise Refused((Fault(file=file.name, reason=Reason.NO_SUCH_FILE),)) from None
    try:
        found = _OfTables(io.BytesIO(content)).load()
    except Exception as error:  # noqa: BLE001 - damaged bytes come to errors of any kind
        # Pickle's own errors quote the pickle; what was refused is named by ours.
        why = (
            str(error)
            if isinstance(error, pickle.UnpicklingError) and str(error).endswith("is no part of a table")
            else "it is damaged, or no pickle"
        )
        raise Refused(why=f"{file.name}: {why}") from None
    if not isinstance(found, pd.DataFrame):
        raise Refused(why=f"{file.name}: it holds no table")
    try:
        is_whole = all(_is_whole(found.iloc[:, place], len(found)) for place in range(found.shape[1]))
    except Exception:  # noqa: BLE001 - as above
        is_whole = False
    if not is_whole:
        raise Refused(why=f"{file.name}: it is damaged, or no pickle")
    return found.reset_index(drop=True)


def _is_whole(column: "pd.Series[Any]", rows: int) -> bool:
    """Whether a column is made as pandas makes them: it reads beyond its memory where a category's code is none."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy()
        return len(codes) == rows and bool(((codes >= -1) & (codes < len(column.cat.categories))).all())
    return column.to_numpy().shape == (rows,)
