"""Every error that a call can end with, by what a caller can do about it.

    MedserveError
    ├── Unauthenticated       no key, or one that isn't valid
    ├── PermissionDenied      the key doesn't allow the model or the action
    ├── NotFound              no such model, version or label
    ├── InvalidArgument       an input or a field is wrong: change the request
    ├── FailedPrecondition    the version itself is at fault, or isn't served: tell whoever published it
    ├── ResourceExhausted     too large, or too many calls at once
    ├── Unavailable           not now: try again
    ├── DeadlineExceeded      the time ran out
    └── InternalError         a defect of the service: tell whoever runs it, with the request id

A class stands for a gRPC code; `reason` says which of its cases it is, by the names of `medserve.v1.ErrorReason` without their prefix. A code
that has no class here is a MedserveError itself. What a caller did wrong in Python (a value of the wrong type) is a TypeError or a ValueError.
"""

from collections.abc import Iterable
from typing import cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "DeadlineExceeded",
    "FailedPrecondition",
    "InternalError",
    "InvalidArgument",
    "MedserveError",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
]

_DOMAIN = "medserve"
_STATUS_KEY = "grpc-status-details-bin"
_CERTIFICATE_FAULT = "CERTIFICATE_VERIFY_FAILED"
_TLS_FAULTS = ("WRONG_VERSION_NUMBER", "Ssl handshake failed", "SSL_ERROR", "Peer name")


class MedserveError(Exception):
    """A call that failed.

    Attributes:
        code: the gRPC status code.
        reason: the stable reason, for example `INPUT_MISSING`; empty where the service didn't answer (it can't be reached, or a proxy answered).
        message: what is wrong and what to do, for people.
        field: the request field at fault, as a path such as `inputs["images"].tensor.shape`; empty where none is.
        retry_after_seconds: how long to wait before trying again; None where the service doesn't say that it helps.
        request_id: names the call in the service's log and audit; empty where the service didn't answer.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        field: str = "",
        retry_after_seconds: float | None = None,
        request_id: str = "",
    ) -> None:
        """Takes what the attributes say."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.field = field
        self.retry_after_seconds = retry_after_seconds
        self.request_id = request_id

    def __str__(self) -> str:
        at = f" (at {self.field})" if self.field else ""
        request = f" [request {self.request_id}]" if self.request_id else ""
        return f"{self.reason or self.code.name}: {self.message}{at}{request}"


class Unauthenticated(MedserveError):
    """No key came, or one that isn't valid."""


class PermissionDenied(MedserveError):
    """The key doesn't allow the model or the action."""


class NotFound(MedserveError):
    """There is no such model, version or label."""


class InvalidArgument(MedserveError):
    """An input or a field can't be used: `field` and `reason` say which and why."""


class FailedPrecondition(MedserveError):
    """The version that was asked can't answer as its manifest says, or the model server doesn't know the model."""


class ResourceExhausted(MedserveError):
    """The request is too large, or too many calls are under way."""


class Unavailable(MedserveError):
    """Nobody answers just now. The client has tried more than once already."""


class DeadlineExceeded(MedserveError):
    """The time that the call was given ran out."""


class InternalError(MedserveError):
    """A defect of the service."""


_CLASSES: dict[grpc.StatusCode, type[MedserveError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INTERNAL: InternalError,
}


def deadline_exceeded(message: str) -> DeadlineExceeded:
    """The error of a time that ran out on this side."""
    return DeadlineExceeded(message, code=grpc.StatusCode.DEADLINE_EXCEEDED, reason="DEADLINE_EXCEEDED")


def error_of(call: grpc.RpcError, target: str) -> MedserveError:
    """The error of a failed call to `target`, of grpc or of grpc.aio, with all that the service said of it."""
    code, details = call.code(), call.details() or ""
    kind = _CLASSES.get(code, MedserveError)
    # grpc gives pairs with names, grpc.aio pairs; none at all comes where no connection was made.
    metadata = cast("Iterable[tuple[str, str | bytes]]", call.trailing_metadata() or ())
    status = _status_in(metadata)
    if status is None:
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return deadline_exceeded(f"{target} didn't answer in time: allow more, or try again")
        return kind(_message_without_status(code, details, target), code=code)
    reason, request_id, field, retry_after_seconds = "", "", "", None
    info, bad_request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        try:
            if detail.Unpack(info) and info.domain == _DOMAIN:
                reason, request_id = info.reason, info.metadata.get("request_id", "")
            elif detail.Unpack(bad_request) and bad_request.field_violations:
                field = bad_request.field_violations[0].field
            elif detail.Unpack(retry):
                retry_after_seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        except DecodeError:
            # The code and the message stand all the same.
            continue
    message = status.message or details or _message_without_status(code, details, target)
    return kind(message, code=code, reason=reason, field=field, retry_after_seconds=retry_after_seconds, request_id=request_id)


def _status_in(metadata: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status | None:
    """The `google.rpc.Status` of an answer; None where it carries none that can be read."""
    for key, value in metadata:
        if key == _STATUS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _message_without_status(code: grpc.StatusCode, details: str, target: str) -> str:
    """What to say where the transport, or a proxy on the way, ended the call."""
    if code is grpc.StatusCode.UNAVAILABLE:
        if _CERTIFICATE_FAULT in details:
            return f"the certificate of {target} isn't trusted: name the CA that signed it, or call it by a name that it holds"
        if any(fault in details for fault in _TLS_FAULTS):
            return f"{target} doesn't speak TLS, or not for that name: check the address"
        # Of a name with several addresses, as localhost often is, gRPC tells the last one's fault: an address where nobody listens hides a
        # certificate that isn't trusted at another.
        return f"{target} can't be reached: check the address, that the gateway runs, and that you trust the CA of its certificate"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{target} doesn't offer this: check that it is a medserve gateway, and of this release"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return f"{target} refused the message: it is too large, or too much is under way ({details})"
    return details or f"{target} gave no reason"
