"""What the client says to the gateway and makes of its answers, without any input or output.

A conversation is a generator: it yields an `Exchange` and is sent the answer, or is thrown the error; or it yields a `Pause`. What it returns is
the method's result. `client.py` and `aio.py` each drive the same conversations, one blocking and one not, and add nothing to them.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from medserve.connection import require_timeout
from medserve.errors import DeadlineExceeded, MedserveError, NotFound, Unavailable, deadline_exceeded
from medserve.inputs import InputValue, to_inputs
from medserve.v1 import catalog_pb2, inference_pb2

Result = TypeVar("Result")

_POLL_SECONDS = 0.2
# One look at the health of a service; the next one may reach another gateway.
_CHECK_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A method of a service: its path on the wire and the types of its messages."""

    path: str
    request: type[Message]
    response: type[Message]


INFER = Method(path="/medserve.v1.InferenceService/Infer", request=inference_pb2.InferRequest, response=inference_pb2.InferResponse)
LIST_MODELS = Method(path="/medserve.v1.CatalogService/ListModels", request=catalog_pb2.ListModelsRequest, response=catalog_pb2.ListModelsResponse)
GET_MODEL = Method(path="/medserve.v1.CatalogService/GetModel", request=catalog_pb2.GetModelRequest, response=catalog_pb2.GetModelResponse)
CHECK = Method(path="/grpc.health.v1.Health/Check", request=health_pb2.HealthCheckRequest, response=health_pb2.HealthCheckResponse)
METHODS = (INFER, LIST_MODELS, GET_MODEL, CHECK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One call: its answer, or its error, is awaited for so long."""

    method: Method
    request: Message
    timeout_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """A wait between two calls."""

    seconds: float


Step = Exchange | Pause
# What is sent in is the answer to what was yielded, so its type changes from one step to the next.
Conversation = Generator[Step, Any, Result]


def advance(conversation: Conversation[Result], outcome: Message | MedserveError | None) -> Step:
    """Tells a conversation how its last step went; None for its first and after a pause. Raises StopIteration, with the result, at its end."""
    return conversation.throw(outcome) if isinstance(outcome, MedserveError) else conversation.send(outcome)


def infer_request(
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
) -> inference_pb2.InferRequest:
    """The message of one inference. Raises TypeError or ValueError for what can't be sent."""
    if version is not None and label is not None:
        raise ValueError("version and label both choose the version: give one of them")
    selector = inference_pb2.ModelSelector(name=model)
    if version is not None:
        selector.version = version
    if label is not None:
        selector.version_label = label
    return inference_pb2.InferRequest(
        model=selector,
        inputs=to_inputs(inputs),
        context=inference_pb2.InferContext(request_id=request_id, study_key=study_key, patient_key=patient_key, purpose_of_use=purpose_of_use),
        options=inference_pb2.InferOptions(include_raw_outputs=include_raw_outputs),
    )


def infer(request: inference_pb2.InferRequest, timeout_seconds: float) -> Conversation[inference_pb2.InferResponse]:
    """Asks a model about one item."""
    response: inference_pb2.InferResponse = yield Exchange(method=INFER, request=request, timeout_seconds=timeout_seconds)
    return response


def list_models(timeout_seconds: float) -> Conversation[list[catalog_pb2.Model]]:
    """Reads page after page. The time is for all of them."""
    ends = time.monotonic() + timeout_seconds
    models: list[catalog_pb2.Model] = []
    page_token = ""
    while True:
        remaining = ends - time.monotonic()
        if remaining <= 0:
            message = f"the list of models took longer than {timeout_seconds:g} s: allow more"
            raise deadline_exceeded(message)
        request = catalog_pb2.ListModelsRequest(page_token=page_token)
        page: catalog_pb2.ListModelsResponse = yield Exchange(method=LIST_MODELS, request=request, timeout_seconds=remaining)
        models.extend(page.models)
        page_token = page.next_page_token
        if not page_token:
            return models


def get_model(name: str, timeout_seconds: float) -> Conversation[catalog_pb2.Model]:
    """Reads one model."""
    request = catalog_pb2.GetModelRequest(name=name)
    response: catalog_pb2.GetModelResponse = yield Exchange(method=GET_MODEL, request=request, timeout_seconds=timeout_seconds)
    return response.model


def health(service: str, timeout_seconds: float) -> Conversation[bool]:
    """Asks once whether a service or model answers now."""
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        response: health_pb2.HealthCheckResponse = yield Exchange(method=CHECK, request=request, timeout_seconds=timeout_seconds)
    except NotFound as error:
        # The health service itself says nothing but the code.
        message = f"there is no model or service named {service}"
        raise NotFound(message, code=error.code, reason=error.reason) from None
    return response.status == health_pb2.HealthCheckResponse.SERVING


def wait_ready(service: str, timeout_seconds: float) -> Conversation[None]:
    """Asks again and again until the answer is yes or the time is over."""
    ends = time.monotonic() + require_timeout(timeout_seconds)
    what = f"the model or service {service}" if service else "the gateway"
    last = ""
    while (remaining := ends - time.monotonic()) > 0:
        try:
            if (yield from health(service, min(_CHECK_SECONDS, remaining))):
                return
            last = "it isn't serving yet"
        except (Unavailable, NotFound) as error:
            last = error.message
        except DeadlineExceeded as error:
            # A last question that had no time to be answered says less than an answer before it.
            if not last or remaining >= _CHECK_SECONDS:
                last = error.message
        yield Pause(seconds=max(0.0, min(_POLL_SECONDS, ends - time.monotonic())))
    message = f"{what} isn't ready after {timeout_seconds:g} s: {last}"
    raise deadline_exceeded(message)
