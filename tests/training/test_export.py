import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from gateway.repository import read_version
from medserve.repository import weights_digest
from medserve.v1 import manifest_pb2
from training.export import source_revision

MANIFEST = Path("assets.extra", "medserve_manifest.json")


@pytest.fixture(scope="module")
def served(trained: Any) -> Iterator[Any]:
    """The signature, as plain TensorFlow finds it in the folder."""
    import tensorflow as tf  # noqa: PLC0415

    loaded = tf.saved_model.load(str(trained.folder))
    yield loaded.signatures["serving_default"]
    # The signature's functions live as long as what was loaded.
    del loaded


@pytest.fixture(scope="module")
def manifest(trained: Any) -> manifest_pb2.ModelManifest:
    return json_format.Parse((trained.folder / MANIFEST).read_text(encoding="utf-8"), manifest_pb2.ModelManifest())


def test_the_saved_model_answers_as_the_network_did(trained: Any, served: Any) -> None:
    import tensorflow as tf  # noqa: PLC0415

    answers = served(images=tf.constant(trained.data.held_out.inputs))
    wanted = trained.model.predict(trained.data.held_out.inputs, verbose=0)

    assert sorted(answers) == sorted(wanted) == ["novelty", "probabilities"]
    assert answers["probabilities"].dtype == tf.float32
    for name, values in wanted.items():
        assert np.allclose(answers[name].numpy(), values, atol=1e-6, rtol=1e-6)


def test_the_saved_model_resizes_images_of_any_size_itself(trained: Any, served: Any) -> None:
    import tensorflow as tf  # noqa: PLC0415

    images = trained.data.held_out.inputs[:20]
    # Each pixel becomes 3 x 3; what resizing down makes of them is the image again.
    larger = images.repeat(3, axis=1).repeat(3, axis=2)

    of_larger = served(images=tf.constant(larger))["probabilities"].numpy()

    assert np.allclose(of_larger, served(images=tf.constant(images))["probabilities"].numpy(), atol=1e-5)


def test_the_manifest_declares_what_the_signature_takes_and_gives(served: Any, manifest: manifest_pb2.ModelManifest, trained: Any) -> None:
    declared = read_version(trained.folder).manifest
    ((_, taken),) = served.structured_input_signature[1].items()
    gives = served.structured_outputs

    ((name, spec),) = declared.inputs.items()

    assert (name, spec.dtype.name.lower()) == (taken.name, taken.dtype.name)
    assert spec.shape == tuple(-1 if size is None else size for size in taken.shape[1:])
    assert {name: (reading.dtype.name.lower(), reading.shape) for name, reading in declared.outputs.items()} == {
        name: (given.dtype.name, tuple(given.shape[1:])) for name, given in gives.items()
    }
    assert declared.signature_name == manifest.signature_name == "serving_default"


def test_the_gateway_reads_the_version(trained: Any) -> None:
    published = read_version(trained.folder)

    assert (published.manifest.name, published.manifest.version) == ("digits", 1)
    assert published.manifest.demonstration_only


def _unset(message: Message, *, but: set[str]) -> list[str]:
    return [
        field.name for field in message.DESCRIPTOR.fields if field.name not in but and field.name not in {f.name for f, _ in message.ListFields()}
    ]


def test_the_manifest_says_all_that_the_message_asks_for(manifest: manifest_pb2.ModelManifest) -> None:
    assert _unset(manifest, but=set()) == []
    assert _unset(manifest.intended_use, but=set()) == []
    assert _unset(manifest.training_data, but=set()) == []
    # In a tree that git doesn't know, nobody can say.
    assert _unset(manifest.provenance, but={"source_revision", "trial"}) == []
    assert [_unset(metric, but=set()) for metric in manifest.metrics] == [[], []]
    assert [_unset(spec, but={"time_series", "record", "allows_missing"}) for spec in manifest.inputs] == [[]]


def test_the_manifest_counts_the_items_that_fitted_validated_and_tested(manifest: manifest_pb2.ModelManifest) -> None:
    data = manifest.training_data

    assert (data.training_items, data.validation_items, data.test_items) == (200, 200, 200)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", data.digest)


def test_the_manifest_holds_the_measured_figures(manifest: manifest_pb2.ModelManifest, trained: Any) -> None:
    told = [(m.name, m.value, m.lower, m.upper, m.confidence_level, m.interval_method) for m in manifest.metrics]

    assert told == [(f.name, f.value, f.lower, f.upper, f.confidence_level, f.interval_method) for f in trained.figures]


def test_the_manifest_says_what_made_the_version(manifest: manifest_pb2.ModelManifest) -> None:
    made = manifest.provenance

    assert (made.job, made.seed) == ("digits", 2)
    assert datetime.now(UTC) - made.create_time.ToDatetime(UTC) < timedelta(hours=1)
    libraries = ("crepes", "keras", "numpy", "pandas", "pywavelets", "scikit-learn", "scipy", "tensorflow")
    assert made.library_versions == {name: package_version(name) for name in libraries}
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", made.source_revision)


def test_the_warm_up_records_are_requests_that_the_signature_answers(trained: Any, served: Any) -> None:
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415

    file = trained.folder / "assets.extra" / "tf_serving_warmup_requests"

    requests = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request for record in tf.data.TFRecordDataset(str(file)).take(100)
    ]

    assert [(request.model_spec.name, request.model_spec.signature_name) for request in requests] == [("digits", "serving_default")] * 2
    batches = [tf.constant(tf.make_ndarray(request.inputs["images"])) for request in requests]
    assert [served(images=batch)["probabilities"].shape[0] for batch in batches] == [1, 8]


def test_the_digest_is_what_sha256sum_makes_of_the_files(trained: Any, manifest: manifest_pb2.ModelManifest) -> None:
    listing = "find . -type f -not -path './assets.extra/*' -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"

    done = subprocess.run(["bash", "-c", listing], cwd=trained.folder, capture_output=True, text=True, check=True)

    assert manifest.weights_digest == weights_digest(trained.folder) == f"sha256:{done.stdout.split()[0]}"


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A folder in the shape of a version, whose digest is known."""
    for name, content in {"a.pb": b"abc", "variables/data": b"\x00\x01", "assets.extra/manifest": b"{}"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_the_digest_changes_with_one_byte_of_one_file(version: Path) -> None:
    before = weights_digest(version)

    (version / "variables" / "data").write_bytes(b"\x00\x02")

    assert weights_digest(version) != before


def test_the_digest_changes_with_a_files_name(version: Path) -> None:
    before = weights_digest(version)

    (version / "a.pb").rename(version / "b.pb")

    assert weights_digest(version) != before


def test_the_digest_leaves_out_what_lies_in_assets_extra(version: Path) -> None:
    before = weights_digest(version)

    (version / "assets.extra" / "manifest").write_bytes(b"other")

    assert weights_digest(version) == before


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def tracked(tmp_path: Path) -> Path:
    """A file of a repository with one commit."""
    file = tmp_path / "module.py"
    file.write_text("x = 1\n")
    _git(tmp_path, "init")
    _git(tmp_path, "add", "module.py")
    _git(tmp_path, "commit", "--no-gpg-sign", "-m", "first")
    return file


def test_the_revision_is_the_commit_that_is_checked_out(tracked: Path) -> None:
    assert source_revision(tracked) == _git(tracked.parent, "rev-parse", "HEAD")


def test_the_revision_says_where_the_tree_differs_from_its_commit(tracked: Path) -> None:
    tracked.write_text("x = 2\n")

    assert source_revision(tracked) == _git(tracked.parent, "rev-parse", "HEAD") + "-dirty"


def test_there_is_no_revision_of_a_file_that_git_does_not_track(tracked: Path) -> None:
    (tracked.parent / "installed.py").touch()

    assert source_revision(tracked.parent / "installed.py") == ""


def test_there_is_no_revision_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert source_revision(tmp_path / "module.py") == ""


def test_there_is_no_revision_without_git(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tracked.parent))

    assert source_revision(tracked) == ""
