"""Breast cancer, Wisconsin diagnostic: 569 fine-needle aspirates, measured by their nuclei, which install with scikit-learn."""

from typing import NamedTuple

import numpy as np

from training import record_input
from training.data import at_hand, csv_table
from training.data.notes import notes
from training.dataset import Dataset, Part
from training.quality.declarations import ConflictingLabels, Duplicates
from training.quality.schema import Category, Field, Schema
from training.quality.table import Table

LABEL = "diagnosis"
BENIGN, MALIGNANT = "benign", "malignant"


# W. N. Street, W. H. Wolberg and O. L. Mangasarian, "Nuclear feature extraction for breast tumor diagnosis" (1993): ten measures of each nucleus;
# their mean, standard error, and the mean of the three largest ("worst"). They're in pixels of the digitised slide, whose size isn't stated.
class _Measure(NamedTuple):
    """What is measured, and the least and the most that it can be."""

    meaning: str
    least: float
    most: float


# The largest nuclei that the data's documentation has are of 36 pixels' radius, 251 perimeter and 4,254 area: room is left up to a radius of 100, its
# disc's area, and an outline half as long again. The spread of 8-bit greys is at most half of 255. Relative measures are up to 1, and coastlines have
# 1 to 2 dimensions; compactness and concavity, which no rule bounds, have eight times what was seen.
_MEASURES = {
    "radius": _Measure("mean distance from the centre to the outline, in pixels", 1, 100),
    "texture": _Measure("standard deviation of grey values", 0, 128),
    "perimeter": _Measure("in pixels", 6, 1000),
    "area": _Measure("in pixels", 3, 32_000),
    "smoothness": _Measure("local variation of radius lengths", 0, 1),
    "compactness": _Measure("perimeter² / area - 1", 0, 10),
    "concavity": _Measure("severity of concave parts of the outline", 0, 10),
    "concave points": _Measure("number of concave parts of the outline", 0, 1),
    "symmetry": _Measure("of the outline", 0, 1),
    "fractal dimension": _Measure("coastline approximation - 1", 0, 1),
}
_KINDS = {"mean": "mean over the nuclei", "error": "standard error over the nuclei", "worst": "mean of the three largest nuclei"}
# Which rows are held out is part of the data set: it must not change with a job's seed.
_SPLIT_SEED = 0


def _name(kind: str, measure: str) -> str:
    """As scikit-learn calls it, with `_` between the words: a name in a request."""
    words = f"{measure} error" if kind == "error" else f"{kind} {measure}"
    return words.replace(" ", "_")


SCHEMA = Schema(
    name="Breast cancer, Wisconsin diagnostic",
    fields=tuple(
        Field(
            name=_name(kind, measure),
            description=f"{measure} of the nuclei ({each.meaning}): {of_kind}",
            unit="1",
            # Nuclei that are all alike have no error.
            minimum=0 if kind == "error" else each.least,
            maximum=each.most,
        )
        for kind, of_kind in _KINDS.items()
        for measure, each in _MEASURES.items()
    ),
    labels=(
        Field(
            name=LABEL, description="what the biopsy was found to be", unit="1",
            categories=(Category(code=BENIGN, display=BENIGN), Category(code=MALIGNANT, display=MALIGNANT)),
        ),
    ),
)  # fmt: skip
_INPUTS = tuple(field.name for field in SCHEMA.fields)
TABLE = Table(schema=SCHEMA, cleaning=(Duplicates(columns=(*_INPUTS, LABEL)), ConflictingLabels(columns=_INPUTS, label=LABEL)))
# By the file's own codes. What has another one is left as it is, and quarantined.
_CODES = {"0": MALIGNANT, "1": BENIGN}
_RECORDS = 569


def load_breast_cancer() -> Dataset:
    """Float32 [items, 30] and 1 for malignant: 60 % to train on, 15 % to validate and 25 % held out, as many malignant in each. One row a patient.

    Raises Refused where the file isn't as the table declares, and NotAtHand where scikit-learn isn't installed.
    """
    from training.quality import cells  # noqa: PLC0415 - slow to import
    from training.quality.split import at_random, require_no_leak  # noqa: PLC0415
    from training.quality.take import take  # noqa: PLC0415

    version, (file,) = at_hand.installed("scikit-learn", "sklearn/datasets/data/breast_cancer.csv", data=SCHEMA.name)
    # The file's first line counts rows and names the classes; the columns have no names.
    read = csv_table.read(file, names=(*_INPUTS, LABEL))
    raw = read.frame.assign(**{LABEL: cells.named(read.frame[LABEL], _CODES)})
    taken = take(TABLE, raw, file=file.name, unread=read.unread, records=_RECORDS)
    inputs = record_input.inputs_of(SCHEMA, taken.clean)
    targets = taken.clean[LABEL].cat.codes.to_numpy().astype(np.int64)
    split = at_random(len(targets), labels=targets, validation=0.15, held_out=0.25, seed=_SPLIT_SEED)
    require_no_leak(split, rows=inputs)
    whole = Part(inputs=inputs, targets=targets)
    return Dataset(
        name=SCHEMA.name,
        source=f"scikit-learn {version} (breast_cancer.csv)",
        license="CC BY 4.0 (UCI), BSD-3-Clause (the package)",
        training=whole.of(split.training),
        validation=whole.of(split.validation),
        held_out=whole.of(split.held_out),
        notes=notes(taken),
    )
