"""The locks: exact versions with hashes, one lock for each extra that is installed alone, and no licence that a hospital can't use."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
_ENTRY = re.compile(r"^(?P<requirement>\S.*?) \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def pinned(name: str) -> dict[str, set[str]]:
    """The versions by package; more than one where they differ by Python."""
    found: dict[str, set[str]] = {}
    for match in _ENTRY.finditer((LOCKS / f"{name}.lock").read_text()):
        requirement = Requirement(match["requirement"])
        found.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier))
    return found


def test_there_is_a_lock_for_the_client_for_each_extra_and_for_all() -> None:
    assert {path.stem for path in LOCKS.glob("*.lock")} == {"client", "dev", *EXTRAS}


@pytest.mark.parametrize("lock", ["client", "dev", *EXTRAS])
def test_every_line_is_an_exact_version_with_hashes_and_no_index_is_named(lock: str) -> None:
    text = (LOCKS / f"{lock}.lock").read_text()

    rest = _ENTRY.sub("", text)

    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    assert all(specifier.startswith("==") for versions in pinned(lock).values() for specifier in versions)
    assert "://" not in text
    assert "index" not in text


@pytest.mark.parametrize("lock", ["client", *EXTRAS])
def test_a_part_has_the_versions_of_the_whole(lock: str) -> None:
    whole = pinned("dev")

    assert {name: versions for name, versions in pinned(lock).items() if versions != whole[name]} == {}


@pytest.mark.parametrize(("lock", "declared"), [("client", []), *EXTRAS.items()])
def test_a_part_holds_what_is_declared(lock: str, declared: list[str]) -> None:
    wanted = {canonicalize_name(Requirement(text).name) for text in (*PROJECT["dependencies"], *declared)}

    assert wanted <= pinned(lock).keys()


@pytest.mark.parametrize("lock", ["client", "gateway"])
def test_neither_a_caller_nor_the_gateway_installs_tensorflow(lock: str) -> None:
    assert [name for name in pinned(lock) if "tensorflow" in name or name == "keras"] == []


@pytest.mark.parametrize("lock", ["client", *EXTRAS])
def test_nothing_that_ships_is_under_the_gpl(lock: str) -> None:
    offenders = []
    for name in pinned(lock):
        try:
            facts = metadata(name)
        except PackageNotFoundError:
            continue  # for another platform or Python
        expression = " ".join(facts.get_all("License-Expression", []))
        classifiers = [value for value in facts.get_all("Classifier", []) if value.startswith("License ::")]
        said = " ".join([expression, *classifiers])
        if re.search(r"(?<![L])GPL|(?<!Lesser )General Public License", said):
            offenders.append((name, said))

    assert offenders == []
