"""What sees a call before every service, and what sees it after them."""

import time
from collections.abc import Iterator
from typing import Any, NoReturn

import grpc

_QUIET_SECONDS = 0.05
_MOST_SECONDS = 1.0
_LOOK_SECONDS = 0.005

Handler = grpc.RpcMethodHandler


class Gate(grpc.GenericRpcHandler):
    """Refuses new calls once the server ends; it has to be the first handler of its server.

    gRPC's own stop cancels the calls that have arrived and that Python hasn't been handed yet: with callers at work there are always some, and
    CANCELLED is no status that a client tries again on. So new calls are refused with UNAVAILABLE until none comes for a while, and then gRPC is
    stopped.
    """

    def __init__(self) -> None:
        """Lets every call through, to begin with."""
        self._is_closed = False
        self._arrived_at = 0.0
        self._refusal = _refusing(grpc.StatusCode.UNAVAILABLE, "The model server stops")

    def service(self, _: grpc.HandlerCallDetails) -> "Handler[Any, Any] | None":
        """Lets a call through to the other handlers, or refuses it."""
        if not self._is_closed:
            return None
        self._arrived_at = time.monotonic()
        return self._refusal

    def close(self) -> None:
        """Refuses new calls from now on; returns when none has come for a while, or when that has taken too long."""
        self._arrived_at = began_at = time.monotonic()
        self._is_closed = True
        while time.monotonic() - self._arrived_at < _QUIET_SECONDS and time.monotonic() - began_at < _MOST_SECONDS:
            time.sleep(_LOOK_SECONDS)


class Unknown(grpc.GenericRpcHandler):
    """Answers for methods that there aren't, without gRPC's own words for it, as TensorFlow Serving does; the last handler of its server."""

    def __init__(self) -> None:
        """Has one answer."""
        self._refusal = _refusing(grpc.StatusCode.UNIMPLEMENTED, "")

    def service(self, _: grpc.HandlerCallDetails) -> "Handler[Any, Any]":
        """Refuses a call."""
        return self._refusal


def _refusing(code: grpc.StatusCode, message: str) -> "Handler[Any, Any]":
    """Refuses any call before it has sent anything."""

    def refuse(_: Iterator[bytes], context: grpc.ServicerContext) -> NoReturn:
        context.abort(code, message)

    return grpc.stream_stream_rpc_method_handler(refuse)
