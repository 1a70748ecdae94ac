"""Nothing reaches a caller but through the boundary, and nothing of the process reaches a caller through it."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from gateway.call import Action, Call
from gateway.catalog import Catalog
from gateway.errors import BackendUnavailable, FieldInvalid, RelayedStatus
from gateway.rpc import boundary
from gateway.rpc.boundary import Handle, handler
from gateway.rpc.services import methods, register

if TYPE_CHECKING:
    from gateway.pipeline import Pipeline

SECRET = "Doe^Jane 1970-01-01"


class Aborted(Exception):
    pass


class Context:
    """The transport's side of one call, as far as the boundary touches it."""

    def __init__(self, metadata: tuple[tuple[str, str | bytes], ...] = ()) -> None:
        self.metadata = metadata
        self.aborted: tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]] | None = None

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self.metadata

    def time_remaining(self) -> float | None:
        return None

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()) -> None:
        self.aborted = (code, details, trailing_metadata)
        raise Aborted


class Registry:
    """Notes what is registered on a server."""

    def __init__(self) -> None:
        self.handlers: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: tuple[Any, ...]) -> None:
        self.handlers += handlers

    def add_registered_method_handlers(self, *_: object) -> None:
        pass


def run(handle: Handle, context: Context) -> bytes | None:
    method = handler("/s/m", Action.READ, handle)
    try:
        return cast("bytes", asyncio.run(cast("Any", method).unary_unary(b"", context)))
    except Aborted:
        return None


def raising(error: BaseException) -> Handle:
    async def handle(_: Call, __: bytes) -> bytes:
        raise error

    return handle


def info_of(context: Context) -> error_details_pb2.ErrorInfo:
    assert context.aborted is not None
    ((key, value),) = context.aborted[2]
    info = error_details_pb2.ErrorInfo()
    assert key == "grpc-status-details-bin"
    assert status_pb2.Status.FromString(value).details[0].Unpack(info)
    return info


def test_no_method_goes_round_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, tuple[Action, Handle]] = {}
    real = boundary.handler

    def noting(method: str, action: Action, handle: Handle) -> Any:
        made[method] = (action, handle)
        return real(method, action, handle)

    monkeypatch.setattr("gateway.rpc.services.handler", noting)
    registry = Registry()

    register(cast("grpc.aio.Server", registry), cast("Pipeline", None), Catalog(labels={}))

    registered = {
        method: found
        for generic in registry.handlers
        for method in getattr(generic, "_method_handlers", {})
        if not method.startswith("/grpc.")
        for found in [generic.service(type("Details", (), {"method": method, "invocation_metadata": ()})())]
    }
    code = inspect.unwrap(cast("Any", real("/s/m", Action.READ, raising(ValueError()))).unary_unary).__code__
    assert registered.keys() == made.keys()
    assert {method for method, found in registered.items() if found.unary_unary.__code__ is not code} == set()
    assert {(found.request_deserializer, found.response_serializer) for found in registered.values()} == {(None, None)}


def test_the_methods_are_these_and_ask_leave_for_this() -> None:
    table = {f"{service}/{name}": action for service, rows in methods(cast("Pipeline", None)).items() for name, (action, _) in rows.items()}

    assert table == {
        "medserve.v1.InferenceService/Infer": Action.INFER,
        "medserve.v1.CatalogService/ListModels": Action.READ,
        "medserve.v1.CatalogService/GetModel": Action.READ,
        "tensorflow.serving.PredictionService/Classify": Action.INFER,
        "tensorflow.serving.PredictionService/Regress": Action.INFER,
        "tensorflow.serving.PredictionService/Predict": Action.INFER,
        "tensorflow.serving.PredictionService/MultiInference": Action.INFER,
        "tensorflow.serving.PredictionService/GetModelMetadata": Action.READ,
        "tensorflow.serving.ModelService/GetModelStatus": Action.READ,
        "tensorflow.serving.ModelService/HandleReloadConfigRequest": Action.RELOAD,
    }


def test_the_handler_knows_of_a_call_what_the_transport_knows() -> None:
    seen: list[Call] = []

    async def handle(call: Call, request: bytes) -> bytes:
        seen.append(call)
        return request + b"!"

    method = handler("/s/m", Action.INFER, handle)
    context = Context((("x-bin", b"\x00"), ("authorization", "Bearer k"), ("authorization", "Bearer second")))
    answer = asyncio.run(cast("Any", method).unary_unary(b"abc", context))

    (call,) = seen
    assert answer == b"abc!"
    assert (call.method, call.action, call.authorization, call.size_bytes, call.selectors) == ("/s/m", Action.INFER, "Bearer k", 3, ())
    assert len(call.request_id) == 16


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), grpc.aio.AbortError(SECRET), RuntimeError(f"a\n{SECRET}")])
def test_the_text_of_an_exception_reaches_neither_the_wire_nor_the_log(error: Exception, log: io.StringIO) -> None:
    context = Context()

    run(raising(error), context)

    assert context.aborted is not None
    assert context.aborted[0] is grpc.StatusCode.INTERNAL
    assert info_of(context).reason == "INTERNAL"
    assert SECRET not in str(context.aborted)
    assert "defect" in log.getvalue()
    assert info_of(context).metadata["request_id"] in log.getvalue()
    assert SECRET not in log.getvalue()


def test_an_error_of_the_tree_keeps_its_words_and_names_the_call_as_the_audit_does() -> None:
    error, context = FieldInvalid("say what", field="page_size"), Context()
    error.request_id = "the-callers-own"

    run(raising(error), context)

    assert context.aborted is not None
    assert context.aborted[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "say what")
    assert info_of(context).metadata["request_id"] == "the-callers-own"


def test_grpcs_own_retries_are_told_how_long_to_wait_where_trying_again_can_help() -> None:
    helps, helps_not = Context(), Context()

    run(raising(BackendUnavailable("again")), helps)
    run(raising(FieldInvalid("say what", field="page_size")), helps_not)

    assert helps.aborted is not None
    assert helps_not.aborted is not None
    assert dict(helps.aborted[2])["grpc-retry-pushback-ms"] == "1000"
    assert "grpc-retry-pushback-ms" not in dict(helps_not.aborted[2])


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_a_relayed_status_keeps_its_code_and_its_message_and_gains_nothing(code: grpc.StatusCode) -> None:
    context = Context()

    run(raising(RelayedStatus(code.value[0], "Servable not found for request: Latest(nope)")), context)

    assert context.aborted == (code, "Servable not found for request: Latest(nope)", ())


def test_a_cancellation_passes_through_as_one() -> None:
    with pytest.raises(asyncio.CancelledError):
        run(raising(asyncio.CancelledError()), Context())


def test_every_handler_is_a_coroutine_of_bytes() -> None:
    handles: list[Callable[[Call, bytes], Awaitable[bytes]]] = [
        handle for rows in methods(cast("Pipeline", None)).values() for _, handle in rows.values()
    ]

    assert all(inspect.iscoroutinefunction(handle) for handle in handles)
