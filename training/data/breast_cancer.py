"""Breast cancer, Wisconsin diagnostic: 569 fine-needle aspirates, measured by their nuclei, which install with scikit-learn."""

from importlib.metadata import version
from pathlib import Path

import numpy as np

from training import record_input
from training.data.notes import notes
from training.dataset import Dataset, Part
from training.quality.schema import Category, Field, Schema

LABEL = "diagnosis"
BENIGN, MALIGNANT = "benign", "malignant"
# W. N. Street, W. H. Wolberg and O. L. Mangasarian, "Nuclear feature extraction for breast tumor diagnosis" (1993): ten measures of each nucleus;
# their mean, standard error, and the mean of the three largest ("worst"). They're in pixels of the digitised slide, whose size isn't stated.
_MEASURES = {
    "radius": "mean distance from the centre to the outline, in pixels",
    "texture": "standard deviation of grey values",
    "perimeter": "in pixels",
    "area": "in pixels",
    "smoothness": "local variation of radius lengths",
    "compactness": "perimeter² / area - 1",
    "concavity": "severity of concave parts of the outline",
    "concave points": "number of concave parts of the outline",
    "symmetry": "of the outline",
    "fractal dimension": "coastline approximation - 1",
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
        Field(name=_name(kind, measure), description=f"{measure} of the nuclei ({meaning}): {of_kind}", unit="1", minimum=0)
        for kind, of_kind in _KINDS.items()
        for measure, meaning in _MEASURES.items()
    ),
    labels=(
        Field(
            name=LABEL, description="what the biopsy was found to be", unit="1",
            categories=(Category(code=BENIGN, display=BENIGN), Category(code=MALIGNANT, display=MALIGNANT)),
        ),
    ),
)  # fmt: skip


def load_breast_cancer() -> Dataset:
    """Float32 [items, 30] and 1 for malignant: 60 % to train on, 15 % to validate and 25 % held out, as many malignant in each. One row a patient."""
    import pandas as pd  # noqa: PLC0415 - slow to import
    import sklearn.datasets  # noqa: PLC0415

    from training.quality.check import check  # noqa: PLC0415
    from training.quality.split import at_random, require_no_leak  # noqa: PLC0415

    file = Path(sklearn.datasets.__file__).with_name("data") / "breast_cancer.csv"
    # The file's first line counts rows and names the classes; the columns have no names.
    raw = pd.read_csv(file, skiprows=1, header=None, names=[*(field.name for field in SCHEMA.fields), LABEL])
    # In the file 0 is malignant.
    raw[LABEL] = np.where(raw[LABEL] == 0, MALIGNANT, BENIGN)
    checked = check(SCHEMA, raw, file=file.name)
    inputs = record_input.inputs_of(SCHEMA, checked.clean)
    targets = checked.clean[LABEL].cat.codes.to_numpy().astype(np.int64)
    split = at_random(len(targets), labels=targets, validation=0.15, held_out=0.25, seed=_SPLIT_SEED)
    require_no_leak(split, rows=inputs)
    whole = Part(inputs=inputs, targets=targets)
    return Dataset(
        name=SCHEMA.name,
        source=f"scikit-learn {version('scikit-learn')} (breast_cancer.csv)",
        license="CC BY 4.0 (UCI), BSD-3-Clause (the package)",
        training=whole.of(split.training),
        validation=whole.of(split.validation),
        held_out=whole.of(split.held_out),
        notes=notes(checked),
    )
