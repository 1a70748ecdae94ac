"""Calls the model server over grpc.aio. Every call has a deadline."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from gateway.backend.codec import read_batch_of_one, write_batch_of_one
from gateway.call import Route
from gateway.catalog import States, VersionState
from gateway.errors import (
    BackendAnswerInvalid,
    BackendOverloaded,
    BackendRejected,
    BackendUnavailable,
    DeadlineExceeded,
    MedserveError,
    RelayedStatus,
    VersionNotReady,
)
from gateway.tensor import Tensor
from tfserving.v1 import model_pb2, prediction_pb2

if TYPE_CHECKING:
    from tfserving.v1.model_pb2 import ModelVersionStatus

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_METHODS = (
    "/tensorflow.serving.PredictionService/Classify",
    "/tensorflow.serving.PredictionService/Regress",
    _PREDICT,
    "/tensorflow.serving.PredictionService/MultiInference",
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    _GET_MODEL_STATUS,
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
)

# What TensorFlow Serving says with UNAVAILABLE (batching_util's queue; server_core's labels). gRPC shows nothing else by which its own
# failures, a refused or lost connection, could be told from a server's status: neither metadata nor `debug_error_string` differ. Whatever
# isn't known here is taken for a failure of the channel, whose text may hold an address and isn't passed on; the code is the same.
_QUEUE_FULL = "The batch scheduling queue to which this task was submitted is full"
_SAID_BY_SERVER = (_QUEUE_FULL, "Model labels does not init yet")
# What gRPC says when the call's deadline passes: ours, or the model server's view of it, which comes as `Stream removed (Deadline Exceeded)`.
# TensorFlow Serving's own timeouts have other words.
_OWN_DEADLINE = "Deadline Exceeded"

_CHANNEL_OPTIONS = (
    # The gateway's own limits bound what goes in, and a manifest what comes out.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A model server that comes back is found within a second, not gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.enable_retries", 0),
)

_STATE = {
    model_pb2.ModelVersionStatus.STATE_START: VersionState.LOADING,
    model_pb2.ModelVersionStatus.STATE_LOADING: VersionState.LOADING,
    model_pb2.ModelVersionStatus.STATE_AVAILABLE: VersionState.AVAILABLE,
    model_pb2.ModelVersionStatus.STATE_UNLOADING: VersionState.UNLOADING,
    model_pb2.ModelVersionStatus.STATE_END: VersionState.ENDED,
}


class Backend:
    """One model server, or several behind one gRPC name such as `dns:///serving:8500`."""

    def __init__(self, address: str, *, max_elements: int) -> None:
        """Opens a channel, which connects when it is first used. `max_elements` bounds each output that is read."""
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._max_elements = max_elements
        # No serialisers: what travels is bytes.
        self._calls: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {method: self._channel.unary_unary(method) for method in _METHODS}

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()

    async def predict(self, route: Route, item: Mapping[str, Tensor], timeout_seconds: float) -> dict[str, Tensor]:
        """Runs the manifest's signature on one item; its outputs by name, without the batch dimension.

        Raises:
            VersionNotReady: the version isn't loaded (any more).
            BackendUnavailable, BackendOverloaded, BackendRejected, BackendAnswerInvalid, DeadlineExceeded.
        """
        if route.manifest is None or route.version is None:
            message = "a public call is routed by a manifest"
            raise ValueError(message)
        request = prediction_pb2.PredictRequest()
        request.model_spec.name = route.model
        request.model_spec.version.value = route.version
        request.model_spec.signature_name = route.manifest.signature_name
        request.output_filter.extend(route.manifest.outputs)
        for name, tensor in item.items():
            write_batch_of_one(tensor, request.inputs[name])
        try:
            reply = await self._calls[_PREDICT](request.SerializeToString(), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise _error_of(error) from None
        try:
            response = prediction_pb2.PredictResponse.FromString(reply)
        except DecodeError:
            message = "the model server's answer can't be parsed"
            raise BackendAnswerInvalid(message) from None
        if response.model_spec.HasField("version") and response.model_spec.version.value != route.version:
            # The answer names whose weights it is of, and the audit does: neither may be another's.
            message = "the model server answered with another version than it was asked for: tell whoever runs it, with the request id"
            raise BackendAnswerInvalid(message)
        return {name: read_batch_of_one(name, proto, max_elements=self._max_elements) for name, proto in response.outputs.items()}

    async def forward(self, method: str, request: bytes, timeout_seconds: float) -> bytes:
        """Passes a call of TensorFlow Serving's API on as it is.

        Raises:
            RelayedStatus: what the model server answered.
            BackendUnavailable, DeadlineExceeded: it didn't answer.
        """
        try:
            return await self._calls[method](request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            # The channel's own failures carry a code too. They are ours to explain; what the server said isn't.
            if _is_of_the_channel(error):
                raise _error_of(error) from None
            raise RelayedStatus(error.code().value[0], error.details() or "") from None

    async def status(self, model: str, timeout_seconds: float) -> States:
        """Where the model's versions stand; empty for a model that the server doesn't know. Raises BackendError or DeadlineExceeded."""
        request = model_pb2.GetModelStatusRequest(model_spec=model_pb2.ModelSpec(name=model))
        try:
            reply = await self._calls[_GET_MODEL_STATUS](request.SerializeToString(), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return MappingProxyType({})
            raise _error_of(error) from None
        try:
            statuses = model_pb2.GetModelStatusResponse.FromString(reply).model_version_status
        except DecodeError:
            message = "the model server's answer can't be parsed"
            raise BackendAnswerInvalid(message) from None
        return MappingProxyType({status.version: _state_of(status) for status in statuses})


def _state_of(status: "ModelVersionStatus") -> VersionState:
    """The state of a version; one that ended with an error has failed."""
    state = _STATE.get(status.state, VersionState.PUBLISHED)
    return VersionState.FAILED if state is VersionState.ENDED and status.status.error_code else state


def _is_of_the_channel(error: grpc.aio.AioRpcError) -> bool:
    """Whether a call failed on its way, and the model server never answered it."""
    details = error.details() or ""
    if error.code() is grpc.StatusCode.CANCELLED:
        # Our own cancellation is no AioRpcError: the server stopped before it took the call on.
        return True
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return not details.startswith(_SAID_BY_SERVER)
    return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and _OWN_DEADLINE in details


def _error_of(error: grpc.aio.AioRpcError) -> MedserveError:
    """Our error for a failed call. The model server's message may quote values or paths, so it isn't passed on."""
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("the model server didn't answer within the deadline: allow more time, or try again")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED or (code is grpc.StatusCode.UNAVAILABLE and (error.details() or "").startswith(_QUEUE_FULL)):
        return BackendOverloaded("the model server takes no more calls just now: try again")
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return BackendUnavailable("the model server can't be reached, or was lost in mid-call: try again")
    if code is grpc.StatusCode.NOT_FOUND:
        return VersionNotReady("the model server doesn't have the version loaded: try again later, or ask for another version", field="model")
    if code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.OUT_OF_RANGE}:
        return BackendRejected("the model refused inputs that its manifest allows: tell whoever published this version")
    return BackendAnswerInvalid("the model server failed to answer: tell whoever runs it, with the request id")
