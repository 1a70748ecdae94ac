"""Each import contract fails on the violation that it is there for."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]

# By the contract's name: where to plant, and what.
VIOLATIONS = {
    "gateway reads from the top down": ("gateway/routing.py", "import gateway.audit"),
    "the pieces meet on disk and on the wire only": ("local/stack.py", "import gateway.settings"),
    "no TensorFlow in the gateway, nor in the client": ("gateway/backend/codec.py", "import tensorflow"),
    "the client knows nothing of the servers": ("medserve/keys.py", "import gateway.tls"),
    "no gRPC and no generated code in the stages": ("gateway/postprocess/findings.py", "import grpc"),
    "the pipeline delegates to the stages and holds no wire format": ("gateway/pipeline.py", "import tfserving.v1.prediction_pb2"),
}


def broken(run: Run) -> set[str]:
    output = run("lint-imports", "--no-cache").stdout
    return set(re.findall(r"^(.+) BROKEN$", output, re.MULTILINE))


def test_the_tree_as_it_is_keeps_every_contract(run: Run) -> None:
    result = run("lint-imports", "--no-cache")

    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


def test_every_contract_has_its_violation(tree: Path) -> None:
    contracts = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert {contract["name"] for contract in contracts} == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_planted_import_breaks_the_contract(tree: Path, run: Run, contract: str) -> None:
    file, line = VIOLATIONS[contract]
    path = tree / file
    path.write_text(f"{path.read_text()}\n{line}\n")

    assert contract in broken(run)


def test_a_file_that_the_layers_do_not_know_breaks_them(tree: Path, run: Run) -> None:
    (tree / "gateway" / "stowaway.py").write_text('"""Not in the list."""\n')

    result = run("lint-imports", "--no-cache")

    assert result.returncode != 0
    assert "stowaway" in result.stdout + result.stderr
