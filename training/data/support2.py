"""SUPPORT: 9,105 seriously ill patients of five hospitals, 1989 to 1994, and how long they lived; installs with SurvSet.

SurvSet is under the GPL, so it is installed for development only: it gives the table, and no line of it runs.
"""

import numpy as np

from training import record_input
from training.data import at_hand, pickled_table
from training.data.notes import notes
from training.dataset import Dataset, Part
from training.quality.declarations import ConflictingLabels, Duplicates, Impossible
from training.quality.schema import Category, Field, Schema
from training.quality.table import Table

HORIZON_DAYS = 180
TIME, EVENT = "time", "event"
TARGET = np.dtype([("time_days", np.float64), ("event", np.bool_)])
_SPLIT_SEED = 0
_RECORDS = 9105


def _number(name: str, description: str, unit: str, low: float, high: float, *, missing: bool = True, **more: float) -> Field:
    """A number that may be missing, and other units with what they're multiplied by: `umol_per_L` is `umol/L`."""
    others = {unit_name.replace("_per_", "/"): factor for unit_name, factor in more.items()}
    return Field(name=name, description=description, unit=unit, minimum=low, maximum=high, may_be_missing=missing, other_units=others)


def _category(name: str, description: str, *codes: str) -> Field:
    return Field(name=name, description=description, unit="1", categories=tuple(Category(code=code, display=code) for code in codes))


# Names, meanings and units after W. A. Knaus et al., "The SUPPORT prognostic model", Annals of Internal Medicine 122 (1995). Bounds are what a living
# adult can have. What was found later than day 3 (do-not-resuscitate orders, disability at two months) or by another model (its survival estimates
# and its physiology score) isn't learnt from.
SCHEMA = Schema(
    name="SUPPORT",
    fields=(
        _number("age", "age", "a", 18, 110, missing=False),
        _category("sex", "sex", "female", "male"),
        _category("disease", "disease group", "ARF/MOSF w/Sepsis", "CHF", "COPD", "Cirrhosis", "Colon Cancer", "Coma", "Lung Cancer", "MOSF w/Malig"),
        _category("cancer", "cancer", "no", "yes", "metastatic"),
        _number("comorbidities", "number of comorbid conditions", "1", 0, 20, missing=False),
        _category("diabetes", "diabetes", "no", "yes"),
        _category("dementia", "dementia", "no", "yes"),
        _number("hospital_day", "day of the hospital stay on which the patient was first seen", "d", 1, 400, missing=False),
        _number("coma_score", "SUPPORT day 3 coma score from the Glasgow scale, 0 awake to 100", "1", 0, 100),
        _number("mean_blood_pressure", "mean arterial blood pressure, day 3", "mm[Hg]", 10, 250),
        _number("heart_rate", "heart rate, day 3", "/min", 10, 300),
        _number("respiratory_rate", "respiratory rate, day 3", "/min", 1, 90),
        _number("temperature", "temperature, day 3", "Cel", 25, 45),
        _number("white_cells", "white blood cell count, day 3", "10*3/uL", 0.01, 500),
        _number("pao2_fio2", "PaO2/FiO2 ratio, day 3", "mm[Hg]", 10, 900),
        _number("albumin", "serum albumin, day 3", "g/dL", 0.2, 8),
        _number("bilirubin", "bilirubin, day 3", "mg/dL", 0.05, 80, umol_per_L=1 / 17.1),
        _number("creatinine", "serum creatinine, day 3", "mg/dL", 0.05, 30, umol_per_L=1 / 88.42),
        _number("sodium", "serum sodium, day 3", "mmol/L", 90, 200),
        _number("ph", "arterial pH, day 3", "1", 6.5, 8),
        _number("glucose", "glucose, day 3", "mg/dL", 5, 1500, mmol_per_L=18.016),
        _number("urea_nitrogen", "blood urea nitrogen, day 3", "mg/dL", 0.5, 400, mmol_per_L=2.801),
        _number("urine", "urine output, day 3", "mL/d", 0, 20000),
        _number("adl_patient", "activities of daily living that need help, by the patient", "1", 0, 7),
        _number("adl_surrogate", "activities of daily living that need help, by a relative", "1", 0, 7),
    ),
    labels=(
        Field(name=TIME, description="days to death or to the end of follow-up", unit="d", minimum=0),
        Field(name=EVENT, description="1 where the patient is known to have died", unit="1", minimum=0, maximum=1, is_integer=True),
    ),
    patient="patient",
    ignored=("race",),
)
_INPUTS = tuple(field.name for field in SCHEMA.fields)
# A monitor that fell off reads 0, and an albumin of 29 is one of 2.9 with a lost point: what can't be is missing.
TABLE = Table(
    schema=SCHEMA,
    cleaning=(
        Duplicates(columns=(*_INPUTS, TIME, EVENT)),
        ConflictingLabels(columns=_INPUTS, label=TIME),
        ConflictingLabels(columns=_INPUTS, label=EVENT),
        *(Impossible(column=field.name, minimum=field.minimum, maximum=field.maximum) for field in SCHEMA.fields if field.may_be_missing),
    ),
)
_CODES = {"0": "no", "1": "yes"}
_COLUMNS = {
    "pid": "patient", "num_age": "age", "fac_sex": "sex", "fac_dzgroup": "disease", "fac_ca": "cancer", "num_num_co": "comorbidities",
    "fac_diabetes": "diabetes", "fac_dementia": "dementia", "num_hday": "hospital_day", "num_scoma": "coma_score",
    "num_meanbp": "mean_blood_pressure", "num_hrt": "heart_rate", "num_resp": "respiratory_rate", "num_temp": "temperature",
    "num_wblc": "white_cells", "num_pafi": "pao2_fio2", "num_alb": "albumin", "num_bili": "bilirubin", "num_crea": "creatinine",
    "num_sod": "sodium", "num_ph": "ph", "num_glucose": "glucose", "num_bun": "urea_nitrogen", "num_urine": "urine",
    "num_adlp": "adl_patient", "num_adls": "adl_surrogate", "time": TIME, "event": EVENT, "fac_race": "race",
}  # fmt: skip


def load_support2() -> Dataset:
    """Float32 [items, 25] with NaN where a value is missing, and targets of `TARGET`: 60 % to train on, 15 % to validate, 25 % held out.

    Raises Refused where the file isn't as the table declares, and NotAtHand where SurvSet isn't installed.
    """
    from training.evidence.subgroups import banded  # noqa: PLC0415 - slow to import
    from training.quality import cells  # noqa: PLC0415
    from training.quality.split import by_patient, require_no_leak  # noqa: PLC0415
    from training.quality.take import columns_of, take  # noqa: PLC0415

    version, (file,) = at_hand.installed("survset", "SurvSet/resources/pickles/support2.pickle", data="the data set SUPPORT")
    raw = columns_of(pickled_table.read(file), _COLUMNS, file=file.name)
    for name in ("diabetes", "dementia"):
        raw[name] = cells.named(raw[name], _CODES)
    taken = take(TABLE, raw, file=file.name, records=_RECORDS)
    table = taken.clean
    inputs = record_input.inputs_of(SCHEMA, table)
    targets = np.zeros(len(table), TARGET)
    targets["time_days"], targets["event"] = table[TIME], table[EVENT] == 1
    patients = table["patient"].to_numpy()
    attributes = {
        "sex": np.asarray(table["sex"], object),
        "age": banded(table["age"].to_numpy(np.float64), (50, 65, 75)),
        "race": np.asarray(raw.loc[table.index, "race"].astype(str).replace("missing", None), object),
    }
    dead = (targets["event"] & (targets["time_days"] <= HORIZON_DAYS)).astype(np.int64)
    split = by_patient(patients, labels=dead, validation=0.15, held_out=0.25, seed=_SPLIT_SEED)
    require_no_leak(split, patients=patients, rows=inputs)
    # The table is in the order of enrolment, and its first two thirds have no glucose: the first items of a part are to be like the others.
    random = np.random.default_rng(_SPLIT_SEED)
    whole = Part(inputs=inputs, targets=targets, patients=patients, attributes=attributes)
    return Dataset(
        name="SUPPORT (support2), seriously ill hospital patients",
        source=f"survset {version} (support2.pickle)",
        license="none stated for the data; the package is GPLv3 and used in development only",
        training=whole.of(random.permutation(split.training)),
        validation=whole.of(random.permutation(split.validation)),
        held_out=whole.of(random.permutation(split.held_out)),
        notes=notes(taken),
    )
