"""`medserve models`: which models there are, and what one of them takes and says."""

from argparse import Namespace
from collections.abc import Sequence

from google.protobuf import json_format
from rich.console import Console

from medserve.commands import tables
from medserve.commands.options import client_of
from medserve.manifests import says
from medserve.v1 import catalog_pb2, manifest_input_pb2, manifest_pb2, tensor_pb2

_STATES = {
    catalog_pb2.VERSION_STATE_PUBLISHED: "published",
    catalog_pb2.VERSION_STATE_LOADING: "loading",
    catalog_pb2.VERSION_STATE_AVAILABLE: "available",
    catalog_pb2.VERSION_STATE_UNLOADING: "unloading",
    catalog_pb2.VERSION_STATE_ENDED: "ended",
    catalog_pb2.VERSION_STATE_FAILED: "failed",
}
_FORMS = {"image": "image, DICOM or tensor", "time_series": "time series or tensor", "record": "record or tensor", None: "tensor"}


def run(arguments: Namespace) -> int:
    """Prints every model that the key allows, or one in full."""
    with client_of(arguments) as client:
        model = client.get_model(arguments.name) if arguments.name else None
        models = [] if model is not None else client.list_models()
    if getattr(arguments, "json", False):
        answer = catalog_pb2.ListModelsResponse(models=models) if model is None else model
        print(json_format.MessageToJson(answer, always_print_fields_with_no_presence=True, ensure_ascii=False))
    elif model is None:
        _print_models(models)
    else:
        _print_model(model)
    return 0


def _print_models(models: list[catalog_pb2.Model]) -> None:
    console = tables.console()
    if not models:
        console.print("No models: none is published, or your key allows none.")
        return
    rows = [
        (
            model.name,
            "ready" if model.ready else "not ready",
            ", ".join(str(version.version) for version in model.versions),
            _labels(model),
            ", ".join(spec.name for spec in model.versions[0].manifest.inputs),
            model.versions[0].manifest.display_name,
        )
        for model in models
    ]
    tables.show(console, ("Model", "State", "Versions", "Labels", "Inputs", "What it is"), rows, whole=("Model", "State"))


def _print_model(model: catalog_pb2.Model) -> None:
    console = tables.console()
    manifest = model.versions[0].manifest
    console.print(tables.cell(f"{model.name}: {manifest.display_name or 'a model'}, {'ready' if model.ready else 'not ready'}", "bold"))
    for text in (manifest.description, manifest.intended_use.purpose):
        if text:
            console.print(tables.cell(text))
    for use in manifest.intended_use.not_for:
        console.print(tables.cell(f"Not for: {use}"))
    if manifest.intended_use.demonstration_only:
        console.print(tables.cell("Warning: a technical demonstration: no patient's care may rest on its answers.", "yellow"))
    versions = [
        (
            str(version.version),
            _state(model, version),
            ", ".join(sorted(label for label, number in model.version_labels.items() if number == version.version)),
            _published(version.manifest),
            "; ".join(_metric(metric) for metric in version.manifest.metrics),
        )
        for version in model.versions
    ]
    _print_table(console, "Versions", ("Version", "State", "Label", "Published", "Measured"), versions)
    inputs = [(spec.name, _FORMS[spec.WhichOneof("medium")], _type(spec.data_type), _shape(spec.shape), _detail(spec)) for spec in manifest.inputs]
    _print_table(console, f"Inputs of version {manifest.version}", ("Name", "Takes", "Type", "Shape", "Note"), inputs)
    for spec in manifest.inputs:
        if spec.WhichOneof("medium") == "record":
            features = [_feature(feature) for feature in spec.record.features]
            _print_table(console, f"Features of {spec.name}", ("Name", "Takes", "Range", "Needed", "Meaning"), features)
    outputs = [(spec.name, _type(spec.data_type), _shape(spec.shape), says(spec)) for spec in manifest.outputs]
    _print_table(console, f"Outputs of version {manifest.version}", ("Name", "Type", "Shape", "Says"), outputs)


def _print_table(console: Console, title: str, columns: tuple[str, ...], rows: Sequence[Sequence[str]]) -> None:
    console.print()
    console.print(tables.cell(title, "bold"))
    tables.show(console, columns, rows, whole=("Version", "Published", "Name", "Type"))


def _labels(model: catalog_pb2.Model) -> str:
    return ", ".join(f"{label}: {version}" for label, version in sorted(model.version_labels.items()))


def _state(model: catalog_pb2.Model, version: catalog_pb2.ModelVersion) -> str:
    trial = ", a trial" if version.manifest.provenance.trial else ""
    default = ", the default" if version.version == model.default_version else ""
    return f"{_STATES.get(version.state, 'not known')}{trial}{default}"


def _published(manifest: manifest_pb2.ModelManifest) -> str:
    provenance = manifest.provenance
    return tables.day(provenance.create_time.ToDatetime()) if provenance.HasField("create_time") else ""


def _metric(metric: manifest_pb2.Metric) -> str:
    interval = f" ({metric.lower:.3f} to {metric.upper:.3f})" if metric.confidence_level else ""
    return f"{metric.name} {metric.value:.3f}{interval}"


def _type(data_type: tensor_pb2.DataType.ValueType) -> str:
    return tensor_pb2.DataType.Name(data_type).removeprefix("DATA_TYPE_").lower() if data_type in tensor_pb2.DataType.values() else "not known"


def _shape(sizes: Sequence[int]) -> str:
    return "[" + ", ".join("any" if size < 0 else str(size) for size in sizes) + "]"


def _detail(spec: manifest_input_pb2.InputSpec) -> str:
    if spec.WhichOneof("medium") == "time_series":
        channels = ", ".join(f"{channel.name} in {channel.unit}" for channel in spec.time_series.channels)
        rate = f", at {spec.time_series.sampling_frequency_hz:g} Hz" if spec.time_series.sampling_frequency_hz else ""
        resampled = ", resampled" if spec.time_series.HasField("resampling") else ""
        return f"channels {channels}{rate}{resampled}"
    return spec.description


def _feature(feature: manifest_input_pb2.FeatureSpec) -> tuple[str, str, str, str, str]:
    """Name, what is taken, its range, whether it may be missing, and what it means."""
    takes = ", ".join(category.code for category in feature.categories) or ("a number" if feature.unit == "1" else f"a number in {feature.unit}")
    lower = f"from {feature.minimum:g}" if feature.HasField("minimum") else ""
    upper = f"to {feature.maximum:g}" if feature.HasField("maximum") else ""
    needed = "no" if feature.if_missing == manifest_input_pb2.FEATURE_HANDLING_AS_MISSING else "yes"
    return feature.name, takes, f"{lower} {upper}".strip(), needed, feature.description
