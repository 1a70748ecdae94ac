"""The asynchronous client: `Client` with `await` before each method.

async with AsyncClient("gateway.example:8443", api_key=key, ca_certificates=Path("ca.pem")) as client:
    answer = await client.infer("digits", {"images": EncodedImage.read("seven.png")})

The answers are the messages of `medserve.v1`.
"""

import asyncio
from collections.abc import Mapping
from os import PathLike
from types import TracebackType
from typing import Self, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from medserve import conversations
from medserve.connection import DEFAULT_TARGET, DEFAULT_TIMEOUT_SECONDS, Connection, require_timeout
from medserve.conversations import METHODS, Conversation, Pause, Result, Step, advance
from medserve.errors import MedserveError, error_of
from medserve.inputs import InputValue
from medserve.v1 import catalog_pb2, inference_pb2


class AsyncClient:
    """Calls a gateway. Made and used on one event loop; it connects when it is first used. The methods are `Client`'s, and documented there."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        api_key: str | None = None,
        ca_certificates: bytes | str | PathLike[str] | None = None,
        insecure: bool = False,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        """Takes what `Client` takes. Nothing is sent yet. Raises ValueError or OSError."""
        self._connection = connection = Connection.of(
            target, api_key=api_key, ca_certificates=ca_certificates, insecure=insecure, timeout_seconds=timeout_seconds
        )
        if connection.insecure:
            self._channel = grpc.aio.insecure_channel(connection.target, connection.options)
        else:
            self._channel = grpc.aio.secure_channel(connection.target, connection.credentials(), connection.options)
        self._calls = {
            method.path: self._channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString) for method in METHODS
        }

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, InputValue],
        *,
        version: int | None = None,
        label: str | None = None,
        request_id: str = "",
        study_key: str = "",
        patient_key: str = "",
        purpose_of_use: inference_pb2.PurposeOfUse.ValueType = inference_pb2.PURPOSE_OF_USE_UNSPECIFIED,
        include_raw_outputs: bool = False,
        timeout_seconds: float | None = None,
    ) -> inference_pb2.InferResponse:
        """Asks a model about one item, as `Client.infer`. Raises MedserveError, TypeError or ValueError."""
        request = conversations.infer_request(
            model, inputs, version=version, label=label, request_id=request_id, study_key=study_key, patient_key=patient_key,
            purpose_of_use=purpose_of_use, include_raw_outputs=include_raw_outputs,
        )  # fmt: skip
        return await self._hold(conversations.infer(request, self._timeout(timeout_seconds)))

    async def list_models(self, *, timeout_seconds: float | None = None) -> list[catalog_pb2.Model]:
        """Every model that the key allows, in order of name. Raises MedserveError."""
        return await self._hold(conversations.list_models(self._timeout(timeout_seconds)))

    async def get_model(self, name: str, *, timeout_seconds: float | None = None) -> catalog_pb2.Model:
        """One model with all its versions and their manifests. Raises MedserveError."""
        return await self._hold(conversations.get_model(name, self._timeout(timeout_seconds)))

    async def health(self, service: str = "", *, timeout_seconds: float | None = None) -> bool:
        """Whether a model, a service, or the gateway as a whole (empty) answers now. Raises NotFound for a name that there isn't."""
        return await self._hold(conversations.health(service, self._timeout(timeout_seconds)))

    async def wait_ready(self, service: str = "", *, timeout_seconds: float = 60.0) -> None:
        """Waits until `health` is True, through a gateway that isn't up yet and a model that isn't published yet. Raises DeadlineExceeded."""
        await self._hold(conversations.wait_ready(service, timeout_seconds))

    async def close(self) -> None:
        """Ends the connection, and calls under way with it."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.target!r})"

    def _timeout(self, timeout_seconds: float | None) -> float:
        return self._connection.timeout_seconds if timeout_seconds is None else require_timeout(timeout_seconds)

    async def _hold(self, conversation: Conversation[Result]) -> Result:
        """Drives a conversation to its end."""
        outcome: Message | MedserveError | None = None
        while True:
            try:
                step = advance(conversation, outcome)
            except StopIteration as end:
                return cast("Result", end.value)
            outcome = await self._take(step)

    async def _take(self, step: Step) -> Message | MedserveError | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._calls[step.method.path](step.request, timeout=step.timeout_seconds, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            return error_of(error, self._connection.target)
