"""The job of docs/adding_a_job.md, as it stands there: from a hospital's file to a published version."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from training.failures import UNUSABLE
from training.job import Job
from training.quality.fault import Refused
from training.run import run
from training.trial import Trial

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_job.md"


@pytest.fixture(scope="module")
def job() -> Job:
    (declaration,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(declaration, str(PAGE), "exec"), names)
    ward: Job = names["WARD"]
    return ward


def ward(patients: int = 400) -> pd.DataFrame:
    """Made up: who is older and has the faster heart is the sicker one. Some come twice."""
    random = np.random.default_rng(1)
    age, rate = random.normal(60, 12, patients).clip(18, 110), random.normal(85, 15, patients).clip(30, 200)
    is_septic = random.random(patients) < 1 / (1 + np.exp(-((age - 60) / 8 + (rate - 85) / 10 - 1)))
    frame = pd.DataFrame(
        {
            "mrn": [f"M{number}" for number in range(patients)],
            "age": age.round(1),
            "creatinine": np.where(random.random(patients) < 0.2, np.nan, random.normal(1.1, 0.2, patients).clip(0.3, 3).round(2)),
            "heart_rate": rate.round(1),
            "sex": random.choice(["F", "M"], patients),
            "outcome": np.where(is_septic, "septic", "well"),
        }
    )
    again = frame.iloc[:20].assign(age=frame["age"].iloc[:20] + 1)
    return pd.concat([frame, again], ignore_index=True)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_job_of_the_docs_is_published_and_its_report_says_what_was_left_out(job: Job, in_folder: Path) -> None:
    frame = ward()
    frame.loc[3, "heart_rate"] = 900.0
    frame.loc[5, "sex"] = "?"
    contradicted = frame.iloc[7:8].assign(outcome={"well": "septic", "septic": "well"}[str(frame.loc[7, "outcome"])])
    pd.concat([frame, frame.iloc[10:11], contradicted]).to_csv("ward.csv", index=False)
    said: list[str] = []

    assert run(job, in_folder / "models", Trial(), say=said.append), said

    report = next((in_folder / "models" / "ward" / "1").glob("assets.extra/*report.html")).read_text()
    for reason, column in (("above maximum", "heart_rate"), ("unknown category", "sex"), ("conflicting label", "outcome"), ("duplicate row", "")):
        assert re.search(rf"{reason}.*\s*.*{column}", report), reason


def test_a_file_in_another_unit_is_refused_and_the_column_is_named(job: Job, in_folder: Path) -> None:
    ward().assign(creatinine=lambda frame: frame["creatinine"] * 88.42).to_csv(in_folder / "ward.csv", index=False)

    with pytest.raises(Refused, match="is creatinine in another unit than mg/dL") as refusal:
        job.load()

    assert isinstance(refusal.value, UNUSABLE)
