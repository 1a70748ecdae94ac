"""A failed call as an error: by golden bytes of google.rpc.Status, and by what a transport says without one."""

import pickle

import grpc
import pytest

import medserve
from medserve.errors import error_of
from medserve.v1 import error_reason_pb2

# Status(code=14) with ErrorInfo(VERSION_NOT_READY, medserve, request_id=r-1), BadRequest(model.name) and RetryInfo(1.5 s).
GOLDEN = (
    b"\x08\x0e\x126no version of the model is loaded yet: try again later"
    b"\x1a\\\n(type.googleapis.com/google.rpc.ErrorInfo\x120\n\x11VERSION_NOT_READY\x12\x08medserve\x1a\x11\n\nrequest_id\x12\x03r-1"
    b"\x1a>\n)type.googleapis.com/google.rpc.BadRequest\x12\x11\n\x0f\n\nmodel.name\x12\x01d"
    b"\x1a6\n(type.googleapis.com/google.rpc.RetryInfo\x12\n\n\x08\x08\x01\x10\x80\xca\xb5\xee\x01"
)
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Failed(grpc.RpcError):
    """What grpc gives, with what a test says."""

    def __init__(self, code: grpc.StatusCode, details: str, status: bytes | None = None) -> None:
        self._code, self._details, self._status = code, details, status

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:  # type: ignore[override] # the stubs say it otherwise than grpc does
        return () if self._status is None else (("other-bin", b"\xff"), ("grpc-status-details-bin", self._status))


def test_everything_in_the_status_is_read() -> None:
    error = error_of(Failed(UNAVAILABLE, "short", GOLDEN), "gateway:1")

    assert type(error) is medserve.Unavailable
    assert vars(error) == {
        "code": UNAVAILABLE,
        "reason": "VERSION_NOT_READY",
        "message": "no version of the model is loaded yet: try again later",
        "field": "model.name",
        "retry_after_seconds": 1.5,
        "request_id": "r-1",
    }
    assert str(error) == "VERSION_NOT_READY: no version of the model is loaded yet: try again later (at model.name) [request r-1]"


def test_the_reason_is_one_of_the_api() -> None:
    error = error_of(Failed(UNAVAILABLE, "", GOLDEN), "gateway:1")

    assert f"ERROR_REASON_{error.reason}" in error_reason_pb2.ErrorReason.keys()  # noqa: SIM118 - no mapping: its keys are a method


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, medserve.Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, medserve.PermissionDenied),
        (grpc.StatusCode.NOT_FOUND, medserve.NotFound),
        (grpc.StatusCode.INVALID_ARGUMENT, medserve.InvalidArgument),
        (grpc.StatusCode.FAILED_PRECONDITION, medserve.FailedPrecondition),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, medserve.ResourceExhausted),
        (grpc.StatusCode.UNAVAILABLE, medserve.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, medserve.DeadlineExceeded),
        (grpc.StatusCode.INTERNAL, medserve.InternalError),
        (grpc.StatusCode.CANCELLED, medserve.MedserveError),
        (grpc.StatusCode.UNIMPLEMENTED, medserve.MedserveError),
    ],
)
def test_each_code_has_one_class(code: grpc.StatusCode, kind: type[medserve.MedserveError]) -> None:
    error = error_of(Failed(code, ""), "gateway:1")

    assert (type(error), error.code) == (kind, code)
    assert error.message


def test_a_reason_of_another_domain_is_not_taken_for_ours() -> None:
    status = GOLDEN.replace(b"\x08medserve", b"\x08elsewher")

    error = error_of(Failed(UNAVAILABLE, "", status), "gateway:1")

    assert (error.reason, error.request_id, error.field) == ("", "", "model.name")


@pytest.mark.parametrize("status", [b"\xff", GOLDEN[:-4], b""])
def test_damaged_details_leave_the_code(status: bytes) -> None:
    error = error_of(Failed(UNAVAILABLE, "", status), "gateway:1")

    assert (type(error), error.reason) == (medserve.Unavailable, "")


def test_one_damaged_detail_leaves_the_others() -> None:
    status = GOLDEN.replace(b"\x12\n\n\x08\x08\x01", b"\x12\n\n\x7f\x08\x01")

    error = error_of(Failed(UNAVAILABLE, "", status), "gateway:1")

    assert (error.reason, error.retry_after_seconds) == ("VERSION_NOT_READY", None)


@pytest.mark.parametrize(
    ("code", "details", "said"),
    [
        (UNAVAILABLE, "failed to connect to all addresses; last error: Connection refused", "gateway:1 can't be reached"),
        (UNAVAILABLE, "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED", "name the CA"),
        (UNAVAILABLE, "Ssl handshake failed: WRONG_VERSION_NUMBER", "doesn't speak TLS"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", "didn't answer in time"),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", "isn't offered|doesn't offer"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max", "too large"),
        (grpc.StatusCode.CANCELLED, "", "gave no reason"),
        (grpc.StatusCode.UNKNOWN, "a proxy's own words", "a proxy's own words"),
    ],
)
def test_what_the_transport_says_becomes_what_to_do(code: grpc.StatusCode, details: str, said: str) -> None:
    with pytest.raises(medserve.MedserveError, match=said):
        raise error_of(Failed(code, details), "gateway:1")


def test_an_error_travels_between_processes() -> None:
    error = error_of(Failed(UNAVAILABLE, "", GOLDEN), "gateway:1")

    back = pickle.loads(pickle.dumps(error))

    assert (type(back), vars(back), back.args) == (type(error), vars(error), error.args)
