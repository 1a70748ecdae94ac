"""The synchronous client.

with Client("gateway.example:8443", api_key=key, ca_certificates=Path("ca.pem")) as client:
    answer = client.infer("digits", {"images": EncodedImage.read("seven.png")})
    for finding in answer.findings:
        print(finding.code.display, finding.probability)

The answers are the messages of `medserve.v1`.
"""

import time
from collections.abc import Mapping
from os import PathLike
from types import TracebackType
from typing import Self, cast

import grpc
from google.protobuf.message import Message

from medserve import conversations
from medserve.connection import DEFAULT_TARGET, DEFAULT_TIMEOUT_SECONDS, Connection, require_timeout
from medserve.conversations import METHODS, Conversation, Pause, Result, Step, advance
from medserve.errors import MedserveError, error_of
from medserve.inputs import InputValue
from medserve.v1 import catalog_pb2, inference_pb2


class Client:
    """Calls a gateway. One client serves any number of threads; it connects when it is first used."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        api_key: str | None = None,
        ca_certificates: bytes | str | PathLike[str] | None = None,
        insecure: bool = False,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        """Nothing is sent yet.

        Args:
            target: the gateway's address, `host:port` or any gRPC name such as `dns:///gateways:8443`.
            api_key: the key's text, `msk_…`. Only the health of the gateway is told without one.
            ca_certificates: the CAs to trust, as PEM or as the file that holds it. None: the system's, or those that come with gRPC where
                OpenSSL names no file of the system's.
            insecure: True to send everything in the clear, which is refused beyond this machine.
            timeout_seconds: how long a call may take, tries included, where it names no time of its own.

        Raises:
            ValueError: one of these can't be used.
            OSError: the file of `ca_certificates` can't be read.
        """
        self._connection = connection = Connection.of(
            target, api_key=api_key, ca_certificates=ca_certificates, insecure=insecure, timeout_seconds=timeout_seconds
        )
        if connection.insecure:
            self._channel = grpc.insecure_channel(connection.target, connection.options)
        else:
            self._channel = grpc.secure_channel(connection.target, connection.credentials(), connection.options)
        self._calls = {
            method.path: self._channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString) for method in METHODS
        }

    def infer(
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
        """Asks a model about one item: one patient, one study, one answer. Asked again, by the client itself, while nobody answers.

        Args:
            model: the model's name.
            inputs: every input of its manifest by name: a numpy array (the model's own tensor, without the batch dimension), an
                `EncodedImage`, a `Dicom`, a `TimeSeries` or a `Record`.
            version: this version. With neither version nor label: the newest that is ready, and no trial if another is.
            label: the version that carries this label, for example `stable`.
            request_id: your name for the request, free of patient data; at most 128 letters, digits, `.`, `_`, `:` and `-`. Made up where empty.
            study_key: the study that the item belongs to.
            patient_key: the patient whom the item belongs to.
            purpose_of_use: why the data is used; the audit log records it.
            include_raw_outputs: True to get the model's outputs as well: `to_array(answer.raw_outputs[name])`.
            timeout_seconds: how long this call may take; None for the client's own.

        Raises:
            MedserveError: the service said no, or nobody answered.
            TypeError, ValueError: an argument can't be sent.
        """
        request = conversations.infer_request(
            model, inputs, version=version, label=label, request_id=request_id, study_key=study_key, patient_key=patient_key,
            purpose_of_use=purpose_of_use, include_raw_outputs=include_raw_outputs,
        )  # fmt: skip
        return self._hold(conversations.infer(request, self._timeout(timeout_seconds)))

    def list_models(self, *, timeout_seconds: float | None = None) -> list[catalog_pb2.Model]:
        """Every model that the key allows, in order of name. Raises MedserveError."""
        return self._hold(conversations.list_models(self._timeout(timeout_seconds)))

    def get_model(self, name: str, *, timeout_seconds: float | None = None) -> catalog_pb2.Model:
        """One model with all its versions and their manifests. Raises MedserveError."""
        return self._hold(conversations.get_model(name, self._timeout(timeout_seconds)))

    def health(self, service: str = "", *, timeout_seconds: float | None = None) -> bool:
        """Whether a model, a service, or the gateway as a whole (empty) answers now. Raises NotFound for a name that there isn't."""
        return self._hold(conversations.health(service, self._timeout(timeout_seconds)))

    def wait_ready(self, service: str = "", *, timeout_seconds: float = 60.0) -> None:
        """Waits until `health` is True, through a gateway that isn't up yet and a model that isn't published yet. Raises DeadlineExceeded."""
        self._hold(conversations.wait_ready(service, timeout_seconds))

    def close(self) -> None:
        """Ends the connection, and calls under way with it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.target!r})"

    def _timeout(self, timeout_seconds: float | None) -> float:
        return self._connection.timeout_seconds if timeout_seconds is None else require_timeout(timeout_seconds)

    def _hold(self, conversation: Conversation[Result]) -> Result:
        """Drives a conversation to its end."""
        outcome: Message | MedserveError | None = None
        while True:
            try:
                step = advance(conversation, outcome)
            except StopIteration as end:
                return cast("Result", end.value)
            outcome = self._take(step)

    def _take(self, step: Step) -> Message | MedserveError | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._calls[step.method.path](step.request, timeout=step.timeout_seconds, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            return error_of(error, self._connection.target)
