"""`Predict`, as `tfserving_observed.md` section 2 saw TensorFlow Serving 2.20 answer it, and `tfserving.md` says.

Each case names its row. Where ours differs on purpose, the case has both answers and says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from numpy.typing import ArrayLike, NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

FLOAT = np.float32
Refusal = Callable[..., tuple[str, str]]


def request(spec: str, inputs: Mapping[str, Any], outputs: tuple[str, ...] = ()) -> predict_pb2.PredictRequest:
    """A request; `spec` is a ModelSpec in text form, and an input an array or a TensorProto in text form."""
    made = predict_pb2.PredictRequest(output_filter=outputs)
    if spec:
        text_format.Parse(spec, made.model_spec)
    for alias, value in inputs.items():
        is_text = isinstance(value, str)
        made.inputs[alias].CopyFrom(text_format.Parse(value, tensor_pb2.TensorProto()) if is_text else tf.make_tensor_proto(value))
    return made


def floats(value: ArrayLike) -> NDArray[np.float32]:
    return np.array(value, FLOAT)


GOOD = {"x": floats([1, 2])}
IMAGES = {"images": np.zeros((1, 28, 28, 1), FLOAT)}


@dataclass(frozen=True, kw_only=True)
class Refused:
    """`reference` is what TensorFlow Serving answers where that isn't what ours does; `why` then says why not."""

    row: str
    spec: str = 'name: "half_plus_two"'
    inputs: Mapping[str, Any] = field(default_factory=lambda: GOOD)
    outputs: tuple[str, ...] = ()
    code: str = "INVALID_ARGUMENT"
    message: str
    reference: tuple[str, str] | None = None
    why: str = ""


SHAPE = "a wrong rank to a convolution aborts the whole process in oneDNN: shapes are checked against the signature"
REFUSED = [
    Refused(row="no model_spec", spec="", message="Missing ModelSpec"),
    Refused(row="model_spec, empty name", spec='signature_name: "serving_default"', message="ModelSpec has no name specified."),
    Refused(row="unknown model", spec='name: "nope"', code="NOT_FOUND", message="Servable not found for request: Latest(nope)"),
    Refused(
        row="unknown model + version 3", spec='name: "nope" version { value: 3 }', code="NOT_FOUND",
        message="Servable not found for request: Specific(nope, 3)",
    ),
    Refused(row="unknown model + label", spec='name: "nope" version_label: "a"', message="Unrecognized servable version label: a"),
    Refused(
        row="unknown version", spec='name: "half_plus_two" version { value: 99 }', code="NOT_FOUND",
        message="Servable not found for request: Specific(half_plus_two, 99)",
    ),
    Refused(
        row="version 0", spec='name: "half_plus_two" version { }', code="NOT_FOUND",
        message="Servable not found for request: Specific(half_plus_two, 0)",
    ),
    Refused(
        row="version -1", spec='name: "half_plus_two" version { value: -1 }', code="NOT_FOUND",
        message="Servable not found for request: Specific(half_plus_two, -1)",
    ),
    Refused(row="unknown label", spec='name: "half_plus_two" version_label: "nolabel"', message="Unrecognized servable version label: nolabel"),
    Refused(
        row="unknown signature", spec='name: "half_plus_two" signature_name: "nosig"', code="FAILED_PRECONDITION",
        message='Serving signature key "nosig" not found.',
    ),
    Refused(
        row="no input", inputs={},
        message="input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    Refused(
        row="extra input", inputs={**GOOD, "foo": floats([1])},
        message="input size does not match signature: 2!=1 len({foo,x}) != len({x}). Sent extra: {foo}. Missing but required: {}.",
    ),
    Refused(
        row="one of two inputs", spec='name: "several"', inputs={"a": floats([[1, 2]])},
        message="input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ),
    Refused(
        row="wrong alias, right count", inputs={"foo": floats([1])},
        message="Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {foo}, or default input alias set: ",
    ),
    Refused(row="wrong dtype: double", inputs={"x": np.array([1.0])}, message="Expects arg[0] to be float but double is provided"),
    Refused(row="wrong dtype: int32", inputs={"x": np.array([1], np.int32)}, message="Expects arg[0] to be float but int32 is provided"),
    Refused(row="wrong dtype: string", inputs={"x": np.array([b"1"])}, message="Expects arg[0] to be float but string is provided"),
    Refused(
        row="tensor_content of wrong length", inputs={"x": 'dtype: DT_FLOAT tensor_shape { dim { size: 2 } } tensor_content: "abcde"'},
        message="tensor parsing error: x",
    ),
    Refused(
        row="negative dim", inputs={"x": "dtype: DT_FLOAT tensor_shape { dim { size: -1 } } float_val: 1"}, message="tensor parsing error: x"
    ),
    Refused(row="empty TensorProto (DT_INVALID)", inputs={"x": ""}, message="tensor parsing error: x"),
    Refused(
        row="output_filter unknown", outputs=("nope",),
        message="output tensor alias not found in signature: nope Outputs expected to be in the set {y}.",
    ),
    Refused(row="output_filter duplicate", outputs=("y", "y"), message="duplicate output tensor alias: y"),
    Refused(
        row="what the graph refuses", spec='name: "text"', inputs={"numbers": np.array([b"abc"])},
        message="StringToNumberOp could not correctly convert string: abc",
    ),
    Refused(
        row="10^9 declared elements", inputs={"x": "dtype: DT_FLOAT tensor_shape { dim { size: 1000000000 } } float_val: 1"},
        message="tensor parsing error: x: 1000000000 elements are declared and 1 came; at most 67108864 are filled in",
        reference=("OK", ""), why="a few bytes mustn't ask for gigabytes",
    ),
    Refused(
        row="wrong rank [28,28]", spec='name: "conv"', inputs={"images": np.zeros((28, 28), FLOAT)},
        message="input images has the shape [28, 28], but the signature takes [-1, 28, 28, 1]", reference=("UNAVAILABLE", ""), why=SHAPE,
    ),
    Refused(
        row="wrong rank: scalar", spec='name: "conv"', inputs={"images": FLOAT(1)},
        message="input images has the shape [], but the signature takes [-1, 28, 28, 1]", reference=("UNAVAILABLE", ""), why=SHAPE,
    ),
    Refused(
        row="wrong rank: unknown_rank", spec='name: "conv"', inputs={"images": "dtype: DT_FLOAT tensor_shape { unknown_rank: true } float_val: 1"},
        message="tensor parsing error: images", reference=("UNAVAILABLE", ""), why=SHAPE,
    ),
    Refused(
        row="wrong H,W", spec='name: "conv"', inputs={"images": np.zeros((1, 14, 14, 1), FLOAT)},
        message="input images has the shape [1, 14, 14, 1], but the signature takes [-1, 28, 28, 1]",
        reference=("INVALID_ARGUMENT", "Input to reshape is a tensor with 576 values"), why=SHAPE,
    ),
    Refused(
        row="wrong channels", spec='name: "conv"', inputs={"images": np.zeros((1, 28, 28, 3), FLOAT)},
        message="input images has the shape [1, 28, 28, 3], but the signature takes [-1, 28, 28, 1]",
        reference=("INVALID_ARGUMENT", ""), why=SHAPE,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.row)
def test_a_bad_request_has_the_code_and_the_message_of_its_row(prediction: Any, refusal: Refusal, is_reference: bool, case: Refused) -> None:
    if is_reference and case.reference is not None:
        pytest.skip(f"differs: {case.why}")

    code, message = refusal(prediction.Predict, request(case.spec, case.inputs, case.outputs))

    assert code == case.code
    # Below the first line TensorFlow names the node.
    assert message.partition("\n")[0] == case.message


def test_a_refused_request_leaves_the_server_answering(prediction: Any, refusal: Refusal) -> None:
    """Section "the five that matter most", 1."""
    if_refused = request('name: "conv"', {"images": np.zeros((28, 28), FLOAT)})

    refusal(prediction.Predict, if_refused)

    assert prediction.Predict(request('name: "conv"', IMAGES), timeout=20).outputs["probabilities"].tensor_shape.dim[1].size == 10


def test_the_reply_says_who_answered(prediction: Any) -> None:
    """Section 2, "Reply": the version and the signature are always filled in, and a label never is."""
    reply = prediction.Predict(request('name: "half_plus_two"', GOOD), timeout=20)

    assert reply.model_spec.name == "half_plus_two"
    assert reply.model_spec.WhichOneof("version_choice") == "version"
    assert reply.model_spec.version.value == 1
    assert reply.model_spec.signature_name == "serving_default"


def test_a_version_and_a_signature_can_be_named(prediction: Any) -> None:
    """`tfserving.md`, ModelSpec."""
    reply = prediction.Predict(request('name: "several" version { value: 1 } signature_name: "double"', {"x": floats([[3]])}), timeout=20)

    assert list(reply.outputs["y"].float_val) == [6.0]
    assert reply.model_spec.signature_name == "double"


def test_outputs_come_as_typed_values(prediction: Any) -> None:
    """Section 2, "Reply": `float_val`, and `tensor_content` only where a flag asks for it."""
    reply = prediction.Predict(request('name: "half_plus_two"', GOOD), timeout=20)

    assert reply.outputs["y"] == text_format.Parse(
        "dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 2.5 float_val: 3", tensor_pb2.TensorProto()
    )


TYPED = {
    "float32": "DT_FLOAT float_val", "float64": "DT_DOUBLE double_val", "float16": "DT_HALF half_val", "bfloat16": "DT_BFLOAT16 half_val",
    "int8": "DT_INT8 int_val", "int16": "DT_INT16 int_val", "int32": "DT_INT32 int_val", "int64": "DT_INT64 int64_val",
    "uint8": "DT_UINT8 int_val", "uint16": "DT_UINT16 int_val", "uint32": "DT_UINT32 uint32_val", "uint64": "DT_UINT64 uint64_val",
    "bool": "DT_BOOL bool_val", "complex64": "DT_COMPLEX64 scomplex_val", "complex128": "DT_COMPLEX128 dcomplex_val",
    "text": "DT_STRING string_val",
}  # fmt: skip


@pytest.mark.parametrize(("alias", "expected"), TYPED.items())
def test_an_output_of_each_type_comes_in_its_own_field(prediction: Any, alias: str, expected: str) -> None:
    """tensorflow/core/framework/tensor.proto."""
    dtype, values = expected.split()

    output = prediction.Predict(request('name: "types"', {"x": np.array([1, 0], np.int32)}, (alias,)), timeout=20).outputs[alias]

    assert {descriptor.name for descriptor, _ in output.ListFields()} == {"dtype", "tensor_shape", values}
    assert output.dtype == tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_name[dtype].number
    assert tf.make_ndarray(output).astype(str if alias == "text" else complex).tolist() == (["1", "0"] if alias == "text" else [1, 0])


def test_output_filter_chooses(prediction: Any) -> None:
    """Section 2."""
    asked = request('name: "several"', {"a": floats([[3, 1]]), "b": floats([[1, 1]])}, ("difference",))

    reply = prediction.Predict(asked, timeout=20)

    assert set(reply.outputs) == {"difference"}
    assert list(reply.outputs["difference"].float_val) == [2.0, 0.0]


def test_a_single_value_fills_the_declared_shape(prediction: Any) -> None:
    """tensorflow/core/framework/tensor.cc, FromProto: the last value is repeated."""
    filled = request('name: "half_plus_two"', {"x": "dtype: DT_FLOAT tensor_shape { dim { size: 3 } } float_val: 2"})

    reply = prediction.Predict(filled, timeout=20)

    assert list(reply.outputs["y"].float_val) == [3.0, 3.0, 3.0]


def test_no_rows_are_answered_with_no_rows(prediction: Any) -> None:
    """Section 2, "batch 0", of a graph that takes them."""
    reply = prediction.Predict(request('name: "half_plus_two"', {"x": floats([])}), timeout=20)

    assert [dim.size for dim in reply.outputs["y"].tensor_shape.dim] == [0]


def test_a_long_message_is_cut(prediction: Any, refusal: Refusal) -> None:
    """Section 2: at 1024 bytes, and `...TRUNCATED`."""
    code, message = refusal(prediction.Predict, request(f'name: "{"m" * 2000}"', GOOD))

    assert code == "NOT_FOUND"
    assert message == ("Servable not found for request: Latest(" + "m" * 2000)[:1024] + "...TRUNCATED"


def test_an_error_has_no_trailing_metadata(prediction: Any) -> None:
    """Section 2: no trailing metadata and no grpc-status-details-bin on any error."""
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(request("", {}), timeout=20)

    assert not caught.value.trailing_metadata()


def test_a_large_request_is_taken(prediction: Any, refusal: Refusal) -> None:
    """Section 2, "Sizes": the receive limit is INT_MAX, and it is a default client that refuses a reply above 4 MiB."""
    large = request('name: "half_plus_two"', {"x": np.zeros(3_000_000, FLOAT)})

    code, message = refusal(prediction.Predict, large, timeout=60)

    assert code == "RESOURCE_EXHAUSTED"
    assert "CLIENT: Received message larger than max (12000" in message


def test_a_deadline_that_passes_is_deadline_exceeded(prediction: Any, refusal: Refusal) -> None:
    """Section 2, "deadline passes"."""
    slow = request('name: "several" signature_name: "slow"', {"n": np.int64(200_000)})

    code, message = refusal(prediction.Predict, slow, timeout=0.05)

    assert (code, message) == ("DEADLINE_EXCEEDED", "Deadline Exceeded")


def test_bytes_that_are_no_request_are_internal(channel: grpc.Channel, refusal: Refusal) -> None:
    """Section 2, "unparsable request bytes"; the message is gRPC's own."""
    method: Any = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    code, _ = refusal(method, b"\xff\xff\xff")

    assert code == "INTERNAL"


def test_a_method_that_does_not_exist_is_unimplemented(channel: grpc.Channel, refusal: Refusal) -> None:
    """Section 2, "unknown method"."""
    method: Any = channel.unary_unary("/tensorflow.serving.PredictionService/Nope")

    code, _ = refusal(method, b"")

    assert code == "UNIMPLEMENTED"
