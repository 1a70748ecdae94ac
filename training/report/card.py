"""The model card: what a manifest says, for people (M. Mitchell et al., "Model cards for model reporting", FAT* 2019)."""

from collections.abc import Sequence

from medserve.v1 import manifest_pb2
from training.gates.evidence import Measured
from training.report import glossary, readings
from training.report.page import Section, table


def card(manifest: manifest_pb2.ModelManifest, *, covered: Measured | None = None, limits: Sequence[str] = ()) -> Section:
    """The facts of a version that was published, or would have been, and beneath them the fields that it takes.

    `covered` is the share of held-out items whose conformal set holds the true class, and stands beside what is promised; `limits` are sentences.
    """
    use, data, made = manifest.intended_use, manifest.training_data, manifest.provenance
    task = manifest_pb2.Task.Name(manifest.task).removeprefix("TASK_").lower()
    rows = [
        ("model", f"{manifest.name}, {f'version {manifest.version}' if manifest.version else 'not published'}"),
        ("what it does", manifest.description),
        ("task", task),
        ("meant for", use.purpose),
        ("not for", "; ".join(use.not_for)),
        ("patients' care", "none may rest on it: it is a technical demonstration" if use.demonstration_only else "within what it is meant for"),
        *((f"takes {given.name}", given.description) for given in manifest.inputs),
        *((f"says {name}", what) for name, what in readings.outputs(list(manifest.outputs), covered)),
        ("on held-out items", "; ".join(_found(each) for each in manifest.metrics)),
        ("known limits", "; ".join(limits)),
        ("data", f"{data.name}; {data.source}; licence: {data.license}"),
        (
            "items",
            f"{data.training_items} fitted the weights, {data.validation_items} set what else there is to set, {data.test_items} were held out",
        ),
        ("data's digest", data.digest),
        ("made by", f"job {made.job}, seed {made.seed}, source {made.source_revision or 'not known'}"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in sorted(made.library_versions.items()))),
        ("weights' digest", manifest.weights_digest),
    ]
    beneath = [found for given in manifest.inputs if (found := readings.fields(given)) is not None]
    return Section(title="Model card", table=table(("", ""), [row for row in rows if row[1]]), beneath=tuple(beneath))


def _found(metric: manifest_pb2.Metric) -> str:
    return f"{glossary.called(metric.name)} {metric.value:.4g} ({metric.confidence_level:.0%} interval {metric.lower:.4g} to {metric.upper:.4g})"
