"""Real tables: a trial of 2,139 patients with HIV (ACTG 175), and 569 tumours (Wisconsin)."""

import importlib.metadata
from pathlib import Path

import pandas as pd
import pytest

from training.quality.schema import Category, Field, Schema

NO_OR_YES = (Category(code="0", display="no"), Category(code="1", display="yes"))
ARMS = tuple(
    Category(code=str(number), display=name)
    for number, name in enumerate(("zidovudine", "zidovudine and didanosine", "zidovudine and zalcitabine", "didanosine"))
)


@pytest.fixture(scope="session")
def trial_file() -> Path:
    return Path(str(importlib.metadata.distribution("lifelines").locate_file("lifelines/datasets/ACTG175.csv")))


@pytest.fixture(scope="session")
def trial(trial_file: Path) -> pd.DataFrame:
    """As it is read; nobody may change it."""
    return pd.read_csv(trial_file)


@pytest.fixture(scope="session")
def trial_schema(trial: pd.DataFrame) -> Schema:
    fields = (
        Field(name="age", description="age at baseline", unit="a", minimum=12, maximum=110, is_integer=True),
        Field(name="wtkg", description="weight at baseline", unit="kg", minimum=25, maximum=250),
        Field(name="karnof", description="Karnofsky score", unit="1", minimum=0, maximum=100, is_integer=True),
        Field(name="drugs", description="history of intravenous drug use", unit="1", categories=NO_OR_YES),
        Field(name="gender", description="sex", unit="1", categories=(Category(code="0", display="female"), Category(code="1", display="male"))),
        Field(name="cd40", description="CD4 T cells at baseline", unit="/mm3", minimum=0, maximum=3000, is_integer=True),
        Field(name="cd496", description="CD4 T cells after 96 weeks", unit="/mm3", minimum=0, maximum=3000, is_integer=True, may_be_missing=True),
        Field(name="arms", description="treatment arm", unit="1", categories=ARMS),
    )
    read = {field.name for field in fields} | {"pidnum", "days", "cens"}
    return Schema(
        name="ACTG 175",
        fields=fields,
        patient="pidnum",
        time="days",
        labels=(Field(name="cens", description="died, got AIDS, or lost half of the CD4 T cells", unit="1", categories=NO_OR_YES),),
        ignored=tuple(name for name in trial.columns if name not in read),
    )


@pytest.fixture(scope="session")
def tumours() -> pd.DataFrame:
    """30 measures and `target`."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415

    return load_breast_cancer(as_frame=True).frame


@pytest.fixture(scope="session")
def tumour_schema(tumours: pd.DataFrame) -> Schema:
    measures = [name for name in tumours.columns if name != "target"]
    return Schema(
        name="tumours",
        fields=tuple(Field(name=name, description=name, unit="1", minimum=0) for name in measures),
        labels=(
            Field(
                name="target",
                description="histology",
                unit="1",
                categories=(Category(code="0", display="malignant"), Category(code="1", display="benign")),
            ),
        ),
    )
