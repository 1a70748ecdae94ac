"""`Predict`, unbatched: what it refuses, in which order, and what a reply says. Section 2 of `tfserving_observed.md`."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from tests.contract.wire import METHODS, Caller, Case, floats, predict

GOOD = {"x": floats([1, 2])}
HALF = 'name: "half_plus_two"'
SEVERAL = {"a": floats([[3, 1]]), "b": floats([[1, 1]])}
WHO = 'name: "half_plus_two" version { value: 1 } signature_name: "serving_default"'
SHAPE = "a wrong rank to a convolution aborts the whole process in oneDNN: shapes are checked against the signature"
INVALID = "INVALID_ARGUMENT"

SPECS = [
    Case(row="2: no model_spec", request=predict("", GOOD), code=INVALID, message="Missing ModelSpec"),
    Case(
        row="2: model_spec, empty name", request=predict('signature_name: "serving_default"', GOOD), code=INVALID,
        message="ModelSpec has no name specified.",
    ),
    Case(
        row="2: unknown model", request=predict('name: "nope"', GOOD), code="NOT_FOUND", message="Servable not found for request: Latest(nope)",
    ),
    Case(
        row="2: unknown model + version 3", request=predict('name: "nope" version { value: 3 }', GOOD), code="NOT_FOUND",
        message="Servable not found for request: Specific(nope, 3)",
    ),
    Case(
        row="2: unknown model + label", request=predict('name: "nope" version_label: "a"', GOOD), code=INVALID,
        message="Unrecognized servable version label: a",
    ),
    Case(
        row="2: unknown version", request=predict(f"{HALF} version {{ value: 99 }}", GOOD), code="NOT_FOUND",
        message="Servable not found for request: Specific(half_plus_two, 99)",
    ),
    Case(
        row="2: version 0", request=predict(f"{HALF} version {{ }}", GOOD), code="NOT_FOUND",
        message="Servable not found for request: Specific(half_plus_two, 0)",
    ),
    Case(
        row="2: version -1", request=predict(f"{HALF} version {{ value: -1 }}", GOOD), code="NOT_FOUND",
        message="Servable not found for request: Specific(half_plus_two, -1)",
    ),
    Case(
        row="2: unknown label; label on unlabelled model", request=predict(f'{HALF} version_label: "nolabel"', GOOD), code=INVALID,
        message="Unrecognized servable version label: nolabel",
    ),
    Case(
        row="tfserving.md, labels: on a version that isn't loaded, where that is allowed", code="NOT_FOUND",
        request=predict('name: "several" version_label: "next"', SEVERAL), message="Servable not found for request: Specific(several, 123)",
    ),
    Case(
        row="2: unknown label on a labelled model", request=predict('name: "several" version_label: "nolabel"', SEVERAL), code=INVALID,
        message="Unrecognized servable version label: nolabel",
    ),
    Case(
        row="server_core.cc: an empty label is a label", request=predict(f'{HALF} version_label: ""', GOOD), code=INVALID,
        message="Unrecognized servable version label: ",
    ),
    Case(
        row="2: unknown signature", request=predict(f'{HALF} signature_name: "nosig"', GOOD), code="FAILED_PRECONDITION",
        message='Serving signature key "nosig" not found.',
    ),
    Case(
        row="2: Messages are cut at 1024 bytes + `...TRUNCATED`", request=predict(f'name: "{"m" * 2000}"', GOOD), code="NOT_FOUND",
        message=("Servable not found for request: Latest(" + "m" * 2000)[:1024] + "...TRUNCATED",
    ),
    Case(
        row="grpc_status_util.cc: a message of 1024 bytes is not cut", code="NOT_FOUND",
        request=predict(f'name: "{"m" * (1024 - len("Servable not found for request: Latest()"))}"', GOOD),
        message="Servable not found for request: Latest(" + "m" * (1024 - len("Servable not found for request: Latest()")) + ")",
    ),
    Case(
        row="tfserving.md, order: spec before servable", request=predict('signature_name: "nosig"', {}), code=INVALID,
        message="ModelSpec has no name specified.",
    ),
    Case(
        row="tfserving.md, order: servable before signature", request=predict('name: "nope" signature_name: "nosig"', {}), code="NOT_FOUND",
        message="Servable not found for request: Latest(nope)",
    ),
    Case(
        row="tfserving.md, order: signature before inputs", request=predict(f'{HALF} signature_name: "nosig"', {}, ("nope",)),
        code="FAILED_PRECONDITION", message='Serving signature key "nosig" not found.',
    ),
]  # fmt: skip

INPUTS = [
    Case(
        row="2: no input", request=predict(HALF, {}), code=INVALID,
        message="input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
    ),
    Case(
        row="2: extra input", request=predict(HALF, {**GOOD, "foo": floats([1])}), code=INVALID,
        message="input size does not match signature: 2!=1 len({foo,x}) != len({x}). Sent extra: {foo}. Missing but required: {}.",
    ),
    Case(
        row="predict_util.cc: one of two inputs", request=predict('name: "several"', {"a": floats([[1, 2]])}), code=INVALID,
        message="input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ),
    Case(
        row="predict_util.cc: two wrong ones for one", request=predict(HALF, {"b": floats([1]), "a": floats([1])}), code=INVALID,
        message="input size does not match signature: 2!=1 len({a,b}) != len({x}). Sent extra: {a,b}. Missing but required: {x}.",
    ),
    Case(
        row="2: wrong alias, right count", request=predict(HALF, {"foo": floats([1])}), code=INVALID,
        message="Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {foo}, or default input alias set: ",
    ),
    Case(
        row="2: wrong dtype: double", request=predict(HALF, {"x": np.array([1.0])}), code=INVALID, is_kernels=True,
        message="Expects arg[0] to be float but double is provided",
    ),
    Case(
        row="2: wrong dtype: int32", request=predict(HALF, {"x": np.array([1], np.int32)}), code=INVALID, is_kernels=True,
        message="Expects arg[0] to be float but int32 is provided",
    ),
    Case(
        row="2: wrong dtype: string", request=predict(HALF, {"x": np.array([b"1"])}), code=INVALID, is_kernels=True,
        message="Expects arg[0] to be float but string is provided",
    ),
    Case(
        row="2: wrong dtype of the second input", request=predict('name: "several"', {**SEVERAL, "b": np.array([[1.0, 1.0]])}), code=INVALID,
        is_kernels=True, message="Expects arg[1] to be float but double is provided",
    ),
    Case(
        row="tfserving.md, order: the count before the tensors", request=predict(HALF, {"x": "", "y": ""}), code=INVALID,
        message="input size does not match signature: 2!=1 len({x,y}) != len({x}). Sent extra: {y}. Missing but required: {}.",
    ),
    Case(
        row="tfserving.md, order: the tensors before the filter", request=predict(HALF, {"x": ""}, ("nope",)), code=INVALID,
        message="tensor parsing error: x",
    ),
    Case(
        row="tfserving.md, order: the filter before the dtype", request=predict(HALF, {"x": np.array([1.0])}, ("nope",)), code=INVALID,
        message="output tensor alias not found in signature: nope Outputs expected to be in the set {y}.",
    ),
    Case(
        row="2: output_filter unknown", request=predict(HALF, GOOD, ("nope",)), code=INVALID,
        message="output tensor alias not found in signature: nope Outputs expected to be in the set {y}.",
    ),
    Case(
        row="predict_util.cc: the outputs that there are come in order", request=predict('name: "several"', SEVERAL, ("sum", "nope")), code=INVALID,
        message="output tensor alias not found in signature: nope Outputs expected to be in the set {difference,sum}.",
    ),
    Case(
        row="2: output_filter duplicate", request=predict(HALF, GOOD, ("y", "y")), code=INVALID, message="duplicate output tensor alias: y",
    ),
    Case(
        row="tfserving.md, shape: what the graph refuses", request=predict('name: "text"', {"numbers": np.array([b"abc"])}), code=INVALID,
        is_kernels=True, message="StringToNumberOp could not correctly convert string: abc",
    ),
]  # fmt: skip

SHAPES = [
    Case(
        row="2: wrong rank [28,28]", request=predict('name: "conv"', {"images": np.zeros((28, 28), np.float32)}), code=INVALID,
        message="input images has the shape [28, 28], but the signature takes [-1, 28, 28, 1]", reference=("UNAVAILABLE", None), why=SHAPE,
    ),
    Case(
        row="2: wrong rank, scalar", request=predict('name: "conv"', {"images": np.float32(1)}), code=INVALID,
        message="input images has the shape [], but the signature takes [-1, 28, 28, 1]", reference=("UNAVAILABLE", None), why=SHAPE,
    ),
    Case(
        row="2: wrong rank, unknown_rank", code=INVALID,
        request=predict('name: "conv"', {"images": "dtype: DT_FLOAT tensor_shape { unknown_rank: true } float_val: 1"}),
        message="tensor parsing error: images", reference=("UNAVAILABLE", None), why=SHAPE,
    ),
    Case(
        row="2: wrong H,W", request=predict('name: "conv"', {"images": np.zeros((1, 14, 14, 1), np.float32)}), code=INVALID,
        message="input images has the shape [1, 14, 14, 1], but the signature takes [-1, 28, 28, 1]", reference=(INVALID, None), why=SHAPE,
    ),
    Case(
        row="2: wrong channels", request=predict('name: "conv"', {"images": np.zeros((1, 28, 28, 3), np.float32)}), code=INVALID,
        message="input images has the shape [1, 28, 28, 3], but the signature takes [-1, 28, 28, 1]", reference=(INVALID, None), why=SHAPE,
    ),
    Case(
        row="2: half_plus_two's signature, sent [2,2]", request=predict(HALF, {"x": floats([[1, 2], [3, 4]])}),
        reply=f'outputs {{ key: "y" value {{ dtype: DT_FLOAT tensor_shape {{ dim {{ size: 2 }} dim {{ size: 2 }} }} '
        f"float_val: 2.5 float_val: 3 float_val: 3.5 float_val: 4 }} }} model_spec {{ {WHO} }}",
    ),
    Case(
        row="2: batch 0, to a graph that takes it", request=predict(HALF, {"x": floats([])}),
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { dim { size: 0 } } } } '
        'model_spec { name: "half_plus_two" version { value: 1 } signature_name: "serving_default" }',
    ),
    Case(
        row="2: batch 0, to the CNN", request=predict('name: "conv"', {"images": np.zeros((0, 28, 28, 1), np.float32)}),
        reply='outputs { key: "probabilities" value { dtype: DT_FLOAT tensor_shape { dim { size: 0 } dim { size: 10 } } } } '
        'model_spec { name: "conv" version { value: 1 } signature_name: "serving_default" }',
    ),
]  # fmt: skip

REPLIES = [
    Case(
        row="2: Reply: float_val, and who answered", request=predict(HALF, GOOD),
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 2.5 float_val: 3 } } '
        'model_spec { name: "half_plus_two" version { value: 1 } signature_name: "serving_default" }',
    ),
    Case(
        row="tfserving.md, ModelSpec: a version and a signature can be named",
        request=predict('name: "several" version { value: 1 } signature_name: "double"', {"x": floats([[3]])}),
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 1 } } float_val: 6 } } '
        'model_spec { name: "several" version { value: 1 } signature_name: "double" }',
    ),
    Case(
        row="2: Reply: a label is answered with its version, and never echoed",
        request=predict('name: "several" version_label: "stable" signature_name: "double"', {"x": floats([3])}),
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 6 } } '
        'model_spec { name: "several" version { value: 1 } signature_name: "double" }',
    ),
    Case(
        row="predict_util.cc: every output without a filter", request=predict('name: "several"', SEVERAL),
        reply='outputs { key: "difference" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 2 } } float_val: 2 float_val: 0 } } '
        'outputs { key: "sum" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 2 } } float_val: 4 float_val: 2 } } '
        'model_spec { name: "several" version { value: 1 } signature_name: "serving_default" }',
    ),
    Case(
        row="predict_util.cc: output_filter chooses", request=predict('name: "several"', SEVERAL, ("difference",)),
        reply='outputs { key: "difference" value { dtype: DT_FLOAT tensor_shape { dim { size: 1 } dim { size: 2 } } float_val: 2 float_val: 0 } } '
        'model_spec { name: "several" version { value: 1 } signature_name: "serving_default" }',
    ),
    Case(
        row="predict_util.cc: a scalar's shape is set, and empty", request=predict('name: "several" signature_name: "slow"', {"n": np.int64(3)}),
        reply='outputs { key: "count" value { dtype: DT_INT64 tensor_shape { } int64_val: 3 } } '
        'model_spec { name: "several" version { value: 1 } signature_name: "slow" }',
    ),
    Case(
        row="tfserving.md, ModelSpec: a signature that is named serving_default is the default", request=predict(
            f'{HALF} signature_name: "serving_default"', GOOD
        ),
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 2.5 float_val: 3 } } '
        'model_spec { name: "half_plus_two" version { value: 1 } signature_name: "serving_default" }',
    ),
]  # fmt: skip

TRANSPORT = [
    *(
        Case(row=f"2: unparsable request bytes, to {method}", method=method, request=b"\xff\xff\xff", code="INTERNAL")
        for method in METHODS if method not in {"Check", "Nope", "ServerReflectionInfo", "SessionRun"}
    ),
    Case(row="2: unknown method", method="Nope", request=b"", code="UNIMPLEMENTED"),
    Case(row="2: reflection", method="ServerReflectionInfo", request=b"", code="UNIMPLEMENTED"),
    Case(row="2: SessionService", method="SessionRun", request=b"", code="UNIMPLEMENTED"),
    # In whose words is a race: the caller's own gRPC sees it, and so does the gateway.
    Case(
        row="2: deadline passes", request=predict('name: "several" signature_name: "slow"', {"n": np.int64(200_000)}), timeout_seconds=0.1,
        code="DEADLINE_EXCEEDED", message=re.compile("Deadline Exceeded|.*allow more time.*"),
    ),
    Case(
        row="predict_impl.cc: fields that it doesn't know are no matter", request=predict(HALF, GOOD).SerializeToString() + b"\xfa\x3f\x01x",
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 2.5 float_val: 3 } } '
        'model_spec { name: "half_plus_two" version { value: 1 } signature_name: "serving_default" }',
    ),
    Case(
        row="2: Sizes: 64 MiB request OK", timeout_seconds=60,
        request=predict('name: "echo" signature_name: "total"', {"x": np.zeros((1 << 24) - 64, np.float32)}, ("y",)),
        reply='outputs { key: "y" value { dtype: DT_FLOAT tensor_shape { } float_val: 0 } } '
        'model_spec { name: "echo" version { value: 1 } signature_name: "total" }',
    ),
    Case(
        row="2: Sizes: a large reply to a default client", code="RESOURCE_EXHAUSTED", timeout_seconds=60,
        request=predict('name: "echo" signature_name: "string"', {"x": np.array([b"a" * 6_000_000])}),
        message=re.compile(r".*CLIENT: Received message larger than max \(60000\d\d vs\. 4194304\).*"),
    ),
    Case(row="2: no bytes are a request without a spec", request=b"", code=INVALID, message="Missing ModelSpec"),
]  # fmt: skip

GATEWAYS = [
    Case(row="gateway: no key", request=predict(HALF, GOOD), key="nobody's"),
    Case(row="gateway: a key for another model", request=predict(HALF, GOOD), key="another model's"),
    Case(row="gateway: a key that may only read", request=predict(HALF, GOOD), key="a reader's"),
    Case(
        row="gateway: a label that the gateway's settings give",
        request=predict(f'{HALF} version_label: "gateways"', GOOD),
        code=INVALID,
        message="Unrecognized servable version label: gateways",
    ),
]

CASES = [*SPECS, *INPUTS, *SHAPES, *REPLIES, *TRANSPORT, *GATEWAYS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_predict_answers_as_its_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)


def test_load_above_the_thread_limit_queues(caller: Caller, is_reference: bool) -> None:
    """Section "the five that matter most", 2: TensorFlow Serving rejects it with RESOURCE_EXHAUSTED `Server Threadpool Exhausted`."""
    if is_reference:
        pytest.skip("it rejects most of them")
    slow = predict('name: "several" signature_name: "slow"', {"n": np.int64(3_000)})

    calls = [caller.start("Predict", slow) for _ in range(40)]

    assert {caller.answer_of(call).status for call in calls} == {("OK", "")}


def test_a_refused_shape_leaves_the_server_answering(caller: Caller) -> None:
    """Section "the five that matter most", 1: one malformed request kills TensorFlow Serving's process."""
    refused = caller.ask("Predict", SHAPES[0].request)

    answer = caller.ask("Predict", predict('name: "conv"', {"images": np.zeros((1, 28, 28, 1), np.float32)}))

    assert refused.code == INVALID
    assert [dim.size for dim in answer.reply.outputs["probabilities"].tensor_shape.dim] == [1, 10]
