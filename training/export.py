"""Writes a version: the SavedModel, its warm-up records, and its manifest."""

import hashlib
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray

from medserve.repository import EXTRA, MANIFEST, weights_digest
from medserve.v1 import manifest_pb2
from training.dataset import Dataset, Sample
from training.evaluate import Figure
from training.job import Job
from training.tasks.task import Trained

if TYPE_CHECKING:
    import keras

# The name that TensorFlow Serving looks for (tensorflow/serving/g3doc/saved_model_warmup.md).
WARM_UP = "tf_serving_warmup_requests"
SIGNATURE = "serving_default"
# One request of each size: the shapes that a lone caller and a small batch bring.
_WARM_UP_BATCHES = (1, 8)
_OPERATION = re.compile(r"^\{\{.*?\}\} | \[Op:\w+\]$")
_GIT_SECONDS = 10.0
# What a model's numbers come from: the network, the features, the calibration and the sets.
_MADE_WITH = ("crepes", "keras", "numpy", "pandas", "pywavelets", "scikit-learn", "scipy", "tensorflow")


def export(folder: Path, version: int, *, job: Job, trained: Trained, data: Dataset, is_trial: bool = False) -> manifest_pb2.ModelManifest:
    """Fills an empty folder with a version of the job's model, and returns its manifest. Raises OSError where the disk takes no more."""
    facts = job.facts()
    facts.outputs.extend(trained.outputs)
    extra = folder / EXTRA
    with _errors_of_the_disk():
        _write_saved_model(folder, trained.model, facts)
        extra.mkdir()
        _write_warm_up(extra / WARM_UP, job.name, facts.inputs[0].name, data.held_out.inputs)
    manifest = _complete(facts, version, job=job, data=data, figures=trained.figures, digest=weights_digest(folder))
    manifest.provenance.trial = is_trial
    (extra / MANIFEST).write_text(json_format.MessageToJson(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


@contextmanager
def _errors_of_the_disk() -> Iterator[None]:
    """TensorFlow's writers raise errors of their own for what Python calls an OSError, and put the operation's name around the words."""
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(_OPERATION.sub("", error.message)) from error


def _write_saved_model(folder: Path, model: "keras.Model", facts: manifest_pb2.ModelManifest) -> None:
    import tensorflow as tf  # noqa: PLC0415
    from keras.export import ExportArchive  # noqa: PLC0415

    (given,) = facts.inputs
    dtype, shape = model.inputs[0].dtype, model.inputs[0].shape
    archive = ExportArchive(verbose=False)
    archive.track(model)

    def serve(tensor: Any) -> Any:  # noqa: ANN401 - symbolic tensors
        return model(tensor, training=False)

    archive.add_endpoint(SIGNATURE, serve, input_signature=[tf.TensorSpec(shape, dtype, name=given.name)])
    archive.write_out(str(folder), verbose=False)


def _write_warm_up(file: Path, model: str, name: str, inputs: NDArray[Any]) -> None:
    """Requests of real inputs, which the server runs before it lets callers in."""
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415

    with tf.io.TFRecordWriter(str(file)) as writer:
        for batch in _WARM_UP_BATCHES:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = model
            request.model_spec.signature_name = SIGNATURE
            request.inputs[name].CopyFrom(tf.make_tensor_proto(inputs[:batch]))
            writer.write(log.SerializeToString())


def _complete(
    manifest: manifest_pb2.ModelManifest, version: int, *, job: Job, data: Dataset, figures: Sequence[Figure], digest: str
) -> manifest_pb2.ModelManifest:
    manifest.name = job.name
    manifest.version = version
    manifest.signature_name = SIGNATURE
    manifest.weights_digest = digest
    manifest.training_data.CopyFrom(
        manifest_pb2.TrainingData(
            name=data.name,
            source=data.source,
            license=data.license,
            training_items=data.items_to_learn,
            validation_items=len(data.validation),
            test_items=len(data.held_out),
            digest=digest_of_data(data),
        )
    )
    for figure in figures:
        manifest.metrics.add(
            name=figure.name, value=figure.value, lower=figure.lower, upper=figure.upper,
            confidence_level=figure.confidence_level, interval_method=figure.interval_method,
        )  # fmt: skip
    manifest.provenance.create_time.FromDatetime(datetime.now(UTC))
    manifest.provenance.job = job.name
    manifest.provenance.seed = job.task.seed
    manifest.provenance.source_revision = source_revision(Path(__file__))
    for package in _MADE_WITH:
        manifest.provenance.library_versions[package] = package_version(package)
    return manifest


def digest_of_data(data: Dataset) -> str:
    """Of the items in memory, part by part; and of what a stream is told from others by, for its items aren't here."""
    digest = hashlib.sha256()
    if isinstance(data.training, Sample):
        digest.update(data.training.stream.identity().encode())
    for part in (data.training, data.validation, data.held_out):
        for array in (part.inputs, part.targets):
            digest.update(np.ascontiguousarray(array).tobytes())
    return f"sha256:{digest.hexdigest()}"


def source_revision(file: Path) -> str:
    """The commit that `file` is of, with `-dirty` where tracked files differ from it; empty where git isn't there or doesn't know the file."""

    def git(*arguments: str) -> str | None:
        command = ["git", "--no-optional-locks", "-C", str(file.parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)  # noqa: S603 - only our own words
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed copy may lie in the working tree of something else.
    if git("ls-files", "--error-unmatch", file.name) is None:
        return ""
    return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or ""
