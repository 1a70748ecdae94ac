"""ACTG 175: 2,139 patients with HIV, randomised to four treatments, which install with lifelines."""

import numpy as np

from training import record_input
from training.data import at_hand, csv_table
from training.data.notes import notes
from training.dataset import Dataset, Part
from training.quality.declarations import ConflictingLabels, Duplicates
from training.quality.schema import Category, Field, Schema
from training.quality.table import Table

# S. M. Hammer et al., "A trial comparing nucleoside monotherapy with combination therapy", NEJM 335 (1996). By the number in the column `arms`.
OPTIONS = ("zidovudine", "zidovudine and didanosine", "zidovudine and zalcitabine", "didanosine")
TARGET = np.dtype([("option", np.int64), ("outcome", np.float64)])
_OUTCOME, _OPTION = "cd4_20_weeks", "arm"
_SPLIT_SEED = 0
_RECORDS = 2139
_NO_YES = (Category(code="no", display="no"), Category(code="yes", display="yes"))


def _number(name: str, description: str, unit: str, low: float, high: float) -> Field:
    return Field(name=name, description=description, unit=unit, minimum=low, maximum=high)


def _binary(name: str, description: str) -> Field:
    return Field(name=name, description=description, unit="1", categories=_NO_YES)


# All of them were known before the treatment was given.
SCHEMA = Schema(
    name="ACTG 175",
    fields=(
        _number("age", "age", "a", 12, 90),
        _number("weight", "weight", "kg", 25, 250),
        _number("karnofsky", "Karnofsky performance score", "1", 0, 100),
        _number("cd4", "CD4 cells at the start", "/uL", 0, 2000),
        _number("cd8", "CD8 cells at the start", "/uL", 0, 10000),
        _number("days_of_treatment_before", "days of antiretroviral treatment before", "d", 0, 6000),
        Field(name="sex", description="sex", unit="1", categories=(Category(code="female", display="female"), Category(code="male", display="male"))),
        _binary("haemophilia", "haemophilia"),
        _binary("injected_drugs", "history of injected drugs"),
        _binary("zidovudine_in_last_30_days", "zidovudine in the 30 days before"),
        _binary("other_treatment_before", "antiretroviral treatment other than zidovudine before"),
        _binary("symptoms", "symptoms of HIV infection"),
    ),
    patient="patient",
    labels=(
        Field(name=_OPTION, description="the arm that the patient was randomised to", unit="1", minimum=0, maximum=3, is_integer=True),
        Field(name=_OUTCOME, description="CD4 cells after 20 weeks, give or take 5", unit="/uL", minimum=0, maximum=3000),
    ),
    ignored=("race",),
)  # fmt: skip
_INPUTS = tuple(field.name for field in SCHEMA.fields)
TABLE = Table(
    schema=SCHEMA,
    # Nobody else has all of these as another patient has them: who comes again under another number is a copy.
    cleaning=(
        Duplicates(columns=(*_INPUTS, _OPTION, _OUTCOME)),
        ConflictingLabels(columns=(*_INPUTS, _OPTION), label=_OUTCOME),
        ConflictingLabels(columns=_INPUTS, label=_OPTION),
    ),
)
# By the file's own codes. What has another one is left as it is, and quarantined.
_CODES = {field.name: {"0": field.codes[0], "1": field.codes[1]} for field in SCHEMA.fields if field.categories}
_COLUMNS = {
    "pidnum": "patient", "age": "age", "wtkg": "weight", "karnof": "karnofsky", "cd40": "cd4", "cd80": "cd8", "preanti": "days_of_treatment_before",
    "gender": "sex", "hemo": "haemophilia", "drugs": "injected_drugs", "z30": "zidovudine_in_last_30_days", "oprior": "other_treatment_before",
    "symptom": "symptoms", "race": "race", "arms": _OPTION, "cd420": _OUTCOME,
}  # fmt: skip


def load_actg175() -> Dataset:
    """Float32 [items, 12] and targets of `TARGET`: half to train on, a tenth to validate and the others held out, as many of each arm.

    Raises Refused where the file isn't as the table declares, and NotAtHand where lifelines isn't installed.
    """
    from training.evidence.subgroups import banded  # noqa: PLC0415 - slow to import
    from training.quality import cells  # noqa: PLC0415
    from training.quality.split import by_patient, require_no_leak  # noqa: PLC0415
    from training.quality.take import columns_of, take  # noqa: PLC0415

    version, (file,) = at_hand.installed("lifelines", "lifelines/datasets/ACTG175.csv", data="the trial ACTG 175")
    read = csv_table.read(file)
    raw = columns_of(read.frame, _COLUMNS, file=file.name)
    for name, codes in _CODES.items():
        raw[name] = cells.named(raw[name], codes)
    taken = take(TABLE, raw, file=file.name, unread=read.unread, records=_RECORDS)
    table = taken.clean
    targets = np.zeros(len(table), TARGET)
    targets["option"], targets["outcome"] = table[_OPTION], table[_OUTCOME]
    patients = table["patient"].to_numpy()
    attributes = {"sex": np.asarray(table["sex"], object), "age": banded(table["age"].to_numpy(np.float64), (30, 40))}
    split = by_patient(patients, labels=targets["option"], validation=0.1, held_out=0.4, seed=_SPLIT_SEED)
    inputs = record_input.inputs_of(SCHEMA, table)
    require_no_leak(split, patients=patients, rows=inputs)
    whole = Part(inputs=inputs, targets=targets, patients=patients, attributes=attributes)
    return Dataset(
        name="ACTG 175, a randomised trial",
        source=f"lifelines {version} (ACTG175.csv)",
        license="MIT (the package)",
        training=whole.of(split.training),
        validation=whole.of(split.validation),
        held_out=whole.of(split.held_out),
        notes=notes(taken),
    )
