"""`medserve repository`: what a model repository on this machine's disk holds, whether it is whole, and how a version leaves it."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from medserve import repository
from medserve.commands import tables
from medserve.commands.failure import REFUSED, UsageError
from medserve.commands.options import client_of
from medserve.repository import InUse, RepositoryError, RetirementRefused
from medserve.repository_check import Finding, check, golden_items
from medserve.v1 import catalog_pb2, manifest_pb2, tensor_pb2

_COMING = (
    catalog_pb2.VERSION_STATE_UNSPECIFIED, catalog_pb2.VERSION_STATE_PUBLISHED, catalog_pb2.VERSION_STATE_LOADING,
)  # fmt: skip


def run(arguments: Namespace) -> int:
    """Does what the verb says. 1 where `verify` found something, or `retire` wasn't shown to be safe."""
    root = Path(arguments.root)
    as_json = getattr(arguments, "json", False)
    verbs = {"list": _list, "show": _show, "diff": _diff, "verify": _verify, "retire": _retire}
    try:
        return verbs[arguments.verb](root, arguments, as_json=as_json)
    except RepositoryError as error:
        raise UsageError(str(error)) from None


def _list(root: Path, arguments: Namespace, *, as_json: bool) -> int:
    rows, documents = [], []
    for model in _models(root, arguments.model):
        for version in reversed(repository.versions(root, model)):
            try:
                manifest = repository.read_manifest(repository.version_folder(root, model, version))
            except (RepositoryError, OSError):
                rows.append((model, str(version), "", "", tables.cell("its manifest can't be read: see verify", "red")))
                documents.append({"model": model, "version": version, "readable": False})
                continue
            metric = _metric(manifest.metrics[0]) if manifest.metrics else ""
            what = f"a TRIAL: {manifest.display_name}" if manifest.provenance.trial else manifest.display_name
            rows.append((model, str(version), _when(manifest), metric, tables.cell(what)))
            documents.append({
                "model": model, "version": version, "readable": True, "displayName": manifest.display_name, "createTime": _time(manifest),
                "trial": manifest.provenance.trial, "metrics": [json_format.MessageToDict(metric) for metric in manifest.metrics],
            })  # fmt: skip
    if as_json:
        print(json.dumps({"versions": documents}, ensure_ascii=False))
    elif not rows:
        tables.console().print(tables.cell(f"No versions in {root}."), soft_wrap=True)
    else:
        tables.show(
            tables.console(), ("Model", "Version", "Published", "Measured", "What it is"), rows, right=("Version",), whole=("Model", "Version")
        )
    return 0


def _models(root: Path, model: str | None) -> list[str]:
    if model is None:
        return repository.models(root)
    repository.require_name(model)
    if not repository.versions(root, model):
        message = f"{root / model}: there is no such model, or no version of it"
        raise RepositoryError(message)
    return [model]


def _chosen(root: Path, model: str, version: int | None) -> Path:
    """The version's folder; the newest where no number was given."""
    _models(root, model)
    return repository.version_folder(root, model, version if version is not None else repository.versions(root, model)[-1])


def _show(root: Path, arguments: Namespace, *, as_json: bool) -> int:
    folder = _chosen(root, arguments.model, arguments.version)
    manifest = _manifest(folder)
    if as_json:
        print(json_format.MessageToJson(manifest, ensure_ascii=False))
        return 0
    console = tables.console()
    console.print(tables.cell(f"{arguments.model} version {int(folder.name)}: {manifest.display_name or 'a model'}", "bold"))
    if manifest.description:
        console.print(tables.cell(manifest.description))
    console.print()
    golden = golden_items(folder)
    facts = {**_facts(manifest), "golden predictions": "none" if golden is None else str(golden)}
    tables.show(console, ("Fact", "Value"), [(name, value) for name, value in facts.items() if value], whole=("Fact",))
    if manifest.metrics:
        console.print()
        metrics = [(metric.name, f"{metric.value:.4f}", _interval(metric), metric.interval_method) for metric in manifest.metrics]
        tables.show(console, ("Metric", "Value", "Interval", "Method"), metrics, right=("Value",), whole=("Metric",))
    return 0


def _diff(root: Path, arguments: Namespace, *, as_json: bool) -> int:
    manifests = [_manifest(repository.version_folder(root, arguments.model, version)) for version in (arguments.version, arguments.other)]
    old, new = ({**_facts(manifest), **_metrics(manifest)} for manifest in manifests)
    changed = {name: (old.get(name, ""), new.get(name, "")) for name in {**old, **new} if old.get(name, "") != new.get(name, "")}
    if as_json:
        print(json.dumps({"differences": {name: {"from": a, "to": b} for name, (a, b) in changed.items()}}, ensure_ascii=False))
    elif not changed:
        tables.console().print(f"Versions {arguments.version} and {arguments.other} say the same of themselves.")
    else:
        columns = ("Fact", f"Version {arguments.version}", f"Version {arguments.other}", "Change")
        metrics = [{metric.name: metric.value for metric in manifest.metrics} for manifest in manifests]
        change = {name: f"{metrics[1][name] - metrics[0][name]:+.4f}" for name in metrics[0].keys() & metrics[1].keys()}
        rows = [(name, a or "none", b or "none", change.get(name, "")) for name, (a, b) in changed.items()]
        tables.show(tables.console(), columns, rows, right=("Change",), whole=("Fact", "Change"))
    return 0


def _verify(root: Path, arguments: Namespace, *, as_json: bool) -> int:
    findings: list[Finding] = []
    looked_at = 0
    if arguments.version is not None:
        repository.version_folder(root, arguments.model, arguments.version)
    # A folder in which only half a version lies has no version.
    names = [arguments.model] if arguments.model else sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    for model in names:
        repository.require_name(model)
        if arguments.model and not (root / model).is_dir():
            message = f"{root / model}: there is no such model"
            raise RepositoryError(message)
        chosen = [arguments.version] if arguments.version is not None else repository.versions(root, model)
        looked_at += len(chosen)
        findings += check(root, model, chosen)
    if as_json:
        documents = [{"place": str(finding.place), "what": finding.what, "remedy": finding.remedy} for finding in findings]
        print(json.dumps({"versions": looked_at, "findings": documents}, ensure_ascii=False))
    else:
        console = tables.console()
        for finding in findings:
            console.print(tables.cell(f"{finding.place}: {finding.what}", "red"), soft_wrap=True)
            console.print(tables.cell(f"  what to do: {finding.remedy}"), soft_wrap=True)
        console.print(f"{looked_at} version{'' if looked_at == 1 else 's'}: {_number_of(findings)}")
    return REFUSED if findings else 0


def _number_of(findings: list[Finding]) -> str:
    return f"{len(findings)} thing{'' if len(findings) == 1 else 's'} found" if findings else "all whole"


def _retire(root: Path, arguments: Namespace, *, as_json: bool) -> int:
    """Asks the gateway which versions are labelled and answer: labels are its own, and can be set from outside of its file as well."""
    repository.version_folder(root, arguments.model, arguments.version)
    with client_of(arguments) as client:
        model = client.get_model(arguments.model)
    try:
        _require_same(root, model)
        place = repository.retire(root, arguments.model, arguments.version, in_use=_in_use(root, model))
    except RetirementRefused as error:
        message = str(error)
        print(json.dumps({"retired": False, "why": message}, ensure_ascii=False) if as_json else f"Not retired: {message}.")
        return REFUSED
    print(
        json.dumps({"retired": True, "place": str(place)}, ensure_ascii=False)
        if as_json
        else f"{arguments.model} version {arguments.version} is in {place}"
    )
    return 0


def _require_same(root: Path, model: catalog_pb2.Model) -> None:
    """Raises RetirementRefused unless what answers at the gateway is what lies in this repository, by the digests of the weights."""
    for version in model.versions:
        if version.state == catalog_pb2.VERSION_STATE_AVAILABLE:
            try:
                digest = repository.read_manifest(repository.version_folder(root, model.name, version.version)).weights_digest
            except (RepositoryError, OSError):
                digest = ""
            if not digest or digest != version.manifest.weights_digest:
                message = (
                    f"version {version.version} that answers at the gateway isn't the one in {root}: "
                    "give the root of the repository that this gateway serves, or another --target"
                )
                raise RetirementRefused(message)


def _in_use(root: Path, model: catalog_pb2.Model) -> InUse:
    known = {version.version for version in model.versions}
    # What the gateway hasn't seen yet and could read may still come to answer.
    unseen = {version for version in repository.versions(root, model.name) if version not in known and _is_readable(root, model.name, version)}
    return InUse(
        labels=dict(model.version_labels),
        serving=frozenset(version.version for version in model.versions if version.state == catalog_pb2.VERSION_STATE_AVAILABLE),
        coming=frozenset(version.version for version in model.versions if version.state in _COMING) | unseen,
        default=model.default_version,
    )


def _is_readable(root: Path, model: str, version: int) -> bool:
    try:
        repository.read_manifest(repository.version_folder(root, model, version))
    except (RepositoryError, OSError):
        return False
    return True


def _manifest(folder: Path) -> manifest_pb2.ModelManifest:
    try:
        return repository.read_manifest(folder)
    except FileNotFoundError:
        message = f"{folder}: it has no manifest, so it wasn't published by this release; publish the version again"
        raise RepositoryError(message) from None


def _facts(manifest: manifest_pb2.ModelManifest) -> dict[str, str]:
    """What a manifest says beside its metrics, a line a fact; empty where it says nothing."""
    data, provenance, use = manifest.training_data, manifest.provenance, manifest.intended_use
    return {
        "display name": manifest.display_name,
        "description": manifest.description,
        "task": manifest_pb2.Task.Name(manifest.task).removeprefix("TASK_").lower() if manifest.task in manifest_pb2.Task.values() else "not known",
        "purpose": use.purpose,
        "not for": "; ".join(use.not_for),
        "demonstration only": "yes" if use.demonstration_only else "no",
        "trial": "yes: it wasn't held to what its job asks for" if provenance.trial else "no",
        "signature": manifest.signature_name,
        "inputs": "; ".join(_tensor(spec) for spec in manifest.inputs),
        "outputs": "; ".join(_tensor(spec) for spec in manifest.outputs),
        "data": ", ".join(text for text in (data.name, data.source, data.license) if text),
        "data digest": data.digest,
        "items": f"{data.training_items} trained, {data.validation_items} validated, {data.test_items} held out" if data.test_items else "",
        "published": _when(manifest),
        "job": f"{provenance.job}, seed {provenance.seed}" if provenance.job else "",
        "source revision": provenance.source_revision,
        "libraries": ", ".join(f"{name} {version}" for name, version in sorted(provenance.library_versions.items())),
        "weights digest": manifest.weights_digest,
    }


def _metrics(manifest: manifest_pb2.ModelManifest) -> dict[str, str]:
    return {metric.name: _metric(metric).removeprefix(f"{metric.name} ") for metric in manifest.metrics}


def _metric(metric: manifest_pb2.Metric) -> str:
    interval = _interval(metric)
    return f"{metric.name} {metric.value:.4f}{f' ({interval})' if interval else ''}"


def _interval(metric: manifest_pb2.Metric) -> str:
    return f"{metric.lower:.4f} to {metric.upper:.4f}" if metric.confidence_level else ""


def _tensor(spec: Any) -> str:  # noqa: ANN401 - an input or an output
    known = spec.data_type in tensor_pb2.DataType.values()
    kind = tensor_pb2.DataType.Name(spec.data_type).removeprefix("DATA_TYPE_").lower() if known else "not known"
    return f"{spec.name} {kind} [{', '.join('any' if size < 0 else str(size) for size in spec.shape)}]"


def _time(manifest: manifest_pb2.ModelManifest) -> str:
    """For programs, in RFC 3339."""
    return manifest.provenance.create_time.ToJsonString() if manifest.provenance.HasField("create_time") else ""


def _when(manifest: manifest_pb2.ModelManifest) -> str:
    return f"{manifest.provenance.create_time.ToDatetime():%Y-%m-%d %H:%M}Z" if manifest.provenance.HasField("create_time") else ""
