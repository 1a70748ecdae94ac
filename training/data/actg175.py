"""ACTG 175: 2,139 patients with HIV, randomised to four treatments, which install with lifelines."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np

from training import record_input
from training.data.notes import notes
from training.dataset import Dataset, Part
from training.quality.schema import Category, Field, Schema

# S. M. Hammer et al., "A trial comparing nucleoside monotherapy with combination therapy", NEJM 335 (1996). By the number in the column `arms`.
OPTIONS = ("zidovudine", "zidovudine and didanosine", "zidovudine and zalcitabine", "didanosine")
TARGET = np.dtype([("option", np.int64), ("outcome", np.float64)])
_OUTCOME, _OPTION = "cd4_20_weeks", "arm"
_SPLIT_SEED = 0
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
_COLUMNS = {
    "pidnum": "patient", "age": "age", "wtkg": "weight", "karnof": "karnofsky", "cd40": "cd4", "cd80": "cd8", "preanti": "days_of_treatment_before",
    "gender": "sex", "hemo": "haemophilia", "drugs": "injected_drugs", "z30": "zidovudine_in_last_30_days", "oprior": "other_treatment_before",
    "symptom": "symptoms", "race": "race", "arms": _OPTION, "cd420": _OUTCOME,
}  # fmt: skip


def load_actg175() -> Dataset:
    """Float32 [items, 12] and targets of `TARGET`: half to train on, a tenth to validate and the others held out, as many of each arm."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    from training.evidence.subgroups import banded  # noqa: PLC0415
    from training.quality.check import check  # noqa: PLC0415
    from training.quality.split import by_patient, require_no_leak  # noqa: PLC0415

    package = distribution("lifelines")
    file = Path(str(package.locate_file("lifelines/datasets/ACTG175.csv")))
    raw = pd.read_csv(file)[list(_COLUMNS)].rename(columns=_COLUMNS)
    raw["sex"] = np.where(raw["sex"] == 1, "male", "female")
    for field in SCHEMA.fields:
        if field.categories == _NO_YES:
            raw[field.name] = np.where(raw[field.name] == 1, "yes", "no")
    checked = check(SCHEMA, raw, file=file.name)
    table = checked.clean
    targets = np.zeros(len(table), TARGET)
    targets["option"], targets["outcome"] = table[_OPTION], table[_OUTCOME]
    patients = table["patient"].to_numpy()
    attributes = {"sex": np.asarray(table["sex"], object), "age": banded(table["age"].to_numpy(np.float64), (30, 40))}
    split = by_patient(patients, labels=targets["option"], validation=0.1, held_out=0.4, seed=_SPLIT_SEED)
    require_no_leak(split, patients=patients)
    whole = Part(inputs=record_input.inputs_of(SCHEMA, table), targets=targets, patients=patients, attributes=attributes)
    return Dataset(
        name="ACTG 175, a randomised trial",
        source=f"lifelines {package.version} (ACTG175.csv)",
        license="MIT (the package)",
        training=whole.of(split.training),
        validation=whole.of(split.validation),
        held_out=whole.of(split.held_out),
        notes=notes(checked),
    )
