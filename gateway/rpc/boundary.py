"""The one place where an error becomes a gRPC status.

Every method is registered through `handler`, which takes and gives bytes: so a message that can't be parsed gets an error of ours, the size
of a request is known without asking, and the tensors of the drop-in API are never parsed. `tests/gateway/rpc/test_boundary.py` walks the
registered methods to prove that none goes round it.
"""

import itertools
import secrets
from collections.abc import Awaitable, Callable
from typing import NoReturn

import grpc
import grpc.aio
import structlog
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from gateway.call import Action, Call
from gateway.errors import (
    InternalError,
    MedserveError,
    RelayedStatus,
    RequestTooLarge,
    TooManyCalls,
)

_log = structlog.get_logger("gateway.boundary")

DOMAIN = "medserve"
# A client refuses a status above 8 KiB, trailers in all, and the message is in it up to three times; TensorFlow Serving cuts there as well.
MAX_MESSAGE_CHARACTERS = 1024
_STATUS_CODE = {code.value[0]: code for code in grpc.StatusCode}
_QUOTA_ERRORS = (RequestTooLarge, TooManyCalls)

# Unique and cheap: 32 random bits of the process and a count. Random bits for each call would be a system call for each call.
_PROCESS = secrets.token_hex(4)
_count = itertools.count()

Handle = Callable[[Call, bytes], Awaitable[bytes]]
Context = grpc.aio.ServicerContext[bytes, bytes]


def status_of(error: MedserveError, request_id: str = "") -> status_pb2.Status:
    """The `google.rpc.Status` of an error: ErrorInfo always; BadRequest, QuotaFailure and RetryInfo where they say more (AIP-193)."""
    message = error.message[:MAX_MESSAGE_CHARACTERS]
    status = status_pb2.Status(code=error.code.value, message=message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if request_id:
        info.metadata["request_id"] = request_id
    status.details.add().Pack(info)
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=message, reason=error.reason)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, _QUOTA_ERRORS):
        quota = error_details_pb2.QuotaFailure.Violation(subject=error.reason, description=message)
        status.details.add().Pack(error_details_pb2.QuotaFailure(violations=[quota]))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_seconds * 1000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


async def _abort(context: Context, error: MedserveError, request_id: str) -> NoReturn:
    status = status_of(error, request_id)
    trailers: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", status.SerializeToString())]
    if error.retry_after_seconds is not None:
        # RetryInfo is for people and their code; this is what gRPC's own retries obey (gRFC A6).
        trailers.append(("grpc-retry-pushback-ms", str(round(error.retry_after_seconds * 1000))))
    await context.abort(_STATUS_CODE[status.code], status.message, tuple(trailers))


def handler(method: str, action: Action, handle: Handle) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """A unary method of bytes that calls `handle` with what the transport knows of the call, and ends it well or with a status."""

    async def unary(request: bytes, context: Context) -> bytes:
        call = Call(
            method=method,
            action=action,
            request_id=f"{_PROCESS}{next(_count):08x}",
            authorization=_authorization(context),
            timeout_seconds=context.time_remaining(),
            size_bytes=len(request),
        )
        try:
            return await handle(call, request)
        except MedserveError as error:
            await _abort(context, error, error.request_id or call.request_id)
        except RelayedStatus as error:
            await context.abort(_STATUS_CODE[error.code], error.message)
        except Exception:  # noqa: BLE001 - whatever it is, its text stays in the process
            # The pipeline makes an InternalError of its own defects: this one is outside, in a conversion.
            _log.exception("defect", request_id=call.request_id, method=method)
            await _abort(context, InternalError(), call.request_id)

    return grpc.unary_unary_rpc_method_handler(unary)


def _authorization(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            return value
    return ""
