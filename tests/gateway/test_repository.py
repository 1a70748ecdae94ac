"""The model repository as the gateway reads it: real folders, published as a publisher does."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.catalog import Catalog
from gateway.manifest import Classification, ColorSpace, ImageInput, Windowing
from gateway.repository import Repository, read_version
from gateway.tensor import DType

MANIFEST = Path("assets.extra", "medserve_manifest.json")

DOCUMENT: dict[str, Any] = {
    "name": "digits",
    "version": "1",
    "task": "TASK_DIAGNOSIS",
    "intendedUse": {"demonstrationOnly": True},
    "inputs": [
        {
            "name": "images",
            "dataType": "DATA_TYPE_UINT8",
            "shape": ["-1", "-1", "1"],
            "image": {"colorSpace": "COLOR_SPACE_MONOCHROME", "windowing": "WINDOWING_FIXED", "windowCenter": 40, "windowWidth": 400},
        }
    ],
    "outputs": [
        {
            "name": "probabilities",
            "dataType": "DATA_TYPE_FLOAT32",
            "shape": ["2"],
            "classification": {"exclusive": True, "labels": [{"code": {"code": "0"}}, {"code": {"code": "1"}, "operatingPoint": 0.25}]},
        }
    ],
    "weightsDigest": "sha256:00",
}


def publish(root: Path, model: str, number: str, **changes: Any) -> Path:
    """Puts a version in place by one rename, as a publisher does."""
    staging = root / model / f".staging-{number}"
    (staging / MANIFEST.parent).mkdir(parents=True)
    document = DOCUMENT | {"name": model, "version": str(int(number))} | changes
    (staging / MANIFEST).write_text(json.dumps(document))
    folder = root / model / number
    staging.rename(folder)
    return folder


def test_a_manifest_becomes_what_the_stages_read(tmp_path: Path) -> None:
    manifest = read_version(publish(tmp_path, "digits", "1")).manifest

    images, probabilities = manifest.inputs["images"], manifest.outputs["probabilities"]
    assert (manifest.name, manifest.version, manifest.signature_name) == ("digits", 1, "serving_default")
    assert (manifest.demonstration_only, manifest.is_trial) == (True, False)
    assert read_version(publish(tmp_path, "digits", "2", provenance={"trial": True})).manifest.is_trial
    assert (images.dtype, images.shape) == (DType.UINT8, (-1, -1, 1))
    assert images.medium == ImageInput(color_space=ColorSpace.MONOCHROME, windowing=Windowing.FIXED, window_center=40, window_width=400)
    assert isinstance(probabilities.reading, Classification)
    assert [label.operating_point for label in probabilities.reading.labels] == [None, 0.25]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "other"}, "other"),
        ({"version": "2"}, "version 2"),
        ({"inputs": []}, "inputs"),
        ({"outputs": []}, "outputs"),
        ({"inputs": [DOCUMENT["inputs"][0] | {"shape": ["-1"]}]}, "images"),
        ({"inputs": [DOCUMENT["inputs"][0] | {"dataType": "DATA_TYPE_UNSPECIFIED"}]}, "images"),
        ({"inputs": [DOCUMENT["inputs"][0] | {"image": {}}]}, "colour space"),
        ({"outputs": [DOCUMENT["outputs"][0] | {"shape": ["3"]}]}, "probabilities"),
        ({"inputs": "none"}, "ModelManifest"),
    ],
)
def test_a_manifest_that_cannot_be_served_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    folder = publish(tmp_path, "digits", "1", **changes)

    with pytest.raises(ValueError, match=named):
        read_version(folder)


def test_what_is_published_appears_and_what_is_removed_goes(tmp_path: Path) -> None:
    catalog = Catalog(labels={})
    repository = Repository(tmp_path / "models", catalog)

    def versions() -> dict[str, list[int]]:
        asyncio.run(repository.refresh())
        return {model: sorted(published) for model, published in catalog.published.items()}

    assert versions() == {}
    publish(tmp_path / "models", "digits", "1")
    assert versions() == {"digits": [1]}
    newer = publish(tmp_path / "models", "digits", "00002")
    publish(tmp_path / "models", "ecg", "7")
    assert versions() == {"digits": [1, 2], "ecg": [7]}
    newer.rename(tmp_path / "retired")
    assert versions() == {"digits": [1], "ecg": [7]}


def test_one_bad_version_does_not_hide_the_good_ones(tmp_path: Path) -> None:
    publish(tmp_path, "digits", "1")
    publish(tmp_path, "digits", "2", inputs=[])
    (tmp_path / "digits" / "3").mkdir()
    (tmp_path / "digits" / "latest").mkdir()
    (tmp_path / "digits" / "4").write_text("a file")
    (tmp_path / "digits" / ".staging-5").mkdir()
    (tmp_path / "notes.txt").write_text("a file")
    catalog = Catalog(labels={})

    asyncio.run(Repository(tmp_path, catalog).refresh())

    assert {model: sorted(published) for model, published in catalog.published.items()} == {"digits": [1]}
