"""The tree as it is drawn, as the public API names it, and as it goes over the wire: the same everywhere."""

import re
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2

from gateway import errors
from gateway.errors import MedserveError, leaves
from gateway.rpc.boundary import status_of
from medserve.v1 import error_reason_pb2

PROTO = Path(__file__).parents[2] / "proto/medserve/v1/error_reason.proto"
LEAVES = leaves()
# A defect has one sentence for the caller, whatever is at fault.
WITH_WORDS = tuple(leaf for leaf in LEAVES if leaf is not errors.InternalError)
_DRAWN = re.compile(r"(?P<indent>[ │]*)(?:├── |└── )?(?P<names>[A-Z]\w+(?:, [A-Z]\w+)*) *(?P<code>[A-Z_]{4,})? *(?P<retry>retry)?")


def drawn() -> dict[str, tuple[str, str | None, bool]]:
    """Name: its parent's name, its code (its parent's where it states none), and whether a retry can help."""
    picture = (errors.__doc__ or "").split("\n\n")[1]
    found: dict[str, tuple[str, str | None, bool]] = {}
    above: list[tuple[int, str]] = []
    for line in picture.splitlines():
        match = _DRAWN.fullmatch(line.rstrip())
        assert match, line
        column = match.start("names")
        above = [(at, name) for at, name in above if at < column]
        parent = above[-1][1] if above else ""
        for name in match["names"].split(", "):
            found[name] = (parent, match["code"] or (found[parent][1] if parent else None), bool(match["retry"]))
        above.append((column, match["names"].split(", ")[-1]))
    return found


def classes(root: type[MedserveError] = MedserveError) -> dict[str, tuple[str, str | None, bool]]:
    """The same, of the classes."""
    code = getattr(root, "code", None)
    own = (root.__base__.__name__ if root is not MedserveError and root.__base__ else "", code and code.name, root.retry_after_seconds is not None)
    found = {root.__name__: own}
    for child in root.__subclasses__():
        found |= classes(child)
    return found


def stated() -> dict[str, str]:
    """Reason: the code that its comment in the proto begins with."""
    text = PROTO.read_text(encoding="utf-8")
    return {reason: code for code, reason in re.findall(r"// ([A-Z_]+)\. [^\n]*\n  ERROR_REASON_(\w+) = [1-9]", text)}


def details_of(error: MedserveError, request_id: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for detail in status_of(error, request_id).details:
        name = detail.TypeName().removeprefix("google.rpc.")
        assert name not in found
        found[name] = getattr(error_details_pb2, name)()
        assert detail.Unpack(found[name])
    return found


def test_the_picture_is_the_tree() -> None:
    assert drawn() == classes()


def test_every_reason_of_the_api_is_a_leaf_and_every_leaf_a_reason() -> None:
    public = {name.removeprefix("ERROR_REASON_") for name, number in error_reason_pb2.ErrorReason.items() if number}

    assert [leaf.reason for leaf in LEAVES if leaf.reason not in public] == []
    assert sorted(leaf.reason for leaf in LEAVES) == sorted(public)


def test_every_leaf_has_the_code_that_the_api_states() -> None:
    assert {leaf.reason: leaf.code.name for leaf in LEAVES} == stated()


@pytest.mark.parametrize("leaf", WITH_WORDS)
def test_a_leaf_goes_over_the_wire_with_its_code_its_words_and_its_reason(leaf: type[MedserveError]) -> None:
    error = leaf("what to do")

    status, details = status_of(error, "r-1"), details_of(error, "r-1")

    assert (status.code, status.message) == (leaf.code.value, "what to do")
    assert details["ErrorInfo"] == error_details_pb2.ErrorInfo(reason=leaf.reason, domain="medserve", metadata={"request_id": "r-1"})
    assert "BadRequest" not in details


@pytest.mark.parametrize("leaf", WITH_WORDS)
def test_a_field_at_fault_is_a_bad_request(leaf: type[MedserveError]) -> None:
    details = details_of(leaf("what to do", field='inputs["x"]'))

    violation = error_details_pb2.BadRequest.FieldViolation(field='inputs["x"]', description="what to do", reason=leaf.reason)
    assert details["BadRequest"] == error_details_pb2.BadRequest(field_violations=[violation])


@pytest.mark.parametrize("error", [errors.InternalError(), errors.InternalError("a call has a principal")])
def test_a_defect_is_told_in_one_sentence_that_does_not_say_what_broke(error: errors.InternalError) -> None:
    status, details = status_of(error, "r-1"), details_of(error, "r-1")

    assert (status.code, status.message) == (13, "the gateway failed to answer: tell whoever runs it, with the request id")
    assert details == {"ErrorInfo": error_details_pb2.ErrorInfo(reason="INTERNAL", domain="medserve", metadata={"request_id": "r-1"})}
    assert str(error) == error.message


def test_only_what_has_a_quota_fails_one() -> None:
    assert {leaf for leaf in LEAVES if "QuotaFailure" in details_of(leaf("m"))} == {errors.RequestTooLarge, errors.TooManyCalls}


def test_a_retry_is_advised_where_it_can_help_and_nowhere_else() -> None:
    delays = {leaf: detail.retry_delay.ToMilliseconds() for leaf in LEAVES if (detail := details_of(leaf("m")).get("RetryInfo"))}

    assert delays == {
        errors.TooManyCalls: 100,
        errors.ShuttingDown: 1000,
        errors.VersionNotReady: 1000,
        errors.BackendUnavailable: 1000,
        errors.BackendOverloaded: 200,
    }


def test_a_status_fits_into_the_trailers_that_every_client_takes() -> None:
    error = errors.TooManyCalls("long " * 10_000, field='inputs["x"]')

    assert len(status_of(error, "r" * 128).SerializeToString()) * 4 / 3 + 1024 < 8192
