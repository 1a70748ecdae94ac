"""Which fields of `medserve.v1.ModelManifest` a published version must have, and why each is asked for."""

import re
from collections.abc import Callable, Iterator

from medserve.v1 import manifest_input_pb2, manifest_output_pb2, manifest_pb2, tensor_pb2

Manifest = manifest_pb2.ModelManifest

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

# Field, whether it is there, and what would fail without it.
_FIELDS: tuple[tuple[str, Callable[[Manifest], object], str], ...] = (
    ("name", lambda m: m.name, "the gateway leaves out a version whose folder has another name"),
    ("version", lambda m: m.version > 0, "the gateway leaves out a version whose folder has another number"),
    ("task", lambda m: m.task != manifest_pb2.TASK_UNSPECIFIED, "a manifest without a task is refused"),
    ("display_name", lambda m: m.display_name, "people choose by it"),
    ("description", lambda m: m.description, "people choose by it"),
    ("intended_use.purpose", lambda m: m.intended_use.purpose, "nobody may use a model whose use isn't stated"),
    ("intended_use.not_for", lambda m: m.intended_use.not_for, "wrong uses that are known have to be named"),
    ("signature_name", lambda m: m.signature_name, "the gateway calls this signature"),
    ("inputs", lambda m: m.inputs, "the gateway makes the tensors from it"),
    ("outputs", lambda m: m.outputs, "the gateway reads the findings from it"),
    ("training_data.name", lambda m: m.training_data.name, "a figure means nothing without its data"),
    ("training_data.source", lambda m: m.training_data.source, "whoever doubts a figure has to find the data"),
    ("training_data.license", lambda m: m.training_data.license, "weights are used under the terms of their data"),
    ("training_data.training_items", lambda m: m.training_data.training_items > 0, "says how much the weights rest on"),
    ("training_data.test_items", lambda m: m.training_data.test_items > 0, "says how much the figures rest on"),
    ("training_data.digest", lambda m: _DIGEST.fullmatch(m.training_data.digest), "a change of the data has to show"),
    ("metrics", lambda m: m.metrics, "a version without a figure can't be chosen over another"),
    ("provenance.create_time", lambda m: m.provenance.create_time.seconds > 0, "says which of two versions is later"),
    ("provenance.job", lambda m: m.provenance.job, "says what to run to make it again"),
    ("provenance.library_versions", lambda m: m.provenance.library_versions, "says with what to make it again"),
    ("weights_digest", lambda m: _DIGEST.fullmatch(m.weights_digest), "damage in storage has to show"),
)
# Not asked for: `training_data.validation_items` (a fit may need none), `provenance.seed` (0 is a seed), `provenance.source_revision` (an installed
# copy has none), a medium and a reading (a model of tensors has neither).


def missing_fields(manifest: Manifest) -> list[str]:
    """`field (why)` for each field that a published version must have and this manifest hasn't; empty where it is complete."""
    missing = [f"{name} ({why})" for name, there, why in _FIELDS if not there(manifest)]
    return [*missing, *_of_tensors(manifest), *_of_metrics(manifest)]


def _of_tensors(manifest: Manifest) -> Iterator[str]:
    specs: list[tuple[str, manifest_input_pb2.InputSpec | manifest_output_pb2.OutputSpec]] = [
        (f"inputs[{i}]", spec) for i, spec in enumerate(manifest.inputs)
    ]
    specs += [(f"outputs[{i}]", spec) for i, spec in enumerate(manifest.outputs)]
    for path, spec in specs:
        if not spec.name:
            yield f"{path}.name (the signature's alias)"
        if spec.data_type == tensor_pb2.DATA_TYPE_UNSPECIFIED:
            yield f"{path}.data_type (the gateway leaves out a version without it)"
    for index, given in enumerate(manifest.inputs):
        if not given.description:
            yield f"inputs[{index}].description (callers have to know what to send)"
        if given.WhichOneof("medium") == "time_series" and not all(channel.name and channel.unit for channel in given.time_series.channels):
            yield f"inputs[{index}].time_series.channels (a number without a name and a UCUM unit can't be trusted)"
    for index, output in enumerate(manifest.outputs):
        if output.WhichOneof("reading") == "classification" and not all(
            label.code.system and label.code.code and label.code.display for label in output.classification.labels
        ):
            yield f"outputs[{index}].classification.labels (a finding needs a coding system, a code and a name)"


def _of_metrics(manifest: Manifest) -> Iterator[str]:
    for index, metric in enumerate(manifest.metrics):
        if not metric.name:
            yield f"metrics[{index}].name (a figure without a name says nothing)"
        if not 0 < metric.confidence_level < 1 or not metric.interval_method or not metric.lower <= metric.upper:
            yield f"metrics[{index}] (an interval, its level and its method: a figure without them can't be weighed)"
