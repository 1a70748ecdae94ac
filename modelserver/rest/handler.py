"""One REST request, apart from how it is carried: method, path and body in, status and body out (model_servers/http_rest_api_handler.cc)."""

import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.message import Message
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from modelserver.api import Api
from modelserver.errors import ServingError, invalid_argument, status_of
from modelserver.manager import Manager
from modelserver.metrics import Method, Metrics, Served
from modelserver.rest import json_proto, json_reply, json_text, json_writer, route
from modelserver.rest.examples import read_examples
from modelserver.rest.tensors import Inputs, read_inputs
from modelserver.servable import DEFAULT_SIGNATURE

_log = structlog.get_logger("modelserver.rest")

# TensorFlow Serving takes bodies of any size.
MAX_BODY_BYTES = 256 << 20
_GZIP_WINDOW = 31
_SIGNATURE_NAME, _SIGNATURE_DEF = "signature_name", "signature_def"
_ORIGIN = re.compile(r"https?://")

_HTTP = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_OF_THE_BODY = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED})
# TensorFlow Serving counts whatever comes to the port, also what is no call: the looks at a model have no name there.
_METHODS = {call: Method(call, "REST", call) for call in ("predict", "classify", "regress")}
_METHODS |= {call: Method(call, "REST", "") for call in (route.METADATA, route.STATUS, "")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What came: `path` as it was sent, with its query."""

    method: str
    path: str
    body: bytes
    encoding: str = ""
    origin: str = ""
    deadline: float | None = None
    """When its time is up, by `time.monotonic`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What goes back. JSON, or nothing."""

    status: int
    body: bytes


class Handler:
    """Answers requests. Any number of threads may call it."""

    def __init__(self, api: Api, manager: Manager, metrics: Metrics) -> None:
        """Takes what answers, what is served, and what counts."""
        self._api = api
        self._manager = manager
        self._metrics = metrics
        self._calls: dict[str, Callable[[model_pb2.ModelSpec, bytes, json_text.Tick], tuple[bytes, Served, int]]] = {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
            route.METADATA: self._get_metadata,
            route.STATUS: self._get_status,
        }

    def answer(self, request: Request) -> Reply:
        """The reply to a request, whatever it is."""
        started = time.perf_counter()
        call, spec = "", model_pb2.ModelSpec()
        try:
            if request.method == "OPTIONS":
                return self._preflight(request.origin)
            found = route.find(request.method, request.path)
            call, spec = found.call, found.spec
            _check_deadline(request)
            body, served, examples = self._calls[call](
                spec, _inflated(request) if request.method == "POST" else b"", partial(_check_deadline, request)
            )
            _check_deadline(request)
        except Exception as error:  # noqa: BLE001 - the boundary
            status = status_of(error)
            self._metrics.failed(_METHODS[call], spec, status.code.name)
            return failure(status)
        self._metrics.answered(_METHODS[call], served, time.perf_counter() - started, examples=examples)
        return Reply(status=200, body=body)

    def refuse(self, request: Request, error: ServingError) -> Reply:
        """The reply to a request that isn't run, counted like one that failed."""
        try:
            found = route.find(request.method, request.path)
        except ServingError:
            self._metrics.failed(_METHODS[""], model_pb2.ModelSpec(), error.code.name)
        else:
            self._metrics.failed(_METHODS[found.call], found.spec, error.code.name)
        return failure(error)

    def _preflight(self, origin: str) -> Reply:
        if _ORIGIN.search(origin):
            self._metrics.answered(_METHODS[""], Served("", None, ""), 0.0)
            return Reply(status=200, body=b"")
        self._metrics.failed(_METHODS[""], model_pb2.ModelSpec(), grpc.StatusCode.FAILED_PRECONDITION.name)
        return Reply(status=400, body=b"")

    def _predict(self, spec: model_pb2.ModelSpec, body: bytes, tick: json_text.Tick) -> tuple[bytes, Served, int]:
        try:
            inputs, is_rows = self._read_inputs(spec, json_text.parse_large(body, tick), body)
        except ServingError as error:
            if len(body) < json_text.LARGE_BYTES or error.code not in _OF_THE_BODY:
                raise
            # For the words of the error: what was read has no more than the shape of large arrays.
            inputs, is_rows = self._read_inputs(spec, json_text.parse_exactly(body, tick=tick), body)
        request = predict_pb2.PredictRequest(model_spec=spec)
        for alias, tensor in inputs.items():
            request.inputs[alias].CopyFrom(tensor)
        prediction = self._api.predict(request)
        write = json_reply.rows if is_rows else json_reply.columns
        text = write(prediction.outputs, _types(prediction.signature.definition.outputs))
        return text, Served(prediction.servable.name, prediction.servable.version, prediction.signature_key), 0

    def _read_inputs(self, spec: model_pb2.ModelSpec, value: json_text.Value, body: bytes) -> tuple[Inputs, bool]:
        document = _document(spec, value)
        return read_inputs(document, body, _types(self._inputs_of(spec)))

    def _inputs_of(self, spec: model_pb2.ModelSpec) -> Any:  # noqa: ANN401 - a map of protobuf's
        with self._manager.serving(spec) as servable:
            definition: meta_graph_pb2.SignatureDef | None = servable.signature_def.get(spec.signature_name or DEFAULT_SIGNATURE)
        if definition is None:
            message = f'Serving signature name: "{spec.signature_name or DEFAULT_SIGNATURE}" not found in signature def'
            raise invalid_argument(message)
        if not definition.inputs:
            message = f"Failed to get input map for signature: {spec.signature_name or 'DEFAULT'}"
            raise invalid_argument(message)
        return definition.inputs

    def _classify(self, spec: model_pb2.ModelSpec, body: bytes, tick: json_text.Tick) -> tuple[bytes, Served, int]:
        document = _document(spec, json_text.parse_exactly(body, tick=tick) if len(body) >= json_text.LARGE_BYTES else json_text.parse(body))
        response = self._api.classify(classification_pb2.ClassificationRequest(model_spec=spec, input=read_examples(document)))
        return json_reply.classifications(response.result), _served(response), len(response.result.classifications)

    def _regress(self, spec: model_pb2.ModelSpec, body: bytes, tick: json_text.Tick) -> tuple[bytes, Served, int]:
        document = _document(spec, json_text.parse_exactly(body, tick=tick) if len(body) >= json_text.LARGE_BYTES else json_text.parse(body))
        response = self._api.regress(regression_pb2.RegressionRequest(model_spec=spec, input=read_examples(document)))
        return json_reply.regressions(response.result), _served(response), len(response.result.regressions)

    def _get_metadata(self, spec: model_pb2.ModelSpec, _body: bytes, _tick: json_text.Tick) -> tuple[bytes, Served, int]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[_SIGNATURE_DEF])
        response = self._api.get_model_metadata(request)
        return json_proto.metadata(response), _served(response), 0

    def _get_status(self, spec: model_pb2.ModelSpec, _body: bytes, _tick: json_text.Tick) -> tuple[bytes, Served, int]:
        response = self._api.get_model_status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec))
        return json_proto.status(response), Served(spec.name, None, ""), 0


def failure(error: ServingError) -> Reply:
    """The reply that says what is wrong."""
    status = 413 if isinstance(error, TooLargeError) else _HTTP.get(error.code, 500)
    return Reply(status=status, body=json_writer.error(error.message))


class TooLargeError(ServingError):
    """A body is larger than is taken."""

    def __init__(self) -> None:
        """Says what the limit is."""
        super().__init__(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the body is larger than {MAX_BODY_BYTES} bytes")


def _document(spec: model_pb2.ModelSpec, document: json_text.Value) -> dict[str, Any]:
    """The object that a body is; the signature's name goes to the specification. Raises ServingError."""
    if not isinstance(document, dict):
        message = f"JSON Value: {json_writer.quoted(document)} Is not object"
        raise invalid_argument(message)
    if _SIGNATURE_NAME in document:
        name = document[_SIGNATURE_NAME]
        if not isinstance(name, str):
            message = f"JSON Value: {json_writer.quoted(document)} not formatted correctly. 'signature_name' key must be a string value."
            raise invalid_argument(message)
        # What is no UTF-8 is the name of no signature.
        spec.signature_name = name.encode(errors="surrogateescape").decode(errors="replace")
    return document


def _inflated(request: Request) -> bytes:
    """The body, inflated where it says that it is to be. What can't be is as good as empty, in TensorFlow Serving. Raises ServingError."""
    if "gzip" not in request.encoding:
        return request.body
    inflate = zlib.decompressobj(_GZIP_WINDOW)
    try:
        body = inflate.decompress(request.body, MAX_BODY_BYTES)
    except zlib.error:
        return b""
    if inflate.unconsumed_tail:
        raise TooLargeError
    return body if inflate.eof else b""


def timed_out() -> ServingError:
    """DEADLINE_EXCEEDED, in TensorFlow's words for a run that takes too long."""
    return ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification")


def _check_deadline(request: Request) -> None:
    if request.deadline is not None and time.monotonic() > request.deadline:
        raise timed_out()


def _types(infos: Any) -> dict[str, int]:  # noqa: ANN401 - a map of protobuf's
    return {alias: info.dtype for alias, info in sorted(infos.items())}


def _served(response: Message) -> Served:
    spec: model_pb2.ModelSpec = response.model_spec  # type: ignore[attr-defined]
    return Served(spec.name, spec.version.value, spec.signature_name)
