"""The rules of `proto/`, and the check that generated code is up to date, each fail on a planted violation."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]
PROTO = Path("proto", "medserve", "v1")


def replaced(tree: Path, before: str, after: str) -> None:
    """Changes the only place that there is in the public definitions."""
    (file,) = (file for file in (tree / PROTO).glob("*.proto") if before in file.read_text())
    text = file.read_text()
    assert text.count(before) == 1
    file.write_text(text.replace(before, after))


def test_the_tree_as_it_is_keeps_the_rules(run: Run) -> None:
    assert run("buf", "lint").returncode == 0
    assert run("python", "proto/generate.py", "--check").returncode == 0


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("  // The file's bytes: PNG or JPEG, told apart by their content.\n", "", "content"),
        ("  DECISION_UNSPECIFIED = 0;", "  DECISION_UNKNOWN = 0;", "DECISION_UNKNOWN"),
        ("bool include_raw_outputs = 1;", "bool includeRawOutputs = 1;", "includeRawOutputs"),
    ],
    ids=["a field without a comment", "an enum without UNSPECIFIED", "a name in camel case"],
)
def test_lint_names_what_is_wrong(tree: Path, run: Run, before: str, after: str, rule: str) -> None:
    replaced(tree, before, after)

    result = run("buf", "lint")

    assert result.returncode != 0
    assert rule in result.stdout


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("  double probability = 3;", "  double probability = 13;", "probability"),
        ("  double probability = 3;", "  float probability = 3;", "probability"),
        ("  bool include_raw_outputs = 1;", "", "include_raw_outputs"),
        ("  rpc Infer(InferRequest) returns (InferResponse);", "  rpc Ask(InferRequest) returns (InferResponse);", "Infer"),
    ],
    ids=["another number", "another type", "a field gone", "a method gone"],
)
def test_a_change_that_breaks_callers_is_refused(tree: Path, run: Run, before: str, after: str, what: str) -> None:
    replaced(tree, before, after)

    breaking = run("buf", "breaking", "--against", "proto/baseline.binpb")
    generating = run("python", "proto/generate.py")

    assert breaking.returncode != 0
    assert what in breaking.stdout
    assert generating.returncode != 0, "a breaking change can't be generated either"


def test_a_proto_that_was_changed_and_not_generated_is_found(tree: Path, run: Run) -> None:
    replaced(tree, "  bool include_raw_outputs = 1;", "  bool include_raw_outputs = 1;\n  // New.\n  bool more = 2;")

    result = run("python", "proto/generate.py", "--check")

    assert result.returncode == 1
    assert "medserve/v1/inference_pb2.py" in result.stdout


@pytest.mark.parametrize("file", ["medserve/v1/inference_pb2.py", "tfserving/v1/model_pb2.pyi"])
def test_generated_code_that_was_edited_is_found(tree: Path, run: Run, file: str) -> None:
    with (tree / file).open("a") as out:
        out.write("# by hand\n")

    result = run("python", "proto/generate.py", "--check")

    assert result.returncode == 1
    assert f"out of date: {file}" in result.stdout


def test_a_generated_file_without_a_definition_is_found(tree: Path, run: Run) -> None:
    (tree / "medserve" / "v1" / "old_pb2.py").write_text("")

    result = run("python", "proto/generate.py", "--check")

    assert result.returncode == 1
    assert "old_pb2.py" in result.stdout
