"""The end of the server: what it has taken on is answered, and who comes later is told to go elsewhere.

gRPC's own stop cancels the calls that have arrived and that Python hasn't been handed yet: with callers at work there are always some, and CANCELLED
is no status that a client tries again on. So new calls are refused with UNAVAILABLE first, until none comes for a while; then gRPC is stopped.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc

_QUIET_SECONDS = 0.05
_MOST_SECONDS = 1.0
_LOOK_SECONDS = 0.005


class Gate(grpc.GenericRpcHandler):
    """Sees every call first. It has to be the first handler of its server."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        """Takes the threads that refuse calls: others may all be busy, and have many more to answer."""
        self._is_closed = False
        self._arrived_at = 0.0

        def refuse(_: bytes, context: grpc.ServicerContext) -> NoReturn:
            context.abort(grpc.StatusCode.UNAVAILABLE, "The model server stops")

        refuse.experimental_thread_pool = threads  # type: ignore[attr-defined]
        self._refusal: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(refuse)

    def service(self, _: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
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
