"""From outputs to findings."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Classification, Coding, InputSpec, Label, Manifest, OutputSpec
from gateway.postprocess import read
from gateway.reading import Decision
from gateway.tensor import DType, Tensor

PRESENT, ABSENT, UNSPECIFIED = Decision.PRESENT, Decision.ABSENT, Decision.UNSPECIFIED


def label(code: str, operating_point: float | None = None) -> Label:
    return Label(code=Coding(system="SCT", code=code, display=code.upper()), operating_point=operating_point)


def manifest(*outputs: OutputSpec, demonstration_only: bool = False, is_trial: bool = False) -> Manifest:
    return Manifest(
        name="m",
        version=1,
        signature_name="serving_default",
        inputs={"x": InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,))},
        outputs={output.name: output for output in outputs},
        weights_digest="sha256:0",
        demonstration_only=demonstration_only,
        is_trial=is_trial,
    )


def classifier(*labels: Label, exclusive: bool, name: str = "y") -> OutputSpec:
    classification = Classification(exclusive=exclusive, labels=labels)
    return OutputSpec(name=name, dtype=DType.FLOAT32, shape=(len(labels),), reading=classification)


def floats(*values: float) -> Tensor:
    return Tensor.of(np.array(values, dtype=np.float32))


@pytest.mark.parametrize(
    ("spec", "probabilities", "expected"),
    [
        pytest.param(
            classifier(label("a"), label("b"), label("c"), exclusive=True), (0.25, 0.5, 0.25),
            [("b", 0.5, PRESENT), ("a", 0.25, ABSENT), ("c", 0.25, ABSENT)], id="exclusive: the most probable; equals keep their order",
        ),
        pytest.param(
            classifier(label("a"), label("b"), exclusive=True), (0.5, 0.5),
            [("a", 0.5, PRESENT), ("b", 0.5, ABSENT)], id="exclusive and equal: one only",
        ),
        pytest.param(
            classifier(label("a", 0.125), label("b", 0.875), exclusive=True), (0.125, 0.875),
            [("b", 0.875, PRESENT), ("a", 0.125, PRESENT)], id="at the operating point is present",
        ),
        pytest.param(
            classifier(label("a", 0.5), label("b", 0.5), label("c"), exclusive=False), (0.25, 0.75, 1.0),
            [("c", 1.0, UNSPECIFIED), ("b", 0.75, PRESENT), ("a", 0.25, ABSENT)], id="not exclusive: by operating point or not at all",
        ),
        pytest.param(
            classifier(label("a"), label("b"), exclusive=True), (-5e-4, 1 + 5e-4),
            [("b", 1.0, PRESENT), ("a", 0.0, ABSENT)], id="rounding is clipped",
        ),
    ],
)  # fmt: skip
def test_reads(spec: OutputSpec, probabilities: tuple[float, ...], expected: list[tuple[str, float, Decision]]) -> None:
    reading = read(manifest(spec), {"y": floats(*probabilities)})

    assert [(finding.code.code, finding.probability, finding.decision) for finding in reading.findings] == expected
    points = {label.code: label.operating_point for label in spec.reading.labels} if isinstance(spec.reading, Classification) else {}
    assert all(finding.output == "y" and finding.operating_point == points[finding.code] for finding in reading.findings)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8))
def test_findings_are_all_there_and_most_probable_first(probabilities: list[float]) -> None:
    spec = classifier(*(label(str(index)) for index in range(len(probabilities))), exclusive=False)

    findings = read(manifest(spec), {"y": floats(*probabilities)}).findings

    assert [finding.probability for finding in findings] == sorted(probabilities, reverse=True)
    assert {finding.code.code: finding.probability for finding in findings} == {str(i): p for i, p in enumerate(probabilities)}


def test_findings_of_several_outputs_are_sorted_together_and_other_outputs_are_kept() -> None:
    embedding = OutputSpec(name="embedding", dtype=DType.FLOAT32, shape=(-1, 2))
    parts = classifier(label("a"), exclusive=False, name="first"), classifier(label("b"), exclusive=False, name="second"), embedding
    outputs = {"second": floats(0.75), "first": floats(0.25), "embedding": Tensor.of(np.full((3, 2), math.nan, dtype=np.float32))}

    reading = read(manifest(*parts), outputs)

    assert [finding.output for finding in reading.findings] == ["second", "first"]
    assert reading.outputs == outputs


@pytest.mark.parametrize("demonstration_only", [True, False])
@pytest.mark.parametrize("is_trial", [True, False])
def test_cautions_where_no_care_may_rest_on_it(*, demonstration_only: bool, is_trial: bool) -> None:
    of_model = manifest(classifier(label("a"), exclusive=False), demonstration_only=demonstration_only, is_trial=is_trial)

    reading = read(of_model, {"y": floats(0.5)})

    assert [caution.reason for caution in reading.warnings] == ["TRIAL"] * is_trial + ["DEMONSTRATION_ONLY"] * demonstration_only


@pytest.mark.parametrize(
    "outputs",
    [
        pytest.param({}, id="missing"),
        pytest.param({"y": floats(0.5, 0.5), "z": floats(1)}, id="one more"),
        pytest.param({"z": floats(0.5, 0.5)}, id="another"),
        pytest.param({"y": Tensor.of(np.array([0.5, 0.5]))}, id="another type"),
        pytest.param({"y": floats(0.5, 0.25, 0.25)}, id="another size"),
        pytest.param({"y": floats(0.5, 0.5).with_shape((1, 2))}, id="another rank"),
        pytest.param({"y": floats(math.nan, 1)}, id="NaN"),
        pytest.param({"y": floats(math.inf, 0)}, id="infinite"),
        pytest.param({"y": floats(-0.25, 1.25)}, id="beyond 0 and 1, though it sums to 1"),
        pytest.param({"y": floats(0.5, 0.498)}, id="sums to less than 1"),
        pytest.param({"y": floats(0.75, 0.75)}, id="sums to more than 1"),
    ],
)
def test_refuses_an_answer_that_the_manifest_does_not_promise(outputs: Mapping[str, Tensor]) -> None:
    with pytest.raises(BackendAnswerInvalid):
        read(manifest(classifier(label("a"), label("b"), exclusive=True)), outputs)
