"""One call over the wire and what it came to, and a case: a row of the reference, and the answer that it asks for."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from numpy.typing import ArrayLike, NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

_PREDICTION, _MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
# The path of each method, and what it takes and gives.
METHODS: Mapping[str, tuple[str, type[Any], type[Any]]] = {
    "Predict": (f"{_PREDICTION}Predict", predict_pb2.PredictRequest, predict_pb2.PredictResponse),
    "Classify": (f"{_PREDICTION}Classify", classification_pb2.ClassificationRequest, classification_pb2.ClassificationResponse),
    "Regress": (f"{_PREDICTION}Regress", regression_pb2.RegressionRequest, regression_pb2.RegressionResponse),
    "MultiInference": (f"{_PREDICTION}MultiInference", inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse),
    "GetModelMetadata": (
        f"{_PREDICTION}GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataResponse,
    ),
    "GetModelStatus": (f"{_MODEL}GetModelStatus", get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse),
    "HandleReloadConfigRequest": (
        f"{_MODEL}HandleReloadConfigRequest", model_management_pb2.ReloadConfigRequest, model_management_pb2.ReloadConfigResponse,
    ),
    "Check": ("/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse),
    "ServerReflectionInfo": (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", predict_pb2.PredictRequest, predict_pb2.PredictResponse,
    ),
    "Nope": (f"{_PREDICTION}Nope", predict_pb2.PredictRequest, predict_pb2.PredictResponse),
    "SessionRun": ("/tensorflow.serving.SessionService/SessionRun", predict_pb2.PredictRequest, predict_pb2.PredictResponse),
}  # fmt: skip

# Whose API key a call has, where a gateway stands before the server: one that may do all, none, one for another model, or one that may only read.
Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a call came to."""

    code: str
    message: str
    reply: Any
    trailers: tuple[Any, ...] = ()

    @property
    def status(self) -> tuple[str, str]:
        """The code and the message."""
        return self.code, self.message


class Caller:
    """A channel to a server, and the metadata that each call has."""

    def __init__(self, channel: grpc.Channel, keys: Mapping[str, Metadata] | None = None) -> None:
        """Takes the channel; `keys` are the metadata by whose key it is."""
        self.channel = channel
        self._keys = keys or {}

    def start(self, method: str, request: Message | bytes, *, key: str = "any", timeout_seconds: float = 60) -> Any:
        """Begins a call; returns its future. Bytes are sent as they are."""
        path, _, response = METHODS[method]
        multicallable: Any = self.channel.unary_unary(path, response_deserializer=response.FromString)
        sent = request if isinstance(request, bytes) else request.SerializeToString()
        return multicallable.future(sent, timeout=timeout_seconds, metadata=self._keys.get(key, ()))

    def ask(self, method: str, request: Message | bytes, *, key: str = "any", timeout_seconds: float = 60) -> Answer:
        """Makes a call."""
        return self.answer_of(self.start(method, request, key=key, timeout_seconds=timeout_seconds))

    @staticmethod
    def answer_of(call: Any) -> Answer:
        """What a call that was begun comes to."""
        try:
            reply = call.result()
        except grpc.RpcError as error:
            # The call is its own error: its code and the rest.
            failed: Any = error
            return Answer(code=failed.code().name, message=failed.details() or "", reply=None, trailers=tuple(failed.trailing_metadata() or ()))
        return Answer(code="OK", message="", reply=reply, trailers=tuple(call.trailing_metadata() or ()))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row: a call, and what it comes to.

    Attributes:
        row: where the row is: a section of `tfserving_observed.md`, `tfserving.md` or a source file of TensorFlow Serving's; then what it says.
        message: the whole message; or, of what a kernel says, a pattern of all of it, or its first line where `is_kernels`.
        reply: the whole reply in text form; or `check`, which asserts what matters about it.
        reference: what TensorFlow Serving answers where that isn't what ours does (None: a message that isn't to be compared); `why` says why not.
        server: which of the servers is asked.
        key: whose key the call has.
    """

    row: str
    method: str = "Predict"
    request: Message | bytes
    code: str = "OK"
    message: str | re.Pattern[str] = ""
    is_kernels: bool = False
    reply: str | None = None
    check: Callable[[Any], None] | None = None
    reference: tuple[str, str | re.Pattern[str] | None] | None = None
    why: str = ""
    server: str = "plain"
    key: str = "any"
    timeout_seconds: float = 60

    def hold(self, answer: Answer) -> None:
        """Asserts that this is the answer which the row asks for."""
        got = answer.message.partition("\n")[0] if self.is_kernels else answer.message
        if isinstance(self.message, re.Pattern):
            assert answer.code == self.code, answer.status
            assert self.message.fullmatch(got), got
        else:
            assert (answer.code, got) == (self.code, self.message), f"{answer.code}: {got!r} isn't {self.code}: {self.message!r}"
        if self.reply is not None:
            wanted = text_format.Parse(self.reply, METHODS[self.method][2]())
            assert answer.reply == wanted, f"{answer.reply!r} isn't {wanted!r}"
        if self.check is not None:
            self.check(answer.reply)

    def hold_to_reference(self, answer: Answer) -> None:
        """Asserts that this is what TensorFlow Serving itself answers, where that differs."""
        assert self.reference is not None
        code, message = self.reference
        assert answer.code == code, answer.status
        if isinstance(message, re.Pattern):
            assert message.fullmatch(answer.message), answer.message
        elif message is not None:
            assert answer.message == message, answer.status


def floats(value: ArrayLike) -> NDArray[np.float32]:
    """An array of 32-bit floats."""
    return np.array(value, np.float32)


def tensor(value: Any) -> tensor_pb2.TensorProto:
    """A TensorProto of an array, or of its text form."""
    return text_format.Parse(value, tensor_pb2.TensorProto()) if isinstance(value, str) else tf.make_tensor_proto(value)


def predict(spec: str, inputs: Mapping[str, Any], outputs: Sequence[str] = ()) -> predict_pb2.PredictRequest:
    """A PredictRequest; `spec` is a ModelSpec in text form ("": none), and an input an array or a TensorProto in text form."""
    made = predict_pb2.PredictRequest(output_filter=outputs)
    if spec:
        text_format.Parse(spec, made.model_spec)
    for alias, value in inputs.items():
        made.inputs[alias].CopyFrom(tensor(value))
    return made


def example(**features: float | str) -> tf.train.Example:
    """A `tf.Example` of one value a feature, in the list of its type."""
    made = tf.train.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        kind = {float: feature.float_list, int: feature.int64_list, str: feature.bytes_list}[type(value)]
        kind.value.append(value.encode() if isinstance(value, str) else value)
    return made


def examples(*listed: tf.train.Example, context: tf.train.Example | None = None) -> input_pb2.Input:
    """An Input of a list of examples, with a context where one is given."""
    if context is None:
        return input_pb2.Input(example_list=input_pb2.ExampleList(examples=listed))
    return input_pb2.Input(example_list_with_context=input_pb2.ExampleListWithContext(examples=listed, context=context))


def parsed(kind: type[Any], text: str) -> Any:
    """A message of its text form."""
    return text_format.Parse(text, kind())
