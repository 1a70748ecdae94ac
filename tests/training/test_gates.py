import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from medserve.v1 import manifest_pb2
from training import publish
from training.gates import (
    AnswersThroughGateway,
    Ceiling,
    Evidence,
    Floor,
    Gate,
    Group,
    Latency,
    ManifestComplete,
    Measured,
    NotEarned,
    NotWorse,
    SubgroupGap,
    TrainToServe,
    Verdict,
    judge,
    require,
)
from training.gates.manifest_fields import missing_fields
from training.golden import Parity
from training.through_gateway import ThroughGateway

GROUPS = {"sex": {"F": Group(value=0.90, items=200), "M": Group(value=0.93, items=180), "unknown": Group(value=0.1, items=3)}}
GOOD = Evidence(
    figures={"accuracy": Measured(value=0.96, lower=0.94, upper=0.97), "ece": Measured(value=0.02, lower=0.01, upper=0.04)},
    subgroups={"accuracy": GROUPS},
    p50_seconds=0.002,
    parity=Parity(items=1000, difference=3e-7, output="probabilities", item=4),
)


def _only(gate: Gate, evidence: Evidence = GOOD) -> Verdict:
    (verdict,) = judge([gate], evidence)
    return verdict


@pytest.mark.parametrize(
    ("gate", "passed", "found"),
    [
        (Floor(figure="accuracy", least=0.96), True, 0.96),
        (Floor(figure="accuracy", least=0.961), False, 0.96),
        (Ceiling(figure="ece", most=0.02), True, 0.02),
        (SubgroupGap(figure="accuracy", most=0.031), True, 0.03),
        (SubgroupGap(figure="accuracy", most=0.02), False, 0.03),
        (SubgroupGap(figure="accuracy", most=0.5, least_items=1), False, 0.83),
        (Latency(most_seconds=0.002), True, 0.002),
        (Latency(most_seconds=0.001), False, 0.002),
        (TrainToServe(), True, 3e-7),
        (TrainToServe(tolerance=1e-7), False, 3e-7),
    ],
)
def test_a_gate_is_passed_at_its_bound_and_not_beyond(gate: Gate, passed: bool, found: float) -> None:
    verdict = _only(gate)

    assert verdict.passed == passed
    assert verdict.found == pytest.approx(found)
    assert f"{verdict.found:.6g}" in verdict.reason
    assert f"{verdict.wanted:g}" in verdict.reason


@pytest.mark.parametrize(
    "gate",
    [
        Floor(figure="auroc", least=0.5),
        Floor(figure="bare", least=0.5, bound="lower"),
        Ceiling(figure="auroc", most=0.5),
        SubgroupGap(figure="auroc", most=0.5),
        SubgroupGap(figure="accuracy", most=0.5, least_items=190),
        NotWorse(figure="auroc", margin=0.1),
        Latency(most_seconds=1.0),
        TrainToServe(),
        AnswersThroughGateway(),
        ManifestComplete(),
    ],
)
def test_what_nobody_measured_is_not_passed(gate: Gate) -> None:
    evidence = replace(GOOD, figures={"bare": Measured(value=0.9)}, stable_version=3, p50_seconds=None, parity=None)

    verdict = _only(gate, evidence)

    assert (verdict.passed, verdict.found) == (False, None)
    assert verdict.reason.startswith("can't be judged without")


@pytest.mark.parametrize(
    "gate",
    [Floor(figure="x", least=0.0), Ceiling(figure="x", most=1.0), SubgroupGap(figure="x", most=1.0), Latency(most_seconds=1.0), TrainToServe()],
)
def test_what_is_not_a_number_is_not_passed(gate: Gate) -> None:
    levels = {"a": Group(value=0.5, items=99), "b": Group(value=math.nan, items=99), "c": Group(value=0.6, items=99)}
    evidence = Evidence(
        figures={"x": Measured(value=math.nan)},
        subgroups={"x": {"flat": {"d": levels["a"], "e": levels["a"]}, "site": levels}},
        p50_seconds=math.nan,
        parity=Parity(items=5, difference=math.nan, output="y", item=-1),
    )

    verdict = _only(gate, evidence)

    assert not verdict.passed
    assert verdict.reason.endswith("is not a number")


@pytest.mark.parametrize(
    ("tensors", "files", "passed", "reason"),
    [
        (1e-6, 1e-3, True, "the greatest difference of 32 golden inputs is 1e-06, at most 1e-06; that of 4 of them as files is 0.001, at most 0.001"),
        (2e-6, 0.0, False, "the greatest difference of 32 golden inputs is 2e-06, above 1e-06; that of 4 of them as files is 0, at most 0.001"),
        (0.0, 2e-3, False, "the greatest difference of 32 golden inputs is 0, at most 1e-06; that of 4 of them as files is 0.002, above 0.001"),
        (None, None, False, "the gateway refuses a golden input as a tensor: SHAPE_MISMATCH"),
    ],
)
def test_what_the_gateway_answers_is_the_networks_and_that_of_a_file_nearly(
    tensors: float | None, files: float | None, passed: bool, reason: str
) -> None:
    if tensors is None or files is None:
        found = ThroughGateway(refused="a golden input as a tensor: SHAPE_MISMATCH")
    else:
        found = ThroughGateway(
            tensors=Parity(items=32, difference=tensors, output="y", item=0), files=Parity(items=4, difference=files, output="y", item=0)
        )

    verdict = _only(AnswersThroughGateway(), replace(GOOD, gateway=found))

    assert (verdict.passed, verdict.reason) == (passed, reason)


def test_parity_on_too_few_items_is_none() -> None:
    assert not _only(TrainToServe(least_items=1001)).passed


def test_a_subgroup_that_is_too_small_is_named() -> None:
    assert _only(SubgroupGap(figure="accuracy", most=0.5)).reason.endswith("too small to count: sex unknown")


def test_a_job_without_gates_earns_nothing() -> None:
    with pytest.raises(ValueError, match="at least one gate"):
        judge([], GOOD)


@pytest.fixture(scope="module")
def manifest(trained: Any) -> manifest_pb2.ModelManifest:
    text = (trained.folder / "assets.extra" / "medserve_manifest.json").read_text(encoding="utf-8")
    return json_format.Parse(text, manifest_pb2.ModelManifest())


def test_what_a_job_exports_is_complete(manifest: manifest_pb2.ModelManifest) -> None:
    verdict = _only(ManifestComplete(), replace(GOOD, manifest=manifest))

    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(
    "path",
    [
        "name", "version", "task", "display_name", "description", "intended_use", "intended_use.purpose", "intended_use.not_for", "signature_name",
        "inputs", "outputs", "training_data", "training_data.name", "training_data.source", "training_data.license", "training_data.training_items",
        "training_data.test_items", "training_data.digest", "metrics", "provenance", "provenance.create_time", "provenance.job",
        "provenance.library_versions", "weights_digest",
    ],
)  # fmt: skip
def test_each_field_that_is_asked_for_is_missed(manifest: manifest_pb2.ModelManifest, path: str) -> None:
    changed = manifest_pb2.ModelManifest()
    changed.CopyFrom(manifest)
    *parents, last = path.split(".")
    message: Any = changed
    for parent in parents:
        message = getattr(message, parent)
    message.ClearField(last)

    verdict = _only(ManifestComplete(), replace(GOOD, manifest=changed))

    assert not verdict.passed
    assert path in verdict.reason


def test_what_stands_within_inputs_outputs_and_metrics_is_missed(manifest: manifest_pb2.ModelManifest) -> None:
    changed = manifest_pb2.ModelManifest()
    changed.CopyFrom(manifest)
    changed.inputs[0].ClearField("name")
    changed.inputs[0].ClearField("description")
    changed.inputs[0].time_series.channels.add(name="II")
    changed.outputs[0].ClearField("data_type")
    changed.outputs[0].classification.labels[3].code.ClearField("system")
    changed.metrics[0].ClearField("name")
    changed.metrics[1].ClearField("interval_method")
    changed.weights_digest = "sha256:00"

    missing = [line.split(" (")[0] for line in missing_fields(changed)]

    assert missing == [
        "weights_digest", "inputs[0].name", "outputs[0].data_type", "inputs[0].description", "inputs[0].time_series.channels",
        "outputs[0].classification.labels", "metrics[0].name", "metrics[1]",
    ]  # fmt: skip


def test_what_fails_a_gate_is_published_nowhere_and_says_why(tmp_path: Path) -> None:
    verdicts = judge([Latency(most_seconds=1.0), Floor(figure="accuracy", least=0.99)], GOOD)

    def write(folder: Path, _: int) -> None:
        (folder / "saved_model.pb").touch()
        require(verdicts)

    with pytest.raises(NotEarned, match=r"nothing published:\n  accuracy at least: accuracy is 0\.96, below 0\.99$"):
        publish.publish(tmp_path, "model", write)

    assert publish.versions(tmp_path, "model") == []
    assert not (tmp_path / "model" / ".staging").exists()
    require(verdicts[:1])
    with pytest.raises(NotEarned):
        require([])
